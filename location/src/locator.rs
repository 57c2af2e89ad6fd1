//! The client of the contract: how a role knows the others, tells what it carries and finds streams.

mod book;
mod calls;
mod follow;
mod lost;
mod metrics;
mod reports;
mod seek;
mod session;
mod shared;
mod walk;

use std::sync::Arc;
use std::time::Duration;

use headwater_process::clock;
use headwater_process::metrics::{MetricsError, Registry};
use headwater_process::tls::Dialer;
use parking_lot::Mutex;
use thiserror::Error;
use tokio::sync::{broadcast, watch};
use tokio::task::AbortHandle;
use tonic::transport::Channel;

pub use self::follow::Follow;
pub use self::reports::Reports;

use self::book::Book;
use self::follow::Follows;
use self::lost::Lost;
use self::metrics::Metrics;
use self::shared::{Me, Shared, State};
use crate::StreamKey;
use crate::config::LocationConfig;
use crate::limits::OPERATORS_MAX;
use crate::member::{Member, MemberId, MemberList};
use crate::message::{Existing, Load, Order, PlaceReply, Rehome};
use crate::policy::Policies;
use crate::proto::location_client::LocationClient;
use crate::stream::{Seen, Source, Sources};

type Client = LocationClient<Channel>;

/// Homes to move that wait for their sessions.
const REHOMES_MAX: usize = 1_024;

/// Where the home of a stream is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Where to claim: the home, then alternatives, in this order. Not empty.
    pub candidates: Vec<Source>,
    /// The session in force for the key, as far as an operator knows.
    pub existing: Option<Existing>,
    /// The highest term seen for the key, 0 if none is known.
    pub highest_term: u64,
    /// Where the stream's time stood, as far as an operator knows.
    pub resume: Option<Seen>,
    /// Who decided.
    pub by: PlacedBy,
}

/// Who decided on a placement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlacedBy {
    /// An operator, within the bound on loads.
    Operator,
    /// No operator answered: the ring, without a bound.
    Ring,
}

impl Placement {
    fn of(reply: PlaceReply, by: PlacedBy) -> Placement {
        Placement {
            candidates: reply.candidates,
            existing: reply.existing,
            highest_term: reply.highest_term,
            resume: reply.resume,
            by,
        }
    }

    fn some(self) -> Result<Placement, LocatorError> {
        if self.candidates.is_empty() {
            return Err(LocatorError::NoOrigin);
        }
        Ok(self)
    }
}

/// Where a stream is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Located {
    /// There: to be tried in order.
    Found(Sources),
    /// No operator answered: perhaps at one of these. Ask them together and take the highest term.
    Guess(Vec<Source>),
    /// It is not live.
    Missing {
        /// How long that holds.
        cache: Duration,
        /// How long ago its publisher left, if that is known.
        left_ago: Option<Duration>,
        /// Origins that operators have lost sight of not long ago: what these have, nobody could report.
        lost: Vec<Source>,
    },
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LocatorError {
    /// No origin is known that could take or have the stream.
    #[error("no origin is ready")]
    NoOrigin,
    /// Too many lookups are under way.
    #[error("too many lookups are under way")]
    Busy,
}

impl LocatorError {
    /// A label of a closed set.
    pub fn reason(&self) -> &'static str {
        match self {
            LocatorError::NoOrigin => "no_origin",
            LocatorError::Busy => "busy",
        }
    }
}

/// How a role knows the others, tells what it carries and finds streams. Cheap to clone; sessions end with the last clone.
#[derive(Clone, Debug)]
pub struct Locator {
    shared: Arc<Shared>,
    _tasks: Arc<Tasks>,
}

#[derive(Debug)]
struct Tasks(Vec<AbortHandle>);

impl Drop for Tasks {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

impl Locator {
    /// Starts sessions with the operators of `config`; `me` is how this process describes itself, not ready at first if
    /// it says so (see [`LocationConfig::member`]).
    ///
    /// # Errors
    /// If the names of the metrics are taken.
    pub fn start(
        config: &LocationConfig,
        me: Member,
        registry: &Registry,
    ) -> Result<Locator, MetricsError> {
        Locator::start_by(config, me, registry, Dialer::default())
    }

