//! Why bytes are not FLV.

use thiserror::Error;

/// Why bytes are not FLV, or not what we take. `at` counts the bytes from the beginning to the field at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FlvError {
    /// The first four bytes are not `FLV` and version 1.
    #[error("the stream begins with the bytes {found:02x?}, not with FLV version 1")]
    Signature {
        /// The first four bytes.
        found: [u8; 4],
    },
    /// `DataOffset` is not 9, the only value of version 1.
    #[error("the FLV header says that it has {found} bytes, not 9")]
    HeaderSize {
        /// What `DataOffset` says.
        found: u32,
    },
    /// Neither audio, video nor script, or an encrypted tag.
    #[error("the tag at byte {at} has the type {found}, not 8 (audio), 9 (video) or 18 (script)")]
    TagType {
        /// The whole byte, its filter and reserved bits too.
        found: u8,
        /// Where the tag begins.
        at: u64,
    },
    /// A tag over the reader's limit.
    #[error("the tag at byte {at} has {bytes} bytes: at most {max_bytes} are taken")]
    TooLarge {
        /// What `DataSize` says.
        bytes: usize,
        /// The reader's limit.
        max_bytes: usize,
        /// Where the tag begins.
        at: u64,
    },
    /// `PreviousTagSize` is not the size of the tag before it, so a tag was cut or its size was wrong.
    #[error("the tag before byte {at} has {expected} bytes, but the size behind it says {found}")]
    PreviousTagSize {
        /// The size of the tag before, with its head; 0 behind the header.
        expected: u32,
        /// What the field says.
        found: u32,
        /// Where the field is.
        at: u64,
    },
    /// The stream ended inside the header or a tag.
    #[error("the stream ends at byte {at}, inside a tag or the header")]
    Cut {
        /// How long the stream is.
        at: u64,
    },
}

impl FlvError {
    /// The kind of error, as a label.
    pub fn reason(&self) -> &'static str {
        match self {
            FlvError::Signature { .. } => "flv_signature",
            FlvError::HeaderSize { .. } => "flv_header_size",
            FlvError::TagType { .. } => "flv_tag_type",
            FlvError::TooLarge { .. } => "flv_tag_too_large",
            FlvError::PreviousTagSize { .. } => "flv_previous_tag_size",
            FlvError::Cut { .. } => "flv_cut",
        }
    }
}
