//! A stream's rates over the last seconds: bitrate, frames a second, GOP length.

use std::collections::VecDeque;
use std::time::Duration;

use headwater_media::{Dts, TagKind};

/// How far back rates look.
const WINDOW: Duration = Duration::from_secs(5);
/// The grain of the sums.
const BUCKET: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    start: Duration,
    bytes: u64,
    video_tags: u32,
    audio_tags: u32,
    /// The first and the newest stream time in it.
    media: Option<(Dts, Dts)>,
}

/// Counts what comes in, in buckets of half a second.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    buckets: VecDeque<Bucket>,
    keyframe_at: Option<Dts>,
    gop_ms: Option<i64>,
}

/// The rates of the last five seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Payload bits a second, of all kinds.
    pub bits_per_second: u64,
    /// Video tags a second.
    pub video_per_second: f64,
    /// Audio tags a second.
    pub audio_per_second: f64,
    /// Media time between the last two keyframes, in milliseconds.
    pub gop_ms: Option<i64>,
}

impl Meter {
    /// Counts one tag of `size` payload bytes.
    pub(crate) fn record(
        &mut self,
        kind: TagKind,
        size: usize,
        keyframe: bool,
        dts: Dts,
        now: Duration,
    ) {
        if self
            .buckets
            .back()
            .is_none_or(|b| now.saturating_sub(b.start) >= BUCKET)
        {
            self.buckets.push_back(Bucket {
                start: now,
                ..Bucket::default()
            });
            while self
                .buckets
                .front()
                .is_some_and(|b| now.saturating_sub(b.start) > WINDOW)
            {
                self.buckets.pop_front();
            }
        }
        if let Some(bucket) = self.buckets.back_mut() {
            let (first, newest) = bucket.media.unwrap_or((dts, dts));
            bucket.media = Some((first.min(dts), newest.max(dts)));
            bucket.bytes = bucket.bytes.saturating_add(size as u64);
            match kind {
                TagKind::Video => bucket.video_tags = bucket.video_tags.saturating_add(1),
                TagKind::Audio => bucket.audio_tags = bucket.audio_tags.saturating_add(1),
                TagKind::Script => {}
            }
        }
        if keyframe {
            self.gop_ms = self
                .keyframe_at
                .map(|before| (dts - before).0)
                .filter(|ms| *ms >= 0)
                .or(self.gop_ms);
            self.keyframe_at = Some(dts);
        }
    }

    /// The rates as of `now`.
    pub(crate) fn rates(&self, now: Duration) -> Rates {
        let recent = || {
            self.buckets
                .iter()
                .filter(|b| now.saturating_sub(b.start) <= WINDOW)
        };
        let Some(first) = recent().next() else {
            return Rates {
                gop_ms: self.gop_ms,
                ..Rates::default()
            };
        };
        let elapsed = now.saturating_sub(first.start).max(BUCKET);
        // A pull that begins brings seconds of media at once: they count as the seconds that they play for.
        let begins = recent()
            .filter_map(|b| b.media)
            .map(|(first, _)| first)
            .min();
        let ends = recent()
            .filter_map(|b| b.media)
            .map(|(_, newest)| newest)
            .max();
        let played_ms = begins
            .zip(ends)
            .map_or(0, |(begins, ends)| (ends - begins).0);
        let span = elapsed.max(Duration::from_millis(u64::try_from(played_ms).unwrap_or(0)));
        let bits = u128::from(recent().map(|b| b.bytes).sum::<u64>()).saturating_mul(8_000);
        let per_second = |tags: u64| (tags as f64 / span.as_secs_f64() * 10.0).round() / 10.0;
        Rates {
            bits_per_second: u64::try_from(bits / span.as_millis().max(1)).unwrap_or(u64::MAX),
            video_per_second: per_second(recent().map(|b| u64::from(b.video_tags)).sum()),
            audio_per_second: per_second(recent().map(|b| u64::from(b.audio_tags)).sum()),
            gop_ms: self.gop_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_stream_shows_its_rates() {
        let mut meter = Meter::default();
        for frame in 0..300_u64 {
            let now = Duration::from_millis(frame * 40);
            let dts = Dts(i64::try_from(frame).unwrap() * 40);
            meter.record(TagKind::Video, 5_000, frame % 50 == 0, dts, now);
        }
        let rates = meter.rates(Duration::from_millis(299 * 40));
        assert!(
            (950_000..=1_050_000).contains(&rates.bits_per_second),
            "{rates:?}"
        );
        assert!((24.0..=26.0).contains(&rates.video_per_second), "{rates:?}");
        assert_eq!(rates.gop_ms, Some(2_000));
    }

    #[test]
    fn seconds_of_media_that_come_at_once_count_as_seconds() {
        let mut meter = Meter::default();
        for frame in 0..150_i64 {
            // Four seconds at once, as a pull that begins, and two in real time.
            let now = Duration::from_millis((frame * 40 - 4_000).max(0).unsigned_abs());
            meter.record(TagKind::Video, 5_000, false, Dts(frame * 40), now);
        }
        let rates = meter.rates(Duration::from_secs(2));
        assert!((24.0..=26.0).contains(&rates.video_per_second), "{rates:?}");
        assert!(
            (950_000..=1_050_000).contains(&rates.bits_per_second),
            "{rates:?}"
        );
    }

    #[test]
    fn a_silent_stream_has_no_rate() {
        let mut meter = Meter::default();
        meter.record(TagKind::Audio, 100, false, Dts(0), Duration::ZERO);
        assert_eq!(meter.rates(Duration::from_secs(60)).bits_per_second, 0);
    }
}
