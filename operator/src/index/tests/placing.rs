//! Where homes go: what was placed, reserved, cordoned, drained or ruled.

use headwater_location::ring::cap;
use headwater_location::{Seen, Site};

use super::*;

#[test]
fn a_drained_or_excluded_home_gives_way_and_a_cordoned_one_keeps_its_streams() {
    let room = key("room");
    let mut scenario = Scenario::with_origins(&["a", "b", "c"]);
    let home = scenario.place(&room, &[]).candidates[0].member.to_string();
    scenario.report(&home, carried(&room, Part::Home, 1, 1, &home), false);

    scenario.apply(Event::Cordon(home.as_str().into(), true));
    assert_eq!(*scenario.place(&room, &[]).candidates[0].member, *home);
    for index in 0..20 {
        let other = scenario.place(&key(&index.to_string()), &[]);
        assert!(!names(&other.candidates).contains(&home));
    }
    scenario.apply(Event::Cordon(home.as_str().into(), false));

    let elsewhere = scenario.place(&room, &[&home]);
    assert!(!names(&elsewhere.candidates).contains(&home));
    assert!(
        elsewhere.existing.is_some(),
        "the ingress is told of it all the same"
    );

    let drain = Order::Drain {
        grace: Duration::from_secs(30),
        reason: "node".to_owned(),
    };
    let session = scenario.sessions[&home];
    let effects = scenario.apply(Event::Order(home.as_str().into(), drain.clone()));
    assert!(effects.contains(&Effect::Send(session, Arc::new(Down::Order(drain.clone())))));
    assert_ne!(*scenario.place(&room, &[]).candidates[0].member, *home);
    scenario.apply(Event::Order(home.as_str().into(), Order::Undrain));
    scenario.index.reservations.release(&room);
    assert_eq!(*scenario.place(&room, &[]).candidates[0].member, *home);
}

#[test]
fn time_goes_on_as_it_was_told_until_its_member_was_last_heard() {
    let room = key("room");
    let mut scenario = Scenario::with_origins(&["a", "b"]);
    let seen = |stream_dts_ms| {
        Some(Seen {
            stream_dts_ms,
            unix_ms: 1_000_000 + u64::try_from(stream_dts_ms).unwrap(),
        })
    };
    let home = Carried {
        seen: seen(100),
        ..carried(&room, Part::Home, 1, 5, "a")
    };
    scenario.report("a", home, false);
    for _ in 0..60 {
        scenario.now += Duration::from_secs(1);
        for origin in ["a", "b"] {
            let beat = Heartbeat {
                ready: true,
                ..Heartbeat::default()
            };
            scenario.say(origin, Up::Heartbeat(beat));
        }
    }
    assert_eq!(scenario.place(&room, &[]).resume, seen(60_100));
    scenario.now += Duration::from_millis(900);
    assert_eq!(scenario.place(&room, &[]).resume, seen(60_100), "not heard");
    scenario.leave("a");
    scenario.apply(Event::Tick);
    let reply = scenario.place(&room, &[]);
    assert!(reply.existing.is_none());
    assert_eq!(reply.resume, seen(60_100), "gone");
}

#[test]
fn a_publisher_that_comes_back_goes_on_where_the_stream_stood() {
    let room = key("room");
    let mut scenario = Scenario::with_origins(&["a", "b"]);
    let seen = |stream_dts_ms| {
        Some(Seen {
            stream_dts_ms,
            unix_ms: 1_000_000,
        })
    };
    let home = Carried {
        seen: seen(100),
        ..carried(&room, Part::Home, 1, 5, "a")
    };
    scenario.report("a", home.clone(), false);
    assert_eq!(scenario.place(&room, &[]).resume, seen(100));
    let last = Carried {
        seen: seen(900),
        ..home
    };
    scenario.report("a", last, true);
    let reply = scenario.place(&room, &[]);
    assert_eq!((reply.resume, reply.highest_term), (seen(900), 5));
    assert!(reply.existing.is_none());
    scenario.now += Duration::from_secs(601);
    scenario.apply(Event::Tick);
    assert_eq!(scenario.place(&room, &[]).resume, None);
}

#[test]
fn a_burst_of_placements_is_spread_before_anybody_reports() {
    let mut scenario = Scenario::with_origins(&["a", "b", "c", "d"]);
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for index in 0..100 {
        let reply = scenario.place(&key(&index.to_string()), &[]);
        *counts
            .entry(reply.candidates[0].member.to_string())
            .or_default() += 1;
    }
    assert_eq!(counts.values().sum::<u64>(), 100);
    assert!(
        counts.values().all(|count| *count <= cap(99, 4)),
        "{counts:?}"
    );
}

fn known(zone: &str, labels: &[(&str, &str)]) -> Known {
    Known {
        site: Site {
            region: "r".to_owned(),
            zone: zone.to_owned(),
        },
        node_labels: labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        cordoned: false,
    }
}

fn rule(name: &str, stream: &str, placement: Restriction) -> Rule {
    use headwater_location::policy::{Policy, StreamPattern, StreamSettings};
    Rule {
        policy: Policy {
            name: name.to_owned(),
            streams: vec![StreamPattern {
                vhost: "*".to_owned(),
                app: "live".to_owned(),
                stream: stream.to_owned(),
            }],
            settings: StreamSettings::default(),
            keys: None,
        },
        placement,
    }
}

