//! Playing over WebSocket, with and without TLS.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use headwater_media::flv::Reader;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::secure::Secure;
use crate::viewer::{SOON, Socket, Viewer, assert_gapless, frames};

/// A WebSocket to `socket`, from a page of `origin`.
pub(crate) async fn websocket<S: Socket>(
    socket: S,
    scheme: &str,
    origin: Option<&str>,
) -> Result<WebSocketStream<S>, Error> {
    let mut request = format!("{scheme}://localhost/live/room.flv").into_client_request()?;
    if let Some(origin) = origin {
        request
            .headers_mut()
            .insert("origin", origin.parse().unwrap());
    }
    client_async(request, socket)
        .await
        .map(|(socket, _)| socket)
}

async fn message<S: Socket>(socket: &mut WebSocketStream<S>) -> Message {
    let next = tokio::time::timeout(SOON, socket.next()).await.unwrap();
    next.expect("a stream that goes on").unwrap()
}

async fn binary<S: Socket>(socket: &mut WebSocketStream<S>) -> Bytes {
    let next = message(socket).await;
    let Message::Binary(bytes) = next else {
        panic!("{next:?}");
    };
    bytes
}

/// Plays to the clean end.
async fn plays<S: Socket>(secure: &Secure, mut socket: WebSocketStream<S>, protocol: &str) {
    let header = binary(&mut socket).await;
    assert_eq!((&header[..3], header.len()), (b"FLV".as_slice(), 13));
    let mut flv = Reader::new(1 << 20);
    flv.feed(header);
    let mut got = frames(&mut flv, 3, async || binary(&mut socket).await).await;
    secure.viewers(protocol, 1.0).await;
    secure.publisher.frames(100);
    got.extend(frames(&mut flv, 100, async || binary(&mut socket).await).await);
    assert_gapless(&got);

    socket
        .send(Message::Ping(Bytes::from_static(b"there?")))
        .await
        .unwrap();
    let pong = loop {
        let next = message(&mut socket).await;
        if !next.is_binary() {
            break next;
        }
        secure.publisher.frames(1);
    };
    assert_eq!(pong, Message::Pong(Bytes::from_static(b"there?")));
}

#[tokio::test]
async fn websockets_carry_flv_in_binary_messages_with_and_without_tls() {
    let secure = Secure::new(|_| {}).await;
    let plain = TcpStream::connect(secure.scene.http()).await.unwrap();
    let plain = websocket(plain, "ws", None).await.unwrap();
    plays(&secure, plain, "ws_flv").await;
    let sealed = secure.connect("http/1.1").await;
    let sealed = websocket(sealed, "wss", None).await.unwrap();
    plays(&secure, sealed, "wss_flv").await;
}

#[tokio::test]
async fn a_websocket_ends_in_good_order_from_either_side() {
    let secure = Secure::new(|_| {}).await;
    let socket = TcpStream::connect(secure.scene.http()).await.unwrap();
    let mut socket = websocket(socket, "ws", None).await.unwrap();
    binary(&mut socket).await;
    secure.viewers("ws_flv", 1.0).await;
    socket.close(None).await.unwrap();
    while tokio::time::timeout(SOON, socket.next())
        .await
        .unwrap()
        .is_some_and(|message| message.is_ok())
    {}
    secure.viewers("ws_flv", 0.0).await;
    let left = "headwater_delivery_viewers_ended_total{reason=\"left\"}";
    assert_eq!(secure.scene.metric(left), 1.0);

    let socket = secure.connect("http/1.1").await;
    let mut socket = websocket(socket, "wss", None).await.unwrap();
    binary(&mut socket).await;
    secure.publisher.leave();
    let last = loop {
        let next = message(&mut socket).await;
        if !next.is_binary() {
            break next;
        }
    };
    let Message::Close(Some(frame)) = last else {
        panic!("{last:?}");
    };
    assert_eq!(frame.code, CloseCode::Normal);
}

#[tokio::test]
async fn only_pages_that_may_play_open_websockets() {
    let page = "https://www.example.com";
    let secure = Secure::new(|config| config.cors_origins = vec![page.to_owned()]).await;
    let to = secure.scene.http();
    for (origin, status) in [
        (Some("https://elsewhere.example"), Some(403)),
        (Some(page), None),
        (None, None),
    ] {
        let socket = TcpStream::connect(&to).await.unwrap();
        let refused = match websocket(socket, "ws", origin).await {
            Ok(_) => None,
            Err(Error::Http(answer)) => Some(answer.status().as_u16()),
            Err(other) => panic!("{other:?}"),
        };
        assert_eq!(refused, status, "{origin:?}");
    }
    let mut old = Viewer::connect(&to).await;
    old.send(
        "GET /live/room.flv HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 8\r\n\r\n",
    )
    .await;
    let answered = old.answer().await;
    assert_eq!(answered.status, 426);
    assert_eq!(answered.field("sec-websocket-version"), Some("13"));
}
