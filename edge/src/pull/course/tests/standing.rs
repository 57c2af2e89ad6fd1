//! How a pull begins, what it is while it has no stream, and when it ends.

use super::*;

#[test]
fn a_pull_begins_with_one_lookup_and_one_path() {
    let mut s = Scenario::new();
    assert_eq!((s.locates, s.course.standing()), (1, Standing::Seeking));
    s.located(at(5, 5, &["home", "ingress"]));
    assert_eq!(s.addresses(), ["home"]);
    s.answer("home", 5, 5);
    assert_eq!((s.fed.len(), s.course.standing()), (1, Standing::Live));
    s.hear("home");
    assert_eq!((s.course.term(), s.course.upstream()), (5, Some("home")));
    s.pass(Duration::from_secs(60));
    assert_eq!(
        (s.locates, s.addresses()),
        (1, vec!["home"]),
        "nothing else while it delivers"
    );
}

#[test]
fn what_nobody_has_is_missing_and_looked_for_each_second() {
    for (name, located) in [
        ("nowhere", nowhere()),
        ("guessed", guessed(&["a"])),
        ("found", at(1, 1, &["a"])),
    ] {
        let mut s = Scenario::new();
        s.located(located.clone());
        if located != nowhere() {
            assert_eq!(s.course.standing(), Standing::Seeking, "{name}");
            s.end("a", not_here());
        }
        let missing = match name {
            // It was somewhere a moment ago, and may be on its way to another place.
            "found" => Standing::Left {
                until: s.now + Duration::from_secs(5),
            },
            _ => Standing::Missing,
        };
        assert_eq!(s.course.standing(), missing, "{name}");
        let before = s.locates;
        for _ in 0..5 {
            s.pass(Duration::from_secs(1));
            s.located(nowhere());
        }
        assert!(
            (4..=6).contains(&(s.locates - before)),
            "{name}: {}",
            s.locates - before
        );
        s.located(at(7, 7, &["home"]));
        s.deliver("home", 7, 7);
        assert_eq!(s.course.standing(), Standing::Live, "{name}");
    }
}

#[test]
fn viewers_are_kept_while_the_publisher_is_away() {
    let mut s = Scenario::carried();
    s.end("home", Ending::PublisherLeft);
    let until = s.now + Duration::from_secs(5);
    assert_eq!(
        (s.course.standing(), s.addresses()),
        (Standing::Left { until }, vec![])
    );
    s.located(at(5, 5, &["home"]));
    assert!(s.addresses().is_empty(), "nothing new is known");
    s.pass(Duration::from_secs(2));
    s.answer("home", 5, 5);
    assert_eq!(
        s.fed.len(),
        1,
        "the session that is over is not taken again"
    );
    s.located(at(9, 9, &["other"]));
    assert_eq!(s.addresses(), ["other"], "at once");
    s.deliver("other", 9, 9);
    assert_eq!(s.course.standing(), Standing::Live);
    s.pass(Duration::from_secs(60));
    assert!(!s.finished);
}

#[test]
fn a_publisher_who_left_a_moment_ago_is_waited_for() {
    let left = |ago| Located::Nowhere {
        lost: Vec::new(),
        left_ago: Some(ago),
    };
    let mut s = Scenario::new();
    s.located(left(Duration::from_secs(2)));
    let until = s.now + Duration::from_secs(3);
    assert_eq!(s.course.standing(), Standing::Left { until });
    s.pass(Duration::from_secs(1));
    s.located(left(Duration::from_secs(3)));
    assert_eq!(
        s.course.standing(),
        Standing::Left { until },
        "from when it left"
    );
    s.located(at(9, 9, &["home"]));
    s.deliver("home", 9, 9);
    assert_eq!(s.course.standing(), Standing::Live);

    let mut s = Scenario::new();
    s.located(left(Duration::from_secs(5)));
    assert_eq!(s.course.standing(), Standing::Missing);
}

#[test]
fn after_the_grace_the_stream_ends() {
    let mut s = Scenario::carried();
    s.end("home", Ending::PublisherLeft);
    s.located(nowhere());
    s.pass(29 * 1_000 * MS);
    assert!(!s.finished);
    s.pass(1_001 * MS);
    assert!(s.finished);
    assert_eq!(s.course.standing(), Standing::Over);
}

#[test]
fn the_grace_begins_when_the_silence_is_noticed() {
    let mut s = Scenario::carried();
    // The process was stopped, and hears of its sources' silence before it hears them.
    s.now += Duration::from_secs(60);
    s.silence("home");
    assert!(!s.finished);
    s.hear("home");
    assert_eq!(s.course.standing(), Standing::Live);
}

#[test]
fn a_stream_whose_sources_all_die_is_looked_for_until_the_grace_ends() {
    let mut s = Scenario::carried();
    s.end("home", Ending::Broken);
    s.end("ingress", Ending::Broken);
    for _ in 0..29 {
        s.pass(Duration::from_secs(1));
        let addresses: Vec<String> = s.open.iter().map(|(_, address)| address.clone()).collect();
        for address in addresses {
            s.end(&address, Ending::Broken);
        }
        s.located(Located::Failed);
    }
    assert_eq!((s.finished, s.course.standing()), (false, Standing::Lost));
    s.pass(Duration::from_secs(2));
    assert!(s.finished);
}

#[test]
fn a_pull_lingers_after_its_last_viewer() {
    let mut s = Scenario::carried();
    s.course.wanted(false, s.now);
    s.pass(Duration::from_secs(9));
    s.course.wanted(true, s.now);
    s.pass(Duration::from_secs(60));
    assert!(!s.finished);
    s.course.wanted(false, s.now);
    s.pass(Duration::from_secs(11));
    assert!(s.finished && s.open.is_empty());
}

#[test]
fn what_never_came_does_not_linger() {
    let mut s = Scenario::new();
    s.course.wanted(false, s.now);
    s.act();
    assert!(s.finished);
}
