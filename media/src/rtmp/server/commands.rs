//! What each command does. All encoders' orders are fine: only `connect` must be first.

use std::time::Duration;

use super::{Activity, ServerEvent, ServerSession};
use crate::amf0::Value;
use crate::rtmp::command::{Capabilities, Command, PublishingType, is_exact};
use crate::rtmp::control::Control;
use crate::rtmp::error::RtmpError;
use crate::rtmp::play;
use crate::rtmp::status::{code, command_head, result, status};

/// Message streams for each connection; encoders use one.
const MAX_MESSAGE_STREAMS: u32 = 16;

/// What a name may take in an error, in characters.
const MAX_SHOWN_CHARS: usize = 40;

impl ServerSession {
    /// Acts on a command that came on this message stream.
    pub(super) fn command(
        &mut self,
        stream_id: u32,
        payload: &[u8],
        now: Duration,
    ) -> Result<(), RtmpError> {
        let command = Command::parse(payload)?;
        let transaction = command.transaction;
        if !self.connected && command.name != "connect" {
            return Err(RtmpError::BeforeConnect(
                command.name.chars().take(MAX_SHOWN_CHARS).collect(),
            ));
        }
        match command.name.as_str() {
            "connect" => self.connect(&command)?,
            "createStream" => self.create_stream(transaction)?,
            "publish" => self.publish(stream_id, &command)?,
            "play" => self.play(stream_id, &command)?,
            "releaseStream" | "_checkbw" => self.answer(transaction, Value::Undefined),
            "FCPublish" => {
                self.fc_publish = true;
                self.answer(transaction, Value::Undefined);
            }
            "FCUnpublish" => {
                self.answer(transaction, Value::Undefined);
                self.end_publishing(None, now);
            }
            "FCSubscribe" => {
                let name = command
                    .argument(0)
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                self.send_command(0, &status("onFCSubscribe", code::PLAY_START, name));
            }
            // Live has no length.
            "getStreamLength" => self.answer(transaction, Value::Number(0.0)),
            "deleteStream" => {
                let named = command.argument(0).and_then(Value::as_number);
                let id = (0..=MAX_MESSAGE_STREAMS)
                    .find(|id| named == Some(f64::from(*id)))
                    .unwrap_or(stream_id);
                self.close_stream(id, now);
                self.message_streams &= !stream_bit(id);
            }
            "closeStream" => self.close_stream(stream_id, now),
            "pause" | "pauseRaw" => self.pause(&command),
            "seek" => {
                let failed = status("onStatus", code::SEEK_FAILED, "a live stream cannot seek");
                self.send_command(stream_id, &failed);
            }
            // Unknown commands, and `receiveAudio` and `receiveVideo`: no encoder or player needs an answer,
            // and an `_error` ends some of them.
            _ => self.ignored_messages = self.ignored_messages.saturating_add(1),
        }
        Ok(())
    }

    fn connect(&mut self, command: &Command) -> Result<(), RtmpError> {
        if self.connected {
            return Err(RtmpError::ConnectTwice);
        }
        let object = &command.object;
        if object.properties().is_none() {
            return Err(RtmpError::MissingValue {
                command: "connect",
                value: "object",
            });
        }
        let text = |name| object.get(name).and_then(Value::as_str).map(str::to_owned);
        let app = text("app").unwrap_or_default();
        if !is_exact(&app) {
            return Err(RtmpError::MissingValue {
                command: "connect",
                value: "app",
            });
        }
        self.connected = true;
        let bytes = self.config.window_bytes;
        self.link.announce_window(bytes);
        self.link
            .send_control(Control::SetPeerBandwidth { bytes, limit: 2 });
        self.link.set_chunk_size(self.config.chunk_size);
        let capabilities = Capabilities::read(object);
        let encoding = object.get("objectEncoding").and_then(Value::as_number);
        self.send_command(
            0,
            &connected(command.transaction, encoding == Some(3.0), &capabilities),
        );
        self.events.push(ServerEvent::Connected {
            app,
            tc_url: text("tcUrl"),
            flash_ver: text("flashVer"),
            capabilities,
        });
        Ok(())
    }

    /// Gives the lowest free message stream id, so that the first one is always 1.
    fn create_stream(&mut self, transaction: f64) -> Result<(), RtmpError> {
        let free = (1..=MAX_MESSAGE_STREAMS).find(|id| self.message_streams & stream_bit(*id) == 0);
        let id = free.ok_or(RtmpError::TooManyMessageStreams(MAX_MESSAGE_STREAMS))?;
        self.message_streams |= stream_bit(id);
        self.answer(transaction, Value::Number(id.into()));
        Ok(())
    }

