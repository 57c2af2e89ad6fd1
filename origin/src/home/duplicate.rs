//! Who has a name that two publishers want: the rules of `on_duplicate`, as a pure machine.
//!
//! Whoever comes from the address of the publisher that is on replaces itself, whatever the rule. With `replace` the
//! newest wins, until two addresses have evicted each other [`EVICTIONS_MAX`] times within [`WINDOW`]: then the one that
//! is on stays and the other is refused for [`BARRED`]. With `refuse` the one that is on stays.

use std::collections::VecDeque;
use std::time::Duration;

use headwater_location::claim::OnDuplicate;

/// Evictions between two addresses that make them rivals.
const EVICTIONS_MAX: usize = 3;
/// How long an eviction counts.
const WINDOW: Duration = Duration::from_secs(30);
/// How long the rival that lost is refused.
const BARRED: Duration = Duration::from_secs(30);
/// Evictions and bars that are remembered of one name; the newest ones decide.
const REMEMBERED_MAX: usize = 16;

/// What becomes of a publisher that comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// The name is free.
    Free,
    /// It takes the place of the publisher that is on.
    Replaces,
    /// The one that is on stays: the rule is `refuse`.
    InUse,
    /// The one that is on stays: the two have evicted each other too often.
    Rivals {
        /// How long the one that came is refused from now on.
        refused_for: Duration,
    },
}

#[derive(Debug)]
struct Eviction {
    at: Duration,
    winner: String,
    loser: String,
}

#[derive(Debug)]
struct Bar {
    until: Duration,
    refused: String,
    kept: String,
}

/// What is remembered of one name.
#[derive(Debug, Default)]
pub(crate) struct Rivalry {
    evictions: VecDeque<Eviction>,
    bars: VecDeque<Bar>,
}

impl Rivalry {
    /// Rules on a publisher from `comer` (a network address without port) where one from `on` has the name.
    pub(crate) fn rule(
        &mut self,
        on: Option<&str>,
        comer: &str,
        rule: OnDuplicate,
        now: Duration,
    ) -> Ruling {
        self.forget(now);
        let Some(on) = on else { return Ruling::Free };
        if on == comer {
            return Ruling::Replaces;
        }
        if rule == OnDuplicate::Refuse {
            return Ruling::InUse;
        }
        let barred = self
            .bars
            .iter()
            .find(|bar| bar.refused == comer && bar.kept == on);
        if let Some(bar) = barred {
            return Ruling::Rivals {
                refused_for: bar.until.saturating_sub(now),
            };
        }
        let between = |eviction: &&Eviction| {
            (eviction.winner == on && eviction.loser == comer)
                || (eviction.winner == comer && eviction.loser == on)
        };
        if self.evictions.iter().filter(between).count() >= EVICTIONS_MAX {
            let until = now.saturating_add(BARRED);
            remember(
                &mut self.bars,
                Bar {
                    until,
                    refused: comer.to_owned(),
                    kept: on.to_owned(),
                },
            );
            return Ruling::Rivals {
                refused_for: BARRED,
            };
        }
        let eviction = Eviction {
            at: now,
            winner: comer.to_owned(),
            loser: on.to_owned(),
        };
        remember(&mut self.evictions, eviction);
        Ruling::Replaces
    }

    /// Whether nothing of it matters any more at `now`.
    pub(crate) fn is_over(&mut self, now: Duration) -> bool {
        self.forget(now);
        self.evictions.is_empty() && self.bars.is_empty()
    }

    fn forget(&mut self, now: Duration) {
        self.evictions
            .retain(|eviction| now.saturating_sub(eviction.at) < WINDOW);
        self.bars.retain(|bar| now < bar.until);
    }
}

