//! What goes into a server session and what comes out of it.

use std::time::Duration;

use bytes::Bytes;

use super::Limits;
use crate::TagKind;
use crate::rtmp::command::{Capabilities, PublishingType};

/// How a server treats its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// What one connection may use.
    pub limits: Limits,
    /// Size of the chunks that the server sends before a play begins, in bytes.
    pub chunk_size: u32,
    /// The window that the server announces, and the bandwidth that it grants, in bytes.
    pub window_bytes: u32,
    /// From the connection's start to the end of the handshake.
    pub handshake_time: Duration,
    /// From the handshake, or from the end of a publish or play, to the next `publish` or `play`.
    pub command_time: Duration,
    /// Without media, for a publisher.
    pub idle_time: Duration,
    /// After so much silence, and again each time, the server sends a ping. `None`: never.
    pub ping_interval: Option<Duration>,
}

impl Default for ServerConfig {
    fn default() -> ServerConfig {
        ServerConfig {
            limits: Limits::default(),
            chunk_size: 4_096,
            window_bytes: 2_500_000,
            handshake_time: Duration::from_secs(10),
            command_time: Duration::from_secs(15),
            idle_time: Duration::from_secs(30),
            ping_interval: None,
        }
    }
}

/// What a connection asks for or brings.
#[derive(Clone, Debug, PartialEq)]
pub enum ServerEvent {
    /// `connect` was answered.
    Connected {
        /// The application, perhaps with an instance and a query; empty if none was named.
        app: String,
        /// The URL that the peer connected to, if it told.
        tc_url: Option<String>,
        /// The peer's name for itself.
        flash_ver: Option<String>,
        /// What the peer said of its Enhanced RTMP support.
        capabilities: Capabilities,
    },
    /// `publish`: to be answered with [`accept_publish`](super::ServerSession::accept_publish) or
    /// [`refuse_publish`](super::ServerSession::refuse_publish). One at a time for each connection.
    Publish {
        /// The message stream it is on.
        message_stream_id: u32,
        /// The stream's name as it was sent, with its query; may be empty.
        name: String,
        /// What the publisher asked for; all are served live.
        publishing_type: PublishingType,
    },
    /// `play`: to be answered with [`accept_play`](super::ServerSession::accept_play) or
    /// [`refuse_play`](super::ServerSession::refuse_play). One at a time for each connection.
    Play {
        /// The message stream it is on: always 1, where [`play`](crate::rtmp::play) puts its messages.
        message_stream_id: u32,
        /// The stream's name as it was sent, with its query; may be empty.
        name: String,
    },
    /// A tag of the accepted publish.
    Media {
        /// Audio, video or script.
        kind: TagKind,
        /// The message's time in milliseconds, modulo 2^32.
        wire_ms: u32,
        /// The tag's body, not empty. Script bodies begin with the event's name (`onMetaData`).
        payload: Bytes,
    },
    /// The publish that was asked for or accepted is over, by the publisher's will.
    Unpublish,
    /// The play that was asked for or accepted is over, by the viewer's will.
    StopPlay,
    /// The viewer wants its media stopped or going again. It has been told that this is done.
    Pause(bool),
}

impl ServerEvent {
    /// Of its payload, if it has one.
    pub(super) fn media_bytes(&self) -> usize {
        match self {
            ServerEvent::Media { payload, .. } => payload.len(),
            ServerEvent::Connected { .. }
            | ServerEvent::Publish { .. }
            | ServerEvent::Play { .. }
            | ServerEvent::Unpublish
            | ServerEvent::StopPlay
            | ServerEvent::Pause(_) => 0,
        }
    }

    /// Gives a payload memory of its own.
    pub(super) fn own(&mut self) {
        if let ServerEvent::Media { payload, .. } = self {
            *payload = Bytes::copy_from_slice(payload);
        }
    }
}
