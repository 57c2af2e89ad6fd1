//! The watch of a publisher that stands by: it asks the home who is on, until it is its turn.

use std::sync::Arc;
use std::time::Duration;

use headwater_location::claim::{Claim, OnAir, OnDuplicate, Standing, Verdict};
use headwater_location::{Endpoint, term};
use headwater_process::clock;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::backup::Backup;
use super::grant::Cue;
use super::placing::{self, Placing, Wanted};
use super::publisher::Order;
use crate::home::SILENT;
use crate::shared::Shared;

/// How often the home is asked.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// How long it has to answer. A process that has stopped closes no connection.
const ANSWER_WITHIN: Duration = Duration::from_millis(400);

/// A home that does not answer so many times in a row, nor the publisher's ingress, is gone.
const MISSED_MAX: u32 = 2;

/// What a publisher that stands by knows of the one that is on.
#[derive(Clone, Copy, Debug)]
struct Vigil {
    /// Somebody is on.
    on: bool,
    /// When the stream's newest tag came.
    heard: Duration,
}

impl Vigil {
    fn new(now: Duration) -> Vigil {
        Vigil {
            on: true,
            heard: now,
        }
    }

    fn told(&mut self, on: &OnAir, now: Duration) {
        self.on = on.ingress.is_some();
        if let Some(silent) = on.silent {
            self.heard = now.saturating_sub(silent);
        }
    }

    /// Whoever could say is gone, the publisher's ingress among them.
    fn lost(&mut self) {
        self.on = false;
    }

    /// Whether it is this publisher's turn: then it has to begin behind what came at that time.
    fn turn(&self, now: Duration) -> Option<Duration> {
        (!self.on || now.saturating_sub(self.heard) >= SILENT).then_some(self.heard)
    }
}

struct Watch {
    shared: Arc<Shared>,
    backup: Arc<Backup>,
    vigil: Vigil,
    /// Who is asked.
    home: Endpoint,
    /// How often in a row it has not answered.
    missed: u32,
    /// The ingress of the session that is on.
    ingress: Option<Endpoint>,
    /// It has claimed the stream in vain since the home was asked.
    tried: bool,
}

/// Watches until it is the publisher's turn and tells its connection, or until that ends the task.
pub(super) async fn keep(shared: Arc<Shared>, backup: Arc<Backup>, home: Endpoint, on: OnAir) {
    let now = clock::now();
    let mut watch = Watch {
        shared,
        vigil: Vigil::new(now),
        home,
        missed: 0,
        ingress: None,
        tried: false,
        backup,
    };
    watch.told(&on);
    let mut tags = watch.backup.stream.subscribe();
    let mut ticks = interval_at(Instant::now() + ASK_EVERY, ASK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let waits_for_keyframe = !watch.tried && watch.vigil.turn(clock::now()).is_some();
        tokio::select! {
            biased;
            _ = ticks.tick() => {
                watch.tried = false;
                watch.ask().await;
            }
            Ok(()) = tags.changed(), if waits_for_keyframe => {}
        }
        if let Some(cue) = watch.go_on().await {
            let epoch = cue.granted.epoch;
            let publisher = &watch.backup.publisher;
            if !publisher.order(Order::GoOn(cue)) {
                // Its connection has ended meanwhile.
                watch.shared.home_over(&publisher.key, epoch);
            }
            return;
        }
    }
}

impl Watch {
    fn told(&mut self, on: &OnAir) {
        self.vigil.told(on, clock::now());
        self.ingress.clone_from(&on.ingress);
    }

    /// Asks the home who is on; where it does not answer, the ingress of the session that was.
    async fn ask(&mut self) {
        let home = self.home.clone();
        if let Some(on) = self.ask_at(&home).await {
            self.missed = 0;
            return self.told(&on);
        }
        self.missed = self.missed.saturating_add(1);
        let ingress = self.ingress.clone().filter(|it| it.member != home.member);
        let on = match ingress {
            Some(ingress) => self.ask_at(&ingress).await,
            None => None,
        };
        match on {
            Some(on) => self.vigil.told(&on, clock::now()),
            None if self.missed >= MISSED_MAX => self.vigil.lost(),
            None => {}
        }
    }

