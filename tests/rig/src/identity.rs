//! Bodies that say who sent them: a session and a number, so that a viewer can tell a lost tag from a doubled one
//! without knowing what was pushed.

use bytes::{BufMut as _, Bytes, BytesMut};

const MAGIC: &[u8; 4] = b"HWid";

/// A legacy H.264 picture of at least `bytes` bytes; it does not decode.
pub fn video(keyframe: bool, session: u64, number: u64, bytes: usize) -> Bytes {
    let first = if keyframe { 0x17 } else { 0x27 };
    body(&[first, 1, 0, 0, 0], session, number, bytes)
}

/// A piece of AAC of at least `bytes` bytes; it does not decode.
pub fn audio(session: u64, number: u64, bytes: usize) -> Bytes {
    body(&[0xAF, 1], session, number, bytes)
}

/// A sequence header that ends with `version`.
pub fn video_header(version: u8) -> Bytes {
    Bytes::copy_from_slice(&[0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x1F, version])
}

/// AAC's sequence header.
pub fn audio_header() -> Bytes {
    Bytes::from_static(&[0xAF, 0, 0x12, 0x10])
}

fn body(head: &[u8], session: u64, number: u64, bytes: usize) -> Bytes {
    let mut out = BytesMut::with_capacity(bytes);
    out.put_slice(head);
    out.put_slice(MAGIC);
    out.put_u64(session);
    out.put_u64(number);
    if out.len() < bytes {
        // Not all alike, so that a body in which pieces were swapped has another fingerprint.
        let mut fill = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        while out.len() < bytes {
            fill = fill.rotate_left(7).wrapping_add(0x1234_5678_9ABC_DEF1);
            let word = fill.to_be_bytes();
            let wanted = bytes.saturating_sub(out.len()).min(word.len());
            out.put_slice(word.get(..wanted).unwrap_or(&word));
        }
    }
    out.freeze()
}

/// Session and number of a body that was made here.
pub fn read(payload: &[u8]) -> Option<(u64, u64)> {
    let offset = match payload.first()? {
        0x17 | 0x27 => 5,
        0xAF => 2,
        _ => return None,
    };
    let rest = payload.get(offset..)?.strip_prefix(MAGIC)?;
    let (session, rest) = rest.split_first_chunk::<8>()?;
    let (number, _) = rest.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*session), u64::from_be_bytes(*number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_say_who_sent_them() {
        assert_eq!(read(&video(true, 7, 1 << 40, 100)), Some((7, 1 << 40)));
        assert_eq!(read(&audio(9, 3, 0)), Some((9, 3)));
        assert_eq!(video(false, 1, 1, 100).len(), 100);
        for other in [video_header(1), audio_header(), Bytes::new()] {
            assert_eq!(read(&other), None);
        }
    }
}
