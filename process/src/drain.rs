//! How a process ends: it serves, gives notice, drains what it has for a bounded time, then ends.

mod holds;
mod metrics;
mod turns;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

pub use holds::Hold;
use holds::Holds;
pub use turns::Turns;

use crate::{clock, documented};

/// How often a drain says in the log how long it still has, and what for.
const SAY_EVERY: Duration = Duration::from_secs(5);

documented! {
    /// How the process ends.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct DrainConfig {
        /// How long a process that was told to end (SIGTERM, Ctrl-C) may finish what it has.
        #[serde(with = "crate::config::time")]
        pub grace: Duration,
        /// How long it goes on as before first, while `/readyz` says no already, so that load balancers that look there
        /// send nobody any more. The chart's preStop does this on Kubernetes.
        #[serde(with = "crate::config::time")]
        pub notice: Duration,
    }
}

impl Default for DrainConfig {
    fn default() -> Self {
        DrainConfig {
            grace: Duration::from_secs(30),
            notice: Duration::ZERO,
        }
    }
}

/// Where a process stands between its start and its end; it only moves forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Takes new work.
    Serving,
    /// Takes new work, and has been told to end: load balancers are to look elsewhere.
    Leaving,
    /// Takes no new work and finishes what it has.
    Draining {
        /// The time of [`clock::now`] at which it ends whatever is left.
        deadline: Duration,
    },
    /// Ends; whoever is left is dropped.
    Ended,
}

/// The process's phase: cheap to clone, shared by every task.
#[derive(Clone, Debug)]
pub struct Drain {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: DrainConfig,
    phase: watch::Sender<Phase>,
    holds: Arc<Holds>,
}

impl Drain {
    /// A process that serves; once it drains, it ends after `grace` at the latest.
    pub fn new(grace: Duration) -> Self {
        Drain::with(DrainConfig {
            grace,
            ..DrainConfig::default()
        })
    }

    /// A process that serves and ends as `config` says.
    pub fn with(config: DrainConfig) -> Self {
        Drain {
            shared: Arc::new(Shared {
                config,
                phase: watch::Sender::new(Phase::Serving),
                holds: Arc::default(),
            }),
        }
    }

    /// The phase now.
    pub fn phase(&self) -> Phase {
        *self.shared.phase.borrow()
    }

    /// Whether new work may start.
    pub fn is_serving(&self) -> bool {
        self.phase() <= Phase::Leaving
    }

    /// How long a drain still has; `None` if the process does not drain.
    pub fn remaining(&self) -> Option<Duration> {
        match self.phase() {
            Phase::Draining { deadline } => Some(deadline.saturating_sub(clock::now())),
            Phase::Serving | Phase::Leaving | Phase::Ended => None,
        }
    }

    /// Is not ready any more, and goes on as before otherwise; nothing if that has happened already.
    pub fn leave(&self) {
        self.advance(Phase::Leaving);
    }

    /// Starts to drain, with the deadline of the configured grace; nothing if that has happened already.
    pub fn begin(&self) {
        let deadline = clock::now().saturating_add(self.shared.config.grace);
        if self.is_serving() {
            self.advance(Phase::Draining { deadline });
        }
    }

    fn advance(&self, to: Phase) {
        self.shared.phase.send_if_modified(|phase| {
            let further = *phase < to;
            if further {
                *phase = to;
            }
            further
        });
    }

    /// Ends at once.
    pub fn end(&self) {
        self.advance(Phase::Ended);
    }

    /// Waits until the process drains (or has ended); gives the deadline, the present time if it has ended.
    pub async fn draining(&self) -> Duration {
        match self.reached(|phase| phase > Phase::Leaving).await {
            Phase::Draining { deadline } => deadline,
            Phase::Serving | Phase::Leaving | Phase::Ended => clock::now(),
        }
    }

    /// Waits until the process ends.
    pub async fn ended(&self) {
        self.reached(|phase| phase == Phase::Ended).await;
    }

    /// Marks one of `what` ("viewers") that a drain waits for, until the value is dropped.
    pub fn hold(&self, what: &'static str) -> Hold {
        Holds::hold(&self.shared.holds, what)
    }

    /// How many [`Hold`]s are alive.
    pub fn held(&self) -> usize {
        self.shared.holds.total()
    }

    /// Waits until nothing is held any more.
    pub async fn unheld(&self) {
        self.shared.holds.none().await;
    }