    async fn ask_at(&self, at: &Endpoint) -> Option<OnAir> {
        let claim = Claim {
            key: self.backup.publisher.key.clone(),
            // Above all that is on: only a claim within a session has a term above its epoch.
            epoch: term::next(0, clock::unix_ms()),
            term: 0,
            ingress: self.shared.me.clone(),
            publisher: self.backup.publisher.peer.ip().to_string(),
            on_duplicate: OnDuplicate::Backup,
            last: None,
            standing: Some(Standing { ready: None }),
        };
        let verdict = if at.member == self.shared.me.member {
            self.shared.take_claim(&claim)
        } else {
            let origins = &self.shared.origins;
            origins
                .claim(&at.address, &claim, ANSWER_WITHIN)
                .await
                .ok()?
        };
        match verdict {
            Verdict::StandsBy(on) => Some(on),
            Verdict::Accepted { .. }
            | Verdict::AtCap
            | Verdict::Refused { .. }
            | Verdict::Stale { .. } => None,
        }
    }

    /// Claims the stream, if it is this publisher's turn and it has a keyframe to begin with.
    async fn go_on(&mut self) -> Option<Cue> {
        if self.shared.gives_up() {
            return None;
        }
        let now = clock::now();
        let ready = self.backup.ready(self.vigil.turn(now)?, now)?;
        self.tried = true;
        let publisher = &self.backup.publisher;
        let wanted = Wanted {
            key: &publisher.key,
            publisher: publisher.peer.ip().to_string(),
            on_duplicate: OnDuplicate::Backup,
            ready: Some(ready.arrived),
            exclude: (self.missed >= MISSED_MAX).then(|| self.home.member.clone()),
        };
        match placing::place(&self.shared, wanted).await {
            Ok(Placing::Granted(granted)) => Some(Cue {
                granted,
                from: ready.position,
            }),
            Ok(Placing::Behind { home, on }) => {
                self.backup.set_home(home.member.clone());
                self.home = home;
                self.missed = 0;
                self.told(&on);
                None
            }
            Err(refused) => {
                tracing::debug!(
                    key = %publisher.key, why = refused.reason, detail = refused.text,
                    "the backup is not let on"
                );
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_backups_turn_when_the_other_is_gone_or_silent() {
        let ms = Duration::from_millis;
        let ingress = || {
            Some(Endpoint {
                member: "origin-0".into(),
                address: "origin-0:7000".to_owned(),
            })
        };
        let on = |silent| OnAir {
            ingress: ingress(),
            silent: Some(ms(silent)),
        };
        let free = |silent: Option<u64>| OnAir {
            ingress: None,
            silent: silent.map(ms),
        };
        for (name, told, lost, now, want) in [
            ("it has just come", vec![], false, 1_499, None),
            (
                "nobody said anything since",
                vec![],
                false,
                1_500,
                Some(1_000),
            ),
            ("on", vec![(2_000, on(40))], false, 2_000, None),
            (
                "on, and not asked since",
                vec![(2_000, on(40))],
                false,
                2_459,
                None,
            ),
            ("silent", vec![(2_000, on(460))], false, 2_040, Some(1_540)),
            (
                "speaks again",
                vec![(2_000, on(460)), (2_100, on(10))],
                false,
                2_100,
                None,
            ),
            (
                "gone",
                vec![(2_000, free(Some(30)))],
                false,
                2_000,
                Some(1_970),
            ),
            (
                "gone, and the origin does not know since when",
                vec![(2_000, on(40)), (2_100, free(None))],
                false,
                2_100,
                Some(1_960),
            ),
            (
                "its origin is gone",
                vec![(2_000, on(40))],
                true,
                2_100,
                Some(1_960),
            ),
        ] {
            let mut vigil = Vigil::new(ms(1_000));
            for (at, on) in told {
                vigil.told(&on, ms(at));
            }
            if lost {
                vigil.lost();
            }
            assert_eq!(vigil.turn(ms(now)), want.map(ms), "{name}");
        }
    }
}
