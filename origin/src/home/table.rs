//! Which streams this origin is the home of, and the decision about each claim. Without IO: effects are the caller's.

use std::collections::BTreeMap;
use std::time::Duration;

use headwater_location::claim::{Claim, OnDuplicate};
use headwater_location::{Endpoint, term};
use headwater_media::{Dts, StreamKey};
use parking_lot::Mutex;

use super::backup::{Turn, turn};
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
    /// When it was accepted, on the process's clock.
    pub(crate) accepted: Duration,
}

/// What the claim is judged by, beside the table.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known {
    /// The highest epoch or term that this origin has seen of the stream.
    pub(crate) highest: u64,
    /// The newest session of which this origin has tags.
    pub(crate) epoch: u64,
    /// Where the stream's time stood when the session's first tag came, which is now or was a moment ago, if anything was
    /// ever shown.
    pub(crate) time: Option<Dts>,
    /// When the stream's newest tag came, on the process's clock, if any ever did.
    pub(crate) heard: Option<Duration>,
    /// This origin is the ingress of a session that is on.
    pub(crate) is_ingress: bool,
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
        /// It stood by for the one before.
        stood_by: bool,
    },
    /// It is to stand by.
    StandsBy {
        /// The ingress of the session whose home this origin is, if it is.
        ingress: Option<Endpoint>,
        /// For how long the stream is silent, as far as this origin knows.
        silent: Option<Duration>,
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
        // Within a session its ingress moves its home.
        let is_backup = claim.on_duplicate == OnDuplicate::Backup && claim.term <= claim.epoch;
        if is_backup {
            let heard = known.heard.max(on.map(|home| home.accepted));
            let silent = heard.map(|heard| now.saturating_sub(heard));
            let is_on = on.is_some() || known.is_ingress;
            let silent_on = is_on.then(|| silent.unwrap_or_default());
            if turn(silent_on, claim.standing) == Turn::StandsBy {
                let ingress = on.map(|home| home.ingress.clone());
                return Decision::StandsBy { ingress, silent };
            }
        }
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
        let ruling = if is_backup {
            Ruling::Free
        } else {
            let on = on.map(|home| home.publisher.as_str());
            self.rivalry.rule(on, &claim.publisher, rule, now)
        };
        match ruling {
            Ruling::Free | Ruling::Replaces => {}
            Ruling::InUse | Ruling::Rivals { .. } => return Decision::Refused(ruling),
        }
        let began_unix_ms = unix_ms.saturating_sub(age_ms(claim));
        let from_hint = claim
            .last
            .map(|seen| Dts(seen.stream_dts_ms_at(began_unix_ms)));
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
            accepted: now,
        };
        let replaced = self.home.replace(home.clone());
        Decision::Taken {
            home,
            replaced,
            stood_by: claim.standing.is_some(),
        }
    }
}

/// How long ago the first tag came of a session that begins with what has come already.
fn age_ms(claim: &Claim) -> u64 {
    let ready = claim.standing.and_then(|standing| standing.ready);
    let ready = ready.unwrap_or_default();
    u64::try_from(ready.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
