//! Streams whole, in pieces, cut and wrong.

use proptest::prelude::*;

use super::super::{encode_tag, header, previous_tag_size, tag_head};
use super::*;
use crate::{Dts, Tag};

const MAX_BYTES: usize = 1_000;

/// All tags of `pieces`, and the error at the end if there is one.
fn read(pieces: impl IntoIterator<Item = Bytes>) -> (Vec<WireTag>, Result<(), FlvError>) {
    let mut reader = Reader::new(MAX_BYTES);
    let mut tags = Vec::new();
    for piece in pieces {
        reader.feed(piece);
        loop {
            match reader.next_tag() {
                Ok(Some(tag)) => tags.push(tag),
                Ok(None) => break,
                Err(error) => return (tags, Err(error)),
            }
        }
    }
    (tags, reader.finish())
}

fn encode(tags: &[WireTag]) -> Vec<u8> {
    let mut bytes = header(true, true).to_vec();
    for WireTag {
        kind,
        wire_ms,
        stream_id,
        payload,
    } in tags
    {
        bytes.extend(tag_head(*kind, payload.len(), *wire_ms, *stream_id).unwrap());
        bytes.extend(payload);
        bytes.extend(previous_tag_size(payload.len()));
    }
    bytes
}

#[test]
fn what_is_written_is_read() {
    let tag = Tag {
        kind: TagKind::Video,
        dts: Dts(0x1_FFFF_FFFF),
        payload: Bytes::from_static(b"\x17\x01body"),
    };
    let mut bytes = header(false, true).to_vec();
    bytes.extend(encode_tag(&tag).unwrap());
    let mut reader = Reader::new(MAX_BYTES);
    assert_eq!(reader.header(), None);
    reader.feed(bytes.into());
    let expected = WireTag {
        kind: TagKind::Video,
        wire_ms: u32::MAX,
        stream_id: 0,
        payload: tag.payload,
    };
    assert_eq!(reader.next_tag(), Ok(Some(expected)));
    assert_eq!(reader.next_tag(), Ok(None));
    assert_eq!(
        reader.header(),
        Some(Header {
            has_audio: false,
            has_video: true
        })
    );
    assert_eq!(reader.finish(), Ok(()));
}

#[test]
fn a_body_in_one_piece_is_not_copied() {
    let tag = WireTag {
        kind: TagKind::Audio,
        wire_ms: 1,
        stream_id: 0x48_5741,
        payload: Bytes::from_static(b"sound"),
    };
    let bytes = Bytes::from(encode(&[tag.clone(), tag.clone()]));
    let fed = bytes.as_ptr_range();
    let (tags, end) = read([bytes.clone()]);
    assert_eq!(
        (tags.as_slice(), end),
        ([tag.clone(), tag].as_slice(), Ok(()))
    );
    assert!(tags.iter().all(|tag| fed.contains(&tag.payload.as_ptr())));
}

#[test]
fn wrong_bytes_are_refused_where_they_are() {
    // One whole tag of two bytes (13 to 30), then `wrong`.
    let behind_a_tag = |wrong: &[u8]| {
        let payload = Bytes::from_static(&[1, 2]);
        let mut bytes = encode(&[WireTag {
            kind: TagKind::Audio,
            wire_ms: 0,
            stream_id: 0,
            payload,
        }]);
        bytes.extend(wrong);
        bytes
    };
    let changed = |at: usize, to: u8| {
        let mut bytes = behind_a_tag(&[]);
        bytes[at] = to;
        bytes
    };
    for (name, bytes, error) in [
        (
            "another format",
            b"HTTP/1.1 200 OK".to_vec(),
            FlvError::Signature { found: *b"HTTP" },
        ),
        (
            "version 2",
            changed(3, 2),
            FlvError::Signature { found: *b"FLV\x02" },
        ),
        (
            "header size",
            changed(8, 10),
            FlvError::HeaderSize { found: 10 },
        ),
        (
            "size 0 behind the header",
            changed(12, 1),
            FlvError::PreviousTagSize {
                expected: 0,
                found: 1,
                at: 9,
            },
        ),
        (
            "tag type",
            changed(13, 15),
            FlvError::TagType { found: 15, at: 13 },
        ),
        (
            "encrypted tag",
            behind_a_tag(&[0x29; 11]),
            FlvError::TagType {
                found: 0x29,
                at: 30,
            },
        ),
        (
            "tag over the limit",
            behind_a_tag(&[9, 0, 0x03, 0xE9, 0, 0, 0, 0, 0, 0, 0]),
            FlvError::TooLarge {
                bytes: 1_001,
                max_bytes: MAX_BYTES,
                at: 30,
            },
        ),
        (
            "size behind the tag",
            changed(29, 14),
            FlvError::PreviousTagSize {
                expected: 13,
                found: 14,
                at: 26,
            },
        ),
    ] {
        let (_, end) = read([Bytes::from(bytes)]);
        assert_eq!(end, Err(error), "{name}");
    }
}

