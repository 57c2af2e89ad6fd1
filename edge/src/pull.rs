//! One pull a stream, however many viewers it has.

mod behind;
mod carry;
mod course;
mod finder;
mod interest;
mod lateness;
mod path;
mod table;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use headwater_delivery::{Fanout, FanoutSettings};
use headwater_hop::{HopMetrics, PullLimits};
use headwater_hub::{Registry, RegistryError, Stream, StreamRules};
use headwater_location::policy::{Policies, StreamSettings};
use headwater_media::StreamKey;
use headwater_process::clock;
use headwater_process::tls::Dialer;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::config::PullConfig;
use crate::metrics::EdgeMetrics;
use crate::seats::Seats;

use behind::Behind;
pub(crate) use course::Standing;
pub use finder::{Finder, Finding, Moves};
pub(crate) use interest::Interest;
use table::Table;

/// Pulls that end while somebody enters are tried anew this often.
const TRIES: u32 = 3;

/// Why a stream cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EnterError {
    /// Nobody has it.
    #[error("the stream is not live")]
    Missing,
    /// Its publisher has left.
    #[error("the stream's publisher has left")]
    Left,
    /// Somebody has it, and it does not come.
    #[error("the stream's source does not answer")]
    Slow,
    /// It comes from another edge, perhaps from the one that asks.
    #[error("the stream's source is another edge")]
    Circle,
    /// No room for another stream.
    #[error(transparent)]
    Full(#[from] RegistryError),
}

impl EnterError {
    pub(crate) fn reason(self) -> &'static str {
        match self {
            EnterError::Missing => "missing",
            EnterError::Left => "publisher_left",
            EnterError::Slow => "source_slow",
            EnterError::Circle => "circle",
            EnterError::Full(_) => "streams_full",
        }
    }
}

/// What all pulls of an edge share.
pub(crate) struct Upstream {
    pub(crate) config: PullConfig,
    pub(crate) limits: PullLimits,
    pub(crate) dialer: Dialer,
    pub(crate) registry: Registry,
    pub(crate) finder: Arc<dyn Finder>,
    pub(crate) hop: HopMetrics,
    pub(crate) metrics: Arc<EdgeMetrics>,
}

/// All pulls of an edge. A clone shares them.
#[derive(Clone)]
pub(crate) struct Pulls {
    shared: Arc<Shared>,
}

struct Shared {
    upstream: Upstream,
    table: Mutex<Table>,
}

/// One stream that is pulled, or looked for.
#[derive(Debug)]
pub(crate) struct Pull {
    stream: Arc<Stream>,
    fanout: Mutex<Option<Fanout>>,
    standing: watch::Sender<Standing>,
    interest: Seats,
    viewers: Seats,
    changed: Notify,
    /// The edges among those who are interested.
    behind: Behind,
    upstream: Mutex<Option<String>>,
    /// Whether it comes from another edge.
    shielded: AtomicBool,
    since: Duration,
}

impl fmt::Debug for Pulls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.list().iter().map(|pull| pull.key().clone()))
            .finish()
    }
}

impl Pull {
    fn new(stream: Arc<Stream>) -> Pull {
        Pull {
            stream,
            fanout: Mutex::new(None),
            standing: watch::Sender::default(),
            interest: Seats::new(),
            viewers: Seats::new(),
            changed: Notify::new(),
            behind: Behind::default(),
            upstream: Mutex::new(None),
            shielded: AtomicBool::new(false),
            since: clock::now(),
        }
    }

    pub(crate) fn key(&self) -> &StreamKey {
        self.stream.key()
    }

    pub(crate) fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    pub(crate) fn standing(&self) -> Standing {
        *self.standing.borrow()
    }

    /// The address of the source.
    pub(crate) fn source(&self) -> Option<String> {
        self.upstream.lock().clone()
    }

    /// Whether it comes from another edge, the region's shield.
    pub(crate) fn is_shielded(&self) -> bool {
        self.shielded.load(Ordering::Relaxed)
    }

    pub(crate) fn since(&self) -> Duration {
        self.since
    }

    /// Viewers, without those who wait and without other edges.
    pub(crate) fn viewers(&self) -> usize {
        self.viewers.taken()
    }

    /// Takes a viewer's place, unless there are `max` already.
    pub(crate) fn take_place(&self, max: usize) -> bool {
        self.viewers.take_below(max)
    }

    pub(crate) fn give_place(&self) {
        self.viewers.leave();
    }

    /// The way into its fan-out, which begins with the first viewer.
    pub(crate) fn fanout(&self, settings: &Arc<FanoutSettings>) -> Fanout {
        let mut fanout = self.fanout.lock();
        fanout
            .get_or_insert_with(|| Fanout::start(Arc::clone(&self.stream), Arc::clone(settings)))
            .clone()
    }
}

impl Pulls {
    pub(crate) fn new(upstream: Upstream) -> Pulls {
        Pulls {
            shared: Arc::new(Shared {
                upstream,
                table: Mutex::default(),
            }),
        }
    }

