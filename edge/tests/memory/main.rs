//! What connections and viewers cost: alone in a process, since memory is counted for the whole of it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what a test's own parts cannot do fails the test"
)]
#![allow(
    dead_code,
    reason = "the parts are those of the other tests, and not all are needed here"
)]

#[path = "../play/finder.rs"]
mod finder;
#[path = "../play/scene.rs"]
mod scene;
#[path = "../play/source.rs"]
mod source;
#[path = "../play/stream.rs"]
mod stream;
#[path = "../play/viewer.rs"]
mod viewer;

use headwater_process::net;

use crate::finder::{Told, found};
use crate::scene::{Scene, config};
use crate::source::Source;
use crate::stream::Publisher;
use crate::viewer::{SOON, Viewer, assert_gapless};

/// Resident bytes of this process.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<usize>()
        .unwrap()
        << 10
}

/// One test, so that nothing else runs meanwhile.
#[tokio::test]
async fn silent_connections_and_viewers_cost_next_to_nothing() {
    let publisher = Publisher::new("default/live/room", 7, 7);
    let source = Source::of(&publisher.stream).await;
    let mut config = config();
    config.limits.connections_per_address = 3_000;
    let finder = Told::new(found(7, 7, &[&source.address]));
    let scene = Scene::with(config, Default::default(), finder).await;
    let mut healthy = Viewer::play(&scene.http(), "/live/room.flv").await;
    let mut frames = healthy.frames(3).await;

    let before = resident();
    let mut viewers = Vec::new();
    for _ in 0..1_000 {
        let mut socket = net::connect(&scene.http(), SOON).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut socket, b"GET /live/room.flv HTTP/1.0\r\n\r\n")
            .await
            .unwrap();
        viewers.push(socket);
    }
    let playing = "headwater_edge_viewers{protocol=\"http_flv\"}";
    scene
        .until("all play", |s| s.metric(playing) >= 1_001.0)
        .await;
    let each = resident().saturating_sub(before) / 1_000;
    println!("1,000 viewers, both ends: {each} bytes each");
    assert!(
        each <= 8 << 10,
        "a viewer takes {each} bytes, with this test's end of its connection"
    );

    let before = resident();
    let mut silent = Vec::new();
    let addresses = scene.addresses();
    for port in [addresses.http, addresses.rtmp.unwrap()] {
        for _ in 0..1_000 {
            silent.push(net::connect(&port.to_string(), SOON).await.unwrap());
        }
    }
    for port in ["http", "rtmp_play"] {
        let open = format!("headwater_process_connections{{port=\"{port}\"}}");
        scene
            .until("all are accepted", |s| s.metric(&open) >= 1_000.0)
            .await;
    }
    let grown = resident().saturating_sub(before);
    println!(
        "2,000 silent connections, both ends: {} bytes each",
        grown / 2_000
    );
    assert!(
        grown <= 20 << 20,
        "2,000 silent connections take {} KiB",
        grown >> 10
    );
    publisher.frames(10);
    frames.extend(healthy.frames(10).await);
    assert_gapless(&frames);
}
