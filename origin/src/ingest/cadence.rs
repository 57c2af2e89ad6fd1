//! When publishers are read whose streams nobody wants tag by tag.
//!
//! A small stream costs an origin more in wake-ups than in work: one for each tag, and one at each reader behind it. Where
//! many publish and all who read a stream do so at a tick of their own, its publisher is read at a tick, too.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Reads a second that publishers may cost at a tick before it grows.
const READS_PER_SECOND: u64 = 5_000;
/// A shorter tick saves little: sound and picture come about 15 ms apart.
const TICK_MIN_MS: u64 = 20;
/// Fewer publishers cost so little that their viewers' delay counts for more.
const PUBLISHERS_MIN: u64 = 20;
/// What a viewer's delay may grow by, at most; half of it on average.
const TICK_MAX_MS: u64 = 50;

/// The tick of an origin.
#[derive(Debug)]
pub(crate) struct Cadence {
    fixed: Option<Duration>,
    publishers: AtomicUsize,
}

impl Cadence {
    /// A tick that adapts to the number of publishers, or one that is always `fixed`.
    pub(crate) fn new(fixed: Option<Duration>) -> Cadence {
        Cadence {
            fixed,
            publishers: AtomicUsize::new(0),
        }
    }

    /// One more publisher.
    pub(super) fn began(&self) {
        self.publishers.fetch_add(1, Ordering::Relaxed);
    }

    /// One less.
    pub(super) fn ended(&self) {
        self.publishers.fetch_sub(1, Ordering::Relaxed);
    }

    /// The tick now; `None`: publishers are few, and are read as soon as bytes come.
    pub(super) fn tick(&self) -> Option<Duration> {
        let publishers = self.publishers.load(Ordering::Relaxed) as u64;
        let wanted_ms = publishers.saturating_mul(1_000) / READS_PER_SECOND;
        self.fixed.or_else(|| {
            let tick_ms = wanted_ms.clamp(TICK_MIN_MS, TICK_MAX_MS);
            (publishers >= PUBLISHERS_MIN).then(|| Duration::from_millis(tick_ms))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_read_at_once_and_many_at_a_tick_that_is_bounded() {
        for (publishers, tick_ms) in [
            (0, None),
            (19, None),
            (20, Some(20)),
            (100, Some(20)),
            (200, Some(40)),
            (250, Some(50)),
            (5_000, Some(50)),
        ] {
            let cadence = Cadence::new(None);
            (0..publishers).for_each(|_| cadence.began());
            let tick = tick_ms.map(Duration::from_millis);
            assert_eq!(cadence.tick(), tick, "{publishers} publishers");
        }
        let fixed = Some(Duration::from_millis(7));
        assert_eq!(Cadence::new(fixed).tick(), fixed);
    }
}
