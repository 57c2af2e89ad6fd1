//! What `/streams` says of the streams that an edge carries.

use headwater_hub::{Codecs, HeaderSlot, Liveness};
use headwater_media::script;
use headwater_process::clock;
use serde::Serialize;

use crate::pull::{Pull, Pulls, Standing};

/// One stream.
#[derive(Clone, Debug, Serialize)]
struct StreamFacts {
    key: String,
    /// `live`, `lost`, `left` or `seeking`.
    state: &'static str,
    viewers: usize,
    upstream: Option<String>,
    epoch: u64,
    term: u64,
    video: Option<&'static str>,
    audio: Option<&'static str>,
    /// `1280x720`, as far as the metadata says.
    size: Option<String>,
    /// Video tags a second.
    fps: f64,
    /// Payload bits a second.
    bitrate: u64,
    gop_ms: Option<i64>,
    ring_bytes: usize,
    ring_tags: usize,
    gap_tags: u64,
    /// Since the newest tag.
    silent_ms: u64,
    carried_s: u64,
}

/// All streams, by key.
pub(crate) fn streams(pulls: &Pulls) -> serde_json::Value {
    let facts: Vec<StreamFacts> = pulls
        .list()
        .iter()
        .map(|pull| StreamFacts::of(pull))
        .collect();
    serde_json::to_value(facts).unwrap_or_default()
}

impl StreamFacts {
    fn of(pull: &Pull) -> StreamFacts {
        let now = clock::now();
        let facts = pull.stream().facts(now);
        let metadata = facts
            .headers
            .get(HeaderSlot::Metadata)
            .and_then(|tag| script::facts(&tag.payload));
        let Codecs { video, audio } = Codecs::of(pull.stream());
        StreamFacts {
            key: pull.key().to_string(),
            state: state(pull.standing(), facts.progress.liveness),
            viewers: pull.viewers(),
            upstream: pull.source(),
            epoch: facts.progress.epoch,
            term: facts.progress.term,
            video,
            audio,
            size: metadata.and_then(|m| Some(format!("{}x{}", m.width?, m.height?))),
            fps: facts.rates.video_per_second,
            bitrate: facts.rates.bits_per_second,
            gop_ms: facts.rates.gop_ms,
            ring_bytes: facts.ring_bytes,
            ring_tags: facts.ring_tags,
            gap_tags: facts.gap_tags,
            silent_ms: u64::try_from(now.saturating_sub(facts.last_push).as_millis())
                .unwrap_or(u64::MAX),
            carried_s: now.saturating_sub(pull.since()).as_secs(),
        }
    }
}

fn state(standing: Standing, liveness: Liveness) -> &'static str {
    match (standing, liveness) {
        (_, Liveness::Closed) | (Standing::Over, _) => "over",
        (Standing::Live, _) => "live",
        (Standing::Lost, _) => "lost",
        (Standing::Left { .. }, _) => "left",
        (Standing::Seeking | Standing::Missing, _) => "seeking",
    }
}
