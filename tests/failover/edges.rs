//! Edges that die: one that viewers play from, and one that pulls for a whole region.

use std::time::Duration;

use headwater_rig::audience::{Audience, Figures};
use headwater_rig::process::Size;
use headwater_rig::viewer::Viewer;
use tokio::time::Instant;

use crate::stage::{Ingress, Stage, cluster, judge, mend, runs};

#[tokio::test]
async fn viewers_of_a_killed_edge_have_a_picture_of_another_one_within_a_second() {
    let mut cluster = cluster(&Size::default()).await;
    let mut figures = Figures::default();
    let mut others = Figures::default();
    for _ in 0..runs() {
        // Nobody plays it from edge 1, which has to find it first.
        let edges = [cluster.edges[0].http.as_str()];
        let mut stage = Stage::set_on(&cluster, Ingress::Apart, &edges).await;
        let mut beside = Stage::set_on(&cluster, Ingress::Apart, &[&cluster.edges[1].http]).await;
        cluster.edges[0].process.kill();
        beside.fault();
        let began = Instant::now();
        let url = format!("http://{}/{}.flv", cluster.edges[1].http, stage.path);
        let mut back: Vec<Viewer> = (0..20).map(|_| Viewer::start(&url, began)).collect();
        for viewer in &mut back {
            let picture = |seen: &headwater_rig::viewer::Seen| {
                seen.tags.iter().any(|t| t.keyframe && !t.header)
            };
            let seen = viewer.until(Duration::from_secs(5), picture).await.unwrap();
            let first = seen.tags.iter().find(|t| t.keyframe && !t.header).unwrap();
            figures.gaps_us.push(first.at_us);
        }
        for viewer in &mut back {
            let mut seen = viewer.goes_on(50).await.unwrap();
            seen.end = None;
            let first_picture = figures.gaps_us.len();
            figures.add(&seen, u64::MAX);
            figures.gaps_us.truncate(first_picture);
        }
        others.merge(beside.seen_through().await);
        stage.publisher_noticed_nothing();
        drop(stage.audience);
        stage.publisher = beside.publisher;
        mend(&mut cluster).await;
    }
    judge(
        "edge killed: first picture of another one",
        &figures,
        Duration::from_secs(1),
    );
    judge(
        "edge killed: viewers of another one",
        &others,
        Duration::from_millis(300),
    );
}

#[tokio::test]
async fn a_shield_that_is_killed_costs_the_viewers_behind_it_no_tag() {
    let size = Size {
        edges: 3,
        edge_region: "south".to_owned(),
        ..Size::default()
    };
    let mut cluster = cluster(&size).await;
    let mut figures = Figures::default();
    for _ in 0..runs() {
        let all: Vec<&str> = cluster
            .edges
            .iter()
            .map(|edge| edge.http.as_str())
            .collect();
        let (probe, shield) = shielded(&cluster, &all).await;
        let url = |n: usize| format!("http://{}/{}.flv", cluster.edges[n].http, probe.path);
        let at_shield = [url(shield)];
        let behind: Vec<String> = (0..3).filter(|n| *n != shield).map(url).collect();
        let Stage {
            publisher,
            epoch,
            audience,
            key,
            ..
        } = probe;
        drop(audience);
        let mut audience = Audience::start(&behind, 20, epoch);
        audience.goes_on(75).await.unwrap();
        let fault_us = u64::try_from(epoch.elapsed().as_micros()).unwrap();
        cluster.edges[shield].process.kill();
        audience.goes_on(75).await.unwrap();
        // One of the two that are left pulls for the other.
        one_pulls_for(&cluster, &key, 1).await;
        audience.goes_on(25).await.unwrap();
        figures.merge(audience.figures(fault_us));
        mend(&mut cluster).await;
        // Once it is back it pulls for both: also for the one that took its place, which then serves nobody else.
        let mut back = Audience::start(&at_shield, 1, epoch);
        back.goes_on(25).await.unwrap();
        assert_eq!(one_pulls_for(&cluster, &key, 2).await, shield);
        audience.goes_on(25).await.unwrap();
        audience.figures(fault_us).is_whole().unwrap();
        assert_eq!(publisher.progress().end, None);
    }
    judge("shield killed", &figures, Duration::from_millis(300));
}

/// A stream that two edges pull from the third, and the number of that. An edge that has just been started again serves
/// before it knows the others, and pulls past them for a moment.
async fn shielded(cluster: &headwater_rig::process::Cluster, edges: &[&str]) -> (Stage, usize) {
    let probe = Stage::set_on(cluster, Ingress::Apart, edges).await;
    let shield = one_pulls_for(cluster, &probe.key, 2).await;
    (probe, shield)
}

/// The edge that `others` edges pull `key` from, once there is one.
async fn one_pulls_for(
    cluster: &headwater_rig::process::Cluster,
    key: &str,
    others: usize,
) -> usize {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let upstreams = upstreams(cluster, key).await;
        let pulled_by = |internal: &str| upstreams.iter().filter(|up| *up == internal).count();
        let shield = cluster
            .edges
            .iter()
            .position(|edge| pulled_by(&edge.internal) == others);
        if let Some(shield) = shield {
            return shield;
        }
        assert!(Instant::now() < until, "the edges pull from {upstreams:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Where each edge that runs pulls `key` from.
async fn upstreams(cluster: &headwater_rig::process::Cluster, key: &str) -> Vec<String> {
    let mut upstreams = Vec::new();
    for edge in &cluster.edges {
        let Ok(streams) = edge.process.streams().await else {
            continue;
        };
        let stream = streams["edge"]
            .as_array()
            .unwrap()
            .iter()
            .find(|stream| stream["key"] == key)
            .unwrap();
        upstreams.push(stream["upstream"].as_str().unwrap_or_default().to_owned());
    }
    upstreams
}
