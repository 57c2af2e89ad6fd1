//! The reader against chunks made by hand, by the writer and by a generator.

use bytes::{BufMut, BytesMut};
use proptest::prelude::*;

use super::*;
use crate::rtmp::limits::Limits;
use crate::rtmp::message::{Head, Message, message_type};

fn read_all(mut bytes: &[u8]) -> Result<Vec<Message>, ChunkError> {
    let mut reader = Reader::new(Limits::default());
    let mut messages = Vec::new();
    while let Some(message) = reader.read(&mut bytes)? {
        messages.push(message);
    }
    Ok(messages)
}

fn short(messages: &[Message]) -> Vec<(u32, u32, Vec<u8>)> {
    messages
        .iter()
        .map(|m| (m.chunk_stream_id, m.timestamp, m.payload.to_vec()))
        .collect()
}

#[test]
fn time_follows_the_formats() {
    let full = |time: [u8; 3]| [&[0x04][..], &time, &[0, 0, 1, 9, 1, 0, 0, 0, b'a']].concat();
    let first = full([0, 0, 100]);
    for (name, bytes, times) in [
        (
            "full twice",
            [&first[..], &full([0, 0, 90])].concat(),
            vec![100, 90],
        ),
        (
            "format 1",
            [&first[..], &[0x44, 0, 0, 5, 0, 0, 1, 9, b'b']].concat(),
            vec![100, 105],
        ),
        (
            "format 2",
            [&first[..], &[0x84, 0, 0, 5, b'b']].concat(),
            vec![100, 105],
        ),
        (
            "format 3 after 2",
            [&first[..], &[0x84, 0, 0, 5, b'b', 0xC4, b'c']].concat(),
            vec![100, 105, 110],
        ),
        (
            "format 3 after 0: its time again",
            [&first[..], &[0xC4, b'b']].concat(),
            vec![100, 200],
        ),
        (
            "format 3 after 0 in mid-stream: the same time",
            [&full([1, 0, 0])[..], &[0xC4, b'b']].concat(),
            vec![65_536; 2],
        ),
        (
            "format 1 on a fresh chunk stream",
            [0x44, 0, 0, 5, 0, 0, 1, 9, b'b'].to_vec(),
            vec![5],
        ),
    ] {
        let messages = read_all(&bytes).unwrap();
        let got: Vec<_> = messages.iter().map(|message| message.timestamp).collect();
        assert_eq!(got, times, "{name}");
    }
}

#[test]
fn extended_times_are_read_on_every_format_and_told_from_payload_on_format_3() {
    let time = 0x0100_0000u32.to_be_bytes();
    // 130 bytes: two chunks of a full header each way.
    let head = [
        &[0x04, 0xFF, 0xFF, 0xFF, 0, 0, 130, 9, 1, 0, 0, 0][..],
        &time,
    ]
    .concat();
    let repeated = [&head[..], &[7; 128], &[0xC4], &time, &[7; 2]].concat();
    let left_out = [&head[..], &[7; 128], &[0xC4], &[7; 2]].concat();
    // Format 1 with an extended distance, in two chunks, and format 3 that begins one more message.
    let delta = [&[0x44, 0xFF, 0xFF, 0xFF, 0, 0, 130, 9][..], &time].concat();
    let later = [&repeated[..], &delta, &[7; 128], &[0xC4], &time, &[7; 2]].concat();
    let again = [
        &later[..],
        &[0xC4],
        &time,
        &[7; 128],
        &[0xC4],
        &time,
        &[7; 2],
    ]
    .concat();
    // A message behind the one without it, so that the reader sees that it is not there.
    let behind = [&left_out[..], &[0x05, 0, 0, 1, 0, 0, 1, 8, 1, 0, 0, 0, 1]].concat();
    for (name, bytes, times) in [
        ("repeated", &repeated, &[0x0100_0000][..]),
        ("left out", &behind, &[0x0100_0000, 1]),
        ("distance", &later, &[0x0100_0000, 0x0200_0000]),
        (
            "format 3 begins",
            &again,
            &[0x0100_0000, 0x0200_0000, 0x0300_0000],
        ),
    ] {
        for step in 1..20 {
            let mut reader = Reader::new(Limits::default());
            let mut got = Vec::new();
            for mut piece in bytes.chunks(step) {
                while let Some(message) = reader.read(&mut piece).unwrap() {
                    if message.type_id == 9 {
                        assert_eq!(message.payload[..], [7; 130], "{name}, step {step}");
                    }
                    got.push(message.timestamp);
                }
            }
            assert_eq!(got, times, "{name}, step {step}");
        }
    }
}

