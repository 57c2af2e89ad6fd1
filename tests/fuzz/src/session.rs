//! A publisher's whole connection, from its bytes to the rings of the hub: the RTMP session, what an origin does with its
//! events, names, the timeline, rings and a viewer's cursor.
//!
//! The input is a script of commands, media, time that passes and raw bytes. It is played twice: with each step's bytes
//! in one piece that is lent, and in other pieces that are given away. Both must give the same events and the same rings.

mod ingest;
mod script;
mod step;

use std::time::Duration;

use headwater_media::rtmp::Limits;

use crate::cut::pieces;
use crate::heap;
use crate::input::Input;
use ingest::{Ingest, Outcome};
use script::Script;
use step::Step;

const LIMITS: Limits = Limits {
    max_message_bytes: 32 << 10,
    max_buffered_bytes: 256 << 10,
    max_chunk_streams: 12,
    max_output_bytes: 128 << 10,
};
/// All that a connection and its streams may have in use: what its limits say, the rings, what `Ingest` writes down.
const HEAP_MAX_BYTES: usize = LIMITS.max_buffered_bytes + LIMITS.max_output_bytes + (512 << 10);
/// Steps of one script. Answers to them fit the output's limit, however many come in one piece.
const STEPS_MAX: usize = 96;
const BYTES_MAX: usize = 96 << 10;
/// What is fed before the events are taken: they can have many times their bytes' size. An origin reads up to 128 KiB; so
/// little lets the bound on memory be one that tells.
const PIECE_BYTES: usize = 2 << 10;

/// What happens at one point of the connection.
enum Act {
    Bytes(Vec<u8>),
    Pass(Duration),
    /// A viewer joins every stream.
    View,
}

fn acts(input: &mut Input<'_>) -> Vec<Act> {
    let mut script = Script::default();
    let mut acts = Vec::new();
    let mut bytes = Vec::new();
    let mut total = 0;
    for _ in 0..STEPS_MAX {
        if input.is_empty() || total > BYTES_MAX {
            break;
        }
        let flush = |bytes: &mut Vec<u8>, acts: &mut Vec<Act>| {
            let pieces = bytes.chunks(PIECE_BYTES);
            acts.extend(pieces.map(|piece| Act::Bytes(piece.to_vec())));
            bytes.clear();
        };
        match Step::read(input) {
            Step::Pass(time) => {
                flush(&mut bytes, &mut acts);
                acts.push(Act::Pass(time));
            }
            Step::View => {
                flush(&mut bytes, &mut acts);
                acts.push(Act::View);
            }
            Step::Flush => flush(&mut bytes, &mut acts),
            step => {
                let before = bytes.len();
                script.write(&step, &mut bytes);
                total += bytes.len() - before;
            }
        }
    }
    let pieces = bytes.chunks(PIECE_BYTES);
    acts.extend(pieces.map(|piece| Act::Bytes(piece.to_vec())));
    acts
}

/// `cut`: how the bytes are cut beyond the script's own pieces, and then given away.
fn play(acts: &[Act], handshake: bool, cut: Option<u8>) -> Outcome {
    let mut ingest = Ingest::new(LIMITS, handshake);
    for act in acts {
        let go_on = match act {
            Act::Pass(time) => ingest.pass(*time),
            Act::View => ingest.view(),
            Act::Bytes(bytes) => match cut {
                None => ingest.input(bytes),
                Some(seed) => ingest.input_given(pieces(bytes, seed)),
            },
        };
        if !go_on {
            break;
        }
    }
    ingest.finish()
}

/// First byte: whether the handshake is played too, and how bytes are cut.
pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let seed = input.u8();
    let handshake = seed & 0x1F == 0x1F;
    let acts = acts(&mut input);
    let (whole, heap_bytes) = heap::peak(|| play(&acts, handshake, None));
    assert!(heap_bytes <= HEAP_MAX_BYTES, "{heap_bytes} bytes in use");
    let cut = play(&acts, handshake, Some(seed));
    assert_eq!(whole, cut, "a split changes what comes of the bytes");
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    step::seeds()
}
