//! Why a publish or a connection ends.

use std::io;
use std::time::Duration;

use headwater_hub::FeedError;
use headwater_media::rtmp::{RtmpError, code};
use thiserror::Error;

use crate::shared::OpenError;

/// Why a publish that was accepted, or a connection, ends.
#[derive(Debug, Error)]
pub(crate) enum End {
    /// The publisher has said so.
    #[error("the publisher ended it")]
    Unpublished,
    /// The peer has closed the connection without a word.
    #[error("the connection was closed by the peer")]
    Closed,
    /// The connection is broken.
    #[error("the connection broke: {0}")]
    Socket(#[from] io::Error),
    /// The peer did what it must not, or was silent for too long.
    #[error(transparent)]
    Rtmp(#[from] RtmpError),
    /// The peer does not read what it is answered.
    #[error("the peer read nothing for {} s", .0.as_secs())]
    Unread(Duration),
    /// More than its bitrate.
    #[error("more than the allowed {} kbit/s", .0 / 1000)]
    Bitrate(u64),
    /// The stream's home has ended it.
    #[error("{text}")]
    Released {
        /// The onStatus code.
        code: String,
        /// The sentence for the publisher.
        text: String,
    },
    /// Another session has taken the stream.
    #[error("replaced: {0}")]
    Feed(#[from] FeedError),
    /// It stood by, and could not go on when it was its turn.
    #[error("cannot go on: {0}")]
    Open(#[from] OpenError),
    /// The process ends, or it drains and this publisher, who stays, has its turn.
    #[error("this origin stops")]
    Stopping,
}

impl End {
    /// The label for logs and metrics.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            End::Unpublished => "unpublished",
            End::Closed => "closed",
            End::Socket(_) => "socket",
            End::Rtmp(error) => error.reason(),
            End::Unread(_) => "unread",
            End::Bitrate(_) => "bitrate",
            End::Released { .. } => "released",
            End::Feed(error) => error.reason(),
            End::Open(_) => "open",
            End::Stopping => "stopping",
        }
    }

    /// What the publisher is told, if it can still hear: code and sentence of an onStatus.
    pub(crate) fn farewell(&self) -> Option<(&str, String)> {
        match self {
            End::Unpublished | End::Closed | End::Socket(_) | End::Unread(_) => None,
            End::Rtmp(error) => Some((code::PUBLISH_DENIED, error.to_string())),
            End::Bitrate(_) | End::Open(_) => Some((code::PUBLISH_DENIED, self.to_string())),
            End::Released { code, text } => Some((code, text.clone())),
            End::Feed(_) => Some((
                code::PUBLISH_BAD_NAME,
                "a newer publisher has taken this stream over".to_owned(),
            )),
            End::Stopping => Some((
                code::CONNECT_CLOSED,
                "this server stops: connect again".to_owned(),
            )),
        }
    }
}

/// Why a publish is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The label for logs and metrics.
    pub(crate) reason: &'static str,
    /// The onStatus code.
    pub(crate) code: &'static str,
    /// The sentence for the publisher.
    pub(crate) text: String,
}
