//! What follows from a claim: the older session is released, and this origin pulls from the ingress.

use std::time::Duration;

use headwater_location::claim::{Claim, ClaimHandler, OnAir, Release, Verdict};
use headwater_location::{Carried, Part};
use headwater_media::StreamKey;
use headwater_media::rtmp::code;
use headwater_process::clock;

use super::duplicate::Ruling;
use super::pull;
use super::table::{Decision, Home, Known};
use crate::ingest::Order;
use crate::shared::Shared;

/// How long an ingress has to take a release; it is told twice.
const RELEASE_WITHIN: Duration = Duration::from_millis(500);

impl ClaimHandler for Shared {
    async fn claim(&self, claim: Claim) -> Verdict {
        self.take_claim(&claim)
    }

    async fn release(&self, release: Release) {
        self.let_go(&release);
    }
}

impl Shared {
    /// Decides about a claim, of another member or of this one, and does what follows.
    pub(crate) fn take_claim(&self, claim: &Claim) -> Verdict {
        let known = self.known(claim);
        let decision = self
            .homes
            .decide(claim, known, clock::now(), clock::unix_ms());
        let (label, verdict) = match decision {
            // Its ingress looks for another home then, also where no operator tells of the drain.
            Decision::Again(home) if self.gives_up() && home.ingress.member != self.me.member => {
                ("draining", Verdict::AtCap)
            }
            Decision::Again(home) => {
                self.report_home(&claim.key, &home);
                ("again", accepted(&home))
            }
            Decision::Taken {
                home,
                replaced,
                stood_by,
            } => {
                if stood_by {
                    self.metrics.switched(replaced.is_some());
                    tracing::info!(
                        key = %claim.key, epoch = home.epoch, ingress = %home.ingress.member,
                        why = if replaced.is_some() { "silent" } else { "gone" }, "the backup goes on"
                    );
                }
                self.metrics
                    .homes
                    .set(i64::try_from(self.homes.len()).unwrap_or(i64::MAX));
                self.report_home(&claim.key, &home);
                if let Some(replaced) = replaced {
                    self.release(&claim.key, replaced, &home, stood_by);
                }
                if home.ingress.member != self.me.member
                    && let Some(shared) = self.myself()
                {
                    tokio::spawn(pull::keep(shared, claim.key.clone(), home.clone()));
                }
                ("accepted", accepted(&home))
            }
            Decision::StandsBy { ingress, silent } => {
                let here = || known.is_ingress.then(|| self.me.clone());
                let ingress = ingress.or_else(here);
                let on = Verdict::StandsBy(OnAir { ingress, silent });
                // One that stands by asks many times a second.
                if claim.standing.is_some() {
                    return on;
                }
                ("stands_by", on)
            }
            Decision::AtCap => ("at_cap", Verdict::AtCap),
            Decision::Refused(ruling) => {
                let (reason, text) = refusal(ruling);
                (
                    reason,
                    Verdict::Refused {
                        reason: reason.to_owned(),
                        text,
                    },
                )
            }
            Decision::Stale(term) => ("stale", Verdict::Stale { term }),
        };
        self.metrics.claim(label);
        verdict
    }

    fn known(&self, claim: &Claim) -> Known {
        let now = clock::now();
        let stream = self.hub.get(&claim.key);
        let progress = stream
            .as_ref()
            .map(|stream| stream.progress())
            .unwrap_or_default();
        // A gap of no time at all would show two tags at one moment.
        let at_least = Duration::from_millis(1);
        let shown = self.hub.last_shown(&claim.key, now);
        let ready = claim.standing.and_then(|standing| standing.ready);
        let time = shown.map(|(last, ago)| {
            last + millis(ago.saturating_sub(ready.unwrap_or_default()).max(at_least))
        });
        Known {
            highest: progress.epoch.max(progress.term),
            epoch: progress.epoch,
            time,
            heard: shown.map(|(_, ago)| now.saturating_sub(ago)),
            is_ingress: self.sessions.newest(&claim.key).is_some(),
            // A session whose ring is here already needs no more room.
            full: progress.epoch != claim.epoch
                && (stream.is_none() && self.hub.len() >= self.config.max_streams
                    || self.gives_up()),
        }
    }

    /// Tells the ingress of `replaced` that `by` has taken its place, which stood by until now or has just come.
    fn release(&self, key: &StreamKey, replaced: Home, by: &Home, stood_by: bool) {
        let reason = if stood_by {
            "the backup goes on in place of this publisher"
        } else if replaced.publisher == by.publisher {
            "this stream is published anew from the same address"
        } else {
            "another publisher has taken this stream over"
        };
        tracing::info!(%key, epoch = replaced.epoch, by = by.epoch, ingress = %replaced.ingress.member, "session replaced");
        let release = Release {
            key: key.clone(),
            epoch: replaced.epoch,
            term: by.term,
            code: code::PUBLISH_BAD_NAME.to_owned(),
            reason: reason.to_owned(),
            stands_by: stood_by,
        };
        if replaced.ingress.member == self.me.member {
            self.let_go(&release);
            return;
        }
        let (origins, metrics) = (self.origins.clone(), self.metrics.clone());
        tokio::spawn(async move {
            let address = &replaced.ingress.address;
            let mut told = origins.release(address, &release, RELEASE_WITHIN).await;
            if told.is_err() {
                told = origins.release(address, &release, RELEASE_WITHIN).await;
            }
            metrics.released(told.is_ok());
            if let Err(error) = told {
                tracing::warn!(key = %release.key, %error, "an ingress does not hear that its session is over");
            }
        });
    }

    /// Ends a session whose publisher is connected here, or takes it off the air.
    fn let_go(&self, release: &Release) {
        if let Some(session) = self.sessions.get(&release.key, release.epoch) {
            let (code, text) = (release.code.clone(), release.reason.clone());
            session.publisher.order(if release.stands_by {
                Order::StandBy { code, text }
            } else {
                Order::End { code, text }
            });
        }
    }

    fn report_home(&self, key: &StreamKey, home: &Home) {
        self.locator.reports().changed(Carried {
            key: key.clone(),
            part: Part::Home,
            epoch: home.epoch,
            term: home.term,
            ingress: Some(home.ingress.clone()),
            home: Some(self.me.member.clone()),
            seen: self.seen(key),
            viewers: 0,
        });
    }

    /// The session `epoch` is over, as far as this origin is its home. Says whether it was.
    pub(crate) fn home_over(&self, key: &StreamKey, epoch: u64) -> bool {
        let was = self.homes.over(key, epoch).is_some();
        if was {
            self.metrics
                .homes
                .set(i64::try_from(self.homes.len()).unwrap_or(i64::MAX));
            self.locator
                .reports()
                .ended(key, Part::Home, self.seen(key));
        }
        was
    }
}

fn accepted(home: &Home) -> Verdict {
    Verdict::Accepted {
        term: home.term,
        dts_offset_ms: home.dts_offset.0,
    }
}

fn refusal(ruling: Ruling) -> (&'static str, String) {
    match ruling {
        Ruling::Rivals { refused_for } => (
            "rivals",
            format!(
                "two publishers keep evicting each other from this stream; the other one is kept, try again in {} s",
                refused_for
                    .as_secs()
                    .saturating_add(u64::from(refused_for.subsec_nanos() > 0))
            ),
        ),
        Ruling::InUse | Ruling::Free | Ruling::Replaces => (
            "in_use",
            "this stream is being published already: stop that publisher or use another name"
                .to_owned(),
        ),
    }
}

fn millis(time: Duration) -> headwater_media::Dts {
    headwater_media::Dts(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
}
