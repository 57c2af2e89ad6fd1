//! What goes into a client session and what comes out of it.

use bytes::Bytes;

use crate::TagKind;
use crate::rtmp::command::Capabilities;
use crate::rtmp::limits::Limits;

/// Where a client connects, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// The application, perhaps with an instance.
    pub app: String,
    /// The URL of the application, such as `rtmp://host/live`.
    pub tc_url: String,
    /// The stream's name, perhaps with a query.
    pub stream: String,
    /// The client's name for itself.
    pub flash_ver: String,
    /// What it says of its Enhanced RTMP support; empty for a legacy client.
    pub capabilities: Capabilities,
    /// Size of the chunks that it sends, in bytes.
    pub chunk_size: u32,
    /// What the server may make it hold, and what waits to be sent.
    pub limits: Limits,
}

impl ClientConfig {
    /// A client of `rtmp://{host}/{app}/{stream}` with Enhanced RTMP. `host` may name a port.
    pub fn new(host: &str, app: &str, stream: &str) -> ClientConfig {
        ClientConfig {
            app: app.to_owned(),
            tc_url: format!("rtmp://{host}/{app}"),
            stream: stream.to_owned(),
            flash_ver: "FMLE/3.0 (compatible; Headwater)".to_owned(),
            capabilities: Capabilities::forward_all(),
            chunk_size: 65_536,
            limits: Limits {
                max_output_bytes: 4 << 20,
                ..Limits::default()
            },
        }
    }
}

/// What a server told a client.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientEvent {
    /// `connect` was granted; what the server said of its Enhanced RTMP support.
    Connected(Capabilities),
    /// `publish` or `play` was granted: tags may be sent, or follow.
    Started,
    /// `connect`, `publish` or `play` was refused.
    Refused {
        /// One of [`code`](crate::rtmp::code), or another.
        code: String,
        /// Why, for people.
        description: String,
    },
    /// A message of the stream that is played.
    Media {
        /// Audio, video or script.
        kind: TagKind,
        /// The message's time in milliseconds, modulo 2^32.
        wire_ms: u32,
        /// The tag's body.
        payload: Bytes,
    },
    /// What was granted is over, by the server's will.
    Ended {
        /// One of [`code`](crate::rtmp::code), or another.
        code: String,
        /// Why, for people.
        description: String,
    },
    /// The server asks the client to connect again.
    Reconnect {
        /// Where to, if not to the same address.
        tc_url: Option<String>,
        /// Why, for people.
        description: String,
    },
    /// Any other status.
    Status {
        /// `status`, `warning` or `error`.
        level: String,
        /// One of [`code`](crate::rtmp::code), or another.
        code: String,
        /// For people.
        description: String,
    },
}

/// Why a tag was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The server has not granted the publish, or it is over.
    #[error("the publish has not started or is over")]
    NotStarted,
    /// Output waits to be taken.
    #[error("output is full")]
    OutputFull,
    /// The payload has 2^24 bytes or more.
    #[error("the payload does not fit a message")]
    TooLong,
}