    /// The same, over connections that `dialer` opens.
    ///
    /// # Errors
    /// If the names of the metrics are taken.
    pub fn start_by(
        config: &LocationConfig,
        me: Member,
        registry: &Registry,
        dialer: Dialer,
    ) -> Result<Locator, MetricsError> {
        let mut me = me;
        me.incarnation = clock::unix_ms();
        let named = config.operators.len();
        let seeks = !config.operators_name.is_empty();
        let replicas = named.saturating_add(if seeks { OPERATORS_MAX } else { 0 });
        let fixed: Vec<Arc<Member>> = [Arc::new(me.clone())]
            .into_iter()
            .chain(
                config
                    .members
                    .iter()
                    .filter(|member| *member.id != *me.id)
                    .map(|member| Arc::new(member.into())),
            )
            .collect();
        let book = Book::new(me.site.clone(), replicas, fixed);
        let ring = book.members().origin_ring();
        let members = Arc::new(book.members().clone());
        let nudge = watch::Sender::new(0);
        let shared = Arc::new(Shared {
            started: clock::now(),
            dialer,
            me: Mutex::new(Me {
                member: me,
                load: Load::default(),
                told: vec![0; replicas],
            }),
            reports: Reports::new(replicas, nudge.clone()),
            nudge,
            state: Mutex::new(State {
                book,
                ring,
                lost: Lost::default(),
                follows: Follows::new(replicas),
                coming: (0..replicas).map(|_| Vec::new()).collect(),
            }),
            replicas: (0..replicas).map(|_| Mutex::new(None)).collect(),
            named,
            sessions: watch::Sender::default(),
            members: watch::Sender::new(members),
            orders: watch::Sender::new(None),
            policies: watch::Sender::default(),
            rehomes: broadcast::Sender::new(REHOMES_MAX),
            operators: watch::Sender::default(),
            lookups: Mutex::default(),
            metrics: Metrics::register(registry)?,
        });
        let tasks = config
            .operators
            .iter()
            .enumerate()
            .map(|(replica, address)| {
                tokio::spawn(session::keep(shared.clone(), replica, address.clone())).abort_handle()
            });
        let mut tasks: Vec<AbortHandle> = tasks.collect();
        if seeks {
            let seek = seek::seek(
                shared.clone(),
                config.operators_name.clone(),
                named..replicas,
            );
            tasks.push(tokio::spawn(seek).abort_handle());
        }
        let tasks = Arc::new(Tasks(tasks));
        Ok(Locator {
            shared,
            _tasks: tasks,
        })
    }

    /// How this process describes itself now.
    pub fn me(&self) -> Member {
        self.shared.me()
    }

    /// Where to say what this member carries.
    pub fn reports(&self) -> &Reports {
        &self.shared.reports
    }

    /// All members that are alive, as far as is known; this one is always among them.
    pub fn members(&self) -> watch::Receiver<Arc<MemberList>> {
        self.shared.members.subscribe()
    }

    /// The last order of an operator.
    pub fn orders(&self) -> watch::Receiver<Option<Order>> {
        self.shared.orders.subscribe()
    }

    /// What holds for streams by their names: as an operator told last, none before that.
    pub fn policies(&self) -> watch::Receiver<Arc<Policies>> {
        self.shared.policies.subscribe()
    }

    /// Homes that are to move, of sessions whose ingress this member is. A receiver that lags loses the oldest.
    pub fn rehomes(&self) -> broadcast::Receiver<Rehome> {
        self.shared.rehomes.subscribe()
    }

    /// How many operator replicas there is a session with.
    pub fn replicas(&self) -> usize {
        self.shared.sessions.borrow().open
    }

    /// Waits for a session with at least `count` replicas.
    pub async fn connected(&self, count: usize) {
        let mut sessions = self.shared.sessions.subscribe();
        // It cannot fail: the sender lives in `self`.
        let _ = sessions.wait_for(|sessions| sessions.open >= count).await;
    }

    /// Says whether this process takes new work and whether it gives its work up; told to all at once.
    pub fn set_standing(&self, ready: bool, draining: bool) {
        let member = {
            let mut me = self.shared.me.lock();
            if (me.member.ready, me.member.draining) == (ready, draining) {
                return;
            }
            me.member.ready = ready;
            me.member.draining = draining;
            me.member.revision = me.member.revision.saturating_add(1);
            me.member.clone()
        };
        {
            let mut state = self.shared.state.lock();
            state.book.describe(member);
            self.shared.members_changed(&mut state);
        }
        self.shared.nudge();
    }

    /// Says how busy this process is; told with the next heartbeat.
    pub fn set_load(&self, load: Load) {
        self.shared.me.lock().load = load;
    }

    /// Where the home of `key` is to be, for the publish session `epoch` whose ingress this process is; `exclude` did not
    /// accept or did not answer.
    ///
    /// Answers within about a second, whatever the operators do.
    ///
    /// # Errors
    /// If no origin takes the stream.
    pub async fn place(
        &self,
        key: &StreamKey,
        epoch: u64,
        exclude: &[MemberId],
    ) -> Result<Placement, LocatorError> {
        self.shared.place(key, epoch, exclude).await
    }

    /// Where `key` can be pulled from. One lookup is in flight for each name, however many ask.
    ///
    /// # Errors
    /// If no operator answers and no origin is known, or too many names are looked up at once.
    pub async fn locate(&self, key: &StreamKey) -> Result<Located, LocatorError> {
        self.shared.locate(key).await
    }

    /// Origins that may have `key` though no operator knows: those that operators have lost sight of, and without an
    /// operator all (8 of them at most), from the ring's first on.
    pub fn beyond(&self, key: &StreamKey) -> Vec<Source> {
        self.shared.beyond(key)
    }

    /// Follows the moves of `key` for as long as the value lives: also its appearance and its end.
    pub fn follow(&self, key: &StreamKey) -> Follow {
        Follow::new(self.shared.clone(), key.clone())
    }
}
