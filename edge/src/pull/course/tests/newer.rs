//! A source that is alive and brings nothing.

use super::*;

impl Scenario {
    fn dries_up(&mut self, address: &str, dry: bool) {
        let path = self.path(address);
        self.course.dry(path, dry, self.now);
        self.act();
    }

    fn beyond(&mut self, addresses: &[&str]) {
        let addresses = addresses.iter().map(|a| (*a).to_owned()).collect();
        self.course.beyond(addresses, self.now);
        self.act();
    }
}

#[test]
fn a_newer_session_where_no_operator_looks_is_taken() {
    let mut s = Scenario::carried();
    assert_eq!(s.looks_beyond, 0);
    s.dries_up("home", true);
    assert_eq!(s.looks_beyond, 1);
    s.beyond(&["lost"]);
    assert_eq!(s.addresses(), ["home", "lost"]);
    s.deliver("lost", 6, 9);
    assert_eq!(s.addresses(), ["lost"]);
    s.end("lost", Ending::Broken);
    assert_eq!(s.course.standing(), Standing::Lost);
    s.pass(150 * MS);
    assert!(s.locates > 1, "and its end is news");
}

#[test]
fn who_has_the_same_session_is_let_go() {
    let mut s = Scenario::carried();
    s.dries_up("home", true);
    s.beyond(&["lost"]);
    s.answer("lost", 5, 5);
    assert_eq!(s.addresses(), ["home"]);
    assert_eq!(s.fed.len(), 1);
}

#[test]
fn who_has_the_same_session_takes_over_from_a_source_that_is_silent() {
    let mut s = Scenario::new();
    s.located(at(5, 5, &["home"]));
    s.deliver("home", 5, 5);
    s.silence("home");
    s.pass(1_001 * MS);
    s.beyond(&["ingress"]);
    s.deliver("ingress", 5, 5);
    assert_eq!(s.addresses(), ["ingress"]);
}

#[test]
fn who_was_let_go_for_having_the_same_session_is_asked_at_once_when_the_source_dies() {
    let mut s = Scenario::carried();
    s.dries_up("home", true);
    s.beyond(&["ingress"]);
    s.answer("ingress", 5, 5);
    assert_eq!(s.addresses(), ["home"]);
    s.end("home", Ending::Broken);
    assert_eq!(s.addresses(), ["ingress"]);
}

#[test]
fn others_are_asked_each_second_for_as_long_as_nothing_comes() {
    let mut s = Scenario::carried();
    s.dries_up("home", true);
    let locates = s.locates;
    for _ in 0..5 {
        s.beyond(&["one", "two", "three"]);
        assert_eq!(s.addresses(), ["home", "one", "two"]);
        s.end("one", not_here());
        assert_eq!(s.addresses(), ["home", "two", "three"]);
        s.end("two", Ending::Broken);
        s.answer("three", 5, 5);
        assert_eq!(s.addresses(), ["home"]);
        s.pass(Duration::from_secs(1));
    }
    assert_eq!((s.looks_beyond, s.locates), (6, locates));
    s.dries_up("home", false);
    s.beyond(&["one"]);
    s.pass(Duration::from_secs(9));
    assert_eq!((s.looks_beyond, s.addresses()), (6, vec!["home"]));
}

#[test]
fn a_source_that_dies_while_others_are_asked_is_followed_at_once() {
    let mut s = Scenario::carried();
    s.dries_up("home", true);
    s.beyond(&["lost"]);
    s.end("home", Ending::Broken);
    assert_eq!(s.addresses(), ["lost", "ingress"]);
}

#[test]
fn beside_a_source_that_is_silent_for_long_others_are_asked_too() {
    let mut s = Scenario::new();
    s.located(at(5, 5, &["home"]));
    s.deliver("home", 5, 5);
    s.silence("home");
    s.pass(999 * MS);
    assert_eq!(s.looks_beyond, 0);
    s.pass(2 * MS);
    assert_eq!(s.looks_beyond, 1);
    s.beyond(&["other"]);
    s.deliver("other", 6, 9);
    assert_eq!(s.addresses(), ["other"]);
}
