//! A publisher over a socket, and what it sends.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use headwater_media::TagKind;
use headwater_media::amf0::Value;
use headwater_media::rtmp::chunk::put_message;
use headwater_media::rtmp::{ClientConfig, ClientEvent, ClientSession, Head, PublishingType, code};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::scene::SOON;

/// Milliseconds between two pictures.
const STEP_MS: u32 = 40;

pub(crate) struct Encoder {
    pub(crate) socket: TcpStream,
    session: ClientSession,
    /// Sent in one piece with the `publish` command.
    pub(crate) ahead: Bytes,
    /// The number of the next picture.
    pub(crate) next: u32,
    /// All tags so far.
    pub(crate) sent: Vec<(TagKind, Bytes)>,
}

impl Encoder {
    /// Connects from `from` and asks to publish.
    pub(crate) async fn connect(from: &str, to: SocketAddr, app: &str, name: &str) -> Encoder {
        let socket = TcpSocket::new_v4().unwrap();
        socket
            .bind(SocketAddr::new(from.parse().unwrap(), 0))
            .unwrap();
        let socket = socket.connect(to).await.unwrap();
        let config = ClientConfig::new(&to.to_string(), app, name);
        Encoder::over(
            socket,
            ClientSession::publish(config, PublishingType::Live).unwrap(),
        )
    }

    /// The same through a load balancer that begins the connection with `header`.
    pub(crate) async fn behind(header: &str, to: SocketAddr, app: &str, name: &str) -> Encoder {
        let mut encoder = Encoder::connect("127.0.0.1", to, app, name).await;
        encoder.socket.write_all(header.as_bytes()).await.unwrap();
        encoder
    }

    /// A player at the same port.
    pub(crate) async fn play(to: SocketAddr, app: &str, name: &str) -> Encoder {
        let socket = TcpStream::connect(to).await.unwrap();
        let config = ClientConfig::new(&to.to_string(), app, name);
        Encoder::over(socket, ClientSession::play(config).unwrap())
    }

    fn over(socket: TcpStream, session: ClientSession) -> Encoder {
        socket.set_nodelay(true).unwrap();
        Encoder {
            socket,
            session,
            ahead: Bytes::new(),
            next: 0,
            sent: Vec::new(),
        }
    }

    /// The next event; `None` if the server has closed the connection.
    pub(crate) async fn event(&mut self) -> Option<ClientEvent> {
        let heard = async {
            let mut buffer = vec![0; 65_536];
            loop {
                if let Some(event) = self.session.next_event() {
                    return Some(event);
                }
                self.flush().await;
                match self.socket.read(&mut buffer).await {
                    Ok(0) | Err(_) => return None,
                    Ok(read) => self.session.input(&buffer[..read], Duration::ZERO).unwrap(),
                }
            }
        };
        tokio::time::timeout(SOON, heard)
            .await
            .expect("the server says something")
    }

    async fn flush(&mut self) {
        while let Some(output) = self.session.take_output() {
            let mut bytes = output.to_vec();
            if bytes.windows(7).any(|window| window == b"publish") {
                bytes.extend_from_slice(&std::mem::take(&mut self.ahead));
            }
            // A server that has closed is noticed by the next read.
            drop(self.socket.write_all(&bytes).await);
        }
    }

    /// Waits until what was asked for is granted; an error is its refusal.
    pub(crate) async fn started(&mut self) -> Result<(), (String, String)> {
        loop {
            match self.event().await {
                Some(ClientEvent::Started) => return Ok(()),
                Some(ClientEvent::Refused { code, description }) => {
                    return Err((code, description));
                }
                Some(_) => {}
                None => return Err(("closed".to_owned(), String::new())),
            }
        }
    }

    /// Waits for the server to end what it had accepted: code and sentence, or `None` if it just closed.
    pub(crate) async fn ended(&mut self) -> Option<(String, String)> {
        loop {
            let event = self.event().await?;
            if let ClientEvent::Ended { code, description }
            | ClientEvent::Status {
                code, description, ..
            } = event
                && (code.contains(".Publish.") || code == code::CONNECT_CLOSED)
            {
                return Some((code, description));
            }
        }
    }

    /// Waits for the server's wish that the publisher connects again.
    pub(crate) async fn asked_to_reconnect(&mut self) {
        while !matches!(
            self.event().await.expect("the connection stays"),
            ClientEvent::Reconnect { .. }
        ) {}
    }

    /// Sends one tag; says whether the publish is on and the connection took it.
    pub(crate) async fn send(&mut self, kind: TagKind, wire_ms: u32, payload: &[u8]) -> bool {
        if self.session.send(kind, wire_ms, payload).is_err() {
            return false;
        }
        self.sent.push((kind, Bytes::copy_from_slice(payload)));
        while let Some(output) = self.session.take_output() {
            if self.socket.write_all(&output).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Sends tags all together, as one that has waited for its line does.
    pub(crate) async fn burst(&mut self, tags: impl IntoIterator<Item = (TagKind, u32, Vec<u8>)>) {
        let mut bytes = Vec::new();
        for (kind, wire_ms, payload) in tags {
            self.session.send(kind, wire_ms, &payload).unwrap();
            self.sent.push((kind, payload.into()));
            while let Some(output) = self.session.take_output() {
                bytes.extend_from_slice(&output);
            }
        }
        self.socket.write_all(&bytes).await.unwrap();
    }

    /// Metadata and sequence headers: three tags.
    pub(crate) async fn headers(&mut self) {
        let size = [
            ("width", Value::Number(640.0)),
            ("height", Value::Number(360.0)),
        ];
        let metadata = headwater_media::script::encode(size);
        assert!(self.send(TagKind::Script, 0, &metadata).await);
        assert!(
            self.send(TagKind::Video, 0, &[0x17, 0, 0, 0, 0, 1, 100, 0, 31])
                .await
        );
        assert!(self.send(TagKind::Audio, 0, &[0xAF, 0, 0x12, 0x10]).await);
    }

    /// `count` pictures, each with sound behind it, a keyframe every 25; says whether all were taken.
    pub(crate) async fn frames(&mut self, count: usize) -> bool {
        for _ in 0..count {
            let (n, ms) = (self.next, self.next * STEP_MS);
            self.next += 1;
            let kind = if n.is_multiple_of(25) { 0x17 } else { 0x27 };
            let [a, b, c, d] = n.to_be_bytes();
            let taken = self
                .send(TagKind::Video, ms, &[kind, 1, 0, 0, 0, a, b, c, d])
                .await
                && self
                    .send(TagKind::Audio, ms + 10, &[0xAF, 1, a, b, c, d])
                    .await;
            if !taken {
                return false;
            }
        }
        true
    }

    /// Ends the publish in order.
    pub(crate) async fn close(mut self) {
        self.session.close();
        self.flush().await;
        drop(self.socket.shutdown().await);
    }
}

/// A media message as it stands on the wire behind `publish`.
pub(crate) fn raw(kind: TagKind, timestamp: u32, payload: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    let head = Head {
        chunk_stream_id: 20,
        timestamp,
        type_id: kind as u8,
        stream_id: 1,
    };
    assert!(put_message(&mut out, head, payload, 65_536));
    out.freeze()
}
