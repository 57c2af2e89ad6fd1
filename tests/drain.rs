//! A drain in the middle of a show: streams move by will, and nobody who watches notices.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by it")]

use std::path::Path;
use std::time::Duration;

use headwater_rig::SOON;
use headwater_rig::compare::account;
use headwater_rig::metronome::Metronome;
use headwater_rig::process::{Cluster, Size};
use headwater_rig::publisher::{Made, Publisher, Target};
use headwater_rig::viewer::Viewer;
use tokio::time::Instant;

/// A move costs a few milliseconds; the rest is for machines that do other work beside this test.
const GAP_MAX: Duration = Duration::from_secs(1);

#[tokio::test]
async fn an_origin_that_drains_hands_its_streams_over_without_a_gap() {
    let binary = Path::new(env!("CARGO_BIN_EXE_headwater"));
    let mut cluster = Cluster::start(binary, &Size::default()).await.unwrap();
    let (epoch, metronome) = (Instant::now(), Metronome::start());
    // The home of one of these names is not the origin that the publisher reached.
    let mut publishers = Vec::new();
    let mut moved = None;
    for name in ["a", "b", "c", "d", "e", "f"] {
        let target =
            Target::parse(&format!("rtmp://{}/live/{name}", cluster.origins[0].rtmp)).unwrap();
        let mut publisher = Publisher::start(&target, Made::default().tags(), epoch);
        publisher.started().await.unwrap();
        publishers.push(publisher);
        let (ingress, home) = cluster
            .placed(&format!("default/live/{name}"))
            .await
            .unwrap();
        if ingress != home {
            moved = Some((name, home));
            break;
        }
    }
    let (name, home) = moved.unwrap();
    let mut viewers: Vec<Viewer> = cluster
        .edges
        .iter()
        .map(|edge| {
            Viewer::start(
                &format!("http://{}/live/{name}.flv?wait=10", edge.http),
                epoch,
            )
        })
        .collect();
    for viewer in &mut viewers {
        viewer.goes_on(30).await.unwrap();
    }
    let draining = &mut cluster.origin(&home).unwrap().process;
    draining.signal("TERM").unwrap();
    let code = draining.ended(Duration::from_secs(20)).await.unwrap();
    assert_eq!(
        code,
        Some(0),
        "it ends by itself as soon as its streams have moved"
    );
    for viewer in &mut viewers {
        let seen = viewer.goes_on(50).await.unwrap();
        let account = account(&seen.tags);
        assert_eq!(
            (account.lost, account.doubled, account.disordered),
            (0, 0, 0),
            "{account:?}"
        );
        assert_eq!(account.sessions.len(), 1);
        let gap = Duration::from_micros(account.gap_us);
        assert!(gap < GAP_MAX + metronome.stalled(), "{account:?}");
    }
}

#[tokio::test]
async fn a_rebalance_moves_streams_to_origins_that_joined_without_a_gap() {
    let binary = Path::new(env!("CARGO_BIN_EXE_headwater"));
    let mut cluster = Cluster::start(binary, &Size::default()).await.unwrap();
    for late in &mut cluster.origins[1..] {
        late.process.kill();
    }
    let (epoch, metronome) = (Instant::now(), Metronome::start());
    let mut publishers = Vec::new();
    let mut viewers = Vec::new();
    for name in ["a", "b", "c", "d", "e", "f"] {
        let url = format!("rtmp://{}/live/{name}", cluster.origins[0].rtmp);
        let made = Made::default().tags();
        let mut publisher = Publisher::start(&Target::parse(&url).unwrap(), made, epoch);
        publisher.started().await.unwrap();
        publishers.push(publisher);
        for edge in &cluster.edges {
            let url = format!("http://{}/live/{name}.flv?wait=10", edge.http);
            viewers.push(Viewer::start(&url, epoch));
        }
    }
    all_go_on(&mut viewers, 30).await;
    for late in &mut cluster.origins[1..] {
        late.process.restart().unwrap();
    }
    cluster.ready().await.unwrap();

    let operator = &cluster.operator_addresses[0];
    let rebalance = async || {
        let said = tokio::process::Command::new(binary)
            .args(["rebalance", "--json", "--operator", operator])
            .output()
            .await
            .unwrap();
        assert!(
            said.status.success(),
            "{}",
            String::from_utf8_lossy(&said.stderr)
        );
        let said: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
        said["moves"].as_array().unwrap().clone()
    };
    // The operator hears of the newcomers in its own time.
    let ordered = async {
        loop {
            let moves = rebalance().await;
            if !moves.is_empty() {
                return moves;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let moves = tokio::time::timeout(SOON, ordered)
        .await
        .expect("there is something to move");
    for moved in &moves {
        let (key, to) = (
            moved["key"].as_str().unwrap(),
            moved["to"].as_str().unwrap(),
        );
        let there = async {
            while cluster.placed(key).await.unwrap().1 != to {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(SOON, there)
            .await
            .unwrap_or_else(|_| panic!("{key} is not at {to}"));
    }
    all_go_on(&mut viewers, 50).await;
    let accounts = viewers.iter().map(|viewer| account(&viewer.seen().tags));
    for account in accounts {
        assert_eq!(
            (account.lost, account.doubled, account.disordered),
            (0, 0, 0),
            "{account:?}"
        );
        let gap = Duration::from_micros(account.gap_us);
        assert!(gap < GAP_MAX + metronome.stalled(), "{account:?}");
    }
}

/// Waits until each viewer has `more` tags beyond those that are there now.
async fn all_go_on(viewers: &mut [Viewer], more: usize) {
    let wanted: Vec<usize> = viewers
        .iter()
        .map(|viewer| viewer.seen().tags.len() + more)
        .collect();
    for (viewer, wanted) in viewers.iter_mut().zip(wanted) {
        viewer
            .until(SOON, |seen| seen.tags.len() >= wanted)
            .await
            .unwrap();
    }
}
