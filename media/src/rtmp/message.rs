//! A message: what chunks carry, and what commands and media are made of (section 5.1 and 7.1).

use bytes::{Buf, Bytes};

/// Values of [`Message::type_id`].
pub mod message_type {
    /// Sets the sender's chunk size (5.4.1).
    pub const SET_CHUNK_SIZE: u8 = 1;
    /// Gives up a message that has begun (5.4.2).
    pub const ABORT: u8 = 2;
    /// Tells how many bytes have been received (5.4.3).
    pub const ACKNOWLEDGEMENT: u8 = 3;
    /// Stream begin, ping and the like (7.1.7).
    pub const USER_CONTROL: u8 = 4;
    /// Tells after how many bytes the sender expects an acknowledgement (5.4.4).
    pub const WINDOW_ACKNOWLEDGEMENT_SIZE: u8 = 5;
    /// Limits the receiver's output (5.4.5).
    pub const SET_PEER_BANDWIDTH: u8 = 6;
    /// Audio, the body of an FLV tag (7.1.4).
    pub const AUDIO: u8 = 8;
    /// Video, the body of an FLV tag (7.1.5).
    pub const VIDEO: u8 = 9;
    /// Data, in AMF0 after one byte of format (7.1.2).
    pub const DATA_AMF3: u8 = 15;
    /// Data in AMF0.
    pub const DATA: u8 = 18;
    /// A command, in AMF0 after one byte of format (7.1.1).
    pub const COMMAND_AMF3: u8 = 17;
    /// A command in AMF0.
    pub const COMMAND: u8 = 20;
    /// Several messages in one, each with the head of an FLV tag (7.1.6).
    pub const AGGREGATE: u8 = 22;
}

/// One RTMP message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The chunk stream it came by or is to go by: 2 to 65,599.
    pub chunk_stream_id: u32,
    /// Absolute time in milliseconds, modulo 2^32.
    pub timestamp: u32,
    /// See [`message_type`].
    pub type_id: u8,
    /// 0 for the connection, else what `createStream` answered.
    pub stream_id: u32,
    /// The body, without any chunk header.
    pub payload: Bytes,
}

/// A message without its payload: what a chunk header says of it, except the length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// As in [`Message`].
    pub chunk_stream_id: u32,
    /// As in [`Message`].
    pub timestamp: u32,
    /// As in [`Message`].
    pub type_id: u8,
    /// As in [`Message`].
    pub stream_id: u32,
}

impl Message {
    /// All but the payload.
    pub fn head(&self) -> Head {
        let Message {
            chunk_stream_id,
            timestamp,
            type_id,
            stream_id,
            payload: _,
        } = *self;
        Head {
            chunk_stream_id,
            timestamp,
            type_id,
            stream_id,
        }
    }
}

/// Why a message's payload is not what its type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// A control message that is too short for its fields.
    #[error("control message of type {0} is cut short")]
    ControlCut(u8),
    /// An aggregate message that ends inside one of its parts.
    #[error("aggregate message is cut short")]
    AggregateCut,
}

/// Splits an aggregate message (7.1.6): its time stamps count from the first part's, which gets the
/// aggregate's own. The parts are copied, since a small one that is kept must not keep all the others.
#[derive(Clone, Debug)]
pub(super) struct Aggregate {
    rest: Bytes,
    timestamp: u32,
    chunk_stream_id: u32,
    stream_id: u32,
    first: Option<u32>,
}

impl Aggregate {
    /// The parts that are whole, and whether the message ends behind one.
    pub(super) fn new(message: Message) -> (Aggregate, Result<(), MessageError>) {
        let mut rest = message.payload;
        let whole = whole_parts(&rest);
        let ends = if whole == rest.len() {
            Ok(())
        } else {
            Err(MessageError::AggregateCut)
        };
        rest.truncate(whole);
        let parts = Aggregate {
            rest,
            timestamp: message.timestamp,
            chunk_stream_id: message.chunk_stream_id,
            stream_id: message.stream_id,
            first: None,
        };
        (parts, ends)
    }

