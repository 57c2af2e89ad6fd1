//! A publisher's bad uplink: what comes late, in bursts or with a clock that jumps.

use std::time::Duration;

use headwater_rig::process::{Cluster, Size};
use headwater_rig::{SOON, http};
use tokio::time::sleep;

use crate::stage::{Ingress, Stage, cluster, runs};

/// What the ingress says of the publisher's line.
async fn uplink(stage: &Stage, cluster: &Cluster) -> serde_json::Value {
    let streams = cluster.origins[stage.ingress]
        .process
        .streams()
        .await
        .unwrap();
    let streams = streams["origin"].as_array().unwrap();
    let of = streams.iter().find(|it| it["key"] == stage.key.as_str());
    of.unwrap()["uplink"].clone()
}

/// Waits until the ingress's metrics say it too; they are a second behind at most.
async fn counted(cluster: &Cluster, stage: &Stage, name: &str, at_least: f64) {
    let metric = format!("headwater_origin_uplink_{name}_total");
    let admin = &cluster.origins[stage.ingress].process.admin;
    let counted = async {
        while http::metric(admin, &metric, "").await.unwrap() < at_least {
            sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(SOON, counted).await.expect(name);
}

#[tokio::test]
async fn a_bad_uplink_is_seen_as_such_and_no_viewers_time_goes_back() {
    let cluster = cluster(&Size::default()).await;
    for run in 0..runs() {
        let mut stage = Stage::set(&cluster, Ingress::Apart).await;
        let before = uplink(&stage, &cluster).await;
        // The first run has the longest silence that an origin's own patience allows with some room.
        let silences_s: &[u64] = if run == 0 { &[1, 25] } else { &[1, 3] };
        for seconds in silences_s {
            stage.publisher.stop();
            // The silence is what is tested.
            sleep(Duration::from_secs(*seconds)).await;
            stage.publisher.cont();
            stage.audience.goes_on(25 * 2).await.unwrap();
        }
        for step_ms in [60_000, -60_000, -5_000, 3_600_000, 1_500, -1_500] {
            stage.publisher.step_clock(step_ms);
            stage.audience.goes_on(50).await.unwrap();
        }
        // A burst of 25 s is more than a ring keeps, and yet none of it is lost.
        stage.audience.figures(0).is_whole().unwrap();
        stage.publisher_noticed_nothing();
        let after = uplink(&stage, &cluster).await;
        let more = |name: &str| after[name].as_u64().unwrap() - before[name].as_u64().unwrap();
        // A clock that is set back to where it was is recognised.
        for (name, at_least) in [("gaps", 2_u32), ("jumps", 2)] {
            assert!(
                more(name) >= u64::from(at_least),
                "{name}: {before} {after}"
            );
            counted(&cluster, &stage, name, f64::from(at_least)).await;
        }
    }
}
