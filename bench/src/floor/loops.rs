//! A few seconds of the stream, encoded once and sent again and again with new stamps.

use std::io::IoSlice;

use headwater_media::flv;

use crate::stream::{Frame, Shape};

/// Audio and video frames meet again after so many seconds, for every shape that has whole GOPs of two seconds.
const LOOP_NS: u64 = 8_000_000_000;

#[derive(Debug)]
struct Piece {
    frame: Frame,
    /// Where its HTTP chunk begins.
    at: usize,
    /// Where its tag begins in it.
    tag_at: usize,
    /// Where the chunk ends.
    end: usize,
}

/// The encoded loop and the place in it.
#[derive(Debug)]
pub(super) struct Loop {
    bytes: Vec<u8>,
    pieces: Vec<Piece>,
    turn: u64,
    next: usize,
}

impl Loop {
    pub(super) fn new(shape: Shape) -> Loop {
        let mut bytes = Vec::new();
        let mut pieces = Vec::new();
        let mut payload = Vec::new();
        for frame in shape.frames().take_while(|frame| frame.due_ns < LOOP_NS) {
            frame.fill(0, &mut payload);
            let at = bytes.len();
            let size = flv::TAG_HEAD_BYTES + payload.len() + flv::PREVIOUS_TAG_SIZE_BYTES;
            bytes.extend_from_slice(format!("{size:x}\r\n").as_bytes());
            let tag_at = bytes.len();
            let head = flv::tag_head(frame.kind, payload.len(), 0, 0).unwrap_or_default();
            bytes.extend_from_slice(&head);
            bytes.extend_from_slice(&payload);
            bytes.extend_from_slice(&flv::previous_tag_size(payload.len()));
            bytes.extend_from_slice(b"\r\n");
            pieces.push(Piece {
                frame,
                at,
                tag_at,
                end: bytes.len(),
            });
        }
        Loop {
            bytes,
            pieces,
            turn: 0,
            next: 0,
        }
    }

    /// When the next frame is due, nanoseconds from the stream's beginning.
    pub(super) fn next_due_ns(&self) -> u64 {
        let due = self
            .pieces
            .get(self.next)
            .map_or(0, |piece| piece.frame.due_ns);
        self.turn.saturating_mul(LOOP_NS).saturating_add(due)
    }

    /// Stamps the frames that are due by `until_ns` as if each had been sent when it was due, the stream having begun at
    /// `began_ns`; returns their bytes, in two parts where the loop begins anew. At most one turn of the loop.
    pub(super) fn take(&mut self, began_ns: u64, until_ns: u64) -> [(usize, usize); 2] {
        let mut parts = [(0, 0); 2];
        let mut part = 0;
        let (first_turn, first) = (self.turn, self.next);
        while self.next_due_ns() <= until_ns
            && (self.turn, self.next) < (first_turn.saturating_add(1), first)
        {
            let sent_ns = began_ns.saturating_add(self.next_due_ns());
            let count = self.pieces.len() as u64;
            let Some(piece) = self.pieces.get(self.next) else {
                break;
            };
            let frame = Frame {
                number: self
                    .turn
                    .saturating_mul(count)
                    .saturating_add(piece.frame.number),
                due_ns: self
                    .turn
                    .saturating_mul(LOOP_NS)
                    .saturating_add(piece.frame.due_ns),
                ..piece.frame
            };
            let head =
                flv::tag_head(frame.kind, frame.bytes, frame.wire_ms(), 0).unwrap_or_default();
            if let Some(place) = self.bytes.get_mut(piece.tag_at..piece.tag_at + head.len()) {
                place.copy_from_slice(&head);
            }
            let payload_at = piece.tag_at + flv::TAG_HEAD_BYTES;
            if let Some(payload) = self.bytes.get_mut(payload_at..payload_at + frame.bytes) {
                frame.stamp(sent_ns, payload);
            }
            if let Some((from, to)) = parts.get_mut(part) {
                if *to == 0 {
                    *from = piece.at;
                }
                *to = piece.end;
            }
            self.next += 1;
            if self.next == self.pieces.len() {
                self.next = 0;
                self.turn = self.turn.saturating_add(1);
                part += 1;
            }
        }
        parts
    }

    /// The bytes of `parts`, as [`Loop::take`] returned them.
    pub(super) fn slices(&self, parts: [(usize, usize); 2]) -> [IoSlice<'_>; 2] {
        parts.map(|(from, to)| IoSlice::new(self.bytes.get(from..to).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use headwater_media::TagKind;

    use super::*;

    #[test]
    fn windows_carry_every_frame_once_over_the_loops_end() {
        let mut stream = Loop::new(Shape::SMALL);
        let mut reader = flv::Reader::new(1 << 20);
        reader.feed(bytes::Bytes::copy_from_slice(&flv::header(true, true)));
        for tick in 0..200_u64 {
            let parts = stream.take(1_000, tick * 100_000_000);
            for slice in stream.slices(parts) {
                let mut rest: &[u8] = &slice;
                while !rest.is_empty() {
                    let end = rest.windows(2).position(|w| w == b"\r\n").unwrap();
                    let size = std::str::from_utf8(&rest[..end]).unwrap();
                    let size = usize::from_str_radix(size, 16).unwrap();
                    reader.feed(bytes::Bytes::copy_from_slice(
                        &rest[end + 2..end + 2 + size],
                    ));
                    rest = &rest[end + 4 + size..];
                }
            }
        }
        let mut next = 0;
        while let Some(tag) = reader.next_tag().unwrap() {
            let stamp = crate::stream::Stamp::read(tag.kind, &tag.payload).unwrap();
            assert_eq!(stamp.number, next);
            assert_eq!(
                tag.wire_ms,
                u32::try_from((stamp.sent_ns - 1_000) / 1_000_000).unwrap()
            );
            assert_ne!(tag.kind, TagKind::Script);
            next += 1;
        }
        let expected = Shape::SMALL
            .frames()
            .take_while(|f| f.due_ns <= 19_900_000_000)
            .count();
        // Each turn of the loop ends with a whole second, a few frames beside the endless stream.
        assert!(next.abs_diff(expected as u64) <= 8, "{next}, {expected}");
    }
}
