use std::collections::BTreeMap;

use headwater_location::ring::cap;
use headwater_location::{
    Carried, Endpoint, Exception, Exceptions, LocateRequest, PlaceReply, PlaceRequest, Role, Seen,
    Site, Sources,
};
use proptest::prelude::*;

use super::*;

fn key(name: &str) -> StreamKey {
    format!("default/live/{name}").parse().unwrap()
}

fn names(sources: &[headwater_location::Source]) -> Vec<String> {
    sources.iter().map(|it| it.member.to_string()).collect()
}

/// An index with a clock and members that behave.
struct Scenario {
    index: Index,
    now: Duration,
    sessions: BTreeMap<String, SessionId>,
    next: SessionId,
}

impl Scenario {
    fn new() -> Scenario {
        Scenario {
            index: Index::new("replica", 1, None, Duration::ZERO),
            now: Duration::ZERO,
            sessions: BTreeMap::new(),
            next: 1,
        }
    }

    fn with_origins(ids: &[&str]) -> Scenario {
        let mut scenario = Scenario::new();
        for id in ids {
            scenario.join(id, Role::Origin);
        }
        scenario.apply(Event::Tick);
        scenario
    }

    fn apply(&mut self, event: Event) -> Vec<Effect> {
        self.index.apply(event, self.now)
    }

    fn say(&mut self, id: &str, up: Up) -> Vec<Effect> {
        let session = self.sessions[id];
        self.apply(Event::Said(session, up))
    }

    fn join(&mut self, id: &str, role: Role) -> Vec<Effect> {
        let session = self.next;
        self.next += 1;
        self.sessions.insert(id.to_owned(), session);
        let member = Member::new(id, role, &format!("{id}:7000"));
        let effects = self.apply(Event::Said(session, Up::Hello(member)));
        self.say(
            id,
            Up::Report(Report {
                begin: true,
                complete: true,
                streams: Vec::new(),
            }),
        );
        effects
    }

    fn leave(&mut self, id: &str) -> Vec<Effect> {
        let session = self.sessions.remove(id).unwrap();
        self.apply(Event::Lost(session))
    }

    fn report(&mut self, id: &str, carried: Carried, ended: bool) -> Vec<Effect> {
        let report = Report {
            streams: vec![StreamReport { carried, ended }],
            ..Report::default()
        };
        self.say(id, Up::Report(report))
    }

    fn place(&mut self, key: &StreamKey, exclude: &[&str]) -> PlaceReply {
        let request = PlaceRequest {
            key: key.clone(),
            ingress: "ingress".into(),
            epoch: 1,
            exclude: exclude.iter().map(|id| MemberId::from(*id)).collect(),
        };
        self.index.place(&request, self.now)
    }

    fn locate(&self, key: &StreamKey) -> Sources {
        let request = LocateRequest {
            key: key.clone(),
            member: "edge".into(),
            site: Site::default(),
        };
        self.index.locate(&request, self.now).sources
    }
}

fn carried(key: &StreamKey, part: Part, epoch: u64, term: u64, ingress: &str) -> Carried {
    Carried {
        key: key.clone(),
        part,
        epoch,
        term,
        ingress: Some(Endpoint {
            member: ingress.into(),
            address: format!("{ingress}:7000"),
        }),
        home: None,
        seen: None,
        viewers: 0,
    }
}

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
fn a_replica_is_settled_once_all_snapshots_are_whole_and_soon_in_any_case() {
    let mut scenario = Scenario::with_origins(&["a"]);
    let half = Member::new("half", Role::Origin, "half:7000");
    scenario.apply(Event::Said(99, Up::Hello(half)));
    for (after, settled) in [(0, false), (2000, false), (3000, true)] {
        assert_eq!(
            scenario.index.settled(Duration::from_millis(after)),
            settled,
            "{after}"
        );
    }
    scenario.apply(Event::Lost(99));
    assert!(scenario.index.settled(SETTLE));
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

#[derive(Clone, Debug)]
enum Step {
    Join(usize),
    Leave(usize),
    Publish(usize),
    End(usize),
    Cordon(usize, bool),
    Tick,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => (0..6_usize).prop_map(Step::Join),
        1 => (0..6_usize).prop_map(Step::Leave),
        8 => (0..60_usize).prop_map(Step::Publish),
        3 => (0..60_usize).prop_map(Step::End),
        1 => (0..6_usize, any::<bool>()).prop_map(|(index, on)| Step::Cordon(index, on)),
        2 => Just(Step::Tick),
    ];
    prop::collection::vec(step, 1..120)
}

/// What an edge that heard every message would hold.
#[derive(Default)]
struct Heard(BTreeMap<StreamKey, Exception>);

