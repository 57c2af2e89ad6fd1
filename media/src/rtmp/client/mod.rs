//! The client's end of a connection: for tests, demonstrations and load.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::chunk::Input;
use super::command::{Capabilities, Command, PublishingType};
use super::control::Control;
use super::error::RtmpError;
use super::link::Link;
use super::message::{Aggregate, Head, Message, message_type};
use super::status::{code, command_head};
use crate::TagKind;
use crate::amf0::Value;

mod config;

pub use config::{ClientConfig, ClientEvent, SendError};

/// Transactions of the commands whose results matter.
mod transaction {
    pub(super) const CONNECT: f64 = 1.0;
    pub(super) const RELEASE_STREAM: f64 = 2.0;
    pub(super) const FC_PUBLISH: f64 = 3.0;
    pub(super) const CREATE_STREAM: f64 = 4.0;
    pub(super) const PUBLISH_OR_PLAY: f64 = 5.0;
    pub(super) const END: f64 = 6.0;
}

/// Chunk streams of what a publisher sends.
mod chunk_stream {
    pub(super) const AUDIO: u32 = 4;
    pub(super) const VIDEO: u32 = 6;
    pub(super) const DATA: u32 = 5;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Publish(PublishingType),
    Play,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Handshake,
    Connecting,
    Creating,
    /// The message stream is there; `publish` or `play` waits for its status.
    Asked(u32),
    Started(u32),
    Over,
}

/// One publisher or viewer. [`input`](ClientSession::input), [`next_event`](ClientSession::next_event) and
/// [`take_output`](ClientSession::take_output) work as in a [`ServerSession`](super::ServerSession); the first
/// output is there at once.
#[derive(Debug)]
pub struct ClientSession {
    config: ClientConfig,
    purpose: Purpose,
    phase: Phase,
    link: Link,
    events: VecDeque<ClientEvent>,
}

impl ClientSession {
    /// A publisher of `config.stream`.
    ///
    /// # Errors
    /// If no handshake can be made.
    pub fn publish(
        config: ClientConfig,
        publishing_type: PublishingType,
    ) -> Result<ClientSession, RtmpError> {
        ClientSession::new(config, Purpose::Publish(publishing_type))
    }

    /// A viewer of `config.stream`.
    ///
    /// # Errors
    /// If no handshake can be made.
    pub fn play(config: ClientConfig) -> Result<ClientSession, RtmpError> {
        ClientSession::new(config, Purpose::Play)
    }

    fn new(config: ClientConfig, purpose: Purpose) -> Result<ClientSession, RtmpError> {
        let link = Link::client(config.limits)?;
        Ok(ClientSession {
            config,
            purpose,
            phase: Phase::Handshake,
            link,
            events: VecDeque::new(),
        })
    }

    /// Takes bytes that the server sent. `now` is there for symmetry: a client has no timeouts of its own.
    ///
    /// # Errors
    /// What the server did wrong.
    pub fn input(&mut self, bytes: &[u8], _now: Duration) -> Result<(), RtmpError> {
        let mut input = Input::Lent(bytes);
        loop {
            match self.link.read(&mut input)? {
                Some(message) => self.message(message)?,
                None if self.phase == Phase::Handshake && self.link.is_open() => self.connect(),
                None if input.is_empty() => break,
                None => {}
            }
        }
        self.link.check_output()
    }

    /// What has happened, in order.
    pub fn next_event(&mut self) -> Option<ClientEvent> {
        self.events.pop_front()
    }

    /// Bytes to send to the server.
    pub fn take_output(&mut self) -> Option<Bytes> {
        self.link.take_output()
    }

    /// Sends one tag; script bodies go as `@setDataFrame`. `wire_ms` is its time modulo 2^32.
    ///
    /// # Errors
    /// Before [`ClientEvent::Started`], after the end, or when the output is full: take it and try again.
    pub fn send(&mut self, kind: TagKind, wire_ms: u32, payload: &[u8]) -> Result<(), SendError> {
        let Phase::Started(stream_id) = self.phase else {
            return Err(SendError::NotStarted);
        };
        let chunks = payload.len() / usize::try_from(self.config.chunk_size.max(1)).unwrap_or(1);
        let cost = payload
            .len()
            .saturating_add(chunks.saturating_mul(5))
            .saturating_add(32);
        let waiting = self.link.output_bytes();
        if waiting > 0 && waiting.saturating_add(cost) > self.config.limits.max_output_bytes {
            return Err(SendError::OutputFull);
        }
        let head = |chunk_stream_id| Head {
            chunk_stream_id,
            timestamp: wire_ms,
            type_id: kind as u8,
            stream_id,
        };
        let sent = match kind {
            TagKind::Audio => self.link.send_media(head(chunk_stream::AUDIO), payload),
            TagKind::Video => self.link.send_media(head(chunk_stream::VIDEO), payload),
            TagKind::Script => {
                let mut body = BytesMut::with_capacity(payload.len().saturating_add(16));
                Value::string("@setDataFrame").encode(&mut body);
                body.extend_from_slice(payload);
                self.link.send_media(head(chunk_stream::DATA), &body)
            }
        };
        if sent {
            Ok(())
        } else {
            Err(SendError::TooLong)
        }
    }

    /// Ends the publish or play in order. The connection may be closed when the output has been sent.
    pub fn close(&mut self) {
        let (Phase::Asked(stream_id) | Phase::Started(stream_id)) = self.phase else {
            return;
        };
        let name = Value::string(self.config.stream.as_str());
        if let Purpose::Publish(_) = self.purpose {
            self.send_command(0, "FCUnpublish", transaction::END, vec![name]);
        }
        self.send_command(
            0,
            "deleteStream",
            0.0,
            vec![Value::Number(stream_id.into())],
        );
        self.phase = Phase::Over;
    }

