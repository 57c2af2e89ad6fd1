//! What strangers send, with a healthy viewer beside them that loses nothing.

use std::time::Duration;

use headwater_process::net::{self, SocketOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::finder::{Told, found};
use crate::scene::{Scene, config};
use crate::source::Source;
use crate::stream::Publisher;
use crate::viewer::{SOON, Viewer, assert_gapless};

#[tokio::test]
async fn a_slow_head_ends_in_time_and_others_go_on() {
    let publisher = Publisher::new("default/live/room", 7, 7);
    let source = Source::of(&publisher.stream).await;
    let mut config = config();
    config.limits.head_timeout = Duration::from_millis(300);
    let scene = Scene::with(
        config,
        Default::default(),
        Told::new(found(7, 7, &[&source.address])),
    )
    .await;
    let mut healthy = Viewer::play(&scene.http(), "/live/room.flv").await;
    let mut frames = healthy.frames(3).await;

    let mut slow = Viewer::connect(&scene.http()).await;
    slow.send("GET /live/room.flv HTTP/1.1\r\n").await;
    let mut silent = Viewer::connect(&scene.http()).await;
    let dripping = async {
        let mut drip = Viewer::connect(&scene.http()).await;
        let mut pause = tokio::time::interval(Duration::from_millis(20));
        let mut sent = 0;
        while drip.socket.write_all(b"x").await.is_ok() {
            sent += 1;
            pause.tick().await;
        }
        sent
    };
    let sent = tokio::time::timeout(SOON, dripping)
        .await
        .expect("drops do not keep it open");
    assert!(sent < 200, "{sent} drops were taken");
    assert_eq!(slow.answer().await.status, 408);
    assert!(silent.closed().await);

    publisher.frames(10);
    frames.extend(healthy.frames(10).await);
    assert_gapless(&frames);
}

#[tokio::test]
async fn random_bytes_on_every_port_end_their_own_connection_only() {
    let publisher = Publisher::new("default/live/room", 7, 7);
    let source = Source::of(&publisher.stream).await;
    let mut config = config();
    config.limits.head_timeout = Duration::from_millis(500);
    let scene = Scene::with(
        config,
        Default::default(),
        Told::new(found(7, 7, &[&source.address])),
    )
    .await;
    let mut healthy = Viewer::play(&scene.http(), "/live/room.flv").await;
    let mut frames = healthy.frames(3).await;
    let addresses = scene.addresses();
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    for port in [addresses.http, addresses.rtmp.unwrap(), addresses.internal] {
        for length in [1, 100, 2_000, 20_000] {
            let bytes: Vec<u8> = (0..length)
                .map(|_| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (seed >> 56) as u8
                })
                .collect();
            let mut socket = net::connect(&port.to_string(), SOON).await.unwrap();
            // It may be refused before all is sent.
            let _ = socket.write_all(&bytes).await;
            let _ = socket.shutdown().await;
            let mut rest = Vec::new();
            let _ = tokio::time::timeout(SOON, socket.read_to_end(&mut rest))
                .await
                .expect("it is closed");
        }
    }
    publisher.frames(10);
    frames.extend(healthy.frames(10).await);
    assert_gapless(&frames);
}

#[tokio::test]
async fn a_viewer_that_reads_nothing_is_ended_and_costs_the_others_nothing() {
    let publisher = Publisher::new("default/live/room", 7, 7);
    let source = Source::of(&publisher.stream).await;
    let mut config = config();
    config.limits.stuck_timeout = Duration::from_millis(500);
    config.socket.send_buffer_bytes = 8 << 10;
    let scene = Scene::with(
        config,
        Default::default(),
        Told::new(found(7, 7, &[&source.address])),
    )
    .await;
    let mut healthy = Viewer::play(&scene.http(), "/live/room.flv").await;
    let mut frames = healthy.frames(3).await;
    let mut stuck = net::connect(&scene.http(), SOON).await.unwrap();
    stuck.tune(&SocketOptions::default()).unwrap();
    stuck
        .write_all(b"GET /live/room.flv HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    scene
        .until("it is seated", |s| {
            s.metric("headwater_edge_viewers{protocol=\"http_flv\"}") == 2.0
        })
        .await;
    let ended = "headwater_delivery_viewers_ended_total{reason=\"stuck\"}";
    let began = tokio::time::Instant::now();
    while scene.metric(ended) == 0.0 {
        publisher.frames(50);
        frames.extend(healthy.frames(50).await);
        assert!(began.elapsed() < SOON, "it is still there");
    }
    assert_gapless(&frames);
    assert_eq!(
        scene.metric("headwater_edge_viewers{protocol=\"http_flv\"}"),
        1.0
    );
}

#[tokio::test]
async fn a_source_that_sends_what_is_wrong_is_left_and_others_go_on() {
    let publisher = Publisher::new("default/live/room", 7, 7);
    let source = Source::of(&publisher.stream).await;
    let head = "HTTP/1.1 200 OK\r\nheadwater-epoch: 7\r\nheadwater-term: 7\r\nheadwater-sequence: 0\r\n\
        headwater-dts-offset: 0\r\nheadwater-dts: 0\r\nheadwater-preface: 0\r\nConnection: close\r\n\r\n";
    let flv = "FLV\x01\x05\0\0\0\x09\0\0\0\0";
    for (name, answer) in [
        ("nothing", String::new()),
        ("not HTTP", "hello\r\n\r\n".to_owned()),
        ("no head", "HTTP/1.1 200 OK\r\n\r\n".to_owned()),
        (
            "a redirect",
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n".to_owned(),
        ),
        ("not FLV", format!("{head}this is not FLV, not at all")),
        ("cut before a tag", format!("{head}{flv}")),
        (
            "cut in a tag",
            format!("{head}{flv}\x09\0\0\x20\0\0\0\0\0\0\0\x17"),
        ),
        (
            "wrong size",
            format!("{head}{flv}\x09\0\0\x01\0\0\0\0\0\0\0\x17\0\0\0\x01"),
        ),
        (
            "wrong type",
            format!("{head}{flv}\x07\0\0\x01\0\0\0\0\0\0\0\x17\0\0\0\x0C"),
        ),
        ("back in term", head.replace("term: 7", "term: 1")),
        ("back in session", head.replace("epoch: 7", "epoch: 1")),
    ] {
        let liar = liar(answer.into_bytes()).await;
        // First the liar alone, then an honest source behind it.
        let scene = Scene::new(Told::new(found(7, 7, &[&liar, &source.address]))).await;
        let mut viewer = Viewer::play(&scene.http(), "/live/room.flv").await;
        let mut frames = viewer.frames(1).await;
        publisher.frames(10);
        frames.extend(viewer.frames(10).await);
        assert_gapless(&frames);
        assert!(frames[0].0 == 7, "{name}");
    }
}

/// A source that answers every pull with `answer` and closes.
async fn liar(answer: Vec<u8>) -> String {
    let listener = net::listen("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut asked = [0; 1024];
            let _ = socket.read(&mut asked).await;
            let _ = socket.write_all(&answer).await;
            let _ = socket.shutdown().await;
        }
    });
    address
}
