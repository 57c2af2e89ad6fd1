//! The two clocks: a monotonic one that a simulation can drive, and the one reader of the wall clock.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

// An origin a little in the past keeps time from saturating at zero in a runtime whose clock was paused
// just before the first call of `now` in another one.
const ORIGIN_MARGIN: Duration = Duration::from_secs(10);

static ORIGIN: OnceLock<std::time::Instant> = OnceLock::new();

/// Monotonic time since (about) the start of the process: the `now` of every pure machine.
///
/// It follows tokio's clock, so that it stands still and advances with a paused one.
pub fn now() -> Duration {
    at(Instant::now())
}

/// The same clock's reading for an `instant` of tokio's.
pub fn at(instant: Instant) -> Duration {
    #[cfg(feature = "simulation")]
    if let Some(started) = crate::simulation::with(|host| host.started()) {
        return instant.saturating_duration_since(started) + ORIGIN_MARGIN;
    }
    let origin = *ORIGIN.get_or_init(|| {
        let now = Instant::now().into_std();
        now.checked_sub(ORIGIN_MARGIN).unwrap_or(now)
    });
    instant.into_std().saturating_duration_since(origin)
}

/// The tokio instant at which [`now`] reads `time`, for `sleep_until`.
pub fn instant(time: Duration) -> Instant {
    let now = Instant::now();
    let reading = at(now);
    if time >= reading {
        // So far ahead that the clock cannot express it: a year is for ever.
        let ahead = (time - reading).min(Duration::from_secs(365 * 24 * 3600));
        now + ahead
    } else {
        now.checked_sub(reading - time).unwrap_or(now)
    }
}

/// The first multiple of `period` after `now`: whoever keeps to multiples wakes together with others who do.
pub fn next_multiple(now: Duration, period: Duration) -> Duration {
    let period_us = period.as_micros().max(1);
    let next_us = (now.as_micros() / period_us)
        .saturating_add(1)
        .saturating_mul(period_us);
    Duration::from_micros(u64::try_from(next_us).unwrap_or(u64::MAX))
}

/// Milliseconds since the Unix epoch; 0 if the machine's clock stands before it.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the wall clock"
)]
pub fn unix_ms() -> u64 {
    #[cfg(feature = "simulation")]
    if let Some(unix_ms) = crate::simulation::with(|host| host.unix_ms()) {
        return unix_ms;
    }
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn now_follows_a_paused_clock() {
        let before = now();
        assert_eq!(now(), before);
        tokio::time::advance(Duration::from_millis(1500)).await;
        assert_eq!(now() - before, Duration::from_millis(1500));
    }

    #[tokio::test(start_paused = true)]
    async fn instants_and_readings_are_inverse() {
        let reading = now();
        for time in [
            reading,
            reading + Duration::from_secs(3),
            reading - Duration::from_millis(5),
        ] {
            assert_eq!(at(instant(time)), time);
        }
        instant(Duration::MAX);
    }

    #[test]
    fn the_wall_clock_is_after_2020() {
        assert!(unix_ms() > 1_577_836_800_000);
    }
}
