//! Tags to bytes.

use bytes::{BufMut, Bytes, BytesMut};

use crate::{Tag, TagKind};

/// The file header (9 bytes) and `PreviousTagSize0` (4), which every reader expects behind it.
pub const HEADER_BYTES: usize = 13;
/// `TagType`, `DataSize`, `Timestamp`, `TimestampExtended` and `StreamID`.
pub const TAG_HEAD_BYTES: usize = 11;
/// The size that follows each tag.
pub const PREVIOUS_TAG_SIZE_BYTES: usize = 4;
/// What the 24 bits of `DataSize` can say.
pub const TAG_PAYLOAD_MAX_BYTES: usize = 0xFF_FFFF;

/// The FLV header (annex E.2) and `PreviousTagSize0`.
///
/// The flags promise nothing: a stream may begin with one kind and get the other later. Players that wait for each
/// promised kind stall on a stream that lacks it, so set only what was seen.
pub fn header(has_audio: bool, has_video: bool) -> [u8; HEADER_BYTES] {
    let flags = u8::from(has_audio) << 2 | u8::from(has_video);
    [b'F', b'L', b'V', 1, flags, 0, 0, 0, 9, 0, 0, 0, 0]
}

/// The 11 bytes before a body of `payload_bytes` bytes (annex E.4.1).
///
/// `wire_ms` is the time's low 32 bits ([`crate::Dts::wire_ms`]). `stream_id` is 0 for everything that players read.
/// Returns `None` if `payload_bytes` or `stream_id` does not fit its 24 bits.
pub fn tag_head(
    kind: TagKind,
    payload_bytes: usize,
    wire_ms: u32,
    stream_id: u32,
) -> Option<[u8; TAG_HEAD_BYTES]> {
    let [0, s2, s1, s0] = u32::try_from(payload_bytes).ok()?.to_be_bytes() else {
        return None;
    };
    let [0, i2, i1, i0] = stream_id.to_be_bytes() else {
        return None;
    };
    let [extended, t2, t1, t0] = wire_ms.to_be_bytes();
    Some([kind as u8, s2, s1, s0, t2, t1, t0, extended, i2, i1, i0])
}

/// The `PreviousTagSize` behind a tag whose body has `payload_bytes` bytes: the body's size and the head's.
pub fn previous_tag_size(payload_bytes: usize) -> [u8; PREVIOUS_TAG_SIZE_BYTES] {
    let bytes = payload_bytes.saturating_add(TAG_HEAD_BYTES);
    u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes()
}

/// Encodes `tag` as an `FLVTAG` followed by its `PreviousTagSize` (annex E.4.1), in one buffer.
///
/// Returns `None` if the payload does not fit the 24-bit `DataSize` field.
pub fn encode_tag(tag: &Tag) -> Option<Bytes> {
    let payload_bytes = tag.payload.len();
    let head = tag_head(tag.kind, payload_bytes, tag.dts.wire_ms(), 0)?;
    let around = TAG_HEAD_BYTES.saturating_add(PREVIOUS_TAG_SIZE_BYTES);
    let mut out = BytesMut::with_capacity(payload_bytes.saturating_add(around));
    out.put_slice(&head);
    out.put_slice(&tag.payload);
    out.put_slice(&previous_tag_size(payload_bytes));
    Some(out.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dts;

    #[test]
    fn header_flags_say_which_kinds_were_seen() {
        for (audio, video, flags) in [
            (false, false, 0),
            (false, true, 1),
            (true, false, 4),
            (true, true, 5),
        ] {
            let expected = [0x46, 0x4C, 0x56, 1, flags, 0, 0, 0, 9, 0, 0, 0, 0];
            assert_eq!(
                header(audio, video),
                expected,
                "audio {audio}, video {video}"
            );
        }
    }

    #[test]
    fn tag_bytes_are_those_of_the_specification() {
        let tag = Tag {
            kind: TagKind::Video,
            dts: Dts(0x1_89AB_CDEF),
            payload: Bytes::from_static(&[0x17, 0x02]),
        };
        let expected = [
            9, 0, 0, 2, 0xAB, 0xCD, 0xEF, 0x89, 0, 0, 0, 0x17, 0x02, 0, 0, 0, 13,
        ];
        assert_eq!(encode_tag(&tag).unwrap(), expected[..]);
    }

    #[test]
    fn what_does_not_fit_24_bits_is_refused() {
        for (name, payload_bytes, stream_id, fits) in [
            ("largest", 0xFF_FFFF, 0xFF_FFFF, true),
            ("payload over", 0x100_0000, 0, false),
            ("payload over 32 bits", 0x1_0000_0001, 0, false),
            ("stream id over", 0, 0x100_0000, false),
        ] {
            let head = tag_head(TagKind::Audio, payload_bytes, 0, stream_id);
            assert_eq!(head.is_some(), fits, "{name}");
        }
    }

    #[test]
    fn previous_tag_size_counts_the_head() {
        assert_eq!(previous_tag_size(0), [0, 0, 0, 11]);
        assert_eq!(previous_tag_size(0xFF_FFFF), [1, 0, 0, 10]);
    }
}
