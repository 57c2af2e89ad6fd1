//! Which streams this origin is the home of, and the decision about each claim. Without IO: effects are the caller's.

use std::collections::BTreeMap;
use std::time::Duration;

use headwater_location::claim::{Claim, OnDuplicate};
use headwater_location::{Endpoint, term};
use headwater_media::{Dts, StreamKey};
use parking_lot::Mutex;

use super::duplicate::{Rivalry, Ruling};

/// The session of a stream whose home this origin is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Home {
    pub(crate) epoch: u64,
    pub(crate) term: u64,
    pub(crate) ingress: Endpoint,
    /// The publisher's network address.
    pub(crate) publisher: String,
    pub(crate) dts_offset: Dts,
}

/// What the claim is judged by, beside the table.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known {
    /// The highest epoch or term that this origin has seen of the stream.
    pub(crate) highest: u64,
    /// The newest session of which this origin has tags.
    pub(crate) epoch: u64,
    /// Where the stream's time stands now, if anything was ever shown.
    pub(crate) time: Option<Dts>,
    /// There is no room for another stream.
    pub(crate) full: bool,
}

/// What becomes of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// This origin was the home of the session already, and is.
    Again(Home),
    /// It is the home from now on.
    Taken {
        /// Under which term, with which offset.
        home: Home,
        /// The session that has to go.
        replaced: Option<Home>,
    },
    /// It has no room.
    AtCap,
    /// The name stays with the one that is on.
    Refused(Ruling),
    /// A higher term is known.
    Stale(u64),
}

#[derive(Debug, Default)]
struct Name {
    home: Option<Home>,
    rivalry: Rivalry,
}

/// All names that this origin is home of, or was until a moment ago.
#[derive(Debug, Default)]
pub(crate) struct Homes(Mutex<BTreeMap<StreamKey, Name>>);

impl Homes {
    /// Decides about `claim` and notes the decision. `now` is the process's clock, `unix_ms` the wall's.
    pub(crate) fn decide(
        &self,
        claim: &Claim,
        known: Known,
        now: Duration,
        unix_ms: u64,
    ) -> Decision {
        let mut names = self.0.lock();
        let Some(name) = names.get_mut(&claim.key) else {
            let mut name = Name::default();
            let decision = name.decide(claim, known, now, unix_ms);
            if name.home.is_some() {
                names.insert(claim.key.clone(), name);
            }
            return decision;
        };
        name.decide(claim, known, now, unix_ms)
    }

    pub(crate) fn get(&self, key: &StreamKey) -> Option<Home> {
        self.0.lock().get(key)?.home.clone()
    }

    /// The session `epoch` is over. Gives it, if this origin was its home.
    pub(crate) fn over(&self, key: &StreamKey, epoch: u64) -> Option<Home> {
        let mut names = self.0.lock();
        let name = names.get_mut(key)?;
        name.home.take_if(|home| home.epoch == epoch)
    }

    pub(crate) fn all(&self) -> Vec<(StreamKey, Home)> {
        let names = self.0.lock();
        names
            .iter()
            .filter_map(|(key, name)| Some((key.clone(), name.home.clone()?)))
            .collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.0
            .lock()
            .values()
            .filter(|name| name.home.is_some())
            .count()
    }

    /// Forgets names of which nothing matters any more.
    pub(crate) fn forget(&self, now: Duration) {
        self.0
            .lock()
            .retain(|_, name| name.home.is_some() || !name.rivalry.is_over(now));
    }
}

