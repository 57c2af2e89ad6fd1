//! Who is let go when, of those that stay on a process that drains: one after the other over the last part of the grace.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The turns take no longer than this: all before it is served to everybody.
const SPREAD_MAX: Duration = Duration::from_secs(60);
/// Left of the grace, at most, behind the last turn, for last words.
const SPARE_MAX: Duration = Duration::from_secs(1);

/// Times at which so many let go of the process, evenly spaced over the last quarter of what was left of its grace, a
/// minute at most.
#[derive(Debug)]
pub struct Turns {
    begins: Duration,
    spread: Duration,
    places: u64,
    next: AtomicU64,
}

impl Turns {
    /// Turns for `count` who stay on a process that drains from `now` to `deadline`.
    pub fn new(count: usize, now: Duration, deadline: Duration) -> Turns {
        let left = deadline.saturating_sub(now);
        let spare = (left / 20).min(SPARE_MAX);
        let spread = (left / 4).min(SPREAD_MAX).saturating_sub(spare);
        Turns {
            begins: deadline.saturating_sub(spare).saturating_sub(spread),
            spread,
            places: u64::try_from(count).unwrap_or(u64::MAX).max(1),
            next: AtomicU64::new(0),
        }
    }

    /// The time of the next one, as of [`clock::now`](crate::clock::now). Who comes on top of those that were counted
    /// shares the time of another one.
    pub fn take(&self) -> Duration {
        let place = self
            .next
            .fetch_add(1, Ordering::Relaxed)
            .checked_rem(self.places)
            .unwrap_or(0);
        let after_ns = self
            .spread
            .as_nanos()
            .saturating_mul(u128::from(place))
            .checked_div(u128::from(self.places))
            .unwrap_or(0);
        let after = Duration::from_nanos(u64::try_from(after_ns).unwrap_or(u64::MAX));
        self.begins.saturating_add(after)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn turns_are_evenly_spaced_in_the_last_quarter_and_before_the_deadline(
            count in 1_usize..3_000, grace_ms in 1_000_u64..7_200_000, now_ms in 0_u64..1_000_000
        ) {
            let now = Duration::from_millis(now_ms);
            let grace = Duration::from_millis(grace_ms);
            let deadline = now + grace;
            let turns = Turns::new(count, now, deadline);
            let times: Vec<Duration> = (0..count).map(|_| turns.take()).collect();
            let earliest = deadline - (grace / 4).min(SPREAD_MAX);
            prop_assert!(times[0] >= earliest, "{times:?} begin before {earliest:?}");
            prop_assert!(*times.last().unwrap() < deadline, "{times:?} end behind {deadline:?}");
            // At least a fifth of the grace, or 59 seconds, less the last one's share.
            let step = (grace / 5).min(SPREAD_MAX - SPARE_MAX) / u32::try_from(count).unwrap();
            for pair in times.windows(2) {
                let apart = pair[1].checked_sub(pair[0]).unwrap();
                prop_assert!(apart + Duration::from_micros(1) >= step, "{apart:?} apart, not {step:?}");
            }
            prop_assert_eq!(turns.take(), times[0], "who was not counted shares a turn");
        }
    }

    #[test]
    fn a_grace_that_is_over_has_its_turns_at_its_end() {
        let end = Duration::from_secs(9);
        assert_eq!(Turns::new(0, end, end).take(), end);
        assert_eq!(Turns::new(3, end + end, end).take(), end);
    }
}