#[test]
fn where_a_node_stands_fills_in_what_the_member_does_not_say() {
    let mut scenario = Scenario::with_origins(&["a", "b"]);
    let mut says_itself = Member::new("c", Role::Origin, "c:7000");
    says_itself.site.zone = "own".to_owned();
    scenario.apply(Event::Said(99, Up::Hello(says_itself)));
    let facts = ["a", "c"].map(|id| (MemberId::from(id), known("z", &[])));
    scenario.apply(Event::Known(facts.into()));
    let zone = |id: &str| scenario.index.members().get(id).unwrap().site.zone.clone();
    assert_eq!((&*zone("a"), &*zone("b"), &*zone("c")), ("z", "", "own"));
}

#[test]
fn a_member_that_the_cluster_cordons_gets_no_new_stream_until_it_is_free_again() {
    let mut scenario = Scenario::with_origins(&["a", "b"]);
    let cordoned = Known {
        cordoned: true,
        ..Known::default()
    };
    scenario.apply(Event::Known([("a".into(), cordoned)].into()));
    for name in ["1", "2", "3"] {
        let reply = scenario.place(&key(name), &[]);
        assert_eq!(names(&reply.candidates), ["b"], "{name}");
    }
    scenario.apply(Event::Known(BTreeMap::new()));
    let reply = scenario.place(&key("4"), &["b"]);
    assert_eq!(names(&reply.candidates), ["a"]);
}

#[test]
fn a_policy_says_where_homes_may_be() {
    let mut scenario = Scenario::with_origins(&["a", "b", "c"]);
    let facts = [
        ("a".into(), known("z1", &[("disk", "fast")])),
        ("b".into(), known("z2", &[("disk", "fast")])),
        ("c".into(), known("z2", &[])),
    ];
    scenario.apply(Event::Known(facts.into()));
    let rules = vec![
        rule(
            "zone",
            "zone-*",
            Restriction {
                zones: vec!["z1".to_owned()],
                ..Restriction::default()
            },
        ),
        rule(
            "disk",
            "disk-*",
            Restriction {
                zones: vec!["z2".to_owned()],
                node_labels: [("disk".to_owned(), "fast".to_owned())].into(),
                ..Restriction::default()
            },
        ),
        rule(
            "nowhere",
            "nowhere",
            Restriction {
                regions: vec!["mars".to_owned()],
                ..Restriction::default()
            },
        ),
    ];
    scenario.apply(Event::Rules(Rules::new(rules)));
    for (name, homes) in [
        ("zone-1", vec!["a"]),
        ("disk-1", vec!["b"]),
        ("nowhere", vec![]),
    ] {
        let reply = scenario.place(&key(name), &[]);
        assert_eq!(names(&reply.candidates), homes, "{name}");
    }
    assert_eq!(scenario.place(&key("free"), &[]).candidates.len(), 3);
    let matched = scenario.index.matched();
    let origins = |name: &str| matched[name].origins;
    assert_eq!(
        (origins("zone"), origins("disk"), origins("nowhere")),
        (1, 1, 0)
    );
}

#[test]
fn a_rebalance_moves_what_would_be_placed_elsewhere_and_nothing_when_asked_again() {
    let mut scenario = Scenario::with_origins(&["a"]);
    let keys: Vec<StreamKey> = (0..40).map(|n| key(&format!("room{n}"))).collect();
    for key in &keys {
        let home = carried(key, Part::Home, 1, 1, "a");
        let ingress = carried(key, Part::Ingress, 1, 1, "a");
        scenario.report("a", home, false);
        scenario.report("a", ingress, false);
    }
    scenario.join("b", Role::Origin);
    scenario.join("c", Role::Origin);
    scenario.apply(Event::Tick);

    let (planned, effects) = scenario.index.rebalance(true, scenario.now);
    assert!(effects.is_empty(), "a dry run orders nothing");
    let (moves, effects) = scenario.index.rebalance(false, scenario.now);
    assert_eq!(moves, planned);
    assert_eq!(effects.len(), moves.len());
    let ingress = scenario.sessions["a"];
    for (moved, effect) in moves.iter().zip(effects) {
        assert_ne!(moved.from, moved.to);
        let Effect::Send(session, down) = effect else {
            panic!("{effect:?}")
        };
        assert_eq!(session, ingress, "its ingress is asked");
        assert!(
            matches!(&*down, Down::Rehome(it) if it.key == moved.key && it.home.member == moved.to)
        );
        let home = carried(&moved.key, Part::Home, 1, 2, "a");
        scenario.report(&moved.to, home, false);
        scenario.report("a", carried(&moved.key, Part::Home, 1, 1, "a"), true);
    }
    let most = cap(39, 3);
    for id in ["a", "b", "c"] {
        assert!(
            scenario.index.ledger.homes(id) <= most,
            "{id} is above its cap"
        );
    }
    assert!(scenario.index.rebalance(true, scenario.now).0.is_empty());
}
