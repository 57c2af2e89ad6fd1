//! How one tag looks on a viewer's wire.

use bytes::{BufMut, BytesMut};
use headwater_hub::Kinds;
use headwater_media::rtmp::play;
use headwater_media::{Dts, Tag, flv};

/// The framing of a viewer's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// FLV, each tag an HTTP/1.1 chunk of its own, so that a viewer's run can be cut between any two tags.
    FlvChunked,
    /// FLV without chunk framing: HTTP/1.0, and whatever frames bodies itself.
    FlvPlain,
    /// RTMP messages on the play stream.
    Rtmp,
    /// FLV, its header and each tag a binary WebSocket message of its own.
    FlvWebSocket,
}

impl Format {
    /// The number of formats.
    pub const COUNT: usize = 4;

    /// What comes before the first tag.
    pub fn begin(self, kinds: Kinds, out: &mut BytesMut) {
        let header = flv::header(kinds.audio, kinds.video);
        match self {
            Format::FlvChunked => {
                chunk_head(header.len(), out);
                out.extend_from_slice(&header);
                out.extend_from_slice(b"\r\n");
            }
            Format::FlvPlain => out.extend_from_slice(&header),
            Format::FlvWebSocket => {
                message_head(header.len(), out);
                out.extend_from_slice(&header);
            }
            Format::Rtmp => {}
        }
    }

    /// Appends `tag` stamped `at`. A payload that does not fit the 24-bit `DataSize` field is left out.
    pub fn encode(self, tag: &Tag, at: Dts, out: &mut BytesMut) {
        match self {
            Format::FlvChunked => {
                let body = flv::TAG_HEAD_BYTES + tag.payload.len() + flv::PREVIOUS_TAG_SIZE_BYTES;
                let Some(head) = flv::tag_head(tag.kind, tag.payload.len(), at.wire_ms(), 0) else {
                    return;
                };
                chunk_head(body, out);
                encode_flv(&head, tag, out);
                out.extend_from_slice(b"\r\n");
            }
            Format::FlvPlain => {
                let Some(head) = flv::tag_head(tag.kind, tag.payload.len(), at.wire_ms(), 0) else {
                    return;
                };
                encode_flv(&head, tag, out);
            }
            Format::FlvWebSocket => {
                let body = flv::TAG_HEAD_BYTES + tag.payload.len() + flv::PREVIOUS_TAG_SIZE_BYTES;
                let Some(head) = flv::tag_head(tag.kind, tag.payload.len(), at.wire_ms(), 0) else {
                    return;
                };
                message_head(body, out);
                encode_flv(&head, tag, out);
            }
            Format::Rtmp => {
                play::encode_message(tag.kind, at.wire_ms(), &tag.payload, out);
            }
        }
    }

    /// What ends a stream whose publisher will not come back.
    pub fn end(self) -> &'static [u8] {
        match self {
            Format::FlvChunked => b"0\r\n\r\n",
            // A close whose code is 1000, "normal" (RFC 6455, 7.4.1).
            Format::FlvWebSocket => b"\x88\x02\x03\xE8",
            Format::FlvPlain | Format::Rtmp => b"",
        }
    }
}

fn encode_flv(head: &[u8; flv::TAG_HEAD_BYTES], tag: &Tag, out: &mut BytesMut) {
    out.extend_from_slice(head);
    out.extend_from_slice(&tag.payload);
    out.extend_from_slice(&flv::previous_tag_size(tag.payload.len()));
}

/// `chunk-size CRLF` (RFC 9112, 7.1).
fn chunk_head(mut size: usize, out: &mut BytesMut) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0_u8; 16];
    let mut used = 0;
    for slot in text.iter_mut().rev() {
        *slot = DIGITS.get(size & 0xF).copied().unwrap_or(b'0');
        used += 1;
        size >>= 4;
        if size == 0 {
            break;
        }
    }
    out.extend_from_slice(text.get(text.len() - used..).unwrap_or_default());
    out.extend_from_slice(b"\r\n");
}

/// The head of a binary message in one frame, which a server does not mask (RFC 6455, 5.2).
fn message_head(size: usize, out: &mut BytesMut) {
    out.put_u8(0x82);
    if let Ok(short @ 0..=125) = u8::try_from(size) {
        out.put_u8(short);
    } else if let Ok(middle) = u16::try_from(size) {
        out.put_u8(126);
        out.put_u16(middle);
    } else {
        out.put_u8(127);
        out.put_u64(size as u64);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use headwater_media::TagKind;

    use super::*;

    #[test]
    fn chunk_sizes_are_hexadecimal_without_leading_zeros() {
        for (size, text) in [
            (0, "0\r\n"),
            (9, "9\r\n"),
            (0x1f, "1f\r\n"),
            (0x0100_0000, "1000000\r\n"),
        ] {
            let mut out = BytesMut::new();
            chunk_head(size, &mut out);
            assert_eq!(String::from_utf8(out.to_vec()).unwrap(), text);
        }
    }

    #[test]
    fn message_lengths_take_the_shortest_form() {
        for (size, head) in [
            (125, vec![0x82, 125]),
            (126, vec![0x82, 126, 0, 126]),
            (0xFFFF, vec![0x82, 126, 0xFF, 0xFF]),
            (0x1_0000, vec![0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let mut out = BytesMut::new();
            message_head(size, &mut out);
            assert_eq!(out, head, "{size}");
        }
    }

    #[test]
    fn a_chunk_holds_exactly_one_tag() {
        let tag = Tag {
            kind: TagKind::Audio,
            dts: Dts(7),
            payload: Bytes::from_static(b"abc"),
        };
        let (mut plain, mut chunked) = (BytesMut::new(), BytesMut::new());
        Format::FlvPlain.encode(&tag, tag.dts, &mut plain);
        Format::FlvChunked.encode(&tag, tag.dts, &mut chunked);
        assert_eq!(plain.len(), 11 + 3 + 4);
        assert_eq!(chunked, [b"12\r\n".as_slice(), &plain, b"\r\n"].concat());
    }
}
