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
fn a_watcher_is_told_at_once_and_then_of_every_move_once() {
    let room = key("room");
    let mut scenario = Scenario::with_origins(&["a", "b"]);
    scenario.join("edge", Role::Edge);
    let edge = scenario.sessions["edge"];
    let moves = |effects: Vec<Effect>| -> Vec<Vec<String>> {
        effects
            .into_iter()
            .filter_map(|effect| {
                let Effect::Send(to, down) = effect else {
                    return None;
                };
                let Down::Move { sources, .. } = &*down else {
                    return None;
                };
                (to == edge).then(|| names(&sources.sources))
            })
            .collect()
    };
    let told = scenario.say("edge", Up::Watch(vec![room.clone()]));
    assert_eq!(moves(told), [Vec::<String>::new()]);
    let home = carried(&room, Part::Home, 1, 1, "b");
    let told = scenario.report("a", home.clone(), false);
    assert_eq!(moves(told), [["a", "b"]]);
    let busier = Carried {
        viewers: 3,
        ..home.clone()
    };
    assert!(moves(scenario.report("a", busier, false)).is_empty());
    assert_eq!(moves(scenario.leave("a")), [Vec::<String>::new()]);
    scenario.say("edge", Up::Unwatch(vec![room.clone()]));
    assert!(moves(scenario.report("b", home, false)).is_empty());
}
