//! Every operator dead, and back.

use std::time::Duration;

use headwater_rig::audience::Figures;
use headwater_rig::http;
use headwater_rig::process::{Cluster, Size};
use serde_json::Value;
use tokio::time::Instant;

use crate::stage::{Ingress, Stage, cluster, judge, mend, runs};

/// What a ledger must agree about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Live {
    key: String,
    epoch: u64,
    term: u64,
    home: String,
    ingress: String,
}

/// What the origins that have publishers say, by key.
async fn world(cluster: &Cluster) -> Vec<Live> {
    let mut live = Vec::new();
    for origin in cluster.origins.iter().filter(|o| o.process.pid().is_some()) {
        let streams = origin.process.streams().await.unwrap();
        for stream in streams["origin"].as_array().unwrap() {
            let role = stream["role"].as_str().unwrap();
            if stream["state"] == "live" && role.starts_with("ingress") {
                live.push(Live {
                    key: stream["key"].as_str().unwrap().to_owned(),
                    epoch: stream["epoch"].as_u64().unwrap(),
                    term: stream["term"].as_u64().unwrap(),
                    home: stream["home"].as_str().unwrap().to_owned(),
                    ingress: origin.id.clone(),
                });
            }
        }
    }
    live.sort();
    live
}

/// What the ledger of an operator says, by key; nothing as long as it is not settled.
async fn ledger(admin: &str) -> Option<Vec<Live>> {
    let members = http::json(admin, "/members").await.ok()?;
    if members["operator"]["settled"] != Value::Bool(true) {
        return None;
    }
    let streams = http::json(admin, "/streams").await.ok()?;
    let mut live = Vec::new();
    for stream in streams["operator"].as_array()? {
        let homes = stream["homes"].as_array()?;
        live.push(Live {
            key: stream["key"].as_str()?.to_owned(),
            epoch: stream["epoch"].as_u64()?,
            term: stream["term"].as_u64()?,
            home: homes
                .iter()
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
                .join("+"),
            ingress: stream["ingress"]["member"].as_str()?.to_owned(),
        });
    }
    live.sort();
    Some(live)
}

#[tokio::test]
async fn without_operators_everything_goes_on_and_when_they_are_back_nothing_moves() {
    let size = Size {
        operators: 2,
        ..Size::default()
    };
    let mut cluster = cluster(&size).await;
    let (mut quiet, mut moved, mut fresh) =
        (Figures::default(), Figures::default(), Figures::default());
    let mut learnt_max = Duration::ZERO;
    for _ in 0..runs() {
        let mut old = Stage::set(&cluster, Ingress::Apart).await;
        old.fault();
        for operator in &mut cluster.operators {
            operator.kill();
        }
        quiet.merge(old.seen_through().await);

        // A publisher and viewers who come now.
        let mut new = Stage::set(&cluster, Ingress::Apart).await;
        while new.ingress == old.home {
            new = Stage::set(&cluster, Ingress::Apart).await;
        }
        new.fault();
        fresh.merge(new.seen_through().await);

        // A home that dies now.
        old.fault();
        cluster.origins[old.home].process.kill();
        moved.merge(old.seen_through().await);
        old.publisher_noticed_nothing();
        if new.home == old.home {
            moved.merge(new.seen_through().await);
        }
        // Its ingress has found another home, by the ring.
        let lost = cluster.origins[old.home].id.clone();
        let began = Instant::now();
        while world(&cluster).await.iter().any(|live| live.home == lost) {
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "no new home: {:?}",
                world(&cluster).await
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let before = world(&cluster).await;
        assert!(before.len() >= 2, "{before:?}");

        old.fault();
        let began = Instant::now();
        for operator in &mut cluster.operators {
            operator.restart().unwrap();
        }
        for operator in &cluster.operators {
            let mut known = None;
            while known.as_ref() != Some(&before) {
                assert!(
                    began.elapsed() < Duration::from_secs(10),
                    "{known:?}\nthe world: {before:?}"
                );
                tokio::time::sleep(Duration::from_millis(20)).await;
                known = ledger(&operator.admin).await;
            }
        }
        learnt_max = learnt_max.max(began.elapsed());
        quiet.merge(old.seen_through().await);
        assert_eq!(world(&cluster).await, before, "something moved");
        mend(&mut cluster).await;
        assert_eq!(world(&cluster).await, before, "something moved");
    }
    judge(
        "all operators killed, and back",
        &quiet,
        Duration::from_millis(300),
    );
    judge(
        "published and played without operators",
        &fresh,
        Duration::from_millis(300),
    );
    judge(
        "home killed without operators",
        &moved,
        Duration::from_secs(1),
    );
    assert!(
        learnt_max <= Duration::from_secs(2),
        "the ledger was right after {learnt_max:?}"
    );
}
