//! The tick: when live viewers are written to, the same for all streams of the process.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The shortest tick that is chosen.
const TICK_MIN_MS: u64 = 5;
/// The longest tick that viewers' writes alone ask for: half of it is what a live viewer waits.
const VIEWERS_TICK_MAX_MS: u64 = 100;
/// The longest tick that is chosen, where many streams are read and encoded at it too. It takes a sixth off what these cost
/// an edge beside 100 ms (docs/performance.md).
const TICK_MAX_MS: u64 = 150;
/// Writes a second that a process may make before the tick grows. A write costs 10 to 13 µs on loopback, so this is about
/// a tenth of a core.
const WRITES_PER_SECOND: u64 = 8_000;
/// What a stream costs at each tick beside its viewers' writes, in writes: its tags are read, and encoded once. With two
/// viewers a stream, their writes were 36 % of an edge's time and this the rest (docs/performance.md).
const WRITES_PER_STREAM: u64 = 4;

/// The process-wide tick.
#[derive(Debug)]
pub struct Cadence {
    fixed: Option<Duration>,
    viewers: AtomicUsize,
    streams: AtomicUsize,
}

impl Cadence {
    /// A tick that adapts to the number of viewers, or one that is always `fixed`.
    pub fn new(fixed: Option<Duration>) -> Cadence {
        Cadence {
            fixed,
            viewers: AtomicUsize::new(0),
            streams: AtomicUsize::new(0),
        }
    }

    /// One more live viewer.
    pub fn joined(&self) {
        self.viewers.fetch_add(1, Ordering::Relaxed);
    }

    /// One live viewer less.
    pub fn left(&self) {
        self.viewers.fetch_sub(1, Ordering::Relaxed);
    }

    /// One more stream that has viewers.
    pub fn began(&self) {
        self.streams.fetch_add(1, Ordering::Relaxed);
    }

    /// One of them less.
    pub fn ended(&self) {
        self.streams.fetch_sub(1, Ordering::Relaxed);
    }

    /// The tick now: the shortest with which all streams and viewers together need no more than the allowed writes a
    /// second, as far as viewers may wait for it.
    pub fn tick(&self) -> Duration {
        let viewers = self.viewers.load(Ordering::Relaxed) as u64;
        let streams = self.streams.load(Ordering::Relaxed) as u64;
        let viewers_ms = milliseconds_of(viewers).min(VIEWERS_TICK_MAX_MS);
        let streams_ms = milliseconds_of(streams.saturating_mul(WRITES_PER_STREAM));
        let wanted_ms = viewers_ms
            .saturating_add(streams_ms)
            .clamp(TICK_MIN_MS, TICK_MAX_MS);
        self.fixed
            .unwrap_or_else(|| Duration::from_millis(wanted_ms))
    }
}

/// The time in which a process may make so many writes, in milliseconds.
fn milliseconds_of(writes: u64) -> u64 {
    writes.saturating_mul(1_000) / WRITES_PER_SECOND
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tick_grows_with_viewers_and_streams_between_its_bounds() {
        for (streams, viewers, tick_ms) in [
            (0, 0, 5),
            (0, 40, 5),
            (0, 80, 10),
            (0, 400, 50),
            (0, 800, 100),
            (1, 20_000, 100),
            (1, 400, 50),
            (10, 5_000, 105),
            (100, 200, 75),
            (200, 0, 100),
            (200, 400, 150),
            (1_000, 20_000, 150),
        ] {
            let cadence = Cadence::new(None);
            (0..streams).for_each(|_| cadence.began());
            (0..viewers).for_each(|_| cadence.joined());
            assert_eq!(
                cadence.tick(),
                Duration::from_millis(tick_ms),
                "{streams} streams, {viewers} viewers"
            );
        }
    }
}
