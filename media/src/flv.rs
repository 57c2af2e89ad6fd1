//! FLV, as a file and as a stream over HTTP (Video File Format 10.1, annex E).
//!
//! ```text
//! header (9) · PreviousTagSize0 (4) · { tag head (11) · body · PreviousTagSize (4) } …
//! ```

mod error;
mod read;
mod write;

pub use error::FlvError;
pub use read::{Header, Reader, WireTag};
pub use write::{
    HEADER_BYTES, PREVIOUS_TAG_SIZE_BYTES, TAG_HEAD_BYTES, TAG_PAYLOAD_MAX_BYTES, encode_tag,
    header, previous_tag_size, tag_head,
};