fn remember<T>(entries: &mut VecDeque<T>, entry: T) {
    if entries.len() >= REMEMBERED_MAX {
        entries.pop_front();
    }
    entries.push_back(entry);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REPLACE: OnDuplicate = OnDuplicate::Replace;
    const REFUSE: OnDuplicate = OnDuplicate::Refuse;

    fn rivals(seconds: u64) -> Ruling {
        Ruling::Rivals {
            refused_for: Duration::from_secs(seconds),
        }
    }

    /// Plays `comers` (second, address) against one another and gives each one's ruling.
    fn play(rule: OnDuplicate, comers: &[(u64, &str)]) -> Vec<Ruling> {
        let mut rivalry = Rivalry::default();
        let mut on: Option<String> = None;
        let mut rulings = Vec::new();
        for (second, comer) in comers {
            let ruling = rivalry.rule(on.as_deref(), comer, rule, Duration::from_secs(*second));
            if matches!(ruling, Ruling::Free | Ruling::Replaces) {
                on = Some((*comer).to_owned());
            }
            rulings.push(ruling);
        }
        rulings
    }

    #[test]
    fn the_name_goes_to_whom_the_rule_says() {
        use Ruling::{Free, InUse, Replaces};
        for (name, rule, comers, want) in [
            ("a free name", REPLACE, vec![(0, "a")], vec![Free]),
            (
                "a free name that is not shared",
                REFUSE,
                vec![(0, "a")],
                vec![Free],
            ),
            (
                "the newest wins",
                REPLACE,
                vec![(0, "a"), (1, "b"), (2, "c")],
                vec![Free, Replaces, Replaces],
            ),
            (
                "the one that is on stays",
                REFUSE,
                vec![(0, "a"), (1, "b"), (99, "b")],
                vec![Free, InUse, InUse],
            ),
            (
                "a reconnect replaces itself",
                REFUSE,
                vec![(0, "a"), (1, "a")],
                vec![Free, Replaces],
            ),
            (
                "a reconnect is no rivalry",
                REPLACE,
                vec![(0, "a"), (1, "a"), (2, "a"), (3, "a"), (4, "a"), (5, "a")],
                vec![Free, Replaces, Replaces, Replaces, Replaces, Replaces],
            ),
            (
                "after three evictions the one that is on stays for 30 s",
                REPLACE,
                vec![
                    (0, "a"),
                    (1, "b"),
                    (2, "a"),
                    (3, "b"),
                    (4, "a"),
                    (10, "a"),
                    (33, "a"),
                    (34, "a"),
                ],
                vec![
                    Free,
                    Replaces,
                    Replaces,
                    Replaces,
                    rivals(30),
                    rivals(24),
                    rivals(1),
                    Replaces,
                ],
            ),
            (
                "the one that is on may reconnect meanwhile",
                REPLACE,
                vec![
                    (0, "a"),
                    (1, "b"),
                    (2, "a"),
                    (3, "b"),
                    (4, "a"),
                    (5, "b"),
                    (6, "a"),
                ],
                vec![
                    Free,
                    Replaces,
                    Replaces,
                    Replaces,
                    rivals(30),
                    Replaces,
                    rivals(28),
                ],
            ),
            (
                "a third one is not concerned",
                REPLACE,
                vec![(0, "a"), (1, "b"), (2, "a"), (3, "b"), (4, "a"), (5, "c")],
                vec![Free, Replaces, Replaces, Replaces, rivals(30), Replaces],
            ),
            (
                "slow changes are no rivalry",
                REPLACE,
                vec![
                    (0, "a"),
                    (20, "b"),
                    (40, "a"),
                    (60, "b"),
                    (80, "a"),
                    (100, "b"),
                ],
                vec![Free, Replaces, Replaces, Replaces, Replaces, Replaces],
            ),
        ] {
            assert_eq!(play(rule, &comers), want, "{name}");
        }
    }

    #[test]
    fn who_was_refused_gets_a_name_that_is_free() {
        let mut rivalry = Rivalry::default();
        let at = Duration::from_secs;
        for (second, on, comer) in [(1, "a", "b"), (2, "b", "a"), (3, "a", "b")] {
            assert_eq!(
                rivalry.rule(Some(on), comer, REPLACE, at(second)),
                Ruling::Replaces
            );
        }
        assert_eq!(rivalry.rule(Some("b"), "a", REPLACE, at(4)), rivals(30));
        assert_eq!(rivalry.rule(None, "a", REPLACE, at(5)), Ruling::Free);
        assert!(!rivalry.is_over(at(33)));
        assert!(rivalry.is_over(at(34)));
    }

    proptest! {
        #[test]
        fn two_addresses_never_evict_each_other_more_than_three_times_in_any_30_s(
            steps in prop::collection::vec((0..20u64, 0..2usize), 1..80),
        ) {
            let mut rivalry = Rivalry::default();
            let mut on: Option<&str> = None;
            let (mut second, mut evictions) = (0, Vec::new());
            for (wait, who) in steps {
                second += wait;
                let comer = ["a", "b"][who];
                match rivalry.rule(on, comer, REPLACE, Duration::from_secs(second)) {
                    Ruling::Replaces if on != Some(comer) => evictions.push(second),
                    Ruling::Rivals { refused_for } => {
                        prop_assert!(refused_for <= BARRED && !refused_for.is_zero());
                        continue;
                    }
                    Ruling::Free | Ruling::Replaces | Ruling::InUse => {}
                }
                on = Some(comer);
            }
            for window in evictions.windows(EVICTIONS_MAX + 1) {
                prop_assert!(window[EVICTIONS_MAX] - window[0] >= WINDOW.as_secs(), "{evictions:?}");
            }
        }

        #[test]
        fn what_is_remembered_is_bounded_and_ends(
            comers in prop::collection::vec(("[a-e]", 0..3u64), 1..100),
        ) {
            let mut rivalry = Rivalry::default();
            let (mut on, mut now): (Option<String>, u64) = (None, 0);
            for (comer, wait) in comers {
                now += wait;
                rivalry.rule(on.as_deref(), &comer, REPLACE, Duration::from_secs(now));
                on = Some(comer);
                prop_assert!(rivalry.evictions.len() <= REMEMBERED_MAX && rivalry.bars.len() <= REMEMBERED_MAX);
            }
            prop_assert!(rivalry.is_over(Duration::from_secs(now + 30)));
        }
    }
}
