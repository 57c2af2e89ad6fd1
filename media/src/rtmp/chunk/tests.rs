//! The reader against chunks made by hand, by the writer and by a generator (`legal`).

mod legal;

use bytes::{BufMut, BytesMut};

use super::*;
use crate::rtmp::limits::Limits;
use crate::rtmp::message::{Head, Message, message_type};

fn read_all(bytes: &[u8]) -> Result<Vec<Message>, ChunkError> {
    let mut reader = Reader::new(Limits::default());
    let mut input = Input::Lent(bytes);
    let mut messages = Vec::new();
    while let Some(message) = reader.read(&mut input)? {
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
            for piece in bytes.chunks(step) {
                let mut piece = Input::Lent(piece);
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
            reader.read(&mut Input::Lent(&bytes)).unwrap().is_some(),
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
