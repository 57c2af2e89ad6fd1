//! Sessions against each other and against bytes made by hand.

mod commands;
mod hostile;
mod session;
mod tags;

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::chunk::{Input, put_message};
use super::command::Command;
use super::{
    ClientConfig, ClientEvent, ClientSession, Head, Limits, PublishingType, RtmpError,
    ServerConfig, ServerEvent, ServerSession, message_type,
};
use crate::amf0::Value;

/// A time; most tests need only one.
const NOW: Duration = Duration::from_secs(100);

/// A client and a server, joined without a socket.
struct Pair {
    client: ClientSession,
    server: ServerSession,
    /// What the server had to say of itself, in order.
    events: Vec<ServerEvent>,
}

impl Pair {
    fn publisher(stream: &str) -> Pair {
        let config = ClientConfig::new("example.com", "live", stream);
        Pair::new(ClientSession::publish(config, PublishingType::Live).unwrap())
    }

    fn viewer(stream: &str) -> Pair {
        Pair::new(ClientSession::play(ClientConfig::new("example.com", "live", stream)).unwrap())
    }

    fn new(client: ClientSession) -> Pair {
        Pair {
            client,
            server: ServerSession::new(ServerConfig::default(), NOW),
            events: Vec::new(),
        }
    }

    /// Carries bytes to and fro until both are silent, in pieces of `step`, and returns what the client saw.
    fn settle(&mut self, step: usize) -> Vec<ClientEvent> {
        let mut seen = Vec::new();
        loop {
            let (up, down) = (self.client.take_output(), self.server.take_output());
            if up.is_none() && down.is_none() {
                return seen;
            }
            for piece in up.unwrap_or_default().chunks(step) {
                self.server.input(piece, NOW).unwrap();
            }
            for piece in down.unwrap_or_default().chunks(step) {
                self.client.input(piece, NOW).unwrap();
            }
            self.events
                .extend(std::iter::from_fn(|| self.server.next_event()));
            seen.extend(std::iter::from_fn(|| self.client.next_event()));
        }
    }
}

/// A server after the handshake, fed with messages made by hand.
struct Hand {
    server: ServerSession,
    said: BytesMut,
}

impl Hand {
    fn new() -> Hand {
        Hand::with(ServerConfig::default())
    }

    fn with(config: ServerConfig) -> Hand {
        let mut server = ServerSession::new(config, NOW);
        let mut hello = vec![0; 1 + 2 * 1_536];
        hello[0] = 3;
        server.input(&hello, NOW).unwrap();
        assert_eq!(server.take_output().unwrap().len(), 1 + 2 * 1_536);
        Hand {
            server,
            said: BytesMut::new(),
        }
    }

    fn connected() -> Hand {
        let mut hand = Hand::new();
        let object = Value::object([("app", Value::string("live"))]);
        hand.command(0, "connect", 1.0, object, &[]).unwrap();
        assert!(matches!(
            hand.server.next_event(),
            Some(ServerEvent::Connected { .. })
        ));
        hand
    }

    fn publishing() -> Hand {
        let mut hand = Hand::connected();
        hand.command(0, "createStream", 2.0, Value::Null, &[])
            .unwrap();
        hand.command(1, "publish", 3.0, Value::Null, &[Value::string("room")])
            .unwrap();
        assert!(matches!(
            hand.server.next_event(),
            Some(ServerEvent::Publish { .. })
        ));
        hand.server.accept_publish(NOW);
        hand
    }

    fn message(
        &mut self,
        type_id: u8,
        stream_id: u32,
        timestamp: u32,
        payload: &[u8],
    ) -> Result<(), RtmpError> {
        self.message_at(NOW, type_id, stream_id, timestamp, payload)
    }

    fn message_at(
        &mut self,
        now: Duration,
        type_id: u8,
        stream_id: u32,
        timestamp: u32,
        payload: &[u8],
    ) -> Result<(), RtmpError> {
        let mut bytes = BytesMut::new();
        put_message(
            &mut bytes,
            Head {
                chunk_stream_id: 4,
                timestamp,
                type_id,
                stream_id,
            },
            payload,
            128,
        );
        let result = self.server.input(&bytes, now);
        self.said
            .extend_from_slice(&self.server.take_output().unwrap_or_default());
        result
    }

    fn command(
        &mut self,
        stream_id: u32,
        name: &str,
        transaction: f64,
        object: Value,
        arguments: &[Value],
    ) -> Result<(), RtmpError> {
        let command = Command {
            name: name.into(),
            transaction,
            object,
            arguments: arguments.to_vec(),
        };
        self.message(message_type::COMMAND, stream_id, 0, &command.encode())
    }

    /// The commands that the server has sent so far, and takes them away.
    fn answers(&mut self) -> Vec<(u32, Command)> {
        self.said
            .extend_from_slice(&self.server.take_output().unwrap_or_default());
        messages(&self.said.split())
            .into_iter()
            .filter(|message| message.type_id == message_type::COMMAND)
            .map(|message| (message.stream_id, Command::parse(&message.payload).unwrap()))
            .collect()
    }

    /// The code of each `onStatus` that the server has sent so far.
    fn codes(&mut self) -> Vec<String> {
        let answers = self
            .answers()
            .into_iter()
            .filter(|(_, command)| command.name == "onStatus");
        answers
            .map(|(_, command)| {
                command.arguments[0]
                    .get("code")
                    .unwrap()
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect()
    }

    fn events(&mut self) -> Vec<ServerEvent> {
        std::iter::from_fn(|| self.server.next_event()).collect()
    }
}

/// The messages of chunks that begin with the default chunk size.
fn messages(bytes: &[u8]) -> Vec<super::Message> {
    // What Hand takes away may begin after a change of the chunk size: all of its messages are short.
    let mut reader = super::chunk::Reader::new(Limits::default());
    let mut larger = BytesMut::new();
    let head = Head {
        chunk_stream_id: 2,
        timestamp: 0,
        type_id: message_type::SET_CHUNK_SIZE,
        stream_id: 0,
    };
    put_message(&mut larger, head, &65_536u32.to_be_bytes(), 128);
    if !bytes.windows(16).any(|window| window[..12] == larger[..12]) {
        reader.read(&mut Input::Lent(&larger)).unwrap();
    }
    let mut input = Input::Lent(bytes);
    std::iter::from_fn(|| reader.read(&mut input).unwrap()).collect()
}

fn media(kind: crate::TagKind, wire_ms: u32, payload: &[u8]) -> ServerEvent {
    ServerEvent::Media {
        kind,
        wire_ms,
        payload: Bytes::copy_from_slice(payload),
    }
}