#[test]
fn a_failed_reader_stays_failed() {
    let mut reader = Reader::new(MAX_BYTES);
    reader.feed(Bytes::from_static(b"no FLV at all"));
    let error = reader.next_tag().unwrap_err();
    assert_eq!(error.reason(), "flv_signature");
    reader.feed(encode(&[]).into());
    assert_eq!(reader.next_tag(), Err(error));
    assert_eq!(reader.finish(), Err(error));
}

#[test]
fn a_stream_cut_at_any_byte_gives_its_whole_tags_and_says_so() {
    let tag = |stream_id, payload| WireTag {
        kind: TagKind::Script,
        wire_ms: 7,
        stream_id,
        payload: Bytes::from_static(payload),
    };
    let tags = [tag(0, b"abc"), tag(1, b"")];
    let bytes = Bytes::from(encode(&tags));
    for cut in 0..=bytes.len() {
        let (got, end) = read([bytes.slice(..cut)]);
        let (whole, legal) = match cut {
            ..31 => (0, cut == 13),
            31..46 => (1, cut == 31),
            _ => (2, cut == 46),
        };
        assert_eq!(got, tags[..whole], "cut at {cut}");
        let at = u64::try_from(cut).unwrap();
        assert_eq!(
            end,
            if legal {
                Ok(())
            } else {
                Err(FlvError::Cut { at })
            },
            "cut at {cut}"
        );
    }
}

#[test]
fn an_announced_body_is_not_allocated_before_it_comes() {
    let mut reader = Reader::new(0xFF_FFFF);
    reader.feed(header(true, true).to_vec().into());
    reader.feed(
        tag_head(TagKind::Video, 0xFF_FFFF, 0, 0)
            .unwrap()
            .to_vec()
            .into(),
    );
    reader.feed(Bytes::from_static(b"a"));
    assert_eq!(reader.next_tag(), Ok(None));
    assert!(reader.partial.capacity() <= 2 * RESERVE_MAX_BYTES);
}

fn wire_tag() -> impl Strategy<Value = WireTag> {
    let kind = prop_oneof![
        Just(TagKind::Audio),
        Just(TagKind::Video),
        Just(TagKind::Script)
    ];
    let payload = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..20),
        prop::collection::vec(any::<u8>(), 0..=MAX_BYTES),
    ];
    (kind, any::<u32>(), 0u32..0x100_0000, payload).prop_map(
        |(kind, wire_ms, stream_id, payload)| WireTag {
            kind,
            wire_ms,
            stream_id,
            payload: payload.into(),
        },
    )
}

/// Cuts `bytes` into pieces of the lengths in `sizes`, used in turn.
fn split(bytes: &Bytes, sizes: &[usize]) -> Vec<Bytes> {
    let mut rest = bytes.clone();
    let mut pieces = Vec::new();
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        pieces.push(rest.split_to(rest.len().min(*size)));
    }
    pieces
}

proptest! {
    #[test]
    fn any_split_gives_the_same_tags(
        tags in prop::collection::vec(wire_tag(), 0..8),
        sizes in prop::collection::vec(1usize..400, 1..10),
    ) {
        let bytes = Bytes::from(encode(&tags));
        prop_assert_eq!(read(split(&bytes, &sizes)), (tags.clone(), Ok(())));
        prop_assert_eq!(read(split(&bytes, &[1])), (tags, Ok(())));
    }

    #[test]
    fn pieces_that_are_fed_together_give_the_same_tags(
        tags in prop::collection::vec(wire_tag(), 0..8),
        sizes in prop::collection::vec(1usize..400, 1..10),
    ) {
        let mut reader = Reader::new(MAX_BYTES);
        for piece in split(&encode(&tags).into(), &sizes) {
            reader.feed(piece);
        }
        for tag in tags {
            prop_assert_eq!(reader.next_tag(), Ok(Some(tag)));
        }
        prop_assert_eq!(reader.next_tag(), Ok(None));
    }

    #[test]
    fn any_bytes_are_tags_or_an_error_in_any_split(
        tags in prop::collection::vec(wire_tag(), 0..4),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        tail in prop::collection::vec(any::<u8>(), 0..40),
        sizes in prop::collection::vec(1usize..400, 1..10),
    ) {
        let mut bytes = encode(&tags);
        bytes.extend(tail);
        for (index, to) in changes {
            let len = bytes.len();
            bytes[index.index(len)] = to;
        }
        let bytes = Bytes::from(bytes);
        prop_assert_eq!(read(split(&bytes, &sizes)), read([bytes]));
    }
}
