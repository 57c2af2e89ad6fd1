//! The watch over a session's home, from its ingress: the one place that decides that a home is dead.

use std::sync::Arc;
use std::time::Duration;

use headwater_hub::Stream;
use headwater_location::claim::{Claim, OnDuplicate, Verdict};
use headwater_location::{Endpoint, MemberId, Source, Sources, term};
use headwater_media::rtmp::code;
use headwater_process::clock;

use super::grant::Placed;
use super::placing::{endpoint, here, verdict};
use super::publisher::Order;
use super::session::Session;
use crate::shared::Shared;

/// How often a home elsewhere is asked whether it still is: one that was started anew has forgotten.
const ASK_EVERY: Duration = Duration::from_secs(3);
/// A home that does not answer so many times in a row is dead.
const MISSED_MAX: u32 = 2;
/// After this time a new home is looked for again, if none was found.
const RETRY: Duration = Duration::from_millis(250);

struct Keeper {
    shared: Arc<Shared>,
    session: Arc<Session>,
    stream: Arc<Stream>,
    missed: u32,
}

/// Watches until the session's task ends it.
pub(super) async fn keep(shared: Arc<Shared>, session: Arc<Session>, stream: Arc<Stream>) {
    let mut follow = shared.locator.follow(&session.publisher.key);
    let mut members = shared.locator.members();
    let mut wanted = session.wanted();
    let mut older = session.older();
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + ASK_EVERY, ASK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut keeper = Keeper {
        shared,
        session,
        stream,
        missed: 0,
    };
    if let Some(sources) = follow.now() {
        keeper.heard(&sources).await;
    }
    loop {
        tokio::select! {
            biased;
            sources = follow.moved() => keeper.heard(&sources).await,
            Ok(()) = wanted.changed() => {
                let home = wanted.borrow_and_update().clone();
                keeper.rehome(home).await;
            }
            Ok(()) = older.changed() => {
                let term = *older.borrow_and_update();
                keeper.older(term).await;
            }
            _ = members.changed() => keeper.look().await,
            _ = ticks.tick() => keeper.ask().await,
        }
    }
}

/// What somebody else's term means for this session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rival {
    /// Nothing: it gives way when it hears of this one.
    Weaker,
    /// It must not hold: of an older session whose ingress found it another home, or of this session at a home that took
    /// a claim after this ingress had stopped waiting for its answer.
    Outbid,
    /// Of a newer session: this one is over.
    Successor,
}

/// Whether the session `epoch`, whose home has `term`, goes on where `sources` is said to be the stream. Viewers can only
/// follow from a lower epoch to a higher one, so of two sessions the newer one does.
fn rival(epoch: u64, term: u64, sources: &Sources) -> Rival {
    if sources.term <= term {
        Rival::Weaker
    } else if sources.epoch <= epoch {
        Rival::Outbid
    } else {
        Rival::Successor
    }
}

impl Keeper {
    /// The stream is said to be there.
    async fn heard(&mut self, sources: &Sources) {
        let placed = self.session.placed();
        match rival(self.session.epoch, placed.term, sources) {
            Rival::Weaker => {}
            Rival::Successor => self.fenced(sources.term),
            Rival::Outbid => self.outbid(placed.home, sources.term).await,
        }
    }

    /// A reader has heard of `term` of an older session.
    async fn older(&mut self, term: u64) {
        let placed = self.session.placed();
        if term > placed.term {
            self.outbid(placed.home, term).await;
        }
    }

    /// Raises the term above `higher`, at the same home: whoever has that lets go.
    async fn outbid(&mut self, home: MemberId, higher: u64) {
        tracing::info!(key = %self.session.publisher.key, epoch = self.session.epoch, term = higher, "raising the term above another one");
        let home = Source {
            address: endpoint(&self.shared, &home).map_or_else(String::new, |known| known.address),
            member: home,
            ..here(&self.shared)
        };
        let term = term::next(higher, clock::unix_ms());
        match self.claim_at(&home, term).await {
            Some(Verdict::Accepted { term, .. }) => self.moved(home, term),
            Some(Verdict::Stale { term: higher }) => self.fenced(higher),
            Some(Verdict::Refused { .. } | Verdict::AtCap | Verdict::StandsBy(_)) | None => {
                self.replace(home.member, "it does not take a higher term")
                    .await;
            }
        }
    }

    fn fenced(&self, term: u64) {
        tracing::info!(key = %self.session.publisher.key, epoch = self.session.epoch, term, "session fenced by a higher term");
        self.session.publisher.order(Order::StandBy {
            code: code::PUBLISH_BAD_NAME.to_owned(),
            text: "another publisher has taken this stream over".to_owned(),
        });
    }

    fn home_elsewhere(&self) -> Option<MemberId> {
        Some(self.session.placed().home).filter(|home| *home != self.shared.me.member)
    }

    /// The members have changed: is the home among them, and is it to stay?
    async fn look(&mut self) {
        let Some(home) = self.home_elsewhere() else {
            return;
        };
        let draining = {
            let members = self.shared.locator.members();
            let list = members.borrow();
            list.get(&home).map(|member| member.draining)
        };
        match draining {
            Some(false) => {}
            // By will: the old home goes on until readers have found the new one.
            Some(true) => self.replace(home, "it drains").await,
            None => self.replace(home, "it is no longer a member").await,
        }
    }

