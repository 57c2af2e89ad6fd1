//! Operator replicas and members over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by it"
)]

use std::time::Duration;

use headwater_location::locator::Follow;
use headwater_location::{
    Carried, Endpoint, Located, LocationConfig, Locator, Member, Part, PlacedBy, Role, Seen,
    Source, StreamKey,
};
use headwater_operator::index::Listing;
use headwater_operator::{Deps, Operator, OperatorConfig};
use headwater_process::drain::Drain;
use headwater_process::metrics::Registry;
use tokio::runtime::Runtime;
use tokio::time::Instant;

const SOON: Duration = Duration::from_secs(10);

/// A replica in a runtime of its own, so that it can be killed with all its sockets.
struct Replica {
    runtime: Option<Runtime>,
    operator: Operator,
}

impl Replica {
    async fn start(listen: &str) -> Replica {
        let config = OperatorConfig {
            listen: listen.to_owned(),
            ..OperatorConfig::default()
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let deps = Deps {
            registry: Registry::new().unwrap(),
            drain: Drain::new(SOON),
        };
        let started = runtime.spawn(async move { Operator::start(&config, deps).await });
        let operator = started.await.unwrap().unwrap();
        Replica {
            runtime: Some(runtime),
            operator,
        }
    }

    fn address(&self) -> String {
        self.operator.address().to_string()
    }

    /// Waits until its ledger looks so.
    async fn knows(&self, told: impl Fn(&Listing) -> bool) {
        let began = Instant::now();
        let mut poll = tokio::time::interval(Duration::from_millis(20));
        while !told(&self.operator.listing()) {
            poll.tick().await;
            assert!(began.elapsed() < SOON, "{:?}", self.operator.listing());
        }
    }

    fn kill(mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn member(operators: &[String], id: &str, role: Role) -> Locator {
    let config = LocationConfig {
        operators: operators.to_vec(),
        id: id.to_owned(),
        ..LocationConfig::default()
    };
    let me = config.member(role, &format!("{id}:7000"));
    Locator::start(&config, me, &Registry::new().unwrap()).unwrap()
}

fn key(name: &str) -> StreamKey {
    format!("default/live/{name}").parse().unwrap()
}

fn carried(key: &StreamKey, part: Part, term: u64, ingress: &Member, home: &str) -> Carried {
    Carried {
        key: key.clone(),
        part,
        epoch: 7,
        term,
        ingress: Some(Endpoint {
            member: ingress.id.clone(),
            address: ingress.internal.clone(),
        }),
        home: Some(home.into()),
        seen: Some(Seen {
            stream_dts_ms: 1000,
            unix_ms: 50_000,
        }),
        viewers: 0,
    }
}

fn names(sources: &[Source]) -> Vec<&str> {
    sources.iter().map(|source| &*source.member).collect()
}

/// Waits until `count` members and each of `replicas` have heard of one another; `members` are those that are asked.
async fn gathered(members: &[&Locator], replicas: &[&Replica], count: usize) {
    for member in members {
        let all = async {
            member.connected(replicas.len()).await;
            let mut list = member.members();
            list.wait_for(|list| list.len() == count).await.unwrap();
        };
        tokio::time::timeout(SOON, all).await.unwrap();
    }
    for replica in replicas {
        replica
            .knows(|listing| listing.members.len() == count)
            .await;
    }
}

async fn moved_to(follow: &mut Follow, want: &[&str]) {
    let moved = async {
        while follow.now().is_none_or(|now| names(&now.sources) != want) {
            follow.moved().await;
        }
    };
    let waited = tokio::time::timeout(SOON, moved).await;
    assert!(waited.is_ok(), "{want:?}: {:?}", follow.now());
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_agree_and_one_death_delays_no_answer() {
    let a = Replica::start("127.0.0.1:0").await;
    let b = Replica::start("127.0.0.1:0").await;
    let operators = [a.address(), b.address()];
    let origins: Vec<Locator> = (0..3)
        .map(|index| member(&operators, &format!("origin-{index}"), Role::Origin))
        .collect();
    let edge = member(&operators, "edge-0", Role::Edge);
    let all: Vec<&Locator> = origins.iter().chain([&edge]).collect();
    gathered(&all, &[&a, &b], 4).await;

    // Whoever is asked names the same home.
    let room = key("room");
    let placement = origins[0].place(&room, 7, &[]).await.unwrap();
    assert_eq!(placement.by, PlacedBy::Operator);
    let swapped = member(
        &[operators[1].clone(), operators[0].clone()],
        "edge-1",
        Role::Edge,
    );
    gathered(&[&swapped], &[&a, &b], 5).await;
    let again = swapped.place(&room, 7, &[]).await.unwrap();
    assert_eq!(names(&again.candidates), names(&placement.candidates));

    // The ingress publishes, the home takes it; an edge that follows hears of it.
    let home = origins
        .iter()
        .find(|it| it.me().id == placement.candidates[0].member)
        .unwrap();
    let ingress = origins
        .iter()
        .find(|it| it.me().id != home.me().id)
        .unwrap();
    let mut follow = edge.follow(&room);
    let home_id = home.me().id;
    for (member, part) in [(ingress, Part::Ingress), (home, Part::Home)] {
        member
            .reports()
            .publish_started(carried(&room, part, 9, &ingress.me(), &home_id));
    }
    let ingress_id = ingress.me().id;
    moved_to(&mut follow, &[&home_id, &ingress_id]).await;
    // Any of the replicas may answer, and each hears on its own.
    let both = |listing: &Listing| {
        let mut streams = listing.streams.iter();
        streams.any(|it| it.homes == [home_id.clone()] && it.ingress.is_some())
    };
    a.knows(both).await;
    b.knows(both).await;
    let Ok(Located::Found(found)) = edge.locate(&room).await else {
        panic!("not found");
    };
    assert_eq!((found.epoch, found.term), (7, 9));
    assert_eq!(names(&found.sources), [&*home_id, &*ingress_id]);
    let placed = ingress.place(&room, 8, &[]).await.unwrap();
    assert_eq!(placed.candidates[0].member, home_id);
    assert_eq!(placed.existing.unwrap().term, 9);

    // One replica dies: the other answers, at once.
    a.kill();
    let asked = Instant::now();
    assert!(matches!(edge.locate(&room).await, Ok(Located::Found(_))));
    assert!(origins[0].place(&key("other"), 1, &[]).await.is_ok());
    assert!(
        asked.elapsed() < Duration::from_millis(300),
        "{:?}",
        asked.elapsed()
    );

    // It comes back on its port and knows everything again.
    let restarted = Instant::now();
    let a = Replica::start(&operators[0]).await;
    a.knows(|listing| listing.settled && listing.members.len() == 5 && both(listing))
        .await;
    assert!(
        restarted.elapsed() < Duration::from_secs(2),
        "{:?}",
        restarted.elapsed()
    );

    // The publisher ends.
    for (member, part) in [(ingress, Part::Ingress), (home, Part::Home)] {
        member.reports().ended(&room, part, None);
    }
    moved_to(&mut follow, &[]).await;
    for replica in [&a, &b] {
        replica.knows(|listing| listing.streams.is_empty()).await;
    }
    assert!(matches!(
        edge.locate(&room).await,
        Ok(Located::Missing { .. })
    ));
    let resumed = ingress.place(&room, 10, &[]).await.unwrap();
    assert_eq!(
        (resumed.highest_term, resumed.resume.unwrap().stream_dts_ms),
        (9, 1000)
    );

    // All replicas die: the ring and what is known of it are enough.
    drop((a, b));
    let lonely = edge.locate(&room).await.unwrap();
    let Located::Guess(guess) = lonely else {
        panic!("{lonely:?}");
    };
    let walked = origins[1].place(&room, 11, &[]).await.unwrap();
    assert_eq!(walked.by, PlacedBy::Ring);
    assert_eq!(names(&walked.candidates), names(&guess));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_home_leaves_the_ingress_and_its_other_streams_stay() {
    let operator = Replica::start("127.0.0.1:0").await;
    let operators = [operator.address()];
    let ingress = member(&operators, "ingress", Role::Origin);
    let home = member(&operators, "home", Role::Origin);
    let edge = member(&operators, "edge", Role::Edge);
    gathered(&[&ingress, &home, &edge], &[&operator], 3).await;
    let room = key("room");
    for (member, part) in [(&ingress, Part::Ingress), (&home, Part::Home)] {
        member
            .reports()
            .publish_started(carried(&room, part, 1, &ingress.me(), "home"));
    }
    let mut follow = edge.follow(&room);
    moved_to(&mut follow, &["home", "ingress"]).await;
    drop(home);
    moved_to(&mut follow, &["ingress"]).await;
    operator.knows(|listing| listing.members.len() == 2).await;
    let placement = ingress.place(&room, 7, &[]).await.unwrap();
    assert_eq!(names(&placement.candidates), ["ingress"]);
    assert_eq!(placement.highest_term, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_streams_arrive_whole() {
    let operator = Replica::start("127.0.0.1:0").await;
    let origin = member(&[], "origin", Role::Origin);
    let me = origin.me();
    let late = member(&[operator.address()], "origin", Role::Origin);
    for index in 0..10_000 {
        let key = key(&index.to_string());
        late.reports()
            .publish_started(carried(&key, Part::Home, 1, &me, "origin"));
    }
    let started = Instant::now();
    let mut poll = tokio::time::interval(Duration::from_millis(20));
    while operator.operator.listing().streams.len() < 10_000 {
        poll.tick().await;
        assert!(started.elapsed() < SOON);
    }
    assert!(matches!(
        late.locate(&key("9999")).await,
        Ok(Located::Found(_))
    ));
}

#[tokio::test]
async fn without_operators_the_static_members_are_enough() {
    let config = LocationConfig {
        id: "alone".to_owned(),
        ..LocationConfig::default()
    };
    let me = config.member(Role::Origin, "127.0.0.1:7000");
    let origin = Locator::start(&config, me, &Registry::new().unwrap()).unwrap();
    let placement = origin.place(&key("room"), 1, &[]).await.unwrap();
    assert_eq!(names(&placement.candidates), ["alone"]);
    assert_eq!(placement.by, PlacedBy::Ring);
}

#[tokio::test]
async fn a_member_finds_operators_by_their_name_and_hears_of_policies() {
    use headwater_location::policy::{Policy, StreamPattern, StreamSettings};
    use headwater_operator::index::{Restriction, Rule, Rules};

    let replica = Replica::start("127.0.0.1:0").await;
    let port = replica.operator.address().port();
    let config = LocationConfig {
        operators_name: format!("localhost:{port}"),
        id: "a".to_owned(),
        ..LocationConfig::default()
    };
    let me = config.member(Role::Origin, "a:7000");
    let locator = Locator::start(&config, me, &Registry::new().unwrap()).unwrap();
    tokio::time::timeout(SOON, locator.connected(1))
        .await
        .unwrap();
    assert_eq!(locator.replicas(), 1, "each address has one session");

    let many = (0..40).map(|n| Rule {
        policy: Policy {
            name: format!("p{n:02}"),
            streams: vec![StreamPattern {
                vhost: "*".to_owned(),
                app: "live".to_owned(),
                stream: format!("{n}"),
            }],
            settings: StreamSettings {
                linger: Some(Duration::from_secs(n)),
                ..StreamSettings::default()
            },
            keys: None,
        },
        placement: Restriction::default(),
    });
    replica.operator.rule(Rules::new(many.collect()));
    let late = member(&[replica.address()], "late", Role::Edge);
    for locator in [&locator, &late] {
        let mut policies = locator.policies();
        let told = policies.wait_for(|policies| policies.iter().len() == 40);
        tokio::time::timeout(SOON, told).await.unwrap().unwrap();
        let settings = locator.policies().borrow().settings(&key("39"));
        assert_eq!(settings.linger, Some(Duration::from_secs(39)));
    }
    replica.operator.rule(Rules::default());
    let mut policies = locator.policies();
    let told = policies.wait_for(|policies| policies.iter().len() == 0);
    tokio::time::timeout(SOON, told).await.unwrap().unwrap();
}