impl Heard {
    fn take(&mut self, effects: &[Effect]) {
        for effect in effects {
            let Effect::Broadcast(down) = effect else {
                continue;
            };
            if let Down::Exceptions(Exceptions { set, removed, .. }) = &**down {
                for key in removed {
                    self.0.remove(key);
                }
                self.0.extend(set.iter().cloned());
            }
        }
    }
}

fn homes(index: &Index, now: Duration) -> BTreeMap<String, String> {
    let rows = index.listing(now).streams.into_iter();
    rows.map(|row| (row.key, row.homes[0].to_string()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn streams_stay_where_they_are_and_no_placement_goes_to_a_member_at_its_cap(steps in steps()) {
        let mut scenario = Scenario::new();
        let mut heard = Heard::default();
        let mut term = 0;
        for step in steps {
            let before = homes(&scenario.index, scenario.now);
            let mut changing: Option<String> = None;
            let mut leaver: Option<String> = None;
            let effects = match step {
                Step::Join(index) => {
                    let id = format!("origin-{index}");
                    if scenario.sessions.contains_key(&id) { continue; }
                    scenario.join(&id, Role::Origin)
                }
                Step::Leave(index) => {
                    let id = format!("origin-{index}");
                    if !scenario.sessions.contains_key(&id) { continue; }
                    leaver = Some(id.clone());
                    scenario.leave(&id)
                }
                Step::Publish(index) => {
                    let key = key(&index.to_string());
                    let loads: BTreeMap<String, u64> = scenario.index.members().iter()
                        .filter(|it| it.takes_work())
                        .map(|it| {
                            let load = scenario.index.ledger.homes(&it.id)
                                + scenario.index.reservations.count(&it.id);
                            (it.id.to_string(), load)
                        })
                        .collect();
                    let reply = scenario.place(&key, &[]);
                    prop_assert_eq!(&scenario.place(&key, &[]).candidates, &reply.candidates);
                    let Some(home) = reply.candidates.first().map(|it| it.member.to_string()) else {
                        prop_assert!(loads.is_empty());
                        continue;
                    };
                    match before.get(key.as_str()) {
                        Some(old) => prop_assert_eq!(&home, old),
                        None => {
                            let cap = cap(loads.values().sum(), loads.len());
                            prop_assert!(loads[&home] < cap, "{} at {:?}, cap {}", home, loads, cap);
                        }
                    }
                    term += 1;
                    changing = Some(key.to_string());
                    scenario.report(&home, carried(&key, Part::Home, term, term, &home), false)
                }
                Step::End(index) => {
                    let key = key(&index.to_string());
                    let Some(home) = before.get(key.as_str()) else { continue };
                    changing = Some(key.to_string());
                    scenario.report(home, carried(&key, Part::Home, term, term, home), true)
                }
                Step::Cordon(index, on) => {
                    scenario.apply(Event::Cordon(format!("origin-{index}").as_str().into(), on))
                }
                Step::Tick => scenario.apply(Event::Tick),
            };
            heard.take(&effects);

            // Only the stream of the step moves, and only the leaver's streams are given up.
            let after = homes(&scenario.index, scenario.now);
            for (key, home) in &before {
                if changing.as_ref() != Some(key) {
                    let want = (leaver.as_ref() != Some(home)).then_some(home);
                    prop_assert_eq!(after.get(key), want);
                }
            }
            for home in after.values() {
                prop_assert!(scenario.sessions.contains_key(home));
            }
        }
        heard.take(&scenario.apply(Event::Tick));
        let ring = scenario.index.members().origin_ring();
        for (key, home) in homes(&scenario.index, scenario.now) {
            let exception = heard.0.remove(&key.parse::<StreamKey>().unwrap());
            let want = (ring.first(&key) != Some(home.as_str())).then_some(home);
            prop_assert_eq!(exception.map(|it| it.home.to_string()), want);
        }
        prop_assert!(heard.0.is_empty(), "{:?}", heard.0);
    }
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
fn a_replica_that_starts_waits_for_the_members_that_should_be_there() {
    let mut scenario = Scenario::new();
    scenario.index = Index::new("replica", 1, None, Duration::ZERO).expecting();
    scenario.join("a", Role::Origin);
    scenario.now = Duration::from_secs(4);
    assert!(
        !scenario.index.settled(scenario.now),
        "nobody said who should be there"
    );
    scenario.apply(Event::Expect(["a".into(), "b".into()].into()));
    assert!(!scenario.index.settled(scenario.now), "b is missing");
    scenario.join("b", Role::Origin);
    assert!(scenario.index.settled(scenario.now));
    scenario.leave("b");
    scenario.now = Duration::from_secs(11);
    assert!(
        scenario.index.settled(scenario.now),
        "one that never comes holds nobody up for ever"
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
