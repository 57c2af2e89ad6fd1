//! An edge that is told to end lets its viewers go one by one, each where a player can begin anew.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by it"
)]

use std::path::Path;
use std::time::Duration;

use headwater_rig::metronome::Metronome;
use headwater_rig::process::{Cluster, Process, Size};
use headwater_rig::publisher::{Made, Publisher, Target};
use headwater_rig::viewer::{Seen, Viewer};
use headwater_rig::{SOON, http};
use tokio::time::Instant;

const STREAMS: usize = 4;
const VIEWERS: usize = 40;
const GRACE: Duration = Duration::from_secs(10);
/// Of the grace, what the schedule spreads viewers over: the rest is for those who wait for a keyframe.
const SPREAD_S: f64 = 7.0;
/// Pictures from keyframe to keyframe: 0.48 s.
const GOP: u64 = 12;

/// Streams with viewers at the one edge of a cluster.
struct Show {
    cluster: Cluster,
    epoch: Instant,
    viewers: Vec<Viewer>,
    _publishers: Vec<Publisher>,
}

impl Show {
    async fn begin() -> Show {
        let size = Size {
            origins: 1,
            edges: 1,
            edge_settings: vec![format!("--drain-grace={}s", GRACE.as_secs())],
            ..Size::default()
        };
        let binary = Path::new(env!("CARGO_BIN_EXE_headwater"));
        let cluster = Cluster::start(binary, &size).await.unwrap();
        let epoch = Instant::now();
        let made = Made {
            gop: GOP,
            picture_bytes: 500,
            ..Made::default()
        };
        let mut publishers = Vec::new();
        for stream in 0..STREAMS {
            let url = format!("rtmp://{}/live/s{stream}", cluster.origins[0].rtmp);
            let mut publisher = Publisher::start(&Target::parse(&url).unwrap(), made.tags(), epoch);
            publisher.started().await.unwrap();
            publishers.push(publisher);
        }
        let mut viewers: Vec<Viewer> = (0..VIEWERS)
            .map(|viewer| {
                let stream = viewer % STREAMS;
                let edge = &cluster.edges[0].http;
                Viewer::start(&format!("http://{edge}/live/s{stream}.flv?wait=10"), epoch)
            })
            .collect();
        for viewer in &mut viewers {
            let watches = |seen: &Seen| seen.tags.len() > 20;
            viewer.until(SOON, watches).await.unwrap();
        }
        Show {
            cluster,
            epoch,
            viewers,
            _publishers: publishers,
        }
    }

    fn edge(&mut self) -> &mut Process {
        &mut self.cluster.edges[0].process
    }
}

/// The value of the metric `name`, if it is there.
async fn metric(edge: &Process, name: &str) -> Option<f64> {
    let (_, text) = http::get(&edge.admin, "/metrics").await.ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

/// Whether the last that came is right before a keyframe: [`Made`] numbers picture and sound of each moment 2n and 2n + 1.
fn ends_before_a_keyframe(seen: &Seen) -> bool {
    let last = seen.tags.iter().rev().find_map(|tag| tag.identity);
    last.is_some_and(|(_, number)| (number + 1).is_multiple_of(2 * GOP))
}

#[tokio::test]
async fn viewers_of_an_edge_that_ends_go_one_by_one_before_a_keyframe_and_then_it_is_gone() {
    let mut show = Show::begin().await;
    assert_eq!(
        metric(show.edge(), "headwater_drain_held{what=\"viewers\"}").await,
        Some(VIEWERS as f64)
    );
    assert_eq!(
        metric(show.edge(), "headwater_drain_remaining_seconds").await,
        None
    );
    let metronome = Metronome::start();
    let told = Instant::now();
    show.edge().signal("TERM").unwrap();
    let remaining = tokio::time::timeout(SOON, async {
        loop {
            let left = metric(show.edge(), "headwater_drain_remaining_seconds").await;
            if let Some(left) = left {
                return left;
            }
        }
    });
    let remaining = remaining.await.unwrap();
    assert!(
        remaining > 0.0 && remaining <= GRACE.as_secs_f64(),
        "{remaining}"
    );
    let (status, why) = http::get(&show.edge().admin, "/readyz").await.unwrap();
    assert_eq!((status, why.as_str()), (503, "process: draining\n"));
    let edge = show.cluster.edges[0].http.clone();
    let (status, why) = http::get(&edge, "/live/s0.flv").await.unwrap();
    assert_eq!(status, 503, "{why}");

    let mut gone_s = Vec::new();
    for viewer in &mut show.viewers {
        let seen = viewer.until(SOON, |seen| seen.end.is_some()).await.unwrap();
        assert_eq!(seen.end, Some(Ok(())), "a clean end of the answer");
        assert!(
            ends_before_a_keyframe(&seen),
            "{:?}",
            seen.tags.iter().rev().take(3).collect::<Vec<_>>()
        );
        let last_us = seen.tags.last().unwrap().at_us;
        gone_s.push(last_us as f64 / 1e6 - (told - show.epoch).as_secs_f64());
    }
    let code = show.edge().ended(GRACE).await.unwrap();
    let took = told.elapsed();
    assert_eq!(code, Some(0));
    let stalled = metronome.stalled();
    assert!(took < GRACE + stalled, "it took {took:?}");

    gone_s.sort_unstable_by(f64::total_cmp);
    // Each waits for a keyframe, 0.48 s at most: what was due within that and a second may go within the second, and what
    // the machine stood still for comes on top.
    let share = VIEWERS as f64 / SPREAD_S * (1.0 + 0.48 + stalled.as_secs_f64());
    let within_a_second = |from: &f64| {
        gone_s
            .iter()
            .filter(|at| **at >= *from && **at < from + 1.0)
            .count()
    };
    let most = gone_s.iter().map(within_a_second).max().unwrap();
    assert!(
        most as f64 <= share + 2.0,
        "{most} left within a second, {share:.1} are its share: {gone_s:?}"
    );
    let (first, last) = (gone_s[0], gone_s[VIEWERS - 1]);
    assert!(last - first > SPREAD_S * 0.8, "{gone_s:?}");
}

#[tokio::test]
async fn a_second_signal_ends_an_edge_at_once_and_in_order() {
    let mut show = Show::begin().await;
    show.edge().signal("TERM").unwrap();
    while metric(show.edge(), "headwater_drain_remaining_seconds")
        .await
        .is_none()
    {}
    let told = Instant::now();
    show.edge().signal("TERM").unwrap();
    let code = show.edge().ended(SOON).await.unwrap();
    assert_eq!(code, Some(0));
    assert!(told.elapsed() < GRACE / 2, "{:?}", told.elapsed());
    for viewer in &mut show.viewers {
        let seen = viewer.until(SOON, |seen| seen.end.is_some()).await.unwrap();
        assert_eq!(seen.end, Some(Ok(())), "a clean end of the answer");
    }
}
