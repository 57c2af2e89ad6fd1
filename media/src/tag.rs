//! The tag: the one representation of media on every hop.

use std::fmt;
use std::ops::{Add, Sub};

use bytes::Bytes;

/// A decode time stamp, or the difference of two, in milliseconds.
///
/// 64-bit and signed, so that it never wraps: a session's DTS starts at 0 with its first tag; a stream's
/// DTS is the session's plus its `dts_offset`. The wire carries the low 32 bits (see [`Dts::wire_ms`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dts(pub i64);

impl Dts {
    /// The low 32 bits: what FLV (`Timestamp` and `TimestampExtended`, annex E.4.1) and RTMP carry.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the wire's time stamps wrap at 2^32"
    )]
    pub fn wire_ms(self) -> u32 {
        self.0 as u32
    }
}

impl Add for Dts {
    type Output = Dts;
    fn add(self, other: Dts) -> Dts {
        Dts(self.0.saturating_add(other.0))
    }
}

impl Sub for Dts {
    type Output = Dts;
    fn sub(self, other: Dts) -> Dts {
        Dts(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Dts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

/// The three kinds of FLV tag; the values are `TagType` (annex E.4.1) and RTMP's message type id alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TagKind {
    /// Audio data, 8.
    Audio = 8,
    /// Video data, 9.
    Video = 9,
    /// Script data (`onMetaData` and other AMF0 events), 18.
    Script = 18,
}

impl TagKind {
    /// The kind for a `TagType` or RTMP message type id; `None` for every other value.
    pub fn from_wire(value: u8) -> Option<TagKind> {
        match value {
            8 => Some(TagKind::Audio),
            9 => Some(TagKind::Video),
            18 => Some(TagKind::Script),
            _ => None,
        }
    }
}

/// One FLV tag: its kind, its time and its body, which all viewers and hops share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Audio, video or script.
    pub kind: TagKind,
    /// Decode time in the session's time.
    pub dts: Dts,
    /// The tag's body, exactly as the publisher sent it; at most 2^24 − 1 bytes.
    pub payload: Bytes,
}
