//! The RTMP port.

use std::time::Duration;

use headwater_media::amf0::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::scene::{Scene, all_end, answer_to, contains, impatient, noise};
use crate::wire::{
    command, connect, create_stream, handshake, message, publish, up_to_publish, values,
};

const ENDS: &str = "headwater_origin_connection_ends_total";

/// What is sent behind the handshake, and the reason with which the connection ends.
fn rows() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let lone = |name: &str| command(0, &[Value::string(name), Value::Number(1.0), Value::Null]);
    let announced = |length: [u8; 3]| {
        let head = [3, 0, 0, 0, length[0], length[1], length[2], 9, 1, 0, 0, 0];
        [&head[..], &[0; 128]].concat()
    };
    let deep = [
        values(&[Value::string("connect"), Value::Number(1.0)]),
        [3, 0, 1, b'a'].repeat(100_000),
    ]
    .concat();
    let array = [
        values(&[Value::string("connect"), Value::Number(1.0)]),
        vec![10, 0xFF, 0xFF, 0xFF, 0xFF],
    ]
    .concat();
    let many = (2..65_601_u32).flat_map(|id| {
        let mut head = match id {
            2..64 => vec![u8::try_from(id).unwrap()],
            64..320 => vec![0, u8::try_from(id - 64).unwrap()],
            _ => {
                let [_, _, high, low] = (id - 64).to_be_bytes();
                vec![1, low, high]
            }
        };
        // A message of 200 bytes that is never finished.
        head.extend_from_slice(&[0, 0, 0, 0, 0, 200, 9, 1, 0, 0, 0]);
        head.extend_from_slice(&[0; 128]);
        head
    });
    vec![
        (
            "a message of 16 MiB announced",
            announced([0xFF; 3]),
            "message_too_long",
        ),
        ("65,599 chunk streams", many.collect(), "chunk_streams"),
        ("chunk size 0", message(1, 0, &[0; 4]), "chunk_size"),
        (
            "chunk size 2^31",
            message(1, 0, &[0x80, 0, 0, 0]),
            "chunk_size",
        ),
        ("chunk size cut", message(1, 0, &[1]), "message_cut"),
        (
            "AMF nested 100,000 deep",
            message(20, 0, &deep),
            "amf_too_deep",
        ),
        (
            "a strict array of 2^32 - 1",
            message(20, 0, &array),
            "amf_cut",
        ),
        (
            "a command without a name",
            message(20, 0, &[]),
            "command_no_name",
        ),
        (
            "createStream before connect",
            lone("createStream"),
            "before_connect",
        ),
        ("publish before connect", publish("room"), "before_connect"),
        (
            "connect twice",
            [connect(), connect()].concat(),
            "connect_twice",
        ),
        ("connect without an app", lone("connect"), "missing_value"),
        (
            "publish without a name",
            [connect(), create_stream(), lone("publish")].concat(),
            "missing_value",
        ),
        (
            "publish of a number",
            [
                connect(),
                create_stream(),
                command(
                    1,
                    &[
                        Value::string("publish"),
                        Value::Number(3.0),
                        Value::Null,
                        Value::Number(7.0),
                    ],
                ),
            ]
            .concat(),
            "missing_value",
        ),
        (
            "video before publish",
            [connect(), create_stream(), message(9, 1, &[0x17, 1])].concat(),
            "media_before_publish",
        ),
        (
            "sound before connect",
            message(8, 1, &[0xAF, 1]),
            "media_before_publish",
        ),
        (
            "empty video before publish",
            [connect(), message(9, 1, &[])].concat(),
            "media_before_publish",
        ),
        (
            "nothing behind the handshake",
            Vec::new(),
            "command_timeout",
        ),
    ]
}

#[tokio::test]
async fn what_a_publisher_may_not_send_ends_its_own_connection_with_a_reason() {
    let mut scene = Scene::set(&impatient()).await;
    let mut expected = std::collections::BTreeMap::new();
    for (name, bytes, reason) in rows() {
        let to = scene.cluster.origins[0].rtmp.clone();
        let bytes = [handshake(), bytes].concat();
        let attack = tokio::spawn(async move { answer_to(&to, &bytes).await });
        scene.goes_on().await;
        attack
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let ends = expected.entry(reason).or_insert(0.0);
        *ends += 1.0;
        let label = format!("reason=\"{reason}\"");
        let origin = &scene.cluster.origins[0].process;
        Scene::counts(origin, ENDS, &label, *ends).await;
    }
    scene.unharmed("rtmp rows").await;
}

#[tokio::test]
async fn names_that_are_none_are_refused_with_a_sentence() {
    let mut scene = Scene::set(&impatient()).await;
    let long = "x".repeat(10_240);
    for (name, says) in [
        ("", "empty"),
        ("..", "`..`"),
        ("%2e%2E", "`..`"),
        ("a\0b", "control character"),
        ("a\nb", "control character"),
        ("a%01b", "control character"),
        ("a%zz", "hexadecimal"),
        (long.as_str(), "at most 512"),
    ] {
        let to = scene.cluster.origins[0].rtmp.clone();
        let bytes = up_to_publish(name);
        let attack = tokio::spawn(async move { answer_to(&to, &bytes).await });
        scene.goes_on().await;
        let answer = attack.await.unwrap();
        assert!(
            contains(&answer, "NetStream.Publish.BadName"),
            "{name:.20?}"
        );
        assert!(
            contains(&answer, says),
            "{name:.20?} is told: {}",
            String::from_utf8_lossy(&answer)
        );
    }
    let streams = scene.cluster.origins[0].process.streams().await.unwrap();
    assert_eq!(
        streams["origin"].as_array().unwrap().len(),
        1,
        "only the healthy one"
    );
    scene.unharmed("rtmp names").await;
}