impl Name {
    fn decide(&mut self, claim: &Claim, known: Known, now: Duration, unix_ms: u64) -> Decision {
        if let Some(home) = self.home.as_mut().filter(|home| home.epoch == claim.epoch) {
            if claim.term < home.term {
                return Decision::Stale(home.term);
            }
            home.term = claim.term;
            home.ingress.clone_from(&claim.ingress);
            return Decision::Again(home.clone());
        }
        let on = self.home.as_ref();
        let highest = on
            .map_or(0, |home| home.epoch.max(home.term))
            .max(known.highest);
        // A first claim carries what is known of earlier sessions, which is below its epoch; a session that has lost
        // its home comes with a term above it.
        let moves = claim.term > claim.epoch;
        let fenced = if moves {
            // Its own ring may be here still, under its epoch and an older term.
            let newest = on.map_or(0, |home| home.epoch).max(known.epoch);
            claim.term < highest || newest > claim.epoch
        } else {
            claim.epoch <= highest
        };
        if fenced {
            return Decision::Stale(highest);
        }
        if known.full && on.is_none() {
            return Decision::AtCap;
        }
        let rule = if moves {
            OnDuplicate::Replace
        } else {
            claim.on_duplicate
        };
        let ruling = self.rivalry.rule(
            on.map(|home| home.publisher.as_str()),
            &claim.publisher,
            rule,
            now,
        );
        match ruling {
            Ruling::Free | Ruling::Replaces => {}
            Ruling::InUse | Ruling::Rivals { .. } => return Decision::Refused(ruling),
        }
        let from_hint = claim.last.map(|seen| Dts(seen.stream_dts_ms_at(unix_ms)));
        let home = Home {
            epoch: claim.epoch,
            // Within a session only its ingress raises the term.
            term: if moves {
                claim.term
            } else {
                term::next(highest.max(claim.term).max(claim.epoch), unix_ms)
            },
            ingress: claim.ingress.clone(),
            publisher: claim.publisher.clone(),
            dts_offset: known.time.max(from_hint).unwrap_or_default(),
        };
        let replaced = self.home.replace(home.clone());
        Decision::Taken { home, replaced }
    }
}

#[cfg(test)]
mod tests {
    use headwater_location::Seen;
    use proptest::prelude::*;

    use super::*;

    const NOW: Duration = Duration::from_secs(100);
    const UNIX_MS: u64 = 1_000;
    const CLOCK: u64 = UNIX_MS << 16;

    fn claim(epoch: u64, term: u64, publisher: &str) -> Claim {
        Claim {
            key: "default/live/room".parse().unwrap(),
            epoch,
            term,
            ingress: Endpoint {
                member: "in".into(),
                address: "in:7000".to_owned(),
            },
            publisher: publisher.to_owned(),
            on_duplicate: OnDuplicate::Replace,
            last: None,
        }
    }

    fn taken(decision: Decision) -> (Home, Option<u64>) {
        let Decision::Taken { home, replaced } = decision else {
            panic!("{decision:?}")
        };
        (home, replaced.map(|home| home.epoch))
    }

    #[test]
    fn a_new_session_gets_a_term_above_all_that_was_seen_and_the_stream_goes_on_in_time() {
        for (name, term, known, last, want_term, want_offset) in [
            ("nothing known", 0, Known::default(), None, CLOCK + 1, 0),
            (
                "the ingress knows a term",
                CLOCK + 4,
                Known::default(),
                None,
                CLOCK + 11,
                0,
            ),
            (
                "shown here",
                0,
                Known {
                    highest: CLOCK + 9,
                    time: Some(Dts(70)),
                    ..Known::default()
                },
                None,
                CLOCK + 11,
                70,
            ),
            (
                "shown elsewhere",
                0,
                Known::default(),
                Some(Seen {
                    stream_dts_ms: 500,
                    unix_ms: 400,
                }),
                CLOCK + 1,
                1_100,
            ),
        ] {
            let epoch = if want_term == CLOCK + 1 {
                7
            } else {
                CLOCK + 10
            };
            let asked = Claim {
                last,
                ..claim(epoch, term, "a")
            };
            let (home, replaced) = taken(Homes::default().decide(&asked, known, NOW, UNIX_MS));
            let want_term = want_term.max(if term == 0 { want_term } else { epoch + 1 });
            assert_eq!(
                (home.term, home.dts_offset, replaced),
                (want_term, Dts(want_offset), None),
                "{name}"
            );
        }
    }

    #[test]
    fn what_is_fenced_is_told_the_term_that_fences_it() {
        let homes = Homes::default();
        let decide = |claim: &Claim, known| homes.decide(claim, known, NOW, UNIX_MS);
        let known = Known {
            highest: 50,
            ..Known::default()
        };
        assert_eq!(
            decide(&claim(50, 0, "a"), known),
            Decision::Stale(50),
            "an epoch that is not the newest"
        );
        let (home, _) = taken(decide(&claim(60, 0, "a"), known));
        assert_eq!(
            decide(&claim(60, home.term, "a"), known),
            Decision::Again(home.clone()),
            "asked twice"
        );
        assert_eq!(
            decide(&claim(60, home.term - 1, "a"), known),
            Decision::Stale(home.term)
        );
        assert_eq!(
            decide(&claim(61, 0, "b"), known),
            Decision::Stale(home.term),
            "older than the term"
        );
        let raised = claim(60, home.term + 5, "a");
        assert!(
            matches!(decide(&raised, known), Decision::Again(home) if home.term == raised.term)
        );
    }

