//! When a publisher that stands by goes on in the place of the one that is on: the rule of `backup`, as a pure function.
//!
//! Whoever is on stays on as long as it has tags. Once it has ended, or nothing has come of it for [`SILENT`], a publisher
//! that stands by takes its place with its next keyframe, and the other one, if it is still there, stands by from then on.
//! So nothing goes back by itself: who was replaced has to wait until its successor fails in turn.

use std::time::Duration;

use headwater_location::claim::Standing;

/// A publisher of which nothing came for so long is one to be replaced.
pub(crate) const SILENT: Duration = Duration::from_millis(500);

/// What becomes of a publisher whose rule is `backup`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It stands by.
    StandsBy,
    /// It goes on.
    GoesOn,
}

/// Rules on a publisher that has just come (`standing`: none) or stands by. `silent` is how long nothing has come of the
/// session that is on; none is on: `None`.
pub(super) fn turn(silent: Option<Duration>, standing: Option<Standing>) -> Turn {
    let goes_on = match (silent, standing.map(|standing| standing.ready)) {
        (None, None | Some(Some(_))) => true,
        (Some(_), None) | (_, Some(None)) => false,
        // A keyframe from before the silence would show again what has been shown.
        (Some(silent), Some(Some(ready))) => silent >= SILENT && ready <= silent,
    };
    if goes_on {
        Turn::GoesOn
    } else {
        Turn::StandsBy
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_one_that_is_on_stays_on_until_it_is_gone_or_silent() {
        use Turn::{GoesOn, StandsBy};
        let ready = |age| {
            Some(Standing {
                ready: Some(ms(age)),
            })
        };
        let asks = Some(Standing { ready: None });
        for (name, silent, standing, want) in [
            ("a free name", None, None, GoesOn),
            ("a free name, asked about", None, asks, StandsBy),
            ("a free name, with a keyframe", None, ready(90), GoesOn),
            ("a second one comes", Some(0), None, StandsBy),
            (
                "a second one comes to a silent one",
                Some(9_000),
                None,
                StandsBy,
            ),
            ("asked about", Some(9_000), asks, StandsBy),
            ("not silent", Some(40), ready(0), StandsBy),
            ("not silent for long enough", Some(499), ready(0), StandsBy),
            ("silent", Some(500), ready(0), GoesOn),
            (
                "silent, and a keyframe since",
                Some(500),
                ready(500),
                GoesOn,
            ),
            (
                "silent, the keyframe is older",
                Some(500),
                ready(501),
                StandsBy,
            ),
        ] {
            assert_eq!(turn(silent.map(ms), standing), want, "{name}");
        }
    }

    proptest! {
        /// Two that send at least every 499 ms are never exchanged, whatever each of them asks and when.
        #[test]
        fn who_has_tags_is_never_replaced(silent in 0_u64..500, ready in prop::option::of(0_u64..5_000), asks: bool) {
            let standing = asks.then(|| Standing { ready: ready.map(ms) });
            prop_assert_eq!(turn(Some(ms(silent)), standing), Turn::StandsBy);
        }

        /// Two lines that come and go, in steps of 20 ms: each seam is behind a silence of the one that was on, so two are
        /// never closer than that; and beside a line that never fails there is one seam at most.
        #[test]
        fn two_publishers_do_not_take_turns(
            spells in prop::collection::vec((any::<bool>(), any::<bool>(), 1_u64..100), 1..40),
            gop_steps in 1_u64..100,
            steady: bool,
        ) {
            let (mut last, mut key) = ([Duration::ZERO; 2], [Duration::ZERO; 2]);
            let (mut on, mut since, mut seams) = (0, Duration::ZERO, 0);
            let steps = spells.iter().flat_map(|(a, b, steps)| (0..*steps).map(move |_| [*a, *b || steady]));
            for (step, sends) in (1_u64..).zip(steps) {
                let now = ms(20 * step);
                for (publisher, sends) in sends.into_iter().enumerate() {
                    if sends {
                        last[publisher] = now;
                    }
                    if sends && (step + publisher as u64 * 7).is_multiple_of(gop_steps) {
                        key[publisher] = now;
                    }
                }
                let other = 1 - on;
                let silent = now - last[on].max(since);
                let standing = Standing { ready: Some(now - key[other]) };
                if turn(Some(silent), Some(standing)) == Turn::GoesOn {
                    prop_assert!(now - since >= SILENT && now - last[on] >= SILENT);
                    prop_assert!(key[other] >= last[on]);
                    (on, since, seams) = (other, now, seams + 1);
                }
            }
            prop_assert!(!steady || seams <= 1, "{seams}");
        }

        /// Nothing that was shown is shown again: what goes on began to come after the last tag of the other.
        #[test]
        fn who_goes_on_begins_behind_the_last_tag_that_came(silent in 0_u64..5_000, ready in 0_u64..5_000) {
            let standing = Some(Standing { ready: Some(ms(ready)) });
            if turn(Some(ms(silent)), standing) == Turn::GoesOn {
                prop_assert!(ready <= silent);
            }
        }
    }
}