    async fn ask(&mut self) {
        let Some(home) = self.home_elsewhere() else {
            return;
        };
        let Some(endpoint) = endpoint(&self.shared, &home) else {
            return self.replace(home, "it is no longer a member").await;
        };
        let candidate = Source {
            member: endpoint.member,
            address: endpoint.address,
            ..here(&self.shared)
        };
        let placed = self.session.placed();
        match self.claim_at(&candidate, placed.term).await {
            Some(Verdict::Accepted { term, .. }) => {
                self.missed = 0;
                if term > placed.term {
                    self.moved(candidate, term);
                }
            }
            Some(Verdict::Stale { term }) => self.fenced(term),
            Some(Verdict::Refused { .. } | Verdict::AtCap | Verdict::StandsBy(_)) => {
                self.replace(home, "it has the session no longer").await
            }
            None => {
                self.missed = self.missed.saturating_add(1);
                if self.missed >= MISSED_MAX {
                    self.replace(home, "it does not answer").await;
                }
            }
        }
    }

    /// Moves the session to `wanted`, if that origin takes it; else all stays as it is.
    async fn rehome(&mut self, wanted: Option<Endpoint>) {
        let Some(wanted) = wanted.filter(|it| it.member != self.session.placed().home) else {
            return;
        };
        let candidate = Source {
            member: wanted.member,
            address: wanted.address,
            ..here(&self.shared)
        };
        let term = term::next(self.session.placed().term, clock::unix_ms());
        match self.claim_at(&candidate, term).await {
            Some(Verdict::Accepted { term, .. }) => self.moved(candidate, term),
            Some(Verdict::Stale { term: higher }) => self.fenced(higher),
            Some(Verdict::Refused { .. } | Verdict::AtCap | Verdict::StandsBy(_)) | None => {
                tracing::info!(key = %self.session.publisher.key, home = %candidate.member, "a move that was asked for is declined");
            }
        }
    }

    /// Finds another home than `lost`, under a higher term. Viewers pull from here meanwhile.
    async fn replace(&mut self, lost: MemberId, why: &'static str) {
        tracing::info!(key = %self.session.publisher.key, epoch = self.session.epoch, home = %lost, why, "looking for another home");
        self.missed = 0;
        self.session.homeless();
        loop {
            let term = term::next(self.session.placed().term, clock::unix_ms());
            let exclude = [lost.clone()];
            let placement = self
                .shared
                .locator
                .place(&self.session.publisher.key, self.session.epoch, &exclude)
                .await;
            if let Ok(placement) = &placement
                && let Some(newer) = &placement.existing
                && newer.epoch > self.session.epoch
            {
                return self.fenced(newer.term);
            }
            let mut candidates = placement
                .map(|placement| placement.candidates)
                .unwrap_or_default();
            // This origin has the stream already, whether or not it is the operators' choice.
            candidates.push(here(&self.shared));
            for candidate in candidates {
                match self.claim_at(&candidate, term).await {
                    Some(Verdict::Accepted { term, .. }) => {
                        return self.moved(candidate, term);
                    }
                    Some(Verdict::Stale { term: higher }) => return self.fenced(higher),
                    Some(Verdict::Refused { .. } | Verdict::AtCap | Verdict::StandsBy(_))
                    | None => {}
                }
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    fn moved(&self, to: Source, term: u64) {
        let (home, me) = (to.member, &self.shared.me.member);
        tracing::info!(key = %self.session.publisher.key, epoch = self.session.epoch, %home, term, "the session has a new home");
        let was_here = self.session.placed().home == *me;
        let successor = (home != *me).then_some(to.address);
        let leaves = was_here && successor.is_some();
        self.session.moved(Placed { term, home }, successor);
        self.stream.raise_term(term);
        self.shared.report_ingress(&self.session);
        if leaves {
            self.shared
                .home_over(&self.session.publisher.key, self.session.epoch);
        }
    }

    /// Claims the session's home at `candidate` under `term`, and once more above the term that it knows: it may know
    /// that of this session, from a claim whose answer was lost. What is still stale then is so for a newer session.
    async fn claim_at(&self, candidate: &Source, term: u64) -> Option<Verdict> {
        let said = verdict(&self.shared, candidate, &self.claim(term)).await;
        let Some(Verdict::Stale { term: higher }) = said else {
            return said;
        };
        let above = term::next(higher.max(term), clock::unix_ms());
        verdict(&self.shared, candidate, &self.claim(above)).await
    }

    fn claim(&self, term: u64) -> Claim {
        Claim {
            key: self.session.publisher.key.clone(),
            epoch: self.session.epoch,
            term,
            ingress: self.shared.me.clone(),
            publisher: self.session.publisher.peer.ip().to_string(),
            // The session is on: another one ends it by its own claim only.
            on_duplicate: OnDuplicate::Replace,
            last: None,
            standing: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_higher_term_holds_only_for_a_newer_session() {
        for (name, epoch, term, wanted) in [
            ("itself", 10, 20, Rival::Weaker),
            (
                "itself, at a home it knows nothing of",
                10,
                21,
                Rival::Outbid,
            ),
            ("older, with a lower term", 9, 19, Rival::Weaker),
            ("older, with a higher term", 9, 21, Rival::Outbid),
            ("newer, with a higher term", 11, 21, Rival::Successor),
            (
                "newer, with a lower term: it raises its own",
                11,
                19,
                Rival::Weaker,
            ),
        ] {
            let sources = Sources {
                epoch,
                term,
                sources: Vec::new(),
            };
            assert_eq!(rival(10, 20, &sources), wanted, "{name}");
        }
    }
}
