//! What all parts of an origin share.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use headwater_admission::Admission;
use headwater_hub::{
    FeedError, Liveness, Opening, Registry as Hub, RegistryError, Stream, StreamRules,
};
use headwater_location::claim::Origins;
use headwater_location::policy::{Policies, StreamSettings};
use headwater_location::{Endpoint, Locator, Part, Seen};
use headwater_media::{StreamKey, VirtualHosts};
use headwater_process::clock;
use headwater_process::drain::{Drain, Turns};
use headwater_process::tls::Dialer;
use thiserror::Error;
use tokio::sync::watch;

use crate::config::OriginConfig;
use crate::home::Homes;
use crate::ingest::{Backups, Cadence, Order, Sessions};
use crate::metrics::OriginMetrics;

/// How often the operators are told where streams' time stands.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// Media that is so much later than a publisher's best is late.
const LATE_MS: u64 = 1_000;
/// A stream may be closed between its look-up and its opening, by the end of its linger.
const OPEN_TRIES: usize = 3;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: OriginConfig,
    pub(crate) me: Endpoint,
    pub(crate) hosts: VirtualHosts,
    pub(crate) hub: Hub,
    pub(crate) sessions: Sessions,
    pub(crate) backups: Backups,
    pub(crate) cadence: Cadence,
    pub(crate) homes: Homes,
    pub(crate) origins: Origins,
    pub(crate) dialer: Dialer,
    pub(crate) locator: Locator,
    pub(crate) admission: Admission,
    pub(crate) drain: Drain,
    pub(crate) metrics: OriginMetrics,
    pub(crate) weak: Weak<Shared>,
    /// Connections that have spoken: the process lets them hear its last words.
    pub(crate) spoken: watch::Sender<usize>,
    /// When publishers are cut who stay, as soon as the process drains.
    pub(crate) turns: OnceLock<Turns>,
}

/// A connection that has spoken, until it is over.
#[derive(Debug)]
pub(crate) struct Spoken(watch::Sender<usize>);

impl Drop for Spoken {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// Why a session cannot begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum OpenError {
    #[error(transparent)]
    Full(#[from] RegistryError),
    #[error(transparent)]
    Feed(#[from] FeedError),
}

impl Shared {
    /// Counts a connection as one that has spoken.
    pub(crate) fn spoken(&self) -> Spoken {
        self.spoken
            .send_modify(|count| *count = count.saturating_add(1));
        Spoken(self.spoken.clone())
    }

    /// For tasks that outlive a borrow.
    pub(crate) fn myself(&self) -> Option<Arc<Shared>> {
        self.weak.upgrade()
    }

    /// Whether this origin gives its work up: the process ends, or an operator has ordered it.
    pub(crate) fn gives_up(&self) -> bool {
        !self.drain.is_serving() || self.locator.me().draining
    }

    /// What a publisher is told when this origin gives its work up.
    pub(crate) fn reconnect(&self) -> Order {
        Order::Reconnect {
            stays_until: self.turns.get().map(Turns::take),
        }
    }

    /// Begins a session of `key` here.
    pub(crate) fn open(&self, key: &StreamKey, opening: Opening) -> Result<Arc<Stream>, OpenError> {
        let mut tries = OPEN_TRIES;
        loop {
            let stream = self.hub.get_or_create(key)?;
            self.hub.rule(&stream, rules(&self.settings(key)));
            tries = tries.saturating_sub(1);
            match stream.open(opening) {
                Ok(_) => return Ok(stream),
                Err(FeedError::Closed) if tries > 0 => self.hub.remove(&stream, clock::now()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The policies in force.
    pub(crate) fn policies(&self) -> Arc<Policies> {
        Arc::clone(&self.locator.policies().borrow())
    }

    /// What a policy says of `key`.
    pub(crate) fn settings(&self, key: &StreamKey) -> StreamSettings {
        self.locator.policies().borrow().settings(key)
    }

    /// Applies policies to streams that are held when they change, until the process ends.
    pub(crate) async fn follow_policies(self: Arc<Shared>) {
        let mut policies = self.locator.policies();
        loop {
            tokio::select! {
                biased;
                changed = policies.changed() => if changed.is_err() { return },
                () = self.drain.ended() => return,
            }
            let policies = Arc::clone(&policies.borrow_and_update());
            for stream in self.hub.streams() {
                let rules = rules(&policies.settings(stream.key()));
                self.hub.rule(&stream, rules);
            }
        }
    }

    /// Takes `stream` away after the linger, unless another session or a resumed one has it by then.
    pub(crate) fn linger(&self, stream: Arc<Stream>, epoch: u64) {
        let Some(shared) = self.myself() else { return };
        let linger = self.settings(stream.key()).linger;
        let linger = linger.unwrap_or(shared.config.linger);
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = tokio::time::sleep(linger) => {}
                () = shared.drain.ended() => {}
            }
            let progress = stream.progress();
            if progress.epoch == epoch && progress.liveness != Liveness::Live {
                shared.drop_stream(&stream);
            }
        });
    }

    /// Takes `stream` away: readers end when they have all that is there.
    pub(crate) fn drop_stream(&self, stream: &Arc<Stream>) {
        self.hub.remove(stream, clock::now());
        stream.close();
    }

    /// Where the stream's time stands, as far as it was shown here.
    pub(crate) fn seen(&self, key: &StreamKey) -> Option<Seen> {
        let (last, ago) = self.hub.last_shown(key, clock::now())?;
        let ago_ms = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
        Some(Seen {
            stream_dts_ms: last.0,
            unix_ms: clock::unix_ms().saturating_sub(ago_ms),
        })
    }

    /// Tells the operators once a second where streams' time stands, and forgets what is over, until the process ends.
    pub(crate) async fn tell(self: Arc<Shared>) {
        let mut ticks = tokio::time::interval(TELL_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = ticks.tick() => {}
                () = self.drain.ended() => return,
            }
            let reports = self.locator.reports();
            for (key, _) in self.homes.all() {
                if let Some(seen) = self.seen(&key) {
                    reports.seen(&key, Part::Home, seen, 0);
                }
            }
            for session in self.sessions.all() {
                if let Some(seen) = self.seen(&session.publisher.key) {
                    reports.seen(&session.publisher.key, Part::Ingress, seen, 0);
                }
            }
            self.homes.forget(clock::now());
            self.look_at_uplinks();
        }
    }

    fn look_at_uplinks(&self) {
        let now = clock::now();
        let mut late = 0;
        let (sessions, backups) = (self.sessions.all(), self.backups.all());
        let on_air = sessions.iter().map(|session| &session.publisher);
        for publisher in on_air.chain(backups.iter().map(|backup| &backup.publisher)) {
            self.metrics.uplink_mishaps(publisher.mishaps(now));
            late += i64::from(publisher.uplink(now).health.late_ms >= LATE_MS);
        }
        self.metrics.late_uplinks.set(late);
    }
}

fn rules(settings: &StreamSettings) -> StreamRules {
    StreamRules {
        gop_max_ms: settings
            .gop_max
            .and_then(|time| i64::try_from(time.as_millis()).ok()),
        gop_max_bytes: settings
            .gop_max_bytes
            .and_then(|bytes| usize::try_from(bytes).ok()),
        live_max_ms: None,
    }
}
