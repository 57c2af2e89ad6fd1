//! When a fan-out writes to its live viewers next.

use std::time::Duration;

use headwater_process::clock;

/// One fan-out's ticks.
#[derive(Debug, Default)]
pub(crate) struct Beat {
    due: Option<Duration>,
    ticked: Option<Duration>,
    /// Tags came by the tick until now.
    paced: bool,
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

    /// Some viewers have yet to be written to, without a new tag: it ticks again at the next multiple of `step`.
    pub(crate) fn due_within(&mut self, step: Duration, now: Duration) {
        self.due
            .get_or_insert_with(|| clock::next_multiple(now, step));
    }

    /// There are new tags; `paced`: they came by the tick themselves, every `step`. Returns whether to tick at once.
    ///
    /// Whatever is fed, that is at most four times as often as the tick says.
    pub(crate) fn hears(&mut self, step: Duration, paced: bool, now: Duration) -> bool {
        // Those that are the first not to be paced have waited for a tick already.
        let have_waited = std::mem::replace(&mut self.paced, paced) || paced;
        if !have_waited {
            self.due_within(step, now);
            return false;
        }
        match self.ticked {
            // Right behind a tick of its own. It moves half a tick away, so that it is not before the next that comes.
            Some(ticked) if now.saturating_sub(ticked) <= step / 4 => {
                self.due = Some(ticked.saturating_add(step / 2));
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
        let step = Duration::from_millis(40);
        let (mut beat, mut ticks) = (Beat::default(), Vec::new());
        for now_ms in 0..400 {
            let now = Duration::from_millis(now_ms);
            let mut ticked = beat.due().is_some_and(|due| due <= now);
            if ticked {
                beat.ticks(now);
            }
            for (_, paced) in at.iter().filter(|(at_ms, _)| *at_ms == now_ms) {
                if beat.hears(step, *paced, now) {
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
                "no longer by the tick",
                vec![(40, true), (80, true), (121, false), (130, false)],
                vec![40, 80, 121, 160],
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
