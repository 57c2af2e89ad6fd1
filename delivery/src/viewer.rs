//! A viewer as the roles hand it over, and how it ended.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use headwater_hub::{Dropped, Mode};
use headwater_process::net::Line;

use crate::format::Format;

/// Why a viewer's connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The viewer closed it, in order or by a reset.
    Left,
    /// The stream is over and the viewer has all of it.
    StreamEnded,
    /// The socket failed (timed out, no way to the viewer).
    Socket,
    /// The viewer read nothing for too long.
    Stuck,
    /// What the viewer sent ended it.
    Refused,
    /// The process drains, and it was this viewer's turn.
    Released,
    /// The process ends.
    Shutdown,
}

impl EndReason {
    /// All reasons.
    pub const ALL: [EndReason; 7] = [
        EndReason::Left,
        EndReason::StreamEnded,
        EndReason::Socket,
        EndReason::Stuck,
        EndReason::Refused,
        EndReason::Released,
        EndReason::Shutdown,
    ];

    /// The label for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            EndReason::Left => "left",
            EndReason::StreamEnded => "stream_ended",
            EndReason::Socket => "socket",
            EndReason::Stuck => "stuck",
            EndReason::Refused => "refused",
            EndReason::Released => "released",
            EndReason::Shutdown => "shutdown",
        }
    }
}

/// How a viewer's connection went.
#[derive(Clone, Copy, Debug)]
pub struct ViewerEnd {
    /// Why it ended.
    pub reason: EndReason,
    /// Bytes written to the socket.
    pub bytes: u64,
    /// How long it was on.
    pub duration: Duration,
    /// Time from joining to the first tag's bytes; `None` if none was sent.
    pub startup: Option<Duration>,
    /// What it did not get.
    pub dropped: Dropped,
}

/// What to do about bytes that a viewer sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// Go on.
    Continue,
    /// Send this between two tags.
    Reply(Bytes),
    /// Send this as the last word, between two tags, and close: the viewer has left in good order.
    Close(Bytes),
    /// End the connection, for this reason.
    End(EndReason),
}

/// Reads what a viewer sends while it plays (RTMP: acknowledgements, pings, commands). HTTP viewers have none: what they
/// send is thrown away.
pub trait Inbound: Send {
    /// Takes bytes in the order in which they came.
    fn received(&mut self, bytes: &[u8]) -> Reaction;
}

/// A viewer's connection, ready for media.
pub struct Viewer {
    /// The connection; its request has been read.
    pub socket: Line,
    /// How it trades delay for completeness.
    pub mode: Mode,
    /// The framing of its bytes.
    pub format: Format,
    /// What goes first: the response head or the RTMP answers.
    pub head: Bytes,
    /// What goes last when the stream ends, behind the format's own end.
    pub tail: Bytes,
    /// What goes last, in its place, when the viewer is released to connect elsewhere.
    pub release: Bytes,
    /// Reads what the viewer sends.
    pub inbound: Option<Box<dyn Inbound>>,
    /// Called once when the connection is over.
    pub on_end: Box<dyn FnOnce(ViewerEnd) + Send>,
}

impl fmt::Debug for Viewer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Viewer")
            .field("mode", &self.mode)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}
