//! What strangers send: their own connection ends, and a healthy publisher beside them loses nothing.

use std::net::SocketAddr;
use std::time::Duration;

use headwater_media::TagKind;
use headwater_media::rtmp::{ClientConfig, ClientSession, PublishingType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::encoder::{Encoder, raw};
use crate::scene::{SOON, Scene};

/// A publisher that must lose no tag, whatever happens beside it.
struct Healthy(Encoder);

impl Healthy {
    async fn beside(scene: &Scene) -> Healthy {
        let mut encoder = scene.publish_from("127.0.0.9", 0, "healthy").await.unwrap();
        encoder.headers().await;
        assert!(encoder.frames(5).await);
        Healthy(encoder)
    }

    async fn lost_nothing(mut self, scene: &Scene) {
        assert!(self.0.frames(5).await);
        scene.pull(0, "healthy").await.same_as(&self.0.sent).await;
    }
}

/// Sends `bytes`, and waits until the server closes.
async fn closes_after(to: SocketAddr, bytes: &[u8]) {
    let mut socket = TcpStream::connect(to).await.unwrap();
    // It may close before all is sent.
    drop(socket.write_all(bytes).await);
    let mut sink = vec![0; 65_536];
    let closed = async { while matches!(socket.read(&mut sink).await, Ok(read) if read > 0) {} };
    tokio::time::timeout(SOON, closed)
        .await
        .expect("the server closes");
}

fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[0]
    };
    (0..bytes).map(|_| next()).collect()
}

#[tokio::test]
async fn random_bytes_on_each_port_end_their_own_connection_only() {
    let scene = Scene::with(1, |config| {
        config.handshake_timeout = Duration::from_secs(1);
        config.command_timeout = Duration::from_secs(1);
    })
    .await;
    let healthy = Healthy::beside(&scene).await;
    let (rtmp, internal) = (scene.rtmp(0), scene.internal(0));
    let mut strangers = JoinSet::new();
    let mut send = |to, bytes: Vec<u8>| {
        strangers.spawn(async move { closes_after(to, &bytes).await });
    };
    for seed in 1..20 {
        let bytes = noise(seed * 7_919, 8_000);
        // A proper version, and then noise for the rest of the handshake and the chunks.
        let versioned = [&[3], &bytes[..]].concat();
        send(rtmp, bytes.clone());
        send(rtmp, versioned);
        send(internal, bytes);
    }
    send(
        internal,
        [
            b"GET /".to_vec(),
            vec![b'a'; 100_000],
            b" HTTP/1.1\r\n\r\n".to_vec(),
        ]
        .concat(),
    );
    send(
        internal,
        [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), noise(99, 500)].concat(),
    );
    send(internal, b"\r\n\r\n\0\0".to_vec());
    // As if HTTP/2 were to follow: nothing is known of the version yet.
    send(internal, b"PRI * HT".to_vec());
    while let Some(closed) = strangers.join_next().await {
        closed.unwrap();
    }
    healthy.lost_nothing(&scene).await;
}

#[tokio::test]
async fn requests_that_are_no_pull_are_answered_as_http_says() {
    let scene = Scene::one().await;
    for (head, status) in [
        ("GET /internal/v1/default/live/nothing", "404"),
        ("GET /internal/v1/default/live/%zz", "400"),
        ("GET /internal/v1/default/live/..", "400"),
        ("GET /live/room.flv", "404"),
        ("POST /internal/v1/default/live/room", "405"),
        ("GET /internal/v1/default/live/room?epoch=1", "400"),
        ("POST /headwater.location.v1.Origin/Claim", "405"),
    ] {
        let mut socket = TcpStream::connect(scene.internal(0)).await.unwrap();
        let request = format!("{head} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let read = tokio::time::timeout(SOON, socket.read_to_string(&mut answer)).await;
        read.unwrap().unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{head}: {answer}"
        );
    }
}

