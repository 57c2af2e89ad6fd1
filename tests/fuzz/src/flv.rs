//! The FLV reader.

use bytes::Bytes;
use headwater_media::flv::{self, FlvError, Header, Reader, WireTag};
use headwater_media::{Dts, Tag, TagKind};

use crate::cut::pieces;
use crate::heap;

const PAYLOAD_MAX_BYTES: usize = 16 << 10;

#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    header: Option<Header>,
    tags: Vec<WireTag>,
    end: Result<(), FlvError>,
}

fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Outcome {
    let mut reader = Reader::new(PAYLOAD_MAX_BYTES);
    let mut tags = Vec::new();
    let go = || {
        for piece in pieces {
            reader.feed(Bytes::copy_from_slice(piece));
            while let Some(tag) = reader.next_tag()? {
                tags.push(tag);
            }
        }
        reader.finish()
    };
    let end = go();
    Outcome {
        header: reader.header(),
        tags,
        end,
    }
}

/// First byte: how the rest is cut.
pub(crate) fn run(bytes: &[u8]) {
    let [seed, bytes @ ..] = bytes else { return };
    let (whole, heap_bytes) = heap::peak(|| read(std::iter::once(bytes)));
    // The copy that is fed, one tag that is not whole, and the list of tags.
    let allowed = 3 * bytes.len() + PAYLOAD_MAX_BYTES + whole.tags.len() * 256 + 4_096;
    assert!(heap_bytes <= allowed, "{heap_bytes} bytes in use");
    assert_eq!(
        whole,
        read(pieces(bytes, *seed)),
        "a split changes the tags"
    );

    let mut again = flv::header(true, true).to_vec();
    for tag in &whole.tags {
        assert!(tag.payload.len() <= PAYLOAD_MAX_BYTES);
        let tag = Tag {
            kind: tag.kind,
            dts: Dts(tag.wire_ms.into()),
            payload: tag.payload.clone(),
        };
        again.extend_from_slice(&flv::encode_tag(&tag).expect("a payload within 24 bits"));
    }
    let again = read(std::iter::once(&again[..]));
    assert_eq!(again.end, Ok(()), "what was written cannot be read");
    let without_id = whole.tags.into_iter().map(|tag| WireTag {
        stream_id: 0,
        ..tag
    });
    assert_eq!(
        again.tags,
        without_id.collect::<Vec<_>>(),
        "what was written reads differently"
    );
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let tag = |kind, dts, payload: &[u8]| {
        let payload = Bytes::copy_from_slice(payload);
        flv::encode_tag(&Tag {
            kind,
            dts: Dts(dts),
            payload,
        })
        .expect("a small payload")
    };
    let file = [
        &flv::header(true, true)[..],
        &tag(TagKind::Script, 0, b"\x02\x00\x0AonMetaData\x05"),
        &tag(TagKind::Video, 0, &[0x17, 0, 0, 0, 0, 1]),
        &tag(TagKind::Audio, 0x01FF_FFFF, &[0xAF, 1, 2]),
        &tag(TagKind::Video, -1, &[]),
    ]
    .concat();
    let padded = [
        &b"FLV\x01\x05\x00\x00\x00\x0B\x00\x00\x00\x00\x00\x00"[..],
        &tag(TagKind::Audio, 5, &[1]),
    ]
    .concat();
    vec![
        [&[0], &file[..]].concat(),
        [&[7], &file[..file.len() - 9]].concat(),
        [&[3], &padded[..]].concat(),
        b"\x01FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00\x09\xFF\xFF\xFF".to_vec(),
    ]
}
