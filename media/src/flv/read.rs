//! Bytes to tags.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

use super::error::FlvError;
use super::write::{HEADER_BYTES, PREVIOUS_TAG_SIZE_BYTES, TAG_HEAD_BYTES};
use crate::TagKind;

/// A tag as it is on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireTag {
    /// Audio, video or script.
    pub kind: TagKind,
    /// `Timestamp` and `TimestampExtended`, milliseconds.
    pub wire_ms: u32,
    /// `StreamID`, 24 bits; 0 in what is meant for players.
    pub stream_id: u32,
    /// The body; a slice of what was fed where it lay in one piece.
    pub payload: Bytes,
}

/// What the file header says (annex E.2); it binds nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// `TypeFlagsAudio`.
    pub has_audio: bool,
    /// `TypeFlagsVideo`.
    pub has_video: bool,
}

/// Reads FLV from pieces of any size.
///
/// Feed what arrives, then take tags until there are none. It then holds no more than one tag, and allocates only
/// for bytes that have come. Once it has failed it stays failed.
#[derive(Debug)]
pub struct Reader {
    payload_max_bytes: usize,
    fed: VecDeque<Bytes>,
    /// The beginning of the field that is read, of whose end nothing is in `fed`.
    partial: BytesMut,
    next: Field,
    /// Bytes before `next`.
    at: u64,
    header: Option<Header>,
    failed: Option<FlvError>,
}

/// What comes next.
#[derive(Clone, Debug)]
enum Field {
    Header,
    TagHead,
    Payload(TagHead),
    PreviousTagSize(WireTag),
}

#[derive(Clone, Copy, Debug)]
struct TagHead {
    kind: TagKind,
    wire_ms: u32,
    stream_id: u32,
    payload_bytes: usize,
}

/// Reserved at once for a body that comes in pieces; a longer one grows as it comes.
const RESERVE_MAX_BYTES: usize = 256 * 1024;

impl Reader {
    /// A reader at the beginning of a stream, which takes bodies of at most `payload_max_bytes`.
    pub fn new(payload_max_bytes: usize) -> Reader {
        Reader {
            payload_max_bytes,
            fed: VecDeque::new(),
            partial: BytesMut::new(),
            next: Field::Header,
            at: 0,
            header: None,
            failed: None,
        }
    }