    fn connect(&mut self) {
        self.phase = Phase::Connecting;
        let text = |text: &String| Value::string(text.as_str());
        let mut object = vec![
            ("app".to_owned(), text(&self.config.app)),
            ("flashVer".to_owned(), text(&self.config.flash_ver)),
            ("tcUrl".to_owned(), text(&self.config.tc_url)),
        ];
        if let Purpose::Publish(_) = self.purpose {
            object.push(("type".to_owned(), Value::string("nonprivate")));
        }
        self.config.capabilities.write(&mut object);
        self.link.set_chunk_size(self.config.chunk_size);
        let connect = Command {
            name: "connect".to_owned(),
            transaction: transaction::CONNECT,
            object: Value::Object(object),
            arguments: Vec::new(),
        };
        self.link.send(command_head(0), &connect.encode());
    }

    fn send_command(
        &mut self,
        stream_id: u32,
        name: &str,
        transaction: f64,
        arguments: Vec<Value>,
    ) {
        let command = Command {
            name: name.to_owned(),
            transaction,
            object: Value::Null,
            arguments,
        };
        self.link.send(command_head(stream_id), &command.encode());
    }

    fn message(&mut self, message: Message) -> Result<(), RtmpError> {
        match message.type_id {
            message_type::COMMAND => {
                self.command(&Command::parse(&message.payload)?);
            }
            message_type::COMMAND_AMF3 => {
                let payload = message
                    .payload
                    .strip_prefix(&[0])
                    .unwrap_or(&message.payload);
                self.command(&Command::parse(payload)?);
            }
            message_type::AGGREGATE => {
                let (mut parts, ends) = Aggregate::new(message);
                while let Some(part) = parts.part() {
                    self.media(part);
                }
                ends?;
            }
            _ => self.media(message),
        }
        Ok(())
    }

    fn media(&mut self, message: Message) {
        if let Some(kind) = TagKind::from_wire(message.type_id) {
            let Message {
                timestamp: wire_ms,
                payload,
                ..
            } = message;
            self.events.push_back(ClientEvent::Media {
                kind,
                wire_ms,
                payload,
            });
        }
    }

    fn command(&mut self, command: &Command) {
        let information = command.argument(0).unwrap_or(&Value::Null);
        let text = |name| {
            information
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        match (command.name.as_str(), self.phase) {
            ("_result", Phase::Connecting) if command.transaction == transaction::CONNECT => {
                self.events
                    .push_back(ClientEvent::Connected(Capabilities::read(information)));
                self.create_stream();
            }
            ("_result", Phase::Creating) if command.transaction == transaction::CREATE_STREAM => {
                let id = information.as_number().unwrap_or(1.0);
                self.ask(
                    (1..=u32::from(u16::MAX))
                        .find(|known| f64::from(*known) == id)
                        .unwrap_or(1),
                );
            }
            ("_error", Phase::Connecting | Phase::Creating) => {
                self.phase = Phase::Over;
                let (code, description) = (text("code"), text("description"));
                self.events
                    .push_back(ClientEvent::Refused { code, description });
            }
            ("onStatus", _) => self.status(
                text("level"),
                text("code"),
                text("description"),
                information,
            ),
            _ => {}
        }
    }

    fn status(&mut self, level: String, code: String, description: String, information: &Value) {
        let event = match (code.as_str(), self.phase) {
            (code::RECONNECT_REQUEST, _) => {
                let tc_url = information
                    .get("tcUrl")
                    .and_then(Value::as_str)
                    .map(str::to_owned);
                ClientEvent::Reconnect {
                    tc_url,
                    description,
                }
            }
            (code::PUBLISH_START | code::PLAY_START, Phase::Asked(stream_id)) => {
                self.phase = Phase::Started(stream_id);
                ClientEvent::Started
            }
            (_, Phase::Asked(_)) if level == "error" => {
                self.phase = Phase::Over;
                ClientEvent::Refused { code, description }
            }
            (
                code::PLAY_STOP | code::PLAY_UNPUBLISH_NOTIFY | code::UNPUBLISH_SUCCESS,
                Phase::Started(_),
            ) => {
                self.phase = Phase::Over;
                ClientEvent::Ended { code, description }
            }
            (_, Phase::Started(_)) if level == "error" => {
                self.phase = Phase::Over;
                ClientEvent::Ended { code, description }
            }
            _ => ClientEvent::Status {
                level,
                code,
                description,
            },
        };
        self.events.push_back(event);
    }

    fn create_stream(&mut self) {
        self.phase = Phase::Creating;
        if let Purpose::Publish(_) = self.purpose {
            let name = Value::string(self.config.stream.as_str());
            self.send_command(
                0,
                "releaseStream",
                transaction::RELEASE_STREAM,
                vec![name.clone()],
            );
            self.send_command(0, "FCPublish", transaction::FC_PUBLISH, vec![name]);
        }
        self.send_command(0, "createStream", transaction::CREATE_STREAM, Vec::new());
    }

    fn ask(&mut self, stream_id: u32) {
        self.phase = Phase::Asked(stream_id);
        let name = Value::string(self.config.stream.as_str());
        match self.purpose {
            Purpose::Publish(publishing_type) => {
                let arguments = vec![name, Value::string(publishing_type.as_str())];
                self.send_command(
                    stream_id,
                    "publish",
                    transaction::PUBLISH_OR_PLAY,
                    arguments,
                );
            }
            Purpose::Play => {
                self.send_command(stream_id, "play", transaction::PUBLISH_OR_PLAY, vec![name]);
                self.link.send_control(Control::SetBufferLength {
                    stream_id,
                    milliseconds: 3_000,
                });
            }
        }
    }
}
