//! What holds of all chunks that a legal peer may send, and of any bytes.

use proptest::prelude::*;

use super::*;

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
            let (piece, after) = rest.split_at((*step).min(rest.len()));
            rest = after;
            let mut piece = Input::Lent(piece);
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
    fn a_buffer_that_is_given_away_gives_the_same_messages(
        list in prop::collection::vec((2u32..400, any::<u32>(), 0usize..6_000, 7u8..12), 1..20),
        chunk_size in prop_oneof![1u32..400, 1_000u32..8_000],
        steps in prop::collection::vec(1usize..20_000, 1..8),
    ) {
        let mut writer = Writer::default();
        let mut out = BytesMut::new();
        writer.set_chunk_size(&mut out, chunk_size);
        let mut whole_bytes = 0;
        for (chunk_stream_id, timestamp, length, type_id) in list {
            let payload: Vec<u8> = (0..=250u8).cycle().take(length).collect();
            let head = Head { chunk_stream_id, timestamp, type_id, stream_id: 1 };
            let media = type_id == message_type::AUDIO || type_id == message_type::VIDEO;
            if media && length >= 1 << 10 {
                whole_bytes += length;
            }
            writer.write(&mut out, head, &payload);
        }
        let expected = read_all(&out).unwrap();
        let given = |steps: &[usize]| {
            let mut reader = Reader::new(Limits::default());
            let (mut got, mut kept) = (Vec::new(), 0);
            let mut rest = &out[..];
            for step in steps.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, after) = rest.split_at((*step).min(rest.len()));
                rest = after;
                let mut input = Input::from(BytesMut::from(piece));
                while let Some(message) = reader.read(&mut input).unwrap() {
                    got.push(message);
                }
                let Input::Given(given) = input else { unreachable!() };
                kept += given.kept_bytes();
            }
            (got, kept)
        };
        let (got, _) = given(&steps);
        prop_assert_eq!(&got, &expected);
        let (got, kept) = given(&[out.len()]);
        prop_assert_eq!(&got, &expected);
        prop_assert!(kept <= whole_bytes);
    }

    #[test]
    fn any_bytes_are_an_error_or_progress(bytes in prop::collection::vec(any::<u8>(), 0..3_000), step in 1usize..100) {
        let mut reader = Reader::new(Limits { max_message_bytes: 10_000, ..Limits::default() });
        'all: for piece in bytes.chunks(step) {
            let mut piece = Input::Lent(piece);
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