    /// Moves the phases: SIGTERM or SIGINT drains after the notice, a second one ends at once; a drain ends at its
    /// deadline, or as soon as nothing is held any more. Returns when the process has ended.
    ///
    /// # Errors
    /// If the signal handlers cannot be installed.
    pub async fn supervise(&self) -> std::io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        self.drive(async move || either(&mut terminate, &mut interrupt).await)
            .await;
        Ok(())
    }

    /// [`supervise`](Self::supervise) with `told` in place of the signals: each time that it returns counts as one.
    pub async fn drive(&self, mut told: impl AsyncFnMut()) {
        tokio::select! {
            biased;
            () = told() => self.leave(),
            _ = self.draining() => {}
        }
        let notice = self.shared.config.notice;
        if self.phase() == Phase::Leaving && !notice.is_zero() {
            tracing::info!(
                notice_s = notice.as_secs_f64(),
                "leaving: /readyz says no, new work is taken until the drain begins; a second signal ends at once"
            );
            tokio::select! {
                biased;
                () = told() => self.end(),
                () = tokio::time::sleep(notice) => {}
                _ = self.draining() => {}
            }
        }
        self.begin();
        if let Phase::Draining { deadline } = self.phase() {
            let held = || self.shared.holds.to_string();
            tracing::info!(
                grace_s = self.shared.config.grace.as_secs_f64(),
                held = held(),
                "draining; a second signal ends at once"
            );
            tokio::select! {
                biased;
                () = told() => tracing::info!(held = held(), "ending at once"),
                () = self.unheld() => tracing::info!("drained"),
                () = tokio::time::sleep_until(clock::instant(deadline)) => {
                    tracing::warn!(held = held(), "ending at the drain's deadline");
                }
                () = self.ended() => {}
                () = self.say(deadline) => {}
            }
        }
        self.end();
    }

    /// Says again and again how long is left and what for.
    async fn say(&self, deadline: Duration) {
        loop {
            tokio::time::sleep(SAY_EVERY).await;
            let left = deadline.saturating_sub(clock::now());
            tracing::info!(
                left_s = left.as_secs(),
                held = self.shared.holds.to_string(),
                "draining"
            );
        }
    }

    async fn reached(&self, wanted: impl Fn(Phase) -> bool) -> Phase {
        let mut changes = self.shared.phase.subscribe();
        // The sender lives in `self`, so the channel cannot close while this waits.
        changes
            .wait_for(|phase| wanted(*phase))
            .await
            .map_or(Phase::Ended, |phase| *phase)
    }
}

async fn either(first: &mut Signal, second: &mut Signal) {
    tokio::select! {
        biased;
        _ = first.recv() => {}
        _ = second.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    const GRACE: Duration = Duration::from_secs(30);

    struct Scenario {
        drain: Drain,
        signals: mpsc::Sender<()>,
        done: tokio::task::JoinHandle<Duration>,
        started: Duration,
    }

    impl Scenario {
        fn start() -> Self {
            Scenario::with_notice(Duration::ZERO)
        }

        fn with_notice(notice: Duration) -> Self {
            let drain = Drain::with(DrainConfig {
                grace: GRACE,
                notice,
            });
            let (signals, mut told) = mpsc::channel::<()>(4);
            let driven = drain.clone();
            let done = tokio::spawn(async move {
                driven
                    .drive(async move || {
                        if told.recv().await.is_none() {
                            std::future::pending::<()>().await;
                        }
                    })
                    .await;
                clock::now()
            });
            Scenario {
                drain,
                signals,
                done,
                started: clock::now(),
            }
        }

        async fn took(self) -> Duration {
            assert!(!self.done.is_finished() || self.drain.phase() == Phase::Ended);
            self.done.await.unwrap() - self.started
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_lasts_until_its_deadline_while_work_is_held() {
        let scenario = Scenario::start();
        let _work = scenario.drain.hold("works");
        assert!(scenario.drain.is_serving());
        scenario.signals.send(()).await.unwrap();
        let deadline = scenario.drain.draining().await;
        assert_eq!(deadline, scenario.started + GRACE);
        assert_eq!(scenario.drain.phase(), Phase::Draining { deadline });
        assert_eq!(scenario.took().await.as_secs(), GRACE.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_ends_when_the_last_work_is_done() {
        let scenario = Scenario::start();
        let works = [scenario.drain.hold("works"), scenario.drain.hold("works")];
        scenario.drain.begin();
        for work in works {
            tokio::time::sleep(Duration::from_secs(2)).await;
            assert_ne!(scenario.drain.phase(), Phase::Ended);
            drop(work);
        }
        scenario.drain.ended().await;
        assert_eq!(scenario.took().await.as_secs(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_process_ends_at_the_first_signal() {
        let scenario = Scenario::start();
        scenario.signals.send(()).await.unwrap();
        assert_eq!(scenario.took().await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_signal_ends_at_once() {
        let scenario = Scenario::start();
        let _work = scenario.drain.hold("works");
        scenario.signals.send(()).await.unwrap();
        scenario.drain.draining().await;
        scenario.signals.send(()).await.unwrap();
        assert_eq!(scenario.took().await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn new_work_is_taken_until_the_notice_is_over() {
        let notice = Duration::from_secs(3);
        let scenario = Scenario::with_notice(notice);
        let _work = scenario.drain.hold("works");
        scenario.signals.send(()).await.unwrap();
        scenario
            .drain
            .reached(|phase| phase == Phase::Leaving)
            .await;
        assert!(scenario.drain.is_serving());
        assert_eq!(scenario.drain.remaining(), None);
        let deadline = scenario.drain.draining().await;
        assert!(!scenario.drain.is_serving());
        assert_eq!(scenario.drain.remaining(), Some(GRACE));
        assert_eq!(deadline, scenario.started + notice + GRACE);
        scenario.signals.send(()).await.unwrap();
        assert_eq!(scenario.took().await.as_secs(), notice.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_signal_within_the_notice_ends_at_once() {
        let scenario = Scenario::with_notice(GRACE);
        scenario.signals.send(()).await.unwrap();
        scenario.signals.send(()).await.unwrap();
        assert_eq!(scenario.took().await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn phases_never_go_back() {
        let drain = Drain::new(GRACE);
        drain.end();
        drain.leave();
        drain.begin();
        assert_eq!(drain.phase(), Phase::Ended);
        drain.draining().await;
        drain.ended().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_begin_keeps_the_deadline() {
        let drain = Drain::new(GRACE);
        drain.begin();
        let deadline = drain.draining().await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        drain.begin();
        assert_eq!(drain.draining().await, deadline);
    }
}
