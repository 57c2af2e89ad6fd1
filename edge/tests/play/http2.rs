//! Playing over HTTP/2: many players on one connection.

use std::time::Duration;

use bytes::Bytes;
use headwater_media::flv::Reader;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::secure::Secure;
use crate::stream::identity;
use crate::viewer::{SOON, assert_gapless, frames};

pub(crate) type Sender = http2::SendRequest<Empty<Bytes>>;

/// Speaks HTTP/2 on a connection.
pub(crate) async fn speak(socket: TlsStream<TcpStream>) -> Sender {
    assert_eq!(socket.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    let (send, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(socket))
        .await
        .unwrap();
    tokio::spawn(connection);
    send
}

pub(crate) async fn ask(send: &mut Sender, target: &str) -> http::Response<Incoming> {
    let request = http::Request::get(format!("https://localhost{target}"))
        .body(Empty::new())
        .unwrap();
    tokio::time::timeout(SOON, send.send_request(request))
        .await
        .unwrap()
        .unwrap()
}

pub(crate) async fn next(body: &mut Incoming) -> Bytes {
    let frame = tokio::time::timeout(SOON, body.frame()).await.unwrap();
    frame.unwrap().unwrap().into_data().unwrap()
}

#[tokio::test]
async fn one_connection_of_http2_holds_more_than_six_players() {
    let secure = Secure::new(|_| {}).await;
    let mut send = speak(secure.connect("h2").await).await;
    let mut players = Vec::new();
    for _ in 0..8 {
        let answer = ask(&mut send, "/live/room.flv").await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "video/x-flv");
        assert_eq!(answer.headers()["access-control-allow-origin"], "*");
        players.push((answer.into_body(), Reader::new(1 << 20), Vec::new()));
    }
    secure.viewers("http2_flv", 8.0).await;
    secure.publisher.frames(100);
    for (body, flv, got) in &mut players {
        got.extend(frames(flv, 103, async || next(body).await).await);
        assert_gapless(got);
    }
    // One leaves, and the others go on.
    drop(players.pop());
    secure.viewers("http2_flv", 7.0).await;
    let refused = ask(&mut send, "/live/room.mp4").await;
    assert_eq!(refused.status(), 404);
    let text = refused.into_body().collect().await.unwrap().to_bytes();
    assert!(text.ends_with(b"\n"), "{text:?}");

    secure.publisher.leave();
    for (body, ..) in &mut players {
        while let Some(frame) = tokio::time::timeout(SOON, body.frame()).await.unwrap() {
            frame.expect("a clean end");
        }
    }
    secure.viewers("http2_flv", 0.0).await;
}

#[tokio::test]
async fn a_drain_sends_next_requests_of_http2_elsewhere_and_players_go_at_a_keyframe() {
    let secure = Secure::new(|_| {}).await;
    let mut send = speak(secure.connect("h2").await).await;
    let mut body = ask(&mut send, "/live/room.flv").await.into_body();
    let mut flv = Reader::new(1 << 20);
    let mut got = frames(&mut flv, 3, async || next(&mut body).await).await;
    secure.scene.drain.begin();
    // The connection takes no more requests: a client that has one opens another connection, to whom is ready.
    let refused = async {
        while send.ready().await.is_ok() {
            let request = http::Request::get("https://localhost/").body(Empty::new());
            if send.send_request(request.unwrap()).await.is_err() {
                break;
            }
        }
    };
    tokio::time::timeout(SOON, refused).await.unwrap();
    secure.publisher.frames(100);
    while let Some(frame) = tokio::time::timeout(SOON, body.frame()).await.unwrap() {
        flv.feed(frame.expect("a clean end").into_data().unwrap());
    }
    while let Some(tag) = flv.next_tag().unwrap() {
        let (epoch, sequence) = identity(&tag.payload).unwrap();
        got.push((epoch, sequence, tag.wire_ms));
    }
    assert_gapless(&got);
    // A keyframe comes with every 25th frame, and the player has all before one.
    assert_eq!((got.len() % 25, got.len() >= 25), (0, true));
}

#[tokio::test]
async fn a_connection_of_http2_holds_128_streams_and_the_next_waits_for_a_place() {
    let secure = Secure::new(|_| {}).await;
    let mut send = speak(secure.connect("h2").await).await;
    let mut players = Vec::new();
    for _ in 0..128 {
        let answer = ask(&mut send, "/live/room.flv").await;
        assert_eq!(answer.status(), 200);
        players.push(answer.into_body());
    }
    secure.viewers("http2_flv", 128.0).await;
    let request = http::Request::get("https://localhost/live/room.flv").body(Empty::new());
    let mut waiting = std::pin::pin!(send.send_request(request.unwrap()));
    let now = tokio::time::timeout(Duration::from_millis(200), waiting.as_mut()).await;
    assert!(now.is_err(), "there are more than 128");
    drop(players.pop());
    let answer = tokio::time::timeout(SOON, waiting).await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
}
