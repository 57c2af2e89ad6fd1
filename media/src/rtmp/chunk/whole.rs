//! A message that lies whole in a buffer: its chunks are moved together where they are, and the buffer's part is its payload.
//! That costs less than a copy into memory of its own, which is seldom in the processor's cache as the buffer is.

use bytes::{Buf, Bytes, BytesMut};

use super::header::Basic;

/// What is shorter is copied: it would hold the whole buffer, and is cheap to copy. In bytes.
const MIN_BYTES: usize = 1 << 10;

/// How a message lies in its chunks, all in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Of the first chunk.
    pub(super) header: usize,
    /// Of the payload.
    pub(super) length: usize,
    /// The peer's.
    pub(super) chunk_size: usize,
}

/// Takes the message at the front of `bytes`; `None`, with nothing taken, if it is not whole, small, or its chunks do not
/// follow one another with the shortest header.
pub(super) fn take(bytes: &mut BytesMut, shape: Shape) -> Option<Bytes> {
    let Shape {
        header,
        length,
        chunk_size,
    } = shape;
    if length < MIN_BYTES {
        return None;
    }
    let end = whole_until(bytes, shape)?;
    bytes.advance(header);
    let mut message = bytes.split_to(end.saturating_sub(header));
    let repeated = message.len().saturating_sub(length) / chunks_behind_first(shape).max(1);
    let mut to = chunk_size.min(length);
    let mut from = to;
    while to < length {
        from = from.saturating_add(repeated);
        let until = from.saturating_add(chunk_size.min(length.saturating_sub(to)));
        message.copy_within(from..until, to);
        to = to.saturating_add(until.saturating_sub(from));
        from = until;
    }
    message.truncate(length);
    Some(message.freeze())
}

fn chunks_behind_first(shape: Shape) -> usize {
    shape.length.saturating_sub(1) / shape.chunk_size.max(1)
}

/// Where the message ends.
fn whole_until(bytes: &[u8], shape: Shape) -> Option<usize> {
    let (_, behind) = Basic::parse(bytes)?;
    let (basic, _) = bytes.split_at_checked(bytes.len().checked_sub(behind.len())?)?;
    let (first, others) = basic.split_first()?;
    let mut at = shape.header;
    let mut left = shape.length;
    loop {
        let chunk = left.min(shape.chunk_size);
        at = at.checked_add(chunk)?;
        left = left.saturating_sub(chunk);
        if left == 0 {
            return (at <= bytes.len()).then_some(at);
        }
        let (next, _) = bytes.get(at..)?.split_at_checked(basic.len())?;
        if next.split_first()? != (&(first | 0xC0), others) {
            return None;
        }
        at = at.checked_add(basic.len())?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `length` bytes of payload in chunks of 1,000, with `basic` before each and ten bytes of header more before the first.
    fn chunks(basic: &[u8], length: usize) -> (BytesMut, Shape) {
        let payload: Vec<u8> = (0..=250).cycle().take(length).collect();
        let mut bytes = BytesMut::new();
        for (n, chunk) in payload.chunks(1_000).enumerate() {
            let format = if n == 0 { 0 } else { 0xC0 };
            bytes.extend_from_slice(&[&[basic[0] | format], &basic[1..]].concat());
            bytes.extend_from_slice(if n == 0 { &[9; 10] } else { &[] });
            bytes.extend_from_slice(chunk);
        }
        let shape = Shape {
            header: basic.len() + 10,
            length,
            chunk_size: 1_000,
        };
        (bytes, shape)
    }

    #[test]
    fn a_message_is_taken_with_its_headers_and_what_follows_is_left() {
        for basic in [&[4][..], &[0, 7], &[1, 7, 1]] {
            for length in [1_024, 1_999, 2_000, 2_001, 30_000] {
                let (mut bytes, shape) = chunks(basic, length);
                bytes.extend_from_slice(b"next");
                let payload = take(&mut bytes, shape).unwrap();
                assert!(
                    payload.iter().copied().eq((0..=250).cycle().take(length)),
                    "{basic:?}, {length}"
                );
                assert_eq!(bytes[..], *b"next", "{basic:?}, {length}");
            }
        }
    }

    #[test]
    fn nothing_is_taken_of_what_is_small_cut_or_mixed_with_another_message() {
        let other = |at: usize| {
            let (mut bytes, shape) = chunks(&[4], 2_500);
            bytes[at] ^= 1;
            (bytes, shape)
        };
        let (mut cut, shape) = chunks(&[4], 2_500);
        cut.truncate(cut.len() - 1);
        for (name, (bytes, shape)) in [
            ("small", chunks(&[4], 1_023)),
            ("cut in its last chunk", (cut.clone(), shape)),
            ("cut in its first", (BytesMut::from(&cut[..500]), shape)),
            ("cut at a header", (BytesMut::from(&cut[..1_011]), shape)),
            ("another's second chunk", other(1_011)),
            ("another's third chunk", other(2_012)),
        ] {
            let mut left = bytes.clone();
            assert_eq!(take(&mut left, shape), None, "{name}");
            assert_eq!(left, bytes, "{name}");
        }
    }
}