    fn publish(&mut self, stream_id: u32, command: &Command) -> Result<(), RtmpError> {
        let name = command.text(0, "publish", "name")?;
        if self.publishing.stream_id().is_some() {
            let busy = status(
                "onStatus",
                code::PUBLISH_BAD_NAME,
                "this connection publishes already",
            );
            self.send_command(stream_id, &busy);
            return Ok(());
        }
        let publishing_type = command
            .argument(1)
            .and_then(Value::as_str)
            .unwrap_or_default();
        self.publishing = Activity::Asked(stream_id);
        self.events.push(ServerEvent::Publish {
            message_stream_id: stream_id,
            name,
            publishing_type: PublishingType::from_wire(publishing_type),
        });
        Ok(())
    }

    fn play(&mut self, stream_id: u32, command: &Command) -> Result<(), RtmpError> {
        let name = command.text(0, "play", "name")?;
        let refusal = if self.playing.stream_id().is_some() {
            "this connection plays already"
        } else if stream_id != play::MESSAGE_STREAM_ID {
            "play on the first message stream of a connection"
        } else {
            self.playing = Activity::Asked(stream_id);
            self.events.push(ServerEvent::Play {
                message_stream_id: stream_id,
                name,
            });
            return Ok(());
        };
        self.send_command(stream_id, &status("onStatus", code::PLAY_FAILED, refusal));
        Ok(())
    }

    fn pause(&mut self, command: &Command) {
        let Activity::Active(stream_id) = self.playing else {
            return;
        };
        let paused = command
            .argument(0)
            .and_then(Value::as_bool)
            .unwrap_or(false);
        let code = if paused {
            code::PAUSE_NOTIFY
        } else {
            code::UNPAUSE_NOTIFY
        };
        self.send_command(
            stream_id,
            &status("onStatus", code, if paused { "paused" } else { "going on" }),
        );
        self.events.push(ServerEvent::Pause(paused));
    }

    /// Ends what happens on this message stream; 0, which some encoders name, stands for all.
    fn close_stream(&mut self, stream_id: u32, now: Duration) {
        let only = (stream_id != 0).then_some(stream_id);
        self.end_publishing(only, now);
        if self
            .playing
            .stream_id()
            .is_some_and(|id| only.is_none_or(|only| only == id))
        {
            if matches!(self.playing, Activity::Asked(_)) {
                self.plays_taken_back = self.plays_taken_back.saturating_add(1);
            }
            self.playing = Activity::Over;
            self.waiting_since = now;
            self.events.push(ServerEvent::StopPlay);
        }
    }

    fn end_publishing(&mut self, only: Option<u32>, now: Duration) {
        let Some(id) = self.publishing.stream_id() else {
            return;
        };
        if only.is_some_and(|only| only != id) {
            return;
        }
        if matches!(self.publishing, Activity::Asked(_)) {
            self.publishes_taken_back = self.publishes_taken_back.saturating_add(1);
        }
        self.stop_publishing(now);
        self.send_command(
            id,
            &status("onStatus", code::UNPUBLISH_SUCCESS, "the stream has ended"),
        );
        self.events.push(ServerEvent::Unpublish);
    }

    /// A result without an object, if the peer waits for one.
    fn answer(&mut self, transaction: f64, value: Value) {
        if transaction != 0.0 {
            self.send_command(0, &result(transaction, Value::Null, value));
        }
    }

    pub(super) fn send_command(&mut self, stream_id: u32, command: &Command) {
        self.link.send(command_head(stream_id), &command.encode());
    }
}

/// The result of `connect`. Enhanced RTMP is answered to those who speak it.
fn connected(transaction: f64, amf3: bool, peer: &Capabilities) -> Command {
    let properties = Value::object([
        ("fmsVer", Value::string("FMS/3,5,7,7009")),
        ("capabilities", Value::Number(31.0)),
        ("mode", Value::Number(1.0)),
    ]);
    let mut information = vec![
        ("level".to_owned(), Value::string("status")),
        ("code".to_owned(), Value::string(code::CONNECT_SUCCESS)),
        ("description".to_owned(), Value::string("connected")),
        (
            "objectEncoding".to_owned(),
            Value::Number(if amf3 { 3.0 } else { 0.0 }),
        ),
    ];
    if !peer.is_empty() {
        Capabilities::forward_all().write(&mut information);
    }
    result(transaction, properties, Value::Object(information))
}

fn stream_bit(id: u32) -> u32 {
    1u32.checked_shl(id).unwrap_or(0)
}
