//! What members say in their sessions, and what they are told.

use super::*;

#[test]
fn silence_of_a_second_is_death_and_a_heartbeat_is_life() {
    let mut scenario = Scenario::with_origins(&["a", "b"]);
    let room = key("room");
    scenario.report("a", carried(&room, Part::Home, 1, 1, "b"), false);
    for _ in 0..8 {
        scenario.now += Duration::from_millis(250);
        let ready = Heartbeat {
            ready: true,
            ..Heartbeat::default()
        };
        scenario.say("b", Up::Heartbeat(ready));
        scenario.apply(Event::Tick);
    }
    let alive: Vec<&str> = scenario.index.members().iter().map(|it| &*it.id).collect();
    assert_eq!(alive, ["b"]);
    assert!(scenario.locate(&room).sources.is_empty());
}

#[test]
fn a_snapshot_says_what_is_no_longer_there() {
    let (one, two) = (key("one"), key("two"));
    let mut scenario = Scenario::with_origins(&["a"]);
    for key in [&one, &two] {
        scenario.report("a", carried(key, Part::Home, 1, 1, "a"), false);
    }
    // The same process on a new connection: nothing is missing before the snapshot is complete.
    let session = 99;
    let member = Member::new("a", Role::Origin, "a:7000");
    let effects = scenario.apply(Event::Said(session, Up::Hello(member)));
    assert!(effects.contains(&Effect::Close(
        scenario.sessions["a"],
        CloseReason::Replaced
    )));
    scenario.sessions.insert("a".to_owned(), session);
    assert_eq!(scenario.index.streams(), 2);
    scenario.say(
        "a",
        Up::Report(Report {
            begin: true,
            complete: true,
            streams: vec![StreamReport {
                carried: carried(&one, Part::Home, 1, 1, "a"),
                ended: false,
            }],
        }),
    );
    assert_eq!(scenario.index.streams(), 1);
    assert!(scenario.locate(&two).sources.is_empty());
}

#[test]
fn of_two_processes_with_one_name_the_one_that_started_last_stays() {
    let mut scenario = Scenario::new();
    let hello = |incarnation| {
        Up::Hello(Member {
            incarnation,
            ..Member::new("a", Role::Origin, "a:7000")
        })
    };
    scenario.apply(Event::Said(1, hello(5)));
    let effects = scenario.apply(Event::Said(2, hello(4)));
    assert!(effects.contains(&Effect::Close(2, CloseReason::Replaced)));
    let effects = scenario.apply(Event::Said(3, hello(6)));
    assert!(effects.contains(&Effect::Close(1, CloseReason::Replaced)));
    assert_eq!(scenario.index.members().len(), 1);
}

#[test]
fn who_breaks_the_rules_of_a_session_is_closed() {
    let strict = || Index::new("r", 1, Some(BTreeSet::from(["a".into()])), Duration::ZERO);
    let hello = |id| Up::Hello(Member::new(id, Role::Origin, "x:1"));
    let cases: [(&str, &[Up], Option<CloseReason>); 4] = [
        ("welcome", &[hello("a")], None),
        (
            "not in the list",
            &[hello("b")],
            Some(CloseReason::NotAllowed),
        ),
        (
            "hello twice",
            &[hello("a"), hello("a")],
            Some(CloseReason::HelloTwice),
        ),
        (
            "no hello",
            &[Up::Watch(Vec::new())],
            Some(CloseReason::NoHello),
        ),
    ];
    for (name, said, want) in cases {
        let mut index = strict();
        let closed = said
            .iter()
            .flat_map(|up| index.apply(Event::Said(1, up.clone()), Duration::ZERO))
            .find_map(|effect| {
                let Effect::Close(1, reason) = effect else {
                    return None;
                };
                Some(reason)
            });
        assert_eq!(closed, want, "{name}");
        assert_eq!(index.members().len(), usize::from(want.is_none()), "{name}");
    }
}

#[test]
fn a_member_that_comes_back_hears_of_its_drain() {
    let mut scenario = Scenario::with_origins(&["a"]);
    let drain = Order::Drain {
        grace: Duration::from_secs(30),
        reason: "node".to_owned(),
    };
    scenario.apply(Event::Order("a".into(), drain.clone()));
    scenario.leave("a");
    let effects = scenario.join("a", Role::Origin);
    let session = scenario.sessions["a"];
    assert!(effects.contains(&Effect::Send(session, Arc::new(Down::Order(drain)))));
    scenario.apply(Event::Order("a".into(), Order::Undrain));
    assert!(scenario.index.standings.is_empty());
}

#[test]
fn members_are_told_once_a_tick_and_the_newcomer_at_once() {
    let mut scenario = Scenario::with_origins(&["a"]);
    let lists = |effects: &[Effect]| -> usize {
        effects
            .iter()
            .filter(
                |it| matches!(it, Effect::Broadcast(down) if matches!(**down, Down::Members(_))),
            )
            .count()
    };
    let mut told = 0;
    for id in ["b", "c", "d"] {
        let effects = scenario.join(id, Role::Origin);
        told += lists(&effects);
        let session = scenario.sessions[id];
        assert!(
            effects
                .iter()
                .any(|it| matches!(it, Effect::Send(to, _) if *to == session))
        );
    }
    assert_eq!(told, 0);
    assert_eq!(lists(&scenario.apply(Event::Tick)), 1);
    assert_eq!(lists(&scenario.apply(Event::Tick)), 0);
}

#[test]
fn members_hear_of_every_replica_with_the_list_and_when_one_comes() {
    let mut scenario = Scenario::new();
    let told = |effects: &[Effect]| -> Vec<Vec<SocketAddr>> {
        let down = effects.iter().filter_map(|effect| match effect {
            Effect::Send(_, down) | Effect::Broadcast(down) => Some(down),
            Effect::Close(..) => None,
        });
        let lists = down.filter_map(|down| {
            let Down::Members(list) = &**down else {
                return None;
            };
            list.complete.then(|| list.operators.clone())
        });
        lists.collect()
    };
    let (one, two): (SocketAddr, SocketAddr) = (
        "10.0.0.1:7100".parse().unwrap(),
        "10.0.0.2:7100".parse().unwrap(),
    );
    scenario.apply(Event::Operators([one].into()));
    let joined = scenario.join("a", Role::Edge);
    assert_eq!(told(&joined), [vec![one]]);
    scenario.apply(Event::Tick);
    scenario.apply(Event::Operators([two, one].into()));
    assert_eq!(told(&scenario.apply(Event::Tick)), [vec![one, two]]);
    scenario.apply(Event::Operators([one, two].into()));
    assert_eq!(
        told(&scenario.apply(Event::Tick)),
        Vec::<Vec<SocketAddr>>::new()
    );
}
