//! Why a connection must end.

use std::time::Duration;

use super::chunk::ChunkError;
use super::handshake::HandshakeError;
use super::message::MessageError;
use crate::amf0::Amf0Error;

/// What the peer did that ends its connection. Always the peer's move, never worth a retry by us.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RtmpError {
    /// The first 3,073 bytes are not a handshake.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// What follows is not chunks, or goes over a limit.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// A control or aggregate message does not hold what it must.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// A command is not AMF0.
    #[error("command: {0}")]
    Amf0(#[from] Amf0Error),
    /// A command message that does not begin with a name.
    #[error("a command has no name")]
    NoCommandName,
    /// A command before `connect`.
    #[error("{0:?} came before connect")]
    BeforeConnect(String),
    /// `connect` a second time.
    #[error("connect came twice")]
    ConnectTwice,
    /// A command lacks a value that it needs, or has one of another type or not in UTF-8.
    #[error("{command} lacks a usable {value}")]
    MissingValue {
        /// The command's name.
        command: &'static str,
        /// What is missing.
        value: &'static str,
    },
    /// Audio or video on a connection that has not published.
    #[error("media came before publish")]
    MediaBeforePublish,
    /// More media than the limit while `publish` waited for its answer.
    #[error("more than {0} bytes of media came before publish was answered")]
    MediaBeforeAnswer(usize),
    /// More message streams than the limit.
    #[error("more than {0} message streams")]
    TooManyMessageStreams(u32),
    /// The peer asks and does not read what we answer.
    #[error("more than {0} bytes of answers wait to be sent")]
    OutputFull(usize),
    /// The handshake took too long.
    #[error("no handshake within {0:?}")]
    HandshakeTimeout(Duration),
    /// Neither publishing nor playing, for too long.
    #[error("neither publish nor play within {0:?}")]
    CommandTimeout(Duration),
    /// A publisher sent no media for too long.
    #[error("no media for {0:?}")]
    Idle(Duration),
}

impl RtmpError {
    /// A label for logs and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            RtmpError::Handshake(error) => error.reason(),
            RtmpError::Chunk(error) => error.reason(),
            RtmpError::Message(_) => "message_cut",
            RtmpError::Amf0(error) => error.reason(),
            RtmpError::NoCommandName => "command_no_name",
            RtmpError::BeforeConnect(_) => "before_connect",
            RtmpError::ConnectTwice => "connect_twice",
            RtmpError::MissingValue { .. } => "missing_value",
            RtmpError::MediaBeforePublish => "media_before_publish",
            RtmpError::MediaBeforeAnswer(_) => "media_before_answer",
            RtmpError::TooManyMessageStreams(_) => "message_streams",
            RtmpError::OutputFull(_) => "output_full",
            RtmpError::HandshakeTimeout(_) => "handshake_timeout",
            RtmpError::CommandTimeout(_) => "command_timeout",
            RtmpError::Idle(_) => "idle",
        }
    }
}
