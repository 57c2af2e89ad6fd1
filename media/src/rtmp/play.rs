//! The chunks that all viewers of a stream share: fixed ids and sizes, and full headers, so that bytes built
//! once fit into every connection.

use bytes::BytesMut;

use super::chunk::put_message;
use super::message::Head;
use crate::TagKind;

/// The chunk size that [`accept_play`](super::ServerSession::accept_play) announces, in bytes.
pub const CHUNK_SIZE: u32 = 65_536;

/// The chunk stream of all shared messages. The session itself writes on others.
pub const CHUNK_STREAM_ID: u32 = 6;

/// The message stream that viewers play on: the first one that a connection creates.
pub const MESSAGE_STREAM_ID: u32 = 1;

/// Appends one tag as a whole message: a type 0 chunk and, beyond [`CHUNK_SIZE`] bytes, type 3 chunks.
///
/// `wire_ms` is the low 32 bits of the time, `payload` the tag's body. Returns whether it was written: `false`
/// for payloads of 2^24 bytes or more, which no message can carry.
pub fn encode_message(kind: TagKind, wire_ms: u32, payload: &[u8], out: &mut BytesMut) -> bool {
    let chunk_size = usize::try_from(CHUNK_SIZE).unwrap_or(usize::MAX);
    out.reserve(encoded_len(payload.len()));
    let head = Head {
        chunk_stream_id: CHUNK_STREAM_ID,
        timestamp: wire_ms,
        type_id: kind as u8,
        stream_id: MESSAGE_STREAM_ID,
    };
    put_message(out, head, payload, chunk_size)
}

/// The most bytes that [`encode_message`] appends for a payload of this length.
pub fn encoded_len(payload_bytes: usize) -> usize {
    let chunks = payload_bytes
        .div_ceil(usize::try_from(CHUNK_SIZE).unwrap_or(usize::MAX))
        .max(1);
    payload_bytes
        .saturating_add(11)
        .saturating_add(chunks.saturating_mul(5))
}
