//! One pull for a region: the shield is passed over when it must be, and come back to.

use super::*;

fn behind(shield: &str, addresses: &[&str]) -> Located {
    Located::At {
        term: 5,
        epoch: 5,
        addresses: addresses.iter().map(|a| (*a).to_owned()).collect(),
        shield: Some(shield.to_owned()),
    }
}

/// One whose shield was late, so that the home serves.
fn passed_over() -> Scenario {
    let mut s = Scenario::new();
    s.located(behind("shield", &["shield", "home"]));
    s.pass(401 * MS);
    s.deliver("home", 5, 5);
    assert_eq!(s.addresses(), ["home"]);
    s
}

#[test]
fn a_shield_that_was_late_is_come_back_to() {
    let mut s = passed_over();
    s.pass(999 * MS);
    assert_eq!(s.addresses(), ["home"]);
    s.pass(2 * MS);
    assert_eq!(s.addresses(), ["home", "shield"]);
    assert!(!s.course.is_shielded());
    s.deliver("shield", 5, 5);
    assert_eq!(s.addresses(), ["shield"]);
    assert!(s.course.is_shielded());
    s.pass(Duration::from_secs(300));
    assert_eq!(s.addresses(), ["shield"]);
}

/// How often in ten minutes the shield is asked, if each time this is what comes of it.
fn asked(s: &mut Scenario, outcome: impl Fn(&mut Scenario)) -> usize {
    let mut asked = 0;
    for _ in 0..600 {
        s.pass(Duration::from_secs(1));
        if s.addresses().contains(&"shield") {
            asked += 1;
            outcome(s);
            assert_eq!(s.addresses(), ["home"]);
        }
    }
    asked
}

#[test]
fn a_shield_that_refuses_is_tried_less_and_less_often() {
    let mut s = passed_over();
    let tried = asked(&mut s, |s| s.end("shield", Ending::Refused));
    assert!((10..=16).contains(&tried), "{tried} times in ten minutes");
}

#[test]
fn a_shield_that_fell_silent_is_given_half_a_minute() {
    let mut s = passed_over();
    s.pass(1001 * MS);
    s.deliver("shield", 5, 5);
    s.silence("shield");
    s.deliver("home", 5, 5);
    s.pass(29 * Duration::from_secs(1));
    assert_eq!(s.addresses(), ["home"]);
    s.pass(2 * Duration::from_secs(1));
    assert_eq!(s.addresses(), ["home", "shield"]);
}

#[test]
fn the_shield_that_takes_over_is_gone_to() {
    let mut s = Scenario::new();
    s.located(behind("first", &["first", "home"]));
    s.deliver("first", 5, 5);
    s.end("first", Ending::Broken);
    s.deliver("home", 5, 5);
    s.course.moved(behind("second", &["second", "home"]), s.now);
    s.act();
    s.pass(1001 * MS);
    assert_eq!(s.addresses(), ["home", "second"]);
}

#[test]
fn who_becomes_the_shield_pulls_from_an_origin() {
    let mut s = Scenario::new();
    s.located(behind("shield", &["shield", "home"]));
    s.deliver("shield", 5, 5);
    s.course.moved(at(5, 5, &["home"]), s.now);
    s.act();
    s.pass(1001 * MS);
    assert_eq!(s.addresses(), ["shield", "home"]);
    s.deliver("home", 5, 5);
    assert_eq!(s.addresses(), ["home"]);
}

#[test]
fn who_serves_other_edges_pulls_from_an_origin() {
    let mut s = Scenario::new();
    s.located(behind("shield", &["shield", "home"]));
    s.deliver("shield", 5, 5);
    s.course.serves_edges(true, s.now);
    s.act();
    s.pass(1001 * MS);
    assert_eq!(s.addresses(), ["shield", "home"]);
    s.deliver("home", 5, 5);
    s.pass(Duration::from_secs(300));
    assert_eq!(s.addresses(), ["home"]);
}

#[test]
fn who_no_longer_serves_other_edges_pulls_from_the_shield() {
    let mut s = Scenario::new();
    s.located(at(5, 5, &["home"]));
    s.deliver("home", 5, 5);
    s.course.serves_edges(true, s.now);
    s.course.moved(behind("shield", &["home"]), s.now);
    s.act();
    s.pass(Duration::from_secs(300));
    assert_eq!(s.addresses(), ["home"]);
    s.course.serves_edges(false, s.now);
    s.act();
    assert_eq!(s.addresses(), ["home", "shield"]);
    s.deliver("shield", 5, 5);
    assert_eq!(s.addresses(), ["shield"]);
}

#[test]
fn two_that_are_sent_to_each_other_try_it_less_and_less_often() {
    let mut s = passed_over();
    let tried = asked(&mut s, |s| {
        for serves in [true, false] {
            s.course.serves_edges(serves, s.now);
            s.act();
        }
    });
    assert!((10..=16).contains(&tried), "{tried} times in ten minutes");
}
