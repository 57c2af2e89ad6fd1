//! One tag as a publisher sent it or a viewer got it.

use headwater_media::{TagKind, payload};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A tag without its body: what it was, when, and a fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// FLV's `TagType`: 8, 9 or 18.
    pub kind: u8,
    /// The stamp on the wire, in milliseconds.
    pub ms: u32,
    /// The first 8 bytes of the body's SHA-256, in hexadecimal.
    pub hash: String,
    /// A video keyframe.
    pub keyframe: bool,
    /// A sequence header, or what else is in force from there on: colours, speakers.
    pub header: bool,
    /// Body, in bytes.
    pub bytes: usize,
    /// When it came or went, in microseconds of the recorder's own clock.
    pub at_us: u64,
    /// Session and number, if the tag carries them (see [`crate::identity`]).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub identity: Option<(u64, u64)>,
}

impl Record {
    /// The record of a tag that was seen at `at_us`.
    pub fn of(kind: TagKind, ms: u32, body: &[u8], at_us: u64) -> Record {
        let (keyframe, header) = match kind {
            TagKind::Video => {
                let traits = payload::video(body);
                (traits.keyframe, traits.sequence_header || traits.metadata)
            }
            TagKind::Audio => {
                let traits = payload::audio(body);
                (false, traits.sequence_header || traits.multichannel_config)
            }
            TagKind::Script => (false, false),
        };
        let digest = Sha256::digest(body);
        let hash = digest.iter().take(8).map(|b| format!("{b:02x}")).collect();
        Record {
            kind: kind as u8,
            ms,
            hash,
            keyframe,
            header,
            bytes: body.len(),
            at_us,
            identity: crate::identity::read(body),
        }
    }

    /// Whether two records are of one tag.
    pub fn is_same_tag(&self, other: &Record) -> bool {
        self.kind == other.kind && self.hash == other.hash && self.bytes == other.bytes
    }

    /// Sound or picture; script tags are remade by encoders and servers.
    pub fn is_media(&self) -> bool {
        self.kind != TagKind::Script as u8
    }
}
