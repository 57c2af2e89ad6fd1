//! One chunk stream: what its chunks so far say about the next one.

use bytes::Bytes;

use super::error::ChunkError;
use super::header::Fields;
use crate::rtmp::message::{Message, message_type};

/// A type 3 chunk that begins a message repeats the time distance of the chunk before it; after a type 0
/// chunk, section 5.3.1.2.4 takes that chunk's absolute time for the distance. Encoders that use the pair in
/// mid-stream mean "the same time again" instead, so a time beyond this counts as no distance.
const MAX_FIRST_DELTA_MS: u32 = 1_000;

/// What the chunks of a chunk stream so far say about the next one.
#[derive(Debug)]
pub(super) struct ChunkStream {
    pub(super) id: u32,
    pub(super) timestamp: u32,
    pub(super) delta: u32,
    /// The time as the last header had it, if that was in the extended field.
    pub(super) extended: Option<u32>,
    pub(super) length: usize,
    pub(super) type_id: u8,
    pub(super) stream_id: u32,
    /// The payload so far of the message that has begun.
    pub(super) partial: Option<Vec<u8>>,
}

impl ChunkStream {
    pub(super) fn new(id: u32) -> ChunkStream {
        ChunkStream {
            id,
            timestamp: 0,
            delta: 0,
            extended: None,
            length: 0,
            type_id: 0,
            stream_id: 0,
            partial: None,
        }
    }

    /// The header of a new message; `None` for format 3, which repeats the one before.
    pub(super) fn apply(&mut self, fields: Option<Fields>) {
        let Some(fields) = fields else {
            self.timestamp = self.timestamp.wrapping_add(self.delta);
            return;
        };
        self.extended = fields.extended.then_some(fields.time);
        if let Some((length, type_id)) = fields.kind {
            self.length = usize::try_from(length).unwrap_or(usize::MAX);
            self.type_id = type_id;
        }
        if let Some(stream_id) = fields.stream_id {
            self.stream_id = stream_id;
            self.timestamp = fields.time;
            self.delta = if fields.time > MAX_FIRST_DELTA_MS {
                0
            } else {
                fields.time
            };
        } else {
            self.timestamp = self.timestamp.wrapping_add(fields.time);
            self.delta = fields.time;
        }
    }

    /// The length of the media message that a chunk with the header `fields` begins; `None` where it begins none, or has
    /// its time in the extended field, which some encoders repeat in every chunk and some do not.
    pub(super) fn next_length(&self, fields: Option<Fields>) -> Option<usize> {
        let extended = fields.map_or(self.extended.is_some(), |fields| fields.extended);
        if self.partial.is_some() || extended {
            return None;
        }
        let (length, type_id) = match fields.and_then(|fields| fields.kind) {
            Some((length, type_id)) => (usize::try_from(length).ok()?, type_id),
            None => (self.length, self.type_id),
        };
        matches!(type_id, message_type::AUDIO | message_type::VIDEO).then_some(length)
    }

    /// The message whose header was applied last.
    pub(super) fn message(&self, payload: Bytes) -> Message {
        Message {
            chunk_stream_id: self.id,
            timestamp: self.timestamp,
            type_id: self.type_id,
            stream_id: self.stream_id,
            payload,
        }
    }

    /// Some encoders repeat the message header inside a message. That is harmless while it says the same.
    pub(super) fn check_repeated(&mut self, fields: Option<Fields>) -> Result<(), ChunkError> {
        let Some(fields) = fields else { return Ok(()) };
        let same = fields.kind.is_none_or(|(length, type_id)| {
            usize::try_from(length) == Ok(self.length) && type_id == self.type_id
        });
        if !same {
            return Err(ChunkError::HeaderInsideMessage(self.id));
        }
        self.extended = fields.extended.then_some(fields.time);
        Ok(())
    }
}

/// What follows the extended time of a type 3 chunk, which repeats that of the header before it (5.3.1.3);
/// `None` if more bytes are needed. Encoders that leave it out are told by its value.
pub(super) fn skip_repeated_time<'a>(
    stream: Option<&ChunkStream>,
    bytes: &'a [u8],
) -> Option<&'a [u8]> {
    let Some((stream, time)) = stream.and_then(|stream| Some((stream, stream.extended?))) else {
        return Some(bytes);
    };
    let (repeated, rest) = bytes.split_first_chunk()?;
    let repeated = u32::from_be_bytes(*repeated);
    Some(if repeated == time || repeated == stream.timestamp {
        rest
    } else {
        bytes
    })
}
