//! A publisher's stream, as a source has it.

use std::sync::Arc;

use bytes::Bytes;
use headwater_hub::{Opening, RingLimits, Stream};
use headwater_media::{Dts, StreamKey, Tag, TagKind};
use headwater_process::clock;
use parking_lot::Mutex;

/// One publisher: 25 frames a second, a keyframe each second, and its number in every payload.
#[derive(Clone)]
pub(crate) struct Publisher {
    pub(crate) stream: Arc<Stream>,
    state: Arc<Mutex<State>>,
}

struct State {
    epoch: u64,
    sequence: u64,
}

/// Milliseconds between two tags.
pub(crate) const STEP_MS: i64 = 40;

impl Publisher {
    /// A stream with a session that has begun and a first GOP of three frames.
    pub(crate) fn new(key: &str, epoch: u64, term: u64) -> Publisher {
        let key: StreamKey = key.parse().unwrap();
        let metrics = headwater_hub::HubMetrics::register(&prometheus::Registry::new()).unwrap();
        let stream = Arc::new(Stream::new(key, RingLimits::default(), Arc::new(metrics)));
        let publisher = Publisher {
            stream,
            state: Arc::new(Mutex::new(State {
                epoch: 0,
                sequence: 0,
            })),
        };
        publisher.begin(epoch, term, 0);
        publisher
    }

    /// Begins a session: its header and three frames.
    pub(crate) fn begin(&self, epoch: u64, term: u64, dts_offset: i64) {
        let opening = Opening {
            epoch,
            term,
            dts_offset: Dts(dts_offset),
            first_sequence: 0,
        };
        self.stream.open(opening).unwrap();
        *self.state.lock() = State { epoch, sequence: 0 };
        self.push(&[0x17, 0, 0, 0, 0, 1, 2, 3], 0);
        self.frames(3);
    }

    /// Pushes `count` frames.
    pub(crate) fn frames(&self, count: usize) {
        self.frames_of(count, 200);
    }

    /// Pushes `count` frames of `bytes` each.
    pub(crate) fn frames_of(&self, count: usize, bytes: usize) {
        for _ in 0..count {
            let (epoch, sequence) = {
                let state = self.state.lock();
                (state.epoch, state.sequence)
            };
            let frame = sequence.saturating_sub(1);
            let mut payload = vec![if frame % 25 == 0 { 0x17 } else { 0x27 }, 1, 0, 0, 0];
            payload.extend_from_slice(&epoch.to_be_bytes());
            payload.extend_from_slice(&sequence.to_be_bytes());
            payload.resize(bytes, 0);
            self.push(&payload, i64::try_from(frame).unwrap() * STEP_MS);
        }
    }

    fn push(&self, payload: &[u8], dts: i64) {
        let mut state = self.state.lock();
        let tag = Tag {
            kind: TagKind::Video,
            dts: Dts(dts),
            payload: Bytes::copy_from_slice(payload),
        };
        self.stream
            .push(state.epoch, state.sequence, tag, clock::now())
            .unwrap();
        state.sequence += 1;
    }

    /// Leaves.
    pub(crate) fn leave(&self) {
        self.stream.end(self.state.lock().epoch);
    }
}

/// Session and number of a frame; `None` for a header.
pub(crate) fn identity(payload: &[u8]) -> Option<(u64, u64)> {
    let epoch = payload.get(5..13)?.try_into().ok()?;
    let sequence = payload.get(13..21)?.try_into().ok()?;
    Some((u64::from_be_bytes(epoch), u64::from_be_bytes(sequence)))
}
