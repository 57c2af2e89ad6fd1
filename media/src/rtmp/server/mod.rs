//! The server's end of a connection: a state machine over its commands.

mod answers;
mod commands;
mod event;
mod media;
mod queue;

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::chunk::Input;
use super::control::Control;
use super::error::RtmpError;
use super::limits::Limits;
use super::link::Link;
use super::message::{Message, message_type};

pub use event::{ServerConfig, ServerEvent};
use queue::EventQueue;

/// What the connection does of one sort, publishing or playing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Activity {
    /// It has not asked to.
    Never,
    /// It has asked, on this message stream, and its owner has not answered.
    Asked(u32),
    /// It does, on this message stream.
    Active(u32),
    /// It has, or was refused.
    Over,
}

impl Activity {
    fn stream_id(self) -> Option<u32> {
        match self {
            Activity::Asked(stream_id) | Activity::Active(stream_id) => Some(stream_id),
            Activity::Never | Activity::Over => None,
        }
    }
}

/// One connection of a publisher or viewer, from its first byte, as its server sees it.
///
/// Feed it with [`input`](ServerSession::input), then empty [`next_event`](ServerSession::next_event) and send
/// what [`take_output`](ServerSession::take_output) gives. Events grow with the input: about one for every two
/// bytes at worst, so pieces should be no larger than a socket's read buffer. After an error only
/// `take_output` makes sense.
#[derive(Debug)]
pub struct ServerSession {
    config: ServerConfig,
    link: Link,
    events: EventQueue,
    connected: bool,
    /// Bit n: message stream n is in use.
    message_streams: u32,
    publishing: Activity,
    /// The publisher asked with `FCPublish` too, and wants that answered.
    fc_publish: bool,
    playing: Activity,
    /// Asks to publish that the peer took back before they were answered: their answers are still to come.
    publishes_taken_back: u32,
    /// The same of asks to play.
    plays_taken_back: u32,
    /// Media that came after `publish` and before its owner's answer.
    held: Vec<ServerEvent>,
    held_bytes: usize,
    ignored_messages: u64,
    last_input: Duration,
    last_media: Duration,
    pinged: Option<Duration>,
    /// Since when it neither publishes nor plays, nor waits for an answer.
    waiting_since: Duration,
}

impl ServerSession {
    /// A connection that was accepted at `now`.
    pub fn new(config: ServerConfig, now: Duration) -> ServerSession {
        ServerSession {
            config,
            link: Link::server(config.limits),
            events: EventQueue::default(),
            connected: false,
            message_streams: 0,
            publishing: Activity::Never,
            fc_publish: false,
            playing: Activity::Never,
            publishes_taken_back: 0,
            plays_taken_back: 0,
            held: Vec::new(),
            held_bytes: 0,
            ignored_messages: 0,
            last_input: now,
            last_media: now,
            pinged: None,
            waiting_since: now,
        }
    }

    /// A connection whose handshake was done at `now`: its digests would cost fuzzing most of its time.
    #[cfg(feature = "fuzzing")]
    #[doc(hidden)]
    pub fn after_handshake(config: ServerConfig, now: Duration) -> ServerSession {
        ServerSession {
            link: Link::server_after_handshake(config.limits),
            ..ServerSession::new(config, now)
        }
    }

    /// Takes bytes that the peer sent, in order, in pieces of any size.
    ///
    /// # Errors
    /// What the peer did wrong. Events from before it are still there, and so is output.
    pub fn input(&mut self, bytes: &[u8], now: Duration) -> Result<(), RtmpError> {
        self.take(&mut Input::Lent(bytes), now)
    }

    /// The same with a buffer that is given away: where most of it is media, payloads are parts of it and not copies, so
    /// give what is full, when the events from before have been taken and a publish that was asked for is answered.
    ///
    /// # Errors
    /// As [`input`](ServerSession::input).
    pub fn input_given(&mut self, bytes: BytesMut, now: Duration) -> Result<(), RtmpError> {
        let whole_bytes = bytes.len();
        let mut input = Input::from(bytes);
        let taken = self.take(&mut input, now);
        let Input::Given(given) = input else {
            return taken;
        };
        let held = self.held.iter_mut();
        let mut new: Vec<&mut ServerEvent> = self.events.iter_mut().chain(held).collect();
        let media_bytes = new.iter().map(|event| event.media_bytes()).sum::<usize>();
        // Few payloads must not keep much else: who sends a little media in a lot of nothing, or in media that nobody
        // wants, would fill memory with that.
        if given.kept_bytes() > 0 && media_bytes < whole_bytes / 2 {
            new.iter_mut().for_each(|event| event.own());
        }
        taken
    }

