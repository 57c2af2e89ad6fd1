//! Which source feeds, and which is asked beside it.

use super::*;

#[test]
fn a_dead_source_is_followed_by_the_next_at_once() {
    let mut s = Scenario::carried();
    s.pass(Duration::from_secs(1));
    s.end("home", Ending::Broken);
    assert_eq!(s.addresses(), ["ingress"]);
    assert_eq!(s.course.standing(), Standing::Lost);
    s.deliver("ingress", 5, 5);
    assert_eq!(s.course.standing(), Standing::Live);
    assert_eq!(s.locates, 2, "and where it is now is asked beside");
}

#[test]
fn a_source_that_answers_slowly_is_not_waited_for() {
    let mut s = Scenario::new();
    s.located(at(5, 5, &["home", "ingress"]));
    s.pass(399 * MS);
    assert_eq!(s.addresses(), ["home"]);
    s.pass(2 * MS);
    assert_eq!(s.addresses(), ["home", "ingress"]);
    s.deliver("ingress", 5, 5);
    assert_eq!(s.addresses(), ["ingress"], "the first that delivers wins");
}

#[test]
fn beside_a_suspect_source_another_is_asked_and_the_first_that_delivers_wins() {
    for winner in ["home", "ingress"] {
        let mut s = Scenario::carried();
        s.silence("home");
        assert_eq!(s.addresses(), ["home", "ingress"]);
        assert_eq!(s.course.standing(), Standing::Live);
        s.answer("ingress", 5, 5);
        s.hear(winner);
        assert_eq!(s.addresses(), [winner]);
    }
}

#[test]
fn beside_a_slow_source_another_is_asked_once_and_the_first_that_delivers_wins() {
    let mut scenario = Scenario::carried();
    let home = scenario.path("home");
    scenario.course.slow(home, scenario.now);
    scenario.act();
    assert_eq!(scenario.addresses(), ["home", "ingress"]);
    scenario.end("ingress", Ending::Refused);
    scenario.pass(Duration::from_secs(5));
    assert_eq!(scenario.addresses(), ["home"], "until it is said again");
    scenario.course.slow(home, scenario.now);
    scenario.act();
    scenario.deliver("ingress", 5, 5);
    assert_eq!(scenario.addresses(), ["ingress"]);
}

#[test]
fn a_source_without_another_is_asked_anew_beside_itself() {
    let mut s = Scenario::new();
    s.located(at(5, 5, &["home"]));
    s.deliver("home", 5, 5);
    s.silence("home");
    assert_eq!(s.addresses(), ["home", "home"]);
}

#[test]
fn a_lossy_source_does_not_make_the_paths_flap() {
    let mut s = Scenario::carried();
    let mut opened = 0;
    for _ in 0..60 {
        let before = s.open.len();
        s.silence("home");
        opened += s.open.len() - before;
        s.hear("home");
        s.pass(450 * MS);
    }
    assert!(
        (1..=9).contains(&opened),
        "{opened} paths in 27 s of silences"
    );
}

#[test]
fn a_lower_term_is_never_gone_back_to() {
    let mut s = Scenario::carried();
    s.located(at(4, 9, &["old"]));
    s.end("home", Ending::Broken);
    assert_eq!(
        s.addresses(),
        ["ingress"],
        "what a lower term says is not heard"
    );
    s.answer("ingress", 4, 5);
    assert_eq!(s.fed.len(), 1, "nor a source of a lower term taken");
    s.pass(Duration::from_secs(1));
    s.answer("home", 6, 5);
    assert_eq!((s.fed.len(), s.course.term()), (2, 6));
}

#[test]
fn a_suspect_that_comes_back_does_not_win_over_a_higher_term() {
    let mut s = Scenario::carried();
    s.silence("home");
    s.answer("ingress", 6, 5);
    s.hear("home");
    assert_eq!(s.addresses(), ["home", "ingress"]);
    s.hear("ingress");
    assert_eq!(s.addresses(), ["ingress"]);
}

#[test]
fn a_higher_term_elsewhere_moves_the_pull_without_a_gap() {
    let mut s = Scenario::carried();
    s.course.moved(at(8, 5, &["successor", "ingress"]), s.now);
    s.act();
    assert_eq!(s.addresses(), ["home", "successor"]);
    s.deliver("successor", 8, 5);
    assert_eq!(s.addresses(), ["successor"]);
}

#[test]
fn the_same_source_under_a_higher_term_stays() {
    let mut s = Scenario::carried();
    s.course.moved(at(8, 5, &["home", "ingress"]), s.now);
    s.act();
    assert_eq!(s.addresses(), ["home"]);
}

#[test]
fn a_source_that_closes_names_its_successor() {
    let mut s = Scenario::carried();
    let now = s.now;
    s.course.redirected("successor".to_owned(), now);
    s.act();
    assert_eq!(s.addresses(), ["home", "successor"]);
    s.deliver("successor", 5, 5);
    assert_eq!(s.addresses(), ["successor"]);
}