    /// The next part; `None` at the end.
    pub(super) fn part(&mut self) -> Option<Message> {
        let PartHead {
            type_id,
            size,
            time,
        } = PartHead::of(&self.rest)?;
        let body = self.rest.get(PART_HEAD_BYTES..)?.get(..size)?;
        let payload = Bytes::copy_from_slice(body);
        // The size of the part again, for players that go backward. Some encoders leave out the last one.
        let past = PART_HEAD_BYTES.saturating_add(size).saturating_add(4);
        self.rest.advance(past.min(self.rest.len()));
        let first = *self.first.get_or_insert(time);
        Some(Message {
            chunk_stream_id: self.chunk_stream_id,
            timestamp: self.timestamp.wrapping_add(time.wrapping_sub(first)),
            type_id,
            stream_id: self.stream_id,
            payload,
        })
    }
}

/// A type, a size, a time and a message stream.
const PART_HEAD_BYTES: usize = 11;

struct PartHead {
    type_id: u8,
    size: usize,
    time: u32,
}

impl PartHead {
    fn of(bytes: &[u8]) -> Option<PartHead> {
        let [type_id, size @ .., t2, t1, t0, t3, _, _, _] =
            bytes.first_chunk::<PART_HEAD_BYTES>()?;
        Some(PartHead {
            type_id: *type_id,
            size: usize::try_from(u24(*size)).unwrap_or(usize::MAX),
            time: u32::from_be_bytes([*t3, *t2, *t1, *t0]),
        })
    }
}

/// Where the last whole part of an aggregate ends, with its size behind it.
fn whole_parts(bytes: &[u8]) -> usize {
    let mut whole = 0_usize;
    while let Some(head) = bytes.get(whole..).and_then(PartHead::of) {
        let end = whole
            .saturating_add(PART_HEAD_BYTES)
            .saturating_add(head.size);
        if end > bytes.len() {
            break;
        }
        whole = end.saturating_add(4).min(bytes.len());
    }
    whole
}

/// Three bytes, the highest first.
pub(super) fn u24([a, b, c]: [u8; 3]) -> u32 {
    u32::from_be_bytes([0, a, b, c])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aggregate(payload: Vec<u8>) -> (Aggregate, Result<(), MessageError>) {
        Aggregate::new(Message {
            chunk_stream_id: 4,
            timestamp: 1_000,
            type_id: message_type::AGGREGATE,
            stream_id: 1,
            payload: payload.into(),
        })
    }

    fn part(type_id: u8, time: u32, body: &[u8]) -> Vec<u8> {
        let [t3, t2, t1, t0] = time.to_be_bytes();
        let size = u8::try_from(body.len()).unwrap();
        let mut bytes = vec![type_id, 0, 0, size, t2, t1, t0, t3, 0, 0, 0];
        bytes.extend_from_slice(body);
        bytes.extend_from_slice(&[0, 0, 0, size + 11]);
        bytes
    }

    #[test]
    fn parts_keep_their_distance_from_the_first() {
        let bytes = [
            part(9, 0x0100_0000, b"ab"),
            part(8, 0x0100_0014, b""),
            part(9, 0x00FF_FFFF, b"c"),
        ]
        .concat();
        for end in [bytes.len(), bytes.len() - 4] {
            let (mut parts, ends) = aggregate(bytes[..end].to_vec());
            assert_eq!(ends, Ok(()));
            let mut seen = Vec::new();
            while let Some(part) = parts.part() {
                assert_eq!(part.stream_id, 1);
                seen.push((part.type_id, part.timestamp, part.payload.to_vec()));
            }
            assert_eq!(
                seen,
                [
                    (9, 1_000, b"ab".to_vec()),
                    (8, 1_020, vec![]),
                    (9, 999, b"c".to_vec())
                ]
            );
        }
    }

    #[test]
    fn an_aggregate_that_ends_inside_a_part_is_an_error_behind_those_that_are_whole() {
        let whole = part(8, 0, b"ok");
        let bytes = [whole.clone(), part(9, 0, b"abc")].concat();
        for cut in whole.len() + 1..whole.len() + 14 {
            let (mut parts, ends) = aggregate(bytes[..cut].to_vec());
            assert_eq!(ends, Err(MessageError::AggregateCut), "{cut}");
            assert_eq!(parts.part().map(|it| it.payload), Some("ok".into()));
            assert_eq!(parts.part(), None);
        }
    }
}
