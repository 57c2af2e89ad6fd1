//! Why a name was refused.

use std::fmt;

use thiserror::Error;

use super::KEY_MAX_BYTES;
use crate::query::QueryError;

/// A part of a stream's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NamePart {
    /// The virtual host: `?vhost=`, or what the configuration says for the host.
    Vhost,
    /// The application.
    App,
    /// The application's instance, which may be missing.
    Instance,
    /// The stream.
    Stream,
}

impl fmt::Display for NamePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NamePart::Vhost => "vhost",
            NamePart::App => "app",
            NamePart::Instance => "instance",
            NamePart::Stream => "stream name",
        })
    }
}

/// Why a name was refused: what is wrong, in which part, and what to do. It never repeats what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// A part is missing.
    #[error(
        "the {part} is empty: use the form app/stream or app/instance/stream, without double slashes"
    )]
    Empty {
        /// Which part.
        part: NamePart,
    },
    /// More than app, instance and stream.
    #[error("the name has too many parts: use the form app/stream or app/instance/stream")]
    TooManyParts,
    /// A `%` without two hexadecimal digits.
    #[error("the {part} has a % without two hexadecimal digits behind it: write a plain % as %25")]
    Escape {
        /// Which part.
        part: NamePart,
    },
    /// Not UTF-8.
    #[error("the {part} is not UTF-8 after its percent escapes are decoded: encode it as UTF-8")]
    Utf8 {
        /// Which part.
        part: NamePart,
    },
    /// A slash inside a part (it was sent as `%2F`).
    #[error("the {part} has a slash inside: choose a name without slashes")]
    Slash {
        /// Which part.
        part: NamePart,
    },
    /// A control character: U+0000 to U+001F, U+007F to U+009F.
    #[error("the {part} has a control character: choose a name without")]
    Control {
        /// Which part.
        part: NamePart,
    },
    /// `.` or `..`.
    #[error("the {part} is `.` or `..`: choose another name")]
    Dots {
        /// Which part.
        part: NamePart,
    },
    /// The whole key is over its limit.
    #[error("the name has {bytes} bytes with its vhost: use at most {KEY_MAX_BYTES}")]
    TooLong {
        /// Bytes of `vhost/app[/instance]/stream`, decoded.
        bytes: usize,
    },
    /// A path that does not end as this kind of playing asks.
    #[error("the path is not that of a stream: ask for /app/stream.{extension}")]
    Extension {
        /// What the path must end with, without the dot.
        extension: &'static str,
    },
    /// The query behind the name.
    #[error(transparent)]
    Query(#[from] QueryError),
}

impl NameError {
    /// The kind of error, as a label.
    pub fn reason(&self) -> &'static str {
        match self {
            NameError::Empty { .. } => "name_empty",
            NameError::TooManyParts => "name_too_many_parts",
            NameError::Escape { .. } => "name_bad_escape",
            NameError::Utf8 { .. } => "name_not_utf8",
            NameError::Slash { .. } => "name_slash",
            NameError::Control { .. } => "name_control_character",
            NameError::Dots { .. } => "name_dots",
            NameError::TooLong { .. } => "name_too_long",
            NameError::Extension { .. } => "name_not_playable",
            NameError::Query(error) => error.reason(),
        }
    }
}