#[test]
fn guessed_sources_are_asked_together_and_the_highest_term_wins() {
    let mut s = Scenario::new();
    s.located(guessed(&["a", "b", "c"]));
    assert_eq!(s.addresses(), ["a", "b", "c"]);
    s.answer("a", 3, 3);
    assert!(s.fed.is_empty(), "the others may know better");
    s.end("b", not_here());
    let best = s.path("c");
    s.answer("c", 4, 4);
    assert_eq!((s.fed.clone(), s.addresses()), (vec![best], vec!["c"]));
}

#[test]
fn a_guessed_source_that_does_not_answer_is_not_waited_for_long() {
    let mut s = Scenario::new();
    s.located(guessed(&["a", "dead"]));
    let path = s.path("a");
    s.answer("a", 3, 3);
    s.pass(149 * MS);
    assert!(s.fed.is_empty());
    s.pass(2 * MS);
    assert_eq!(s.fed, [path]);
}

#[test]
fn guessed_sources_are_asked_once_none_that_was_known_answers() {
    let mut s = Scenario::carried();
    let guess = || guessed(&["home", "b", "c"]);
    s.located(guess());
    s.end("home", Ending::Broken);
    s.located(guess());
    assert_eq!(s.addresses(), ["ingress"], "it may have the stream");
    s.end("ingress", Ending::Broken);
    s.located(guess());
    assert_eq!(s.addresses(), ["b"]);
    s.end("b", not_here());
    assert_eq!(s.addresses(), ["c"]);
    s.deliver("c", 6, 6);
    assert_eq!(s.addresses(), ["c"]);
}

#[test]
fn where_a_source_says_it_is_it_is_looked_for() {
    let mut s = Scenario::new();
    s.located(at(5, 5, &["home"]));
    s.end(
        "home",
        Ending::NotHere {
            term: 6,
            addresses: vec!["there".to_owned()],
        },
    );
    assert_eq!(s.addresses(), ["there"]);
}

#[test]
fn a_replaced_session_is_asked_for_at_the_same_source() {
    let mut s = Scenario::carried();
    s.pass(Duration::from_secs(1));
    s.end("home", Ending::Replaced);
    assert_eq!(s.addresses(), ["home"]);
    s.deliver("home", 7, 7);
    assert_eq!(s.course.standing(), Standing::Live);
}

#[test]
fn a_source_that_lets_go_is_left_for_another() {
    let mut s = Scenario::carried();
    s.end("home", Ending::Closed);
    assert_eq!(s.addresses(), ["ingress"]);
}

#[test]
fn viewers_who_wait_have_origins_asked_that_the_operators_have_lost() {
    let mut s = Scenario::carried();
    s.end("home", Ending::Broken);
    s.end("ingress", Ending::Broken);
    s.located(lost(&["ingress", "other"]));
    s.pass(Duration::from_secs(1));
    assert_eq!(s.addresses(), ["other", "ingress"], "together");
    s.end("other", not_here());
    s.deliver("ingress", 5, 5);
    s.located(nowhere());
    s.pass(Duration::from_secs(60));
    assert_eq!(s.course.upstream(), Some("ingress"), "it delivers");
}

#[test]
fn a_lost_origin_that_is_behind_is_not_taken() {
    let mut s = Scenario::carried();
    s.end("home", Ending::Broken);
    s.end("ingress", Ending::Broken);
    s.located(lost(&["other"]));
    s.answer("other", 4, 4);
    assert_eq!((s.fed.len(), s.addresses()), (1, vec![]));
}

#[test]
fn a_stream_that_never_came_is_not_asked_of_lost_origins() {
    let mut s = Scenario::new();
    s.located(lost(&["other"]));
    assert_eq!(
        (s.addresses(), s.course.standing()),
        (vec![], Standing::Missing)
    );
}

#[test]
fn where_the_stream_has_moved_is_asked_at_once_beside_a_suspect_source() {
    let mut s = Scenario::carried();
    s.silence("home");
    s.end("ingress", Ending::Refused);
    s.located(at(9, 9, &["new"]));
    assert_eq!(s.addresses(), ["home", "new"]);
}

#[test]
fn a_source_that_has_been_silent_for_long_does_not_hold_up_the_search_for_others() {
    let mut s = Scenario::carried();
    s.silence("home");
    let mut tries = 0;
    for _ in 0..100 {
        while s.addresses().contains(&"ingress") {
            tries += 1;
            s.end("ingress", not_here());
        }
        s.pass(100 * MS);
    }
    assert!((9..=11).contains(&tries), "one a second, not {tries}");
}

#[test]
fn sources_are_told_the_highest_term_where_it_is_known_of_which_session_it_is() {
    let mut s = Scenario::new();
    let known = |epoch, term| Some(Known { epoch, term });
    assert_eq!(s.course.known(), None);
    s.located(at(5, 4, &["home"]));
    assert_eq!(s.course.known(), known(4, 5));
    s.deliver("home", 6, 4);
    assert_eq!(s.course.known(), known(4, 6));
    s.course.term_heard(8, s.now);
    assert_eq!(s.course.known(), None, "of whom is not said");
    s.located(at(8, 7, &["home"]));
    assert_eq!(s.course.known(), known(7, 8));
}