    /// Adds the next bytes of the stream.
    pub fn feed(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.fed.push_back(bytes);
        }
    }

    /// The next tag, once its last byte and the size behind it have come; `None` until then.
    ///
    /// # Errors
    /// If the bytes are not FLV, or a tag is over the limit; from then on always the same error.
    pub fn next_tag(&mut self) -> Result<Option<WireTag>, FlvError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let result = self.read();
        if let Err(error) = result {
            self.failed = Some(error);
            self.fed.clear();
            self.partial = BytesMut::new();
        }
        result
    }

    /// The file header, once it has been read.
    pub fn header(&self) -> Option<Header> {
        self.header
    }

    /// Says whether the stream may end here: behind the header or a whole tag.
    ///
    /// # Errors
    /// [`FlvError::Cut`] inside the header or a tag, or the error that the reader has failed with.
    pub fn finish(&self) -> Result<(), FlvError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let held = self
            .fed
            .iter()
            .map(Bytes::len)
            .fold(self.partial.len(), usize::saturating_add);
        if held == 0 && matches!(self.next, Field::TagHead) {
            return Ok(());
        }
        Err(FlvError::Cut {
            at: self
                .at
                .saturating_add(u64::try_from(held).unwrap_or(u64::MAX)),
        })
    }

    fn read(&mut self) -> Result<Option<WireTag>, FlvError> {
        loop {
            let at = self.at;
            match &self.next {
                Field::Header => {
                    let Some(header) = self.array::<HEADER_BYTES>() else {
                        return Ok(None);
                    };
                    self.header = Some(read_header(header)?);
                    self.next = Field::TagHead;
                }
                Field::TagHead => {
                    let Some(head) = self.array::<TAG_HEAD_BYTES>() else {
                        return Ok(None);
                    };
                    self.next = Field::Payload(read_tag_head(head, self.payload_max_bytes, at)?);
                }
                Field::Payload(TagHead {
                    kind,
                    wire_ms,
                    stream_id,
                    payload_bytes,
                }) => {
                    let (kind, wire_ms, stream_id) = (*kind, *wire_ms, *stream_id);
                    let Some(payload) = self.take(*payload_bytes) else {
                        return Ok(None);
                    };
                    self.next = Field::PreviousTagSize(WireTag {
                        kind,
                        wire_ms,
                        stream_id,
                        payload,
                    });
                }
                Field::PreviousTagSize(tag) => {
                    let payload_bytes = tag.payload.len();
                    let Some(size) = self.array::<PREVIOUS_TAG_SIZE_BYTES>() else {
                        return Ok(None);
                    };
                    let bytes = payload_bytes.saturating_add(TAG_HEAD_BYTES);
                    check_previous_tag_size(bytes, size, at)?;
                    if let Field::PreviousTagSize(tag) =
                        std::mem::replace(&mut self.next, Field::TagHead)
                    {
                        return Ok(Some(tag));
                    }
                }
            }
        }
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        if self.partial.is_empty()
            && let Some(front) = self.fed.front_mut()
            && let Some(array) = front.first_chunk().copied()
        {
            // Not taken as a part: those who share a buffer are counted, which costs more than so few bytes.
            front.advance(N);
            self.took(N);
            return Some(array);
        }
        self.take(N)?.first_chunk().copied()
    }

    /// Takes `bytes` bytes, or else keeps what has come of them.
    fn take(&mut self, bytes: usize) -> Option<Bytes> {
        let taken = if self.partial.is_empty() {
            self.take_whole(bytes)
        } else {
            None
        };
        let taken = taken.or_else(|| self.gather(bytes))?;
        self.took(bytes);
        Some(taken)
    }

    fn took(&mut self, bytes: usize) {
        self.at = self
            .at
            .saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        while self.fed.front().is_some_and(Bytes::is_empty) {
            self.fed.pop_front();
        }
    }

    /// Takes `bytes` bytes without a copy, if they lie in one piece.
    fn take_whole(&mut self, bytes: usize) -> Option<Bytes> {
        if bytes == 0 {
            return Some(Bytes::new());
        }
        let front = self.fed.front_mut().filter(|front| front.len() >= bytes)?;
        Some(front.split_to(bytes))
    }

    fn gather(&mut self, bytes: usize) -> Option<Bytes> {
        while let Some(mut front) = self.fed.pop_front() {
            let missing = bytes.saturating_sub(self.partial.len());
            self.partial.reserve(missing.min(RESERVE_MAX_BYTES));
            self.partial
                .extend_from_slice(&front.split_to(missing.min(front.len())));
            if !front.is_empty() {
                self.fed.push_front(front);
            }
            if self.partial.len() == bytes {
                return Some(self.partial.split().freeze());
            }
        }
        None
    }
}

fn read_header(bytes: [u8; HEADER_BYTES]) -> Result<Header, FlvError> {
    let [f, l, v, version, flags, o0, o1, o2, o3, size @ ..] = bytes;
    if [f, l, v, version] != *b"FLV\x01" {
        return Err(FlvError::Signature {
            found: [f, l, v, version],
        });
    }
    let header_bytes = u32::from_be_bytes([o0, o1, o2, o3]);
    if header_bytes != 9 {
        return Err(FlvError::HeaderSize {
            found: header_bytes,
        });
    }
    check_previous_tag_size(0, size, 9)?;
    Ok(Header {
        has_audio: flags & 0b100 != 0,
        has_video: flags & 0b001 != 0,
    })
}

fn read_tag_head(
    bytes: [u8; TAG_HEAD_BYTES],
    payload_max_bytes: usize,
    at: u64,
) -> Result<TagHead, FlvError> {
    let [found, s2, s1, s0, t2, t1, t0, extended, i2, i1, i0] = bytes;
    // A set filter bit (encrypted) or reserved bit makes the byte another than the three kinds.
    let kind = TagKind::from_wire(found).ok_or(FlvError::TagType { found, at })?;
    let payload_bytes = usize::from(s2) << 16 | usize::from(s1) << 8 | usize::from(s0);
    if payload_bytes > payload_max_bytes {
        return Err(FlvError::TooLarge {
            bytes: payload_bytes,
            max_bytes: payload_max_bytes,
            at,
        });
    }
    Ok(TagHead {
        kind,
        wire_ms: u32::from_be_bytes([extended, t2, t1, t0]),
        stream_id: u32::from_be_bytes([0, i2, i1, i0]),
        payload_bytes,
    })
}

fn check_previous_tag_size(bytes: usize, size: [u8; 4], at: u64) -> Result<(), FlvError> {
    let expected = u32::try_from(bytes).unwrap_or(u32::MAX);
    let found = u32::from_be_bytes(size);
    if found == expected {
        Ok(())
    } else {
        Err(FlvError::PreviousTagSize {
            expected,
            found,
            at,
        })
    }
}

#[cfg(test)]
mod tests;
