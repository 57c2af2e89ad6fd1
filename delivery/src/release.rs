//! Who leaves when, as an edge drains: viewers go one by one over the time that is left, each at a keyframe.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

/// A viewer waits no longer than this for the keyframe at which it leaves: a GOP that is longer serves no joiner either.
const PATIENCE_MAX: Duration = Duration::from_secs(10);
/// Left of the grace, at most, when the last viewer has gone, for its last bytes.
const SPARE_MAX: Duration = Duration::from_secs(1);

/// When each of a number of viewers leaves: pure, and the same for the same time, deadline and number.
///
/// The viewers are numbered from 0. Their times are evenly spaced, and so are roughly those of any run of numbers, so
/// that each stream, whose viewers have a run, loses its viewers as evenly as the whole edge does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    begins: Duration,
    spread: Duration,
    patience: Duration,
    places: u64,
    stride: u64,
}

/// When one viewer leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leave {
    /// From here on at the next keyframe of its stream.
    pub due: Duration,
    /// Here without one.
    pub latest: Duration,
}

impl Schedule {
    /// A schedule for `viewers` from `now` until shortly before `deadline`.
    pub fn new(viewers: usize, now: Duration, deadline: Duration) -> Schedule {
        let left = deadline.saturating_sub(now);
        let patience = (left / 4).min(PATIENCE_MAX);
        let spare = (left / 20).min(SPARE_MAX);
        let places = u64::try_from(viewers).unwrap_or(u64::MAX).max(1);
        Schedule {
            begins: now,
            spread: left.saturating_sub(patience).saturating_sub(spare),
            patience,
            places,
            stride: stride(places),
        }
    }

    /// The time of viewer `number`. Who comes on top of those that were counted shares the time of another one.
    pub fn leave(&self, number: u64) -> Leave {
        let place = u128::from(number).saturating_mul(u128::from(self.stride))
            % u128::from(self.places.max(1));
        let after_ns = self
            .spread
            .as_nanos()
            .saturating_mul(place)
            .checked_div(u128::from(self.places))
            .unwrap_or(0);
        let after = Duration::from_nanos(u64::try_from(after_ns).unwrap_or(u64::MAX));
        let due = self.begins.saturating_add(after);
        Leave {
            due,
            latest: due.saturating_add(self.patience),
        }
    }
}

/// The number next to the golden section of `places` that has no factor in common with it: its multiples visit every
/// place once, and any run of them is spread over all (the three-distance theorem).
fn stride(places: u64) -> u64 {
    let golden = u128::from(places).saturating_mul(618_034) / 1_000_000;
    let golden = u64::try_from(golden).unwrap_or(1).max(1);
    (golden..=places)
        .find(|stride| coprime(*stride, places))
        .unwrap_or(1)
}

fn coprime(mut a: u64, mut b: u64) -> bool {
    while let Some(rest) = a.checked_rem(b) {
        (a, b) = (b, rest);
    }
    a == 1
}

/// A release that goes on: gives out the numbers of its schedule.
#[derive(Debug)]
pub(crate) struct Release {
    schedule: Schedule,
    next: AtomicU64,
}

impl Release {
    /// The time of the next viewer.
    pub(crate) fn leave(&self) -> Leave {
        self.schedule
            .leave(self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// Tells all fan-outs of a role to let their viewers go.
#[derive(Debug, Default)]
pub struct Releases(watch::Sender<Option<Arc<Release>>>);

impl Releases {
    /// From now on every viewer leaves by `schedule`.
    pub fn begin(&self, schedule: Schedule) {
        let release = Release {
            schedule,
            next: AtomicU64::new(0),
        };
        self.0.send_replace(Some(Arc::new(release)));
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Option<Arc<Release>>> {
        self.0.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// The most of `times` that fall into one stretch of `length`.
    fn most_within(mut times: Vec<Duration>, length: Duration) -> usize {
        times.sort_unstable();
        let within = |from: usize| {
            let end = times[from] + length;
            times.partition_point(|time| *time < end) - from
        };
        (0..times.len()).map(within).max().unwrap_or(0)
    }

    fn times(schedule: &Schedule, numbers: std::ops::Range<usize>) -> Vec<Leave> {
        numbers
            .map(|number| schedule.leave(number as u64))
            .collect()
    }

    proptest! {
        #[test]
        fn no_second_has_more_than_its_share_and_all_are_gone_before_the_deadline(
            viewers in 1_usize..3_000, grace_ms in 1_000_u64..600_000, now_ms in 0_u64..1_000_000
        ) {
            let now = Duration::from_millis(now_ms);
            let deadline = now + Duration::from_millis(grace_ms);
            let schedule = Schedule::new(viewers, now, deadline);
            let leaves = times(&schedule, 0..viewers);
            for leave in &leaves {
                prop_assert!(leave.due >= now && leave.due < leave.latest, "{leave:?}");
                prop_assert!(leave.latest < deadline, "{leave:?}, deadline {deadline:?}");
            }
            let due: Vec<Duration> = leaves.iter().map(|leave| leave.due).collect();
            // Seven tenths of the grace are spread over.
            let share = (viewers as u64 * 10_000).div_ceil(grace_ms * 7) + 1;
            let most = most_within(due, SECOND) as u64;
            prop_assert!(most <= share, "{most} in one second, {share} are its share");
        }

        #[test]
        fn the_viewers_of_each_stream_are_spread_as_all_are(
            viewers in 4_usize..3_000, from_permille in 0_usize..1_000, part_permille in 0_usize..1_000
        ) {
            let schedule = Schedule::new(viewers, Duration::ZERO, 100 * SECOND);
            let first = viewers * from_permille / 1_000;
            let count = (viewers - first) * part_permille / 1_000;
            let due = times(&schedule, first..first + count).iter().map(|leave| leave.due).collect();
            let quarter = schedule.spread / 4;
            let most = most_within(due, quarter);
            prop_assert!(most <= count / 4 + count / 16 + 6, "{most} of {count} in a quarter of the time");
        }
    }

    #[test]
    fn who_comes_late_shares_a_time_and_nobody_at_all_is_no_fault() {
        let schedule = Schedule::new(3, SECOND, 11 * SECOND);
        assert_eq!(schedule.leave(4), schedule.leave(1));
        let nobody = Schedule::new(0, SECOND, SECOND);
        assert_eq!(nobody.leave(u64::MAX).latest, SECOND);
    }
}