    fn take(&mut self, input: &mut Input<'_>, now: Duration) -> Result<(), RtmpError> {
        if !input.is_empty() {
            self.last_input = now;
            self.pinged = None;
        }
        loop {
            let was_open = self.link.is_open();
            match self.link.read(input)? {
                Some(message) => self.message(message, now)?,
                None if input.is_empty() => break,
                None => {}
            }
            if self.link.is_open() && !was_open {
                self.waiting_since = now;
            }
        }
        self.link.check_output()
    }

    /// What has happened, in order.
    pub fn next_event(&mut self) -> Option<ServerEvent> {
        self.events.pop(&mut self.ignored_messages)
    }

    /// Bytes to send to the peer. Between calls no more than the limit gathers, so call it when the bytes
    /// from before have been sent, and stop reading when they cannot be.
    pub fn take_output(&mut self) -> Option<Bytes> {
        self.link.take_output()
    }

    /// When [`on_timeout`](ServerSession::on_timeout) is to be called, unless there is input before.
    pub fn next_timeout(&self) -> Option<Duration> {
        let deadline = self.deadline().map(|(at, _)| at);
        deadline.into_iter().chain(self.next_ping()).min()
    }

    /// Ends a connection that takes too long, and pings one that is silent.
    ///
    /// # Errors
    /// The limit that has passed.
    pub fn on_timeout(&mut self, now: Duration) -> Result<(), RtmpError> {
        if let Some((at, error)) = self.deadline().filter(|(at, _)| *at <= now) {
            debug_assert!(at <= now, "the deadline has passed");
            return Err(error);
        }
        if self.next_ping().is_some_and(|at| at <= now) {
            self.pinged = Some(now);
            let timestamp = u32::try_from(now.as_millis() & 0xFFFF_FFFF).unwrap_or(0);
            self.link.send_control(Control::PingRequest { timestamp });
        }
        self.link.check_output()
    }

    /// Messages that were legal and of no use, such as media after the end of a publish.
    pub fn ignored_messages(&self) -> u64 {
        self.ignored_messages
    }

    /// Bytes sent that the peer has not acknowledged; `None` if it has never acknowledged any. Encoders and
    /// players often never do.
    pub fn unacknowledged_bytes(&self) -> Option<u32> {
        self.link.unacknowledged_bytes()
    }

    fn deadline(&self) -> Option<(Duration, RtmpError)> {
        let ServerConfig {
            handshake_time,
            command_time,
            idle_time,
            ..
        } = self.config;
        if !self.link.is_open() {
            let at = self.waiting_since.saturating_add(handshake_time);
            return Some((at, RtmpError::HandshakeTimeout(handshake_time)));
        }
        match (self.publishing, self.playing) {
            (Activity::Active(_), _) => Some((
                self.last_media.saturating_add(idle_time),
                RtmpError::Idle(idle_time),
            )),
            (Activity::Asked(_), _) | (_, Activity::Asked(_) | Activity::Active(_)) => None,
            _ => {
                let at = self.waiting_since.saturating_add(command_time);
                Some((at, RtmpError::CommandTimeout(command_time)))
            }
        }
    }

    fn next_ping(&self) -> Option<Duration> {
        let interval = self.config.ping_interval.filter(|_| self.connected)?;
        Some(
            self.pinged
                .unwrap_or(self.last_input)
                .saturating_add(interval),
        )
    }

    fn message(&mut self, message: Message, now: Duration) -> Result<(), RtmpError> {
        match message.type_id {
            message_type::COMMAND => self.command(message.stream_id, &message.payload, now),
            message_type::COMMAND_AMF3 => {
                let payload = message
                    .payload
                    .strip_prefix(&[0])
                    .unwrap_or(&message.payload);
                self.command(message.stream_id, payload, now)
            }
            _ => self.media(message, now),
        }
    }
}
