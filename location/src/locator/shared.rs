//! What the sessions and the handles of a locator share.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use headwater_process::clock;
use headwater_process::tls::Dialer;
use parking_lot::Mutex;
use tokio::sync::{broadcast, watch};

use super::book::Book;
use super::follow::Follows;
use super::lost::Lost;
use super::metrics::Metrics;
use super::reports::Reports;
use super::{Client, Located, LocatorError};
use crate::limits::POLICIES_MAX;
use crate::member::{Member, MemberList};
use crate::message::{Heartbeat, Load, Order, Rehome};
use crate::policy::{Policies, Policy};
use crate::ring::Ring;
use crate::wire::WireError;
use crate::{Down, StreamKey, Up};

/// A look-up under way, and its answer.
pub(super) type Lookup = watch::Receiver<Option<Result<Located, LocatorError>>>;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) started: Duration,
    pub(super) dialer: Dialer,
    pub(super) me: Mutex<Me>,
    pub(super) reports: Reports,
    pub(super) nudge: watch::Sender<u64>,
    pub(super) state: Mutex<State>,
    /// The operators with which there is a session, by replica.
    pub(super) replicas: Vec<Mutex<Option<Operator>>>,
    /// The first so many replicas are those of the configuration; the others were found by name.
    pub(super) named: usize,
    pub(super) sessions: watch::Sender<Sessions>,
    pub(super) members: watch::Sender<Arc<MemberList>>,
    pub(super) orders: watch::Sender<Option<Order>>,
    pub(super) policies: watch::Sender<Arc<Policies>>,
    pub(super) rehomes: broadcast::Sender<Rehome>,
    /// The operators that each replica knows of, by replica.
    pub(super) operators: watch::Sender<BTreeMap<usize, Vec<SocketAddr>>>,
    pub(super) lookups: Mutex<BTreeMap<StreamKey, Lookup>>,
    pub(super) metrics: Metrics,
}

/// An operator with which there is a session.
#[derive(Clone, Debug)]
pub(super) struct Operator {
    pub(super) address: String,
    pub(super) client: Client,
}

#[derive(Debug)]
pub(super) struct Me {
    pub(super) member: Member,
    pub(super) load: Load,
    /// The revision that each replica was told last.
    pub(super) told: Vec<u64>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) book: Book,
    pub(super) ring: Ring,
    pub(super) lost: Lost,
    pub(super) follows: Follows,
    /// The lists of policies that replicas are telling, by replica.
    pub(super) coming: Vec<Vec<Policy>>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sessions {
    pub(super) open: usize,
    pub(super) ever: bool,
}

impl Shared {
    pub(super) fn me(&self) -> Member {
        self.me.lock().member.clone()
    }

    pub(super) fn age(&self) -> Duration {
        clock::now().saturating_sub(self.started)
    }