    #[test]
    fn a_session_that_lost_its_home_keeps_the_term_that_its_ingress_raised() {
        let homes = Homes::default();
        let known = Known {
            highest: 60,
            time: Some(Dts(5)),
            ..Known::default()
        };
        let refusing = Claim {
            on_duplicate: OnDuplicate::Refuse,
            ..claim(60, 70, "a")
        };
        let (home, _) = taken(homes.decide(&refusing, known, NOW, UNIX_MS));
        assert_eq!(home.term, 70);
    }

    #[test]
    fn a_session_that_lost_its_home_does_not_come_back_where_a_newer_one_has_been() {
        let known = Known {
            highest: 65,
            epoch: 61,
            ..Known::default()
        };
        let decide = |epoch| Homes::default().decide(&claim(epoch, 70, "a"), known, NOW, UNIX_MS);
        assert_eq!(decide(60), Decision::Stale(65), "whatever its term");
        assert_eq!(taken(decide(61)).0.term, 70);
    }

    #[test]
    fn no_room_is_no_reason_to_refuse_a_stream_that_is_here() {
        let homes = Homes::default();
        let full = Known {
            full: true,
            ..Known::default()
        };
        assert_eq!(
            homes.decide(&claim(1, 0, "a"), full, NOW, UNIX_MS),
            Decision::AtCap
        );
        let (first, _) = taken(homes.decide(&claim(1, 0, "a"), Known::default(), NOW, UNIX_MS));
        let (_, replaced) = taken(homes.decide(&claim(first.term + 1, 0, "b"), full, NOW, UNIX_MS));
        assert_eq!(replaced, Some(1));
    }

    #[test]
    fn only_the_session_that_is_on_can_end_and_names_are_forgotten() {
        let homes = Homes::default();
        let key = claim(1, 0, "a").key;
        let (first, _) = taken(homes.decide(&claim(1, 0, "a"), Known::default(), NOW, UNIX_MS));
        let (second, _) = taken(homes.decide(
            &claim(first.term + 1, 0, "b"),
            Known::default(),
            NOW,
            UNIX_MS,
        ));
        assert_eq!(homes.over(&key, 1), None);
        assert_eq!(homes.over(&key, second.epoch), Some(second));
        homes.forget(NOW);
        assert_eq!(homes.0.lock().len(), 1, "an eviction is remembered");
        homes.forget(NOW + Duration::from_secs(30));
        assert!(homes.0.lock().is_empty());
    }

    proptest! {
        #[test]
        fn terms_only_grow_and_epochs_never_go_back(
            claims in prop::collection::vec((0..2u64, 0..40u64, 0..40u64, "[abc]", any::<bool>()), 1..60),
        ) {
            let homes = Homes::default();
            let (mut epoch, mut term) = (0, 0);
            for (index, (base, more_epoch, more_term, publisher, ends)) in claims.into_iter().enumerate() {
                let base = if base == 0 { 0 } else { term };
                let asked = claim(base + more_epoch, base + more_term, &publisher);
                let now = Duration::from_secs(index as u64);
                let known = Known { highest: epoch.max(term), ..Known::default() };
                match homes.decide(&asked, known, now, index as u64) {
                    Decision::Taken { home, .. } => {
                        prop_assert!(home.term >= term, "{home:?}");
                        prop_assert!(home.epoch == asked.epoch);
                        (epoch, term) = (home.epoch, home.term);
                    }
                    Decision::Again(home) => {
                        prop_assert_eq!(home.epoch, epoch);
                        prop_assert!(home.term >= term);
                        term = home.term;
                    }
                    Decision::Stale(higher) => prop_assert!(higher >= asked.epoch.min(asked.term)),
                    Decision::AtCap | Decision::Refused(_) => {}
                }
                if ends {
                    homes.over(&asked.key, epoch);
                }
            }
        }
    }
}