#[test]
fn chunk_streams_interleave_and_the_chunk_size_changes_inside_a_message() {
    let bytes = [
        &[0x04, 0, 0, 1, 0, 0, 200, 9, 1, 0, 0, 0][..],
        &[7; 128],
        &[0x06, 0, 0, 2, 0, 0, 1, 8, 1, 0, 0, 0, 5],
        &[0x02, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 50],
        &[0xC4],
        &[7; 50],
        &[0xC4],
        &[7; 22],
    ]
    .concat();
    let messages = short(&read_all(&bytes).unwrap());
    assert_eq!(
        messages,
        [
            (6, 2, vec![5]),
            (2, 0, vec![0, 0, 0, 50]),
            (4, 1, vec![7; 200])
        ]
    );
}

#[test]
fn an_abort_drops_the_message_that_has_begun() {
    let begun = [&[0x04, 0, 0, 1, 0, 0, 200, 9, 1, 0, 0, 0][..], &[7; 128]].concat();
    let abort = [0x02, 0, 0, 0, 0, 0, 4, 2, 0, 0, 0, 0, 0, 0, 0, 4];
    let next = [0x44, 0, 0, 1, 0, 0, 1, 9, 8];
    let messages = short(&read_all(&[&begun[..], &abort, &abort, &next].concat()).unwrap());
    assert_eq!(messages[2..], [(4, 2, vec![8])]);
    let limits = Limits {
        max_buffered_bytes: 300,
        ..Limits::default()
    };
    let mut reader = Reader::new(limits);
    for _ in 0..10 {
        let bytes = [&begun[..], &abort].concat();
        assert!(
            reader.read(&mut &bytes[..]).unwrap().is_some(),
            "what is aborted takes no room"
        );
        assert!(!reader.inside_message());
    }
}

#[test]
fn what_goes_over_a_limit_is_an_error() {
    let streams: Vec<u8> = (64u32..65_600)
        .flat_map(|id| {
            let [low, high, ..] = (id - 64).to_le_bytes();
            [1, low, high, 0, 0, 0, 0, 0, 1, 8, 1, 0, 0, 0, 1]
        })
        .collect();
    let begin = |id: u8| [id, 0, 0, 0, 0x70, 0, 0, 9, 1, 0, 0, 0];
    let too_long = [4, 0, 0, 0, 0xFF, 0xFF, 0xFF, 9, 1, 0, 0, 0];
    let filled = [&begin(4)[..], &[0; 128], &begin(5), &[0; 128]].concat();
    let inside = [
        &begin(4)[..],
        &[0; 128],
        &[4, 0, 0, 0, 0, 0, 1, 9, 1, 0, 0, 0],
    ]
    .concat();
    for (name, bytes, reason) in [
        ("65,536 chunk streams", &streams[..], "chunk_streams"),
        ("message of 16 MiB", &too_long, "message_too_long"),
        ("two of 7 MiB", &filled, "messages_too_long"),
        ("format 2 first", &[0x84, 0, 0, 0], "chunk_no_header"),
        ("format 3 first", &[0xC4], "chunk_no_header"),
        (
            "another header inside",
            &inside,
            "chunk_header_inside_message",
        ),
        (
            "chunk size 0",
            &[2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0],
            "chunk_size",
        ),
        (
            "chunk size 2^31",
            &[2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0x80, 0, 0, 0],
            "chunk_size",
        ),
        (
            "abort cut",
            &[2, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0],
            "message_cut",
        ),
    ] {
        assert_eq!(read_all(bytes).unwrap_err().reason(), reason, "{name}");
    }
    let largest = [2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0x7F, 0xFF, 0xFF, 0xFF];
    assert!(read_all(&largest).is_ok());
}

#[test]
fn a_header_that_repeats_itself_inside_a_message_is_harmless() {
    let head = [0x04, 0, 0, 1, 0, 0, 200, 9, 1, 0, 0, 0];
    let bytes = [&head[..], &[7; 128], &head, &[7; 72]].concat();
    assert_eq!(short(&read_all(&bytes).unwrap()), [(4, 1, vec![7; 200])]);
}