#[tokio::test]
async fn names_that_are_none_are_refused_with_a_sentence() {
    let scene = Scene::one().await;
    let healthy = Healthy::beside(&scene).await;
    let long = "x".repeat(10_240);
    for (app, name, says) in [
        ("live", "", "empty"),
        ("live", "?txSecret=1", "empty"),
        ("live", "..", "`..`"),
        ("live", "%2e%2E", "`..`"),
        ("live", "a\0b", "control character"),
        ("live", "a%0ab", "control character"),
        ("live", "a%zz", "hexadecimal"),
        ("live", "a%ff", "UTF-8"),
        ("live", long.as_str(), "at most 512"),
        ("live/a/b", "c", "too many parts"),
    ] {
        let mut encoder = Encoder::connect("127.0.0.1", scene.rtmp(0), app, name).await;
        let (code, text) = encoder.started().await.unwrap_err();
        assert_eq!(code, "NetStream.Publish.BadName", "{name:?}");
        assert!(text.contains(says), "{name:?}: {text}");
    }
    assert_eq!(scene.origins[0].origin.streams().len(), 1);
    healthy.lost_nothing(&scene).await;
}

#[tokio::test]
async fn media_before_publish_ends_the_connection() {
    let scene = Scene::one().await;
    let healthy = Healthy::beside(&scene).await;
    let mut encoder = Encoder::connect("127.0.0.1", scene.rtmp(0), "live", "room").await;
    encoder.event().await.unwrap();
    encoder
        .socket
        .write_all(&raw(TagKind::Video, 0, &[0x17, 0]))
        .await
        .unwrap();
    while encoder.event().await.is_some() {}
    scene
        .shows(
            0,
            "headwater_origin_connection_ends_total{reason=\"media_before_publish\"} 1",
        )
        .await;
    healthy.lost_nothing(&scene).await;
}

#[tokio::test]
async fn ten_times_the_bitrate_is_cut_off_with_a_reason() {
    let scene = Scene::with(1, |config| config.max_bitrate_bps = 400_000).await;
    let healthy = Healthy::beside(&scene).await;
    let mut encoder = scene.publish(0, "flood").await;
    encoder.headers().await;
    let payload = [&[0x27, 1, 0, 0, 0][..], &[7; 50_000]].concat();
    for n in 0..50 {
        if !encoder.send(TagKind::Video, n * 100, &payload).await {
            break;
        }
    }
    // A flood can drown the answer: the connection is closed on what is still under way.
    let (code, text) = encoder.ended().await.unwrap_or_default();
    assert!(
        code.is_empty() || text == "more than the allowed 400 kbit/s",
        "{code}: {text}"
    );
    scene
        .until(0, "flood", |facts| facts.state == "ended")
        .await;
    scene
        .shows(
            0,
            "headwater_origin_publish_ends_total{reason=\"bitrate\"} 1",
        )
        .await;
    healthy.lost_nothing(&scene).await;
}

#[tokio::test]
async fn a_message_over_the_limit_ends_its_publisher() {
    let scene = Scene::with(1, |config| config.max_message_bytes = 64 << 10).await;
    let healthy = Healthy::beside(&scene).await;
    let mut encoder = scene.publish(0, "big").await;
    encoder.send(TagKind::Video, 0, &[0x17; 70_000]).await;
    let (code, text) = encoder.ended().await.unwrap();
    assert_eq!(code, "NetStream.Publish.Denied");
    assert!(text.contains("70000") || text.contains("65536"), "{text}");
    scene.until(0, "big", |facts| facts.state == "ended").await;
    healthy.lost_nothing(&scene).await;
}

#[tokio::test]
async fn a_handshake_that_stops_at_any_byte_ends_in_time() {
    let scene = Scene::with(1, |config| {
        config.handshake_timeout = Duration::from_secs(1)
    })
    .await;
    let healthy = Healthy::beside(&scene).await;
    let config = ClientConfig::new("x", "live", "room");
    let mut client = ClientSession::publish(config, PublishingType::Live).unwrap();
    let hello = client.take_output().unwrap();
    let to = scene.rtmp(0);
    let mut stopped = JoinSet::new();
    for end in (0..hello.len()).step_by(31).chain([hello.len()]) {
        let part = hello.slice(..end);
        stopped.spawn(async move { closes_after(to, &part).await });
    }
    while let Some(closed) = stopped.join_next().await {
        closed.unwrap();
    }
    healthy.lost_nothing(&scene).await;
}

#[tokio::test]
async fn connections_over_the_limit_of_an_address_are_closed_and_others_come_in() {
    let scene = Scene::with(1, |config| config.max_connections_per_address = 3).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(TcpStream::connect(scene.rtmp(0)).await.unwrap());
    }
    closes_after(scene.rtmp(0), b"").await;
    let mut other = scene.publish_from("127.0.0.2", 0, "room").await.unwrap();
    other.headers().await;
    scene.pull(0, "room").await.same_as(&other.sent).await;
}