    pub(super) fn nudge(&self) {
        self.nudge
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(super) fn heartbeat(&self) -> Heartbeat {
        let me = self.me.lock();
        Heartbeat {
            ready: me.member.ready,
            draining: me.member.draining,
            revision: me.member.revision,
            load: me.load,
        }
    }

    /// Whether the replica has not been told the present revision; it is about to be.
    pub(super) fn standing_is_news(&self, replica: usize) -> bool {
        let mut me = self.me.lock();
        let revision = me.member.revision;
        me.told
            .get_mut(replica)
            .is_some_and(|told| std::mem::replace(told, revision) != revision)
    }

    pub(super) fn begin(&self, replica: usize) {
        self.reports.begin(replica);
        let mut state = self.state.lock();
        state.book.connected(replica);
        state.follows.begin(replica);
    }

    pub(super) fn connected(&self, replica: usize, operator: Operator) {
        if let Some(slot) = self.replicas.get(replica) {
            *slot.lock() = Some(operator);
        }
        self.count_sessions();
    }

    pub(super) fn disconnected(&self, replica: usize) {
        if let Some(slot) = self.replicas.get(replica) {
            *slot.lock() = None;
        }
        self.count_sessions();
        self.told_operators(replica, Vec::new());
        self.reports.close(replica);
        let mut state = self.state.lock();
        state.follows.close(replica);
        state.book.disconnected(replica);
        self.members_changed(&mut state);
        state.tell_all();
    }

    pub(super) fn has_session(&self, replica: usize) -> bool {
        self.replicas
            .get(replica)
            .is_some_and(|slot| slot.lock().is_some())
    }

    /// Notes the operators that `replica` knows of; none: it is not there any more, or does not know.
    fn told_operators(&self, replica: usize, operators: Vec<SocketAddr>) {
        self.operators.send_if_modified(|told| {
            let before = if operators.is_empty() {
                told.remove(&replica)
            } else {
                told.insert(replica, operators.clone())
            };
            before.unwrap_or_default() != operators
        });
    }

    pub(super) fn count_sessions(&self) {
        let open = self
            .replicas
            .iter()
            .filter(|it| it.lock().is_some())
            .count();
        self.metrics
            .connected
            .set(i64::try_from(open).unwrap_or(i64::MAX));
        self.sessions.send_modify(|sessions| {
            sessions.open = open;
            sessions.ever |= open > 0;
        });
    }

    pub(super) fn pending(&self, replica: usize) -> bool {
        self.reports.pending(replica) || self.state.lock().follows.pending(replica)
    }

    pub(super) fn next(&self, replica: usize) -> Option<Up> {
        match self.reports.next(replica) {
            Some(report) => Some(Up::Report(report)),
            None => self.state.lock().follows.next(replica),
        }
    }

    pub(super) fn heard(&self, replica: usize, down: Down) -> Result<(), WireError> {
        let mut state = self.state.lock();
        match down {
            Down::Members(mut chunk) => {
                if chunk.complete {
                    self.told_operators(replica, std::mem::take(&mut chunk.operators));
                }
                if !state.book.listed(replica, chunk) {
                    return Err(WireError::TooLong("members"));
                }
                self.members_changed(&mut state);
            }
            Down::Exceptions(change) => state.book.excepted(replica, change),
            Down::Move { key, sources } => {
                if state.follows.contains(&key) {
                    state.book.moved(replica, &key, sources);
                    state.tell(&key);
                }
            }
            Down::Order(order) => {
                self.orders.send_replace(Some(order));
            }
            Down::Policies(chunk) => {
                let coming = state.coming.get_mut(replica);
                let coming = coming.ok_or(WireError::Meaningless("policies"))?;
                if chunk.begin {
                    coming.clear();
                }
                coming.extend(chunk.policies);
                if coming.len() > POLICIES_MAX {
                    return Err(WireError::TooLong("policies"));
                }
                if chunk.complete {
                    // All replicas read the same list: what came last is the newest.
                    let policies = Policies::new(std::mem::take(coming));
                    self.policies.send_if_modified(|known| {
                        let changed = **known != policies;
                        if changed {
                            *known = Arc::new(policies);
                        }
                        changed
                    });
                }
            }
            Down::Rehome(rehome) => {
                // Without a receiver nobody is an ingress here.
                drop(self.rehomes.send(rehome));
            }
            Down::Beat { settled } => {
                if state.book.settled(replica, settled) {
                    self.members_changed(&mut state);
                    state.tell_all();
                }
            }
        }
        Ok(())
    }

    pub(super) fn members_changed(&self, state: &mut State) {
        let members = state.book.members();
        let before = Arc::clone(&self.members.borrow());
        if *before == *members {
            return;
        }
        state.lost.changed(&before, members, clock::now());
        let ring = members.origin_ring();
        self.metrics
            .members
            .set(i64::try_from(members.len()).unwrap_or(i64::MAX));
        self.members.send_replace(Arc::new(members.clone()));
        state.ring = ring;
        // Another edge may pull for the region from now on.
        state.tell_all();
    }
}

impl State {
    pub(super) fn tell(&self, key: &StreamKey) {
        let sources = self.book.sources(key);
        let sources = sources.map(|sources| self.book.shielded(key, sources));
        self.follows.tell(key, sources);
    }

    pub(super) fn tell_all(&self) {
        for key in self.follows.keys() {
            self.tell(&key);
        }
    }
}