#[test]
fn the_writer_uses_short_headers_going_forward_and_full_ones_else() {
    let mut writer = Writer::default();
    let mut out = BytesMut::new();
    let head = |timestamp, stream_id| Head {
        chunk_stream_id: 4,
        timestamp,
        type_id: 8,
        stream_id,
    };
    for (timestamp, stream_id, header_bytes) in [
        (10, 1, 12),
        (30, 1, 8),
        (20, 1, 12),
        (20, 1, 8),
        (20, 2, 12),
        (0x0200_0000, 2, 16),
        (0x0200_0001, 2, 8),
    ] {
        let before = out.len();
        assert!(writer.write(&mut out, head(timestamp, stream_id), b"x"));
        assert_eq!(out.len() - before, header_bytes + 1, "{timestamp}");
    }
    let times: Vec<_> = read_all(&out)
        .unwrap()
        .iter()
        .map(|message| message.timestamp)
        .collect();
    assert_eq!(times, [10, 30, 20, 20, 20, 0x0200_0000, 0x0200_0001]);
    assert!(!writer.write(
        &mut out,
        Head {
            chunk_stream_id: 64,
            ..head(0, 1)
        },
        b""
    ));
    assert!(!writer.write(&mut out, head(0, 1), &vec![0; 1 << 24]));
}

/// A message as a legal peer may send it, and how it cuts it.
#[derive(Clone, Debug)]
struct Sent {
    chunk_stream_id: u32,
    step_ms: u32,
    length: usize,
    type_id: u8,
    stream_id: u32,
}

fn sent() -> impl Strategy<Value = Sent> {
    let id = prop_oneof![
        3u32..8,
        64u32..70,
        Just(319u32),
        Just(320u32),
        Just(65_599u32)
    ];
    let step = prop_oneof![4 => 0u32..100, 1 => Just(0x00FF_FFFE), 1 => Just(0x00FF_FFFF), 1 => any::<u32>()];
    let length =
        prop_oneof![3 => 0usize..10, 3 => 100usize..700, 1 => Just(128usize), 1 => Just(256usize)];
    (
        id,
        step,
        length,
        prop_oneof![Just(8u8), Just(9), Just(18)],
        1u32..3,
    )
        .prop_map(
            |(chunk_stream_id, step_ms, length, type_id, stream_id)| Sent {
                chunk_stream_id,
                step_ms,
                length,
                type_id,
                stream_id,
            },
        )
}

/// What a chunk stream's sender remembers.
#[derive(Clone, Debug)]
struct Track {
    message: Message,
    step_ms: Option<u32>,
    field: u32,
    written: usize,
}

fn put_basic(out: &mut BytesMut, format: u8, id: u32) {
    match id {
        2..=63 => out.put_u8(format << 6 | u8::try_from(id).unwrap()),
        64..=319 => out.put_slice(&[format << 6, u8::try_from(id - 64).unwrap()]),
        _ => {
            out.put_u8(format << 6 | 1);
            out.put_u16_le(u16::try_from(id - 64).unwrap());
        }
    }
}

