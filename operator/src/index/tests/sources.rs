//! Where a stream can be pulled from, and how watchers hear of it.

use super::*;

#[test]
fn the_sources_of_a_stream_are_those_of_its_highest_term() {
    let room = key("room");
    // (who, part, epoch, term), and whom Locate names.
    type Reports = &'static [(&'static str, Part, u64, u64)];
    let cases: [(&str, Reports, &[&str]); 7] = [
        (
            "home and ingress",
            &[("a", Part::Ingress, 1, 1), ("b", Part::Home, 1, 1)],
            &["b", "a"],
        ),
        (
            "both in one",
            &[("a", Part::Ingress, 1, 1), ("a", Part::Home, 1, 1)],
            &["a"],
        ),
        ("only the ingress", &[("a", Part::Ingress, 1, 1)], &["a"]),
        (
            "the ingress has raised the term: the old home is fenced",
            &[("a", Part::Ingress, 1, 2), ("b", Part::Home, 1, 1)],
            &["a"],
        ),
        (
            "the home raised it and the ingress has not heard",
            &[("a", Part::Ingress, 1, 1), ("b", Part::Home, 1, 2)],
            &["b", "a"],
        ),
        (
            "a newer session elsewhere",
            &[
                ("a", Part::Ingress, 1, 1),
                ("b", Part::Home, 1, 1),
                ("a", Part::Ingress, 2, 2),
                ("c", Part::Home, 2, 2),
            ],
            &["c", "a"],
        ),
        (
            "viewers alone are no source",
            &[("b", Part::Carrier, 1, 1)],
            &[],
        ),
    ];
    for (name, reports, want) in cases {
        let mut scenario = Scenario::with_origins(&["a", "b", "c"]);
        for (who, part, epoch, term) in reports {
            scenario.report(who, carried(&room, *part, *epoch, *term, "a"), false);
        }
        assert_eq!(names(&scenario.locate(&room).sources), want, "{name}");
    }
}

#[test]
fn a_home_tells_of_an_ingress_that_has_not_reported() {
    let room = key("room");
    let mut scenario = Scenario::with_origins(&["a", "b"]);
    scenario.report("b", carried(&room, Part::Home, 1, 1, "a"), false);
    assert_eq!(names(&scenario.locate(&room).sources), ["b", "a"]);
    scenario.leave("a");
    assert_eq!(names(&scenario.locate(&room).sources), ["b"]);
}

#[test]
fn who_asks_for_a_stream_that_has_ended_hears_how_long_ago() {
    let room = key("room");
    let mut scenario = Scenario::with_origins(&["a"]);
    scenario.join("edge", Role::Edge);
    assert_eq!(scenario.left_ago(&room), None, "never heard of");
    scenario.report("a", carried(&room, Part::Home, 1, 1, "a"), false);
    assert_eq!(scenario.left_ago(&room), None, "it is on");
    scenario.report("edge", carried(&room, Part::Carrier, 1, 1, "a"), false);
    scenario.report("a", carried(&room, Part::Home, 1, 1, "a"), true);
    scenario.now += Duration::from_secs(2);
    assert_eq!(scenario.left_ago(&room), Some(Duration::from_secs(2)));
    scenario.report("edge", carried(&room, Part::Carrier, 1, 1, "a"), true);
    scenario.now += Duration::from_secs(1);
    let ago = scenario.left_ago(&room);
    assert_eq!(ago, Some(Duration::from_secs(3)), "whoever looked on");
}

/// The sources that watchers are told.
fn told(effects: Vec<Effect>) -> Vec<Vec<String>> {
    effects
        .into_iter()
        .filter_map(|effect| {
            let Effect::Send(_, down) = effect else {
                return None;
            };
            let Down::Move { sources, .. } = &*down else {
                return None;
            };
            Some(names(&sources.sources))
        })
        .collect()
}

#[test]
fn a_watcher_is_told_at_once_and_then_of_every_move_once() {
    let room = key("room");
    let mut scenario = Scenario::with_origins(&["a", "b"]);
    scenario.join("edge", Role::Edge);
    let effects = scenario.say("edge", Up::Watch(vec![room.clone()]));
    assert_eq!(told(effects), [Vec::<String>::new()]);
    let home = carried(&room, Part::Home, 1, 1, "b");
    let effects = scenario.report("a", home.clone(), false);
    assert_eq!(told(effects), [["a", "b"]]);
    let busier = Carried {
        viewers: 3,
        ..home.clone()
    };
    assert!(told(scenario.report("a", busier, false)).is_empty());
    assert_eq!(told(scenario.leave("a")), [Vec::<String>::new()]);
    scenario.say("edge", Up::Unwatch(vec![room.clone()]));
    assert!(told(scenario.report("b", home, false)).is_empty());
}

#[test]
fn watchers_hear_of_a_source_that_comes_or_goes_though_its_part_was_reported_by_another() {
    let room = key("room");
    let mut scenario = Scenario::with_origins(&["b"]);
    scenario.join("edge", Role::Edge);
    scenario.report("b", carried(&room, Part::Home, 1, 1, "a"), false);
    scenario.say("edge", Up::Watch(vec![room.clone()]));
    scenario.apply(Event::Tick);
    scenario.join("a", Role::Origin);
    assert_eq!(told(scenario.apply(Event::Tick)), [["b", "a"]]);
    assert_eq!(told(scenario.apply(Event::Tick)), Vec::<Vec<String>>::new());
    scenario.leave("a");
    assert_eq!(told(scenario.apply(Event::Tick)), [["b"]]);
}

#[test]
fn a_report_of_nothing_but_the_time_is_kept_and_told_to_nobody() {
    let room = key("room");
    let mut scenario = Scenario::with_origins(&["a", "b"]);
    scenario.join("edge", Role::Edge);
    let first = carried(&room, Part::Home, 1, 1, "a");
    scenario.report("b", first.clone(), false);
    scenario.say("edge", Up::Watch(vec![room.clone()]));
    scenario.apply(Event::Tick);
    let later = Carried {
        seen: Some(headwater_location::Seen {
            stream_dts_ms: 1_000,
            unix_ms: 5_000,
        }),
        viewers: 7,
        ..first
    };
    assert_eq!(scenario.report("b", later.clone(), false), []);
    assert_eq!(scenario.index.ledger.memory(&room), (1, later.seen));
    assert_eq!(
        told(scenario.report("b", carried(&room, Part::Home, 1, 1, "b"), false)),
        [["b"]],
        "who has the publisher is news"
    );
}
