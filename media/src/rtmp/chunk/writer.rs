//! Messages to chunks.

use bytes::{BufMut, BytesMut};

use super::{DEFAULT_CHUNK_SIZE, EXTENDED};
use crate::rtmp::message::{Head, message_type};

/// Appends a message as chunks of at most `chunk_size` bytes, the first with a full header (format 0).
///
/// The message goes on the chunk stream that it names, which must be between 2 and 63. Returns whether it was
/// written: `false` for another chunk stream, a chunk size of 0, or a payload that 24 bits cannot measure.
pub fn put_message(out: &mut BytesMut, head: Head, payload: &[u8], chunk_size: usize) -> bool {
    let (Some(id), Some(length)) = (short_id(head.chunk_stream_id), length(payload)) else {
        return false;
    };
    if chunk_size == 0 {
        return false;
    }
    out.put_u8(id);
    let extended = put_time(out, head.timestamp);
    out.put_slice(&length);
    out.put_u8(head.type_id);
    out.put_u32_le(head.stream_id);
    put_body(out, id, payload, extended, chunk_size);
    true
}

/// What the last message of a chunk stream leaves for the next one to build on.
#[derive(Clone, Copy, Debug)]
struct Last {
    id: u8,
    stream_id: u32,
    timestamp: u32,
}

/// Writes one end's messages, each whole before the next one begins.
#[derive(Debug)]
pub struct Writer {
    chunk_size: usize,
    last: [Option<Last>; 4],
}

impl Default for Writer {
    fn default() -> Writer {
        Writer {
            chunk_size: DEFAULT_CHUNK_SIZE,
            last: [None; 4],
        }
    }
}

impl Writer {
    /// The size of this writer's chunks, in bytes.
    pub fn chunk_size(&self) -> usize {
        self.chunk_size
    }

    /// Announces `bytes` as the chunk size and uses it for what comes after.
    pub fn set_chunk_size(&mut self, out: &mut BytesMut, bytes: u32) {
        let size = bytes.clamp(1, 0x00FF_FFFF);
        let head = Head {
            chunk_stream_id: 2,
            timestamp: 0,
            type_id: message_type::SET_CHUNK_SIZE,
            stream_id: 0,
        };
        put_message(out, head, &size.to_be_bytes(), self.chunk_size);
        self.chunk_size = usize::try_from(size).unwrap_or(DEFAULT_CHUNK_SIZE);
    }

    /// Appends a message, with the shorter header of format 1 where its chunk stream goes forward in the same
    /// message stream. Returns whether it was written, as [`put_message`] does.
    pub fn write(&mut self, out: &mut BytesMut, head: Head, payload: &[u8]) -> bool {
        let (Some(id), Some(length)) = (short_id(head.chunk_stream_id), length(payload)) else {
            return false;
        };
        match self.step(id, head) {
            // Longer distances, and steps back, which wrap around to long distances, get a full header.
            Some(delta) if delta < EXTENDED => {
                out.put_u8(0x40 | id);
                put_time(out, delta);
                out.put_slice(&length);
                out.put_u8(head.type_id);
                put_body(out, id, payload, None, self.chunk_size);
                true
            }
            _ => put_message(out, head, payload, self.chunk_size),
        }
    }

    /// Notes a message of chunk stream `id` and returns its distance in time to the one before, if that was of
    /// the same message stream.
    fn step(&mut self, id: u8, head: Head) -> Option<u32> {
        let slot = self
            .last
            .iter_mut()
            .find(|last| last.is_none_or(|last| last.id == id))?;
        let Head {
            stream_id,
            timestamp,
            ..
        } = head;
        let before = slot.replace(Last {
            id,
            stream_id,
            timestamp,
        })?;
        (before.stream_id == stream_id).then(|| timestamp.wrapping_sub(before.timestamp))
    }
}

fn short_id(chunk_stream_id: u32) -> Option<u8> {
    u8::try_from(chunk_stream_id)
        .ok()
        .filter(|id| (2..64).contains(id))
}

fn length(payload: &[u8]) -> Option<[u8; 3]> {
    let [0, length @ ..] = u32::try_from(payload.len()).ok()?.to_be_bytes() else {
        return None;
    };
    Some(length)
}

/// The 24-bit time field; returns the time if it goes into the extended field.
fn put_time(out: &mut BytesMut, time: u32) -> Option<u32> {
    let extended = (time >= EXTENDED).then_some(time);
    let [_, field @ ..] = time.min(EXTENDED).to_be_bytes();
    out.put_slice(&field);
    extended
}

/// The rest of the first chunk, then chunks of format 3, which repeat the extended time.
fn put_body(out: &mut BytesMut, id: u8, payload: &[u8], extended: Option<u32>, chunk_size: usize) {
    let mut first = true;
    let mut put_start = |out: &mut BytesMut| {
        if !std::mem::take(&mut first) {
            out.put_u8(0xC0 | id);
        }
        if let Some(time) = extended {
            out.put_u32(time);
        }
    };
    if payload.is_empty() {
        put_start(out);
    }
    for part in payload.chunks(chunk_size.max(1)) {
        put_start(out);
        out.put_slice(part);
    }
}