/// Chunks of all messages, with the shortest headers, in an order that `picks` choose; and the messages in
/// the order in which they end.
fn chunks(list: &[Sent], picks: &[u8]) -> (BytesMut, Vec<Message>) {
    let mut waiting: Vec<Sent> = list.iter().rev().cloned().collect();
    let mut tracks: Vec<Track> = Vec::new();
    let (mut out, mut ended) = (BytesMut::new(), Vec::new());
    let mut chunk_size = 128;
    for pick in picks.iter().copied().cycle() {
        let open: Vec<usize> = (0..tracks.len())
            .filter(|i| tracks[*i].written < tracks[*i].message.payload.len())
            .collect();
        let begin = waiting.last().is_some_and(|next| {
            !open
                .iter()
                .any(|i| tracks[*i].message.chunk_stream_id == next.chunk_stream_id)
        });
        if pick == 0 && waiting.len() > 2 {
            let before =
                std::mem::replace(&mut chunk_size, 1 + usize::from(picks[picks.len() / 2]));
            let head = Head {
                chunk_stream_id: 2,
                timestamp: 0,
                type_id: message_type::SET_CHUNK_SIZE,
                stream_id: 0,
            };
            let size = u32::try_from(chunk_size).unwrap().to_be_bytes();
            put_message(&mut out, head, &size, before);
        }
        let index = if begin && (open.is_empty() || pick % 3 == 0) {
            let next = waiting.pop().unwrap();
            let payload: Vec<u8> = (0..next.length)
                .map(|n| n.to_le_bytes()[0] ^ pick)
                .collect();
            let old = tracks
                .iter()
                .position(|track| track.message.chunk_stream_id == next.chunk_stream_id);
            let before = old.map(|old| tracks.swap_remove(old));
            let timestamp = before
                .as_ref()
                .map_or(0, |track| track.message.timestamp)
                .wrapping_add(next.step_ms);
            let message = Message {
                chunk_stream_id: next.chunk_stream_id,
                timestamp,
                type_id: next.type_id,
                stream_id: next.stream_id,
                payload: payload.into(),
            };
            let same_stream = before
                .as_ref()
                .filter(|track| track.message.stream_id == next.stream_id);
            let same_kind = same_stream.filter(|track| {
                track.message.payload.len() == next.length && track.message.type_id == next.type_id
            });
            let same_step = same_kind.filter(|track| track.step_ms == Some(next.step_ms));
            let format = if same_step.is_some() {
                3
            } else if same_kind.is_some() {
                2
            } else if same_stream.is_some() {
                1
            } else {
                0
            };
            let field = if format == 0 { timestamp } else { next.step_ms };
            put_basic(&mut out, format, next.chunk_stream_id);
            if format < 3 {
                out.put_slice(&field.min(EXTENDED).to_be_bytes()[1..]);
            }
            if format < 2 {
                out.put_slice(&u32::try_from(next.length).unwrap().to_be_bytes()[1..]);
                out.put_u8(next.type_id);
            }
            if format == 0 {
                out.put_u32_le(next.stream_id);
            }
            if field >= EXTENDED {
                out.put_u32(field);
            }
            tracks.push(Track {
                message,
                step_ms: (format > 0).then_some(next.step_ms),
                field,
                written: 0,
            });
            tracks.len() - 1
        } else if let Some(index) = open.get(usize::from(pick) % open.len().max(1)).copied() {
            put_basic(&mut out, 3, tracks[index].message.chunk_stream_id);
            if tracks[index].field >= EXTENDED {
                out.put_u32(tracks[index].field);
            }
            index
        } else {
            return (out, ended);
        };
        let track = &mut tracks[index];
        let end = track.message.payload.len().min(track.written + chunk_size);
        out.put_slice(&track.message.payload[track.written..end]);
        track.written = end;
        if end == track.message.payload.len() {
            ended.push(track.message.clone());
        }
    }
    (out, ended)
}

proptest! {
    #[test]
    fn legal_chunks_give_their_messages_however_they_interleave_and_are_split(
        list in prop::collection::vec(sent(), 1..24),
        picks in prop::collection::vec(any::<u8>(), 1..64),
        steps in prop::collection::vec(1usize..300, 1..32),
    ) {
        let (bytes, expected) = chunks(&list, &picks);
        prop_assert_eq!(expected.len(), list.len());
        let mut reader = Reader::new(Limits::default());
        let mut got = Vec::new();
        let mut rest = &bytes[..];
        for step in steps.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (mut piece, after) = rest.split_at((*step).min(rest.len()));
            rest = after;
            while let Some(message) = reader.read(&mut piece).unwrap() {
                if message.type_id != message_type::SET_CHUNK_SIZE {
                    got.push(message);
                }
            }
            prop_assert!(piece.is_empty());
        }
        prop_assert_eq!(got, expected);
        prop_assert!(!reader.inside_message());
    }

    #[test]
    fn what_the_writer_writes_the_reader_reads(
        list in prop::collection::vec((2u32..9, any::<u32>(), 0usize..600, 7u8..20, any::<u32>()), 1..20),
        chunk_size in 1u32..400,
    ) {
        let mut writer = Writer::default();
        let mut out = BytesMut::new();
        writer.set_chunk_size(&mut out, chunk_size);
        let mut expected = Vec::new();
        for (chunk_stream_id, timestamp, length, type_id, stream_id) in list {
            let payload = vec![type_id; length];
            let head = Head { chunk_stream_id, timestamp, type_id, stream_id };
            prop_assert!(writer.write(&mut out, head, &payload));
            expected.push(Message { chunk_stream_id, timestamp, type_id, stream_id, payload: payload.into() });
        }
        prop_assert_eq!(&read_all(&out).unwrap()[1..], &expected[..]);
    }

    #[test]
    fn any_bytes_are_an_error_or_progress(bytes in prop::collection::vec(any::<u8>(), 0..3_000), step in 1usize..100) {
        let mut reader = Reader::new(Limits { max_message_bytes: 10_000, ..Limits::default() });
        'all: for mut piece in bytes.chunks(step) {
            loop {
                match reader.read(&mut piece) {
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(_) => break 'all,
                }
            }
            prop_assert!(piece.is_empty());
        }
    }
}