    /// Waits until `key` comes; for one that is not there, `wait` at most, and for one whose publisher has just left a
    /// moment at least. `hops` is the number of the pull that would be made for it: 1 for one's own viewers, more for
    /// another edge, that has it only as it comes from an origin.
    ///
    /// # Errors
    /// Why it does not come.
    pub(crate) async fn enter(
        &self,
        key: &StreamKey,
        wait: Duration,
        hops: u32,
    ) -> Result<Interest, EnterError> {
        let began = clock::now();
        let wait_until = began + wait;
        let open_until = began + wait.max(self.shared.upstream.config.open_timeout);
        if wait.is_zero() && self.shared.table.lock().is_missing(key, began) {
            return Err(EnterError::Missing);
        }
        let mut last = EnterError::Slow;
        for _ in 0..TRIES {
            let interest = self.interest(key, hops)?;
            let mut standings = interest.pull().standing.subscribe();
            loop {
                let standing = *standings.borrow_and_update();
                let until = match standing {
                    Standing::Live if hops > 1 && interest.pull().is_shielded() => {
                        return Err(EnterError::Circle);
                    }
                    Standing::Live => return Ok(interest),
                    Standing::Over => break,
                    Standing::Missing => wait_until,
                    // Another edge follows the stream itself.
                    Standing::Left { until } if hops <= 1 => until.max(wait_until),
                    Standing::Left { .. } => wait_until,
                    Standing::Seeking | Standing::Lost => open_until,
                };
                last = match standing {
                    Standing::Missing => EnterError::Missing,
                    Standing::Left { .. } => EnterError::Left,
                    Standing::Seeking | Standing::Lost | Standing::Live | Standing::Over => {
                        EnterError::Slow
                    }
                };
                // A pull that is made anew in the meantime has its own standing.
                let changed = tokio::time::timeout_at(clock::instant(until), standings.changed());
                if clock::now() >= until || changed.await.is_err() {
                    return Err(last);
                }
            }
        }
        Err(last)
    }

    /// Whether `key` could be played now, without pulling it.
    pub(crate) async fn knows(&self, key: &StreamKey) -> bool {
        let held = self.shared.table.lock().get(key);
        if let Some(pull) = held
            && matches!(pull.standing(), Standing::Live | Standing::Lost)
        {
            return true;
        }
        let located = self.shared.upstream.finder.locate(key).await;
        match located {
            Ok(headwater_location::Located::Found(sources)) => !sources.sources.is_empty(),
            // Nobody knows without asking the candidates, which only a pull does.
            Ok(headwater_location::Located::Guess(_)) => {
                self.enter(key, Duration::ZERO, 1).await.is_ok()
            }
            Ok(headwater_location::Located::Missing { .. }) | Err(_) => false,
        }
    }

    /// The policies in force.
    pub(crate) fn policies(&self) -> Arc<Policies> {
        let policies = self.shared.upstream.finder.policies();
        policies.map_or_else(Arc::default, |it| Arc::clone(&it.borrow()))
    }

    /// What a policy says of `key`.
    pub(crate) fn settings(&self, key: &StreamKey) -> StreamSettings {
        self.policies().settings(key)
    }

    /// Applies policies to streams that are pulled when they change, for ever.
    pub(crate) async fn follow_policies(self) {
        let Some(mut policies) = self.shared.upstream.finder.policies() else {
            return;
        };
        while policies.changed().await.is_ok() {
            let policies = Arc::clone(&policies.borrow_and_update());
            for pull in self.list() {
                let rules = rules(&policies.settings(pull.key()));
                self.shared.upstream.registry.rule(&pull.stream, rules);
            }
        }
    }

    /// All pulls, by key.
    pub(crate) fn list(&self) -> Vec<Arc<Pull>> {
        self.shared.table.lock().list()
    }

    /// Ends all streams: viewers get a clean end.
    pub(crate) fn close(&self) {
        for pull in self.list() {
            pull.stream.close();
        }
    }

    fn interest(&self, key: &StreamKey, hops: u32) -> Result<Interest, EnterError> {
        let mut table = self.shared.table.lock();
        if let Some(pull) = table.get(key) {
            if hops > 1 && pull.is_shielded() {
                return Err(EnterError::Circle);
            }
            return Ok(Interest::new(pull, hops));
        }
        let stream = self.shared.upstream.registry.get_or_create(key)?;
        let rules = rules(&self.settings(key));
        self.shared.upstream.registry.rule(&stream, rules);
        let pull = Arc::new(Pull::new(stream));
        table.put(Arc::clone(&pull));
        let interest = Interest::new(Arc::clone(&pull), hops);
        self.shared.upstream.metrics.pulls.inc();
        tokio::spawn(carry::run(Arc::clone(&self.shared), pull));
        Ok(interest)
    }
}

fn rules(settings: &StreamSettings) -> StreamRules {
    let millis = |time: Duration| i64::try_from(time.as_millis()).ok();
    StreamRules {
        gop_max_ms: settings.gop_max.and_then(millis),
        gop_max_bytes: settings
            .gop_max_bytes
            .and_then(|bytes| usize::try_from(bytes).ok()),
        live_max_ms: settings.max_cache.and_then(millis),
    }
}
