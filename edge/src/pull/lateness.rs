//! Whether a source falls behind: its link carries less than the stream's rate.

use std::time::Duration;

use headwater_media::Dts;

/// Behind by this much, a source may be slow or have been held up for a moment.
const NOTED: Duration = Duration::from_millis(250);
/// Behind by this much and for [`LASTING`], it is slow: what was held up for a moment comes all at once.
const SLOW: Duration = Duration::from_millis(600);
const LASTING: Duration = Duration::from_millis(400);

/// One path's tags, by when they come.
#[derive(Debug, Default)]
pub(super) struct Lateness {
    /// Arrival less stream time, in milliseconds, at the best moment.
    best_ms: Option<i64>,
    noted: Option<Duration>,
}

impl Lateness {
    /// Takes a tag's arrival; says whether the source is slow. Said once, then measured anew: a publisher that has come
    /// to stay behind makes no source slow for ever.
    pub(super) fn is_slow(&mut self, dts: Dts, now: Duration) -> bool {
        let now_ms = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        let offset_ms = now_ms.saturating_sub(dts.0);
        let best_ms = self.best_ms.map_or(offset_ms, |best| best.min(offset_ms));
        self.best_ms = Some(best_ms);
        let behind_ms = u64::try_from(offset_ms.saturating_sub(best_ms)).unwrap_or(0);
        let behind = Duration::from_millis(behind_ms);
        if behind < NOTED {
            self.noted = None;
            return false;
        }
        let since = *self.noted.get_or_insert(now);
        let slow = behind >= SLOW && now.saturating_sub(since) >= LASTING;
        if slow {
            *self = Lateness {
                best_ms: Some(offset_ms),
                noted: None,
            };
        }
        slow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When, in milliseconds, the source of 40 ms tags that come at the times of `arrival` is said to be slow.
    fn slow_at(arrival: impl Fn(u64) -> u64) -> Vec<u64> {
        let mut lateness = Lateness::default();
        (0..200)
            .map(|n| (n * 40, arrival(n * 40)))
            .filter(|(dts_ms, at_ms)| {
                let dts = Dts(i64::try_from(*dts_ms).unwrap());
                lateness.is_slow(dts, Duration::from_millis(*at_ms))
            })
            .map(|(_, at_ms)| at_ms)
            .collect()
    }

    #[test]
    fn a_source_that_falls_behind_is_slow_and_one_that_was_held_up_is_not() {
        assert_eq!(slow_at(|dts| dts + 1_000), [0; 0], "far away");
        assert_eq!(
            slow_at(|dts| dts.max(3_000)),
            [0; 0],
            "a burst after a pause"
        );
        assert_eq!(
            slow_at(|dts| dts + if dts % 400 == 0 { 200 } else { 0 }),
            [0; 0],
            "uneven"
        );
        let slow = slow_at(|dts| dts * 5 / 2);
        assert!((600..=1_500).contains(&slow[0]), "{slow:?}");
        let stays = slow_at(|dts| if dts < 2_000 { dts } else { dts + 900 });
        assert_eq!(stays.len(), 1, "a publisher that stays behind: {stays:?}");
    }
}
