//! The chunk reader: interleaving, extended time stamps, chunk sizes that change, limits.

use bytes::BytesMut;
use headwater_media::rtmp::chunk::{ChunkError, Input, Reader, Writer, put_message};
use headwater_media::rtmp::{Head, Limits, Message};

use crate::cut::pieces;
use crate::heap;

const LIMITS: Limits = Limits {
    max_message_bytes: 32 << 10,
    max_buffered_bytes: 64 << 10,
    max_chunk_streams: 8,
    max_output_bytes: 1 << 10,
};
/// The tables of the reader, and one message that is whole.
const HEAP_MAX_BYTES: usize = LIMITS.max_buffered_bytes + LIMITS.max_message_bytes + (8 << 10);

fn read<'a>(
    pieces: impl Iterator<Item = Input<'a>>,
    mut each: impl FnMut(Message),
) -> Result<(), ChunkError> {
    let mut reader = Reader::new(LIMITS);
    for mut piece in pieces {
        while let Some(message) = reader.read(&mut piece)? {
            assert!(message.payload.len() <= LIMITS.max_message_bytes);
            assert!((2..=65_599).contains(&message.chunk_stream_id));
            each(message);
        }
        assert!(piece.is_empty(), "bytes are left without a message");
    }
    Ok(())
}

/// First byte: how the rest is cut.
pub(crate) fn run(bytes: &[u8]) {
    let [seed, bytes @ ..] = bytes else { return };
    let lent = || std::iter::once(Input::Lent(bytes));
    let (_, heap_bytes) = heap::peak(|| read(lent(), drop));
    assert!(heap_bytes <= HEAP_MAX_BYTES, "{heap_bytes} bytes in use");

    let mut whole = Vec::new();
    let whole_end = read(lent(), |message| whole.push(message));
    let mut cut = Vec::new();
    let cut_end = read(pieces(bytes, *seed).map(Input::Lent), |message| {
        cut.push(message)
    });
    assert_eq!(whole, cut, "a split changes the messages");
    assert_eq!(whole_end, cut_end, "a split changes the end");
    let mut kept = Vec::new();
    let given = std::iter::once(Input::from(BytesMut::from(bytes)));
    let kept_end = read(given, |message| kept.push(message));
    assert_eq!(
        whole, kept,
        "a buffer that is given away changes the messages"
    );
    assert_eq!(
        whole_end, kept_end,
        "a buffer that is given away changes the end"
    );
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let head = |chunk_stream_id, timestamp, type_id| Head {
        chunk_stream_id,
        timestamp,
        type_id,
        stream_id: 1,
    };
    let mut compressed = BytesMut::new();
    let mut writer = Writer::default();
    for n in 0..6_u8 {
        let time = u32::from(n) * 20;
        writer.write(&mut compressed, head(4, time, 8), &[n; 200]);
        writer.write(&mut compressed, head(6, time, 9), &[n; 300]);
    }
    writer.set_chunk_size(&mut compressed, 4_096);
    writer.write(&mut compressed, head(4, u32::MAX, 8), &[7; 5_000]);
    writer.write(&mut compressed, head(4, 5, 8), &[7; 5_000]);

    let one = |head: Head, payload: &[u8]| {
        let mut out = BytesMut::new();
        put_message(&mut out, head, payload, 128);
        out.to_vec()
    };
    let audio = one(head(4, 0x0100_0000, 8), &[1; 100]);
    let video = one(head(6, 0, 9), &[2; 300]);
    let (first, rest) = video.split_at(12 + 128);
    let abort = one(head(2, 0, 2), &6_u32.to_be_bytes());
    vec![
        [&[1], &compressed[..]].concat(),
        [&[0], first, &audio, rest].concat(),
        [&[9], first, &abort, &audio, &video].concat(),
        // Chunk stream ids of two and three bytes, with format 1 and 2 behind.
        [
            &[2][..],
            &[0, 10, 0, 0, 1, 0, 0, 2, 8, 1, 0, 0, 0, 1, 2],
            &[0x40, 10, 0, 0, 5, 0, 0, 1, 9, 3],
        ]
        .concat(),
        [
            &[3][..],
            &[
                1, 10, 1, 0xFF, 0xFF, 0xFF, 0, 0, 1, 8, 1, 0, 0, 0, 1, 2, 3, 4, 5,
            ],
            &[0xC1, 10, 1, 1, 2, 3, 4, 9],
        ]
        .concat(),
        // A set chunk size of 1, of 0, and a message of 16 MiB.
        [
            &[4],
            &one(head(2, 0, 1), &[0, 0, 0, 1])[..],
            &[3, 0, 0, 0, 0, 0, 2, 9, 0, 0, 0, 0, 1, 0xC3, 2],
        ]
        .concat(),
        [&[5], &one(head(2, 0, 1), &[0, 0, 0, 0])[..]].concat(),
        vec![6, 3, 0, 0, 0, 0xFF, 0xFF, 0xFF, 9, 0, 0, 0, 0, 1],
    ]
}
