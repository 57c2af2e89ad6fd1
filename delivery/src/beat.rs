//! When a fan-out writes to its live viewers next.

use std::time::Duration;

use crate::cadence::Cadence;

/// One fan-out's ticks.
#[derive(Debug, Default)]
pub(crate) struct Beat {
    due: Option<Duration>,
    ticked: Option<Duration>,
}

impl Beat {
    /// When the next tick is due, if there is anything to write.
    pub(crate) fn due(&self) -> Option<Duration> {
        self.due
    }

    /// It ticks.
    pub(crate) fn ticks(&mut self, now: Duration) {
        self.due = None;
        self.ticked = Some(now);
    }

    /// There are new tags; `paced`: they came by the tick themselves. Returns whether to tick at once.
    ///
    /// Whatever is fed, that is at most four times as often as the tick says.
    pub(crate) fn hears(&mut self, cadence: &Cadence, paced: bool, now: Duration) -> bool {
        if !paced {
            self.due.get_or_insert_with(|| cadence.next_after(now));
            return false;
        }
        let tick = cadence.tick();
        match self.ticked {
            // Right behind a tick of its own. It moves half a tick away, so that it is not before the next that comes.
            Some(ticked) if now.saturating_sub(ticked) <= tick / 4 => {
                self.due = Some(ticked.saturating_add(tick / 2));
                false
            }
            Some(_) | None => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The times of the ticks, in milliseconds, where tags come `at` such times and the tick is 40 ms.
    fn ticks(at: &[(u64, bool)]) -> Vec<u64> {
        let cadence = Cadence::new(Some(Duration::from_millis(40)));
        let (mut beat, mut ticks) = (Beat::default(), Vec::new());
        for now_ms in 0..400 {
            let now = Duration::from_millis(now_ms);
            let mut ticked = beat.due().is_some_and(|due| due <= now);
            if ticked {
                beat.ticks(now);
            }
            for (_, paced) in at.iter().filter(|(at_ms, _)| *at_ms == now_ms) {
                if beat.hears(&cadence, *paced, now) {
                    beat.ticks(now);
                    ticked = true;
                }
            }
            if ticked {
                ticks.push(now_ms);
            }
        }
        ticks
    }

    #[test]
    fn tags_wait_for_the_tick_unless_they_came_by_it() {
        for (name, at, ticked) in [
            ("a rest", vec![], vec![]),
            (
                "each as it comes",
                vec![(10, false), (30, false), (50, false)],
                vec![40, 80],
            ),
            (
                "by the tick",
                vec![(40, true), (80, true), (120, true)],
                vec![40, 80, 120],
            ),
            (
                "by the tick at last",
                vec![(10, false), (41, true), (81, true), (121, true)],
                vec![40, 60, 81, 121],
            ),
            (
                "it is said, and is not so",
                vec![(40, true), (42, true), (44, true), (90, true)],
                vec![40, 60, 90],
            ),
        ] {
            assert_eq!(ticks(&at), ticked, "{name}");
        }
    }
}
