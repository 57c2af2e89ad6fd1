//! What somebody asks for.

use std::fmt;

/// What a connection asks for: to send a stream or to receive one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// To send a stream.
    Publish,
    /// To receive a stream.
    Play,
}

impl Kind {
    /// `publish` or `play`: the label of metrics, the word of the HMAC scheme and of the callback's `event`.
    pub fn label(self) -> &'static str {
        match self {
            Kind::Publish => "publish",
            Kind::Play => "play",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}