#[tokio::test]
async fn a_handshake_or_a_command_that_stops_at_any_byte_ends_in_time() {
    let mut scene = Scene::set(&impatient()).await;
    let to = scene.cluster.origins[0].rtmp.clone();
    let hello = handshake();
    // A thousand at once.
    for batch in (0..hello.len()).collect::<Vec<_>>().chunks(1_024) {
        let parts: Vec<Vec<u8>> = batch.iter().map(|end| hello[..*end].to_vec()).collect();
        let to = to.clone();
        let attack = tokio::spawn(async move { all_end(&to, parts.into_iter()).await });
        scene.goes_on().await;
        attack.await.unwrap();
    }
    let object = Value::object([
        ("app", Value::string("live")),
        ("flashVer", Value::string("x")),
    ]);
    let whole = values(&[Value::string("connect"), Value::Number(1.0), object]);
    // Its strings and all else cut at each byte, as a message that is whole, and as a message that stops there.
    let cut = (0..whole.len()).map(|end| message(20, 0, &whole[..end]));
    let sent = message(20, 0, &whole);
    let stopped = (0..sent.len()).map(|end| sent[..end].to_vec());
    let all: Vec<Vec<u8>> = cut
        .chain(stopped)
        .map(|tail| [&hello[..], &tail].concat())
        .collect();
    let attack = tokio::spawn(async move { all_end(&to, all.into_iter()).await });
    scene.goes_on().await;
    attack.await.unwrap();
    let origin = &scene.cluster.origins[0].process;
    let stopped = f64::from(u32::try_from(hello.len()).unwrap() - 1);
    Scene::counts(origin, ENDS, "reason=\"handshake_timeout\"", stopped).await;
    Scene::counts(origin, ENDS, "reason=\"amf_cut\"", 10.0).await;
    scene.unharmed("cut handshakes and commands").await;
}

#[tokio::test]
async fn empty_media_and_noise_on_a_live_publish_harm_nobody() {
    let mut scene = Scene::set(&impatient()).await;
    let to = scene.cluster.origins[0].rtmp.clone();
    let mut socket = TcpStream::connect(&to).await.unwrap();
    socket.write_all(&up_to_publish("zero")).await.unwrap();
    let url = format!(
        "http://{}/live/zero.flv?wait=10",
        scene.cluster.edges[0].http
    );
    let mut viewer = headwater_rig::viewer::Viewer::start(&url, tokio::time::Instant::now());
    // A picture, then nothing in a picture, in sound and in metadata, and a picture again.
    let frames = [
        &[0x17, 1, 0, 0, 0, 9][..],
        &[],
        &[0x17],
        &[0x27, 1, 0, 0, 0, 9],
    ];
    for payload in frames {
        socket.write_all(&message(9, 1, payload)).await.unwrap();
        socket.write_all(&message(8, 1, &[])).await.unwrap();
        socket.write_all(&message(18, 1, &[])).await.unwrap();
    }
    viewer
        .until(headwater_rig::SOON, |seen| {
            seen.tags.iter().filter(|tag| tag.kind == 9).count() >= 2
        })
        .await
        .unwrap();
    scene.goes_on().await;
    // Then noise in place of chunks: the publish ends, and so does its viewer's stream, after the grace.
    socket.write_all(&noise(5, 100_000)).await.ok();
    let origin = &scene.cluster.origins[0].process;
    Scene::counts(origin, "headwater_origin_publish_ends_total", "", 1.0).await;
    scene.unharmed("empty media").await;
}

#[tokio::test]
async fn a_publisher_that_sends_ten_times_the_allowed_bitrate_is_cut_off() {
    let mut scene = Scene::set(&impatient()).await;
    let to = scene.cluster.origins[0].rtmp.clone();
    let attack = tokio::spawn(async move {
        let mut socket = TcpStream::connect(&to).await.unwrap();
        socket.write_all(&up_to_publish("flood")).await.unwrap();
        // 20 Mbit/s: a picture of 100,000 bytes every 40 ms.
        let picture = message(9, 1, &[&[0x27, 1, 0, 0, 0][..], &[7; 100_000]].concat());
        let mut pace = tokio::time::interval(Duration::from_millis(40));
        while socket.write_all(&picture).await.is_ok() {
            pace.tick().await;
        }
    });
    scene.goes_on().await;
    tokio::time::timeout(headwater_rig::SOON, attack)
        .await
        .unwrap()
        .unwrap();
    let origin = &scene.cluster.origins[0].process;
    Scene::counts(
        origin,
        "headwater_origin_publish_ends_total",
        "reason=\"bitrate\"",
        1.0,
    )
    .await;
    scene.unharmed("10 x the bitrate").await;
}

#[tokio::test]
async fn a_publisher_that_sends_a_byte_now_and_then_ends_in_time() {
    let mut scene = Scene::set(&impatient()).await;
    let to = scene.cluster.origins[0].rtmp.clone();
    let attack = tokio::spawn(async move {
        let mut socket = TcpStream::connect(&to).await.unwrap();
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        for byte in handshake() {
            if socket.write_all(&[byte]).await.is_err() {
                return true;
            }
            pace.tick().await;
        }
        false
    });
    scene.goes_on().await;
    assert!(attack.await.unwrap(), "3,073 drops, 61 s, were taken");
    let origin = &scene.cluster.origins[0].process;
    Scene::counts(origin, ENDS, "reason=\"handshake_timeout\"", 1.0).await;
    scene.unharmed("slow RTMP").await;
}
