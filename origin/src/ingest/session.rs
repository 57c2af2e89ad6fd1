//! One publish session: what the rest of the origin may know of it and tell it.

use std::net::SocketAddr;
use std::time::Duration;

use headwater_location::{Endpoint, MemberId};
use headwater_media::{StreamKey, Timeline, UplinkHealth};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};

/// Orders that wait for a connection; each of them ends or repeats itself.
const ORDERS_MAX: usize = 4;

/// What a publisher's connection is told by the rest of the origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// The session is over.
    End {
        /// The onStatus code.
        code: String,
        /// The sentence for the publisher.
        text: String,
    },
    /// Ask the publisher to connect again, if it can be asked.
    Reconnect,
}

/// A publish session whose publisher is connected here.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) key: StreamKey,
    pub(crate) epoch: u64,
    pub(crate) peer: SocketAddr,
    /// What the encoder calls itself.
    pub(crate) agent: Option<String>,
    pub(crate) began: Duration,
    orders: mpsc::Sender<Order>,
    wanted: watch::Sender<Option<Endpoint>>,
    /// Where readers here are to go on.
    successor: watch::Sender<Option<String>>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    term: u64,
    home: MemberId,
    timeline: Timeline,
    bytes: u64,
    tags: u64,
}

/// What has come of a session so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Uplink {
    pub(crate) bytes: u64,
    pub(crate) tags: u64,
    pub(crate) health: UplinkHealth,
}

/// Where a session is: its home and the term that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) term: u64,
    pub(crate) home: MemberId,
}

impl Session {
    pub(crate) fn new(
        key: StreamKey,
        epoch: u64,
        peer: SocketAddr,
        agent: Option<String>,
        placed: Placed,
        began: Duration,
    ) -> (Session, mpsc::Receiver<Order>) {
        let (orders, received) = mpsc::channel(ORDERS_MAX);
        let Placed { term, home } = placed;
        let state = Mutex::new(State {
            term,
            home,
            timeline: Timeline::new(),
            bytes: 0,
            tags: 0,
        });
        (
            Session {
                key,
                epoch,
                peer,
                agent,
                began,
                orders,
                wanted: watch::Sender::new(None),
                successor: watch::Sender::new(None),
                state,
            },
            received,
        )
    }

    /// Counts a tag of `bytes` and gives its time in the session and its number.
    pub(super) fn place(
        &self,
        kind: headwater_media::TagKind,
        wire_ms: u32,
        bytes: usize,
        now: Duration,
    ) -> (headwater_media::Dts, u64) {
        let mut state = self.state.lock();
        let sequence = state.tags;
        state.tags = sequence.saturating_add(1);
        state.bytes = state
            .bytes
            .saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        (state.timeline.dts(kind, wire_ms, now), sequence)
    }

    pub(crate) fn uplink(&self, now: Duration) -> Uplink {
        let state = self.state.lock();
        Uplink {
            bytes: state.bytes,
            tags: state.tags,
            health: state.timeline.health(now),
        }
    }

    pub(crate) fn placed(&self) -> Placed {
        let state = self.state.lock();
        Placed {
            term: state.term,
            home: state.home.clone(),
        }
    }

    /// Notes the home that has the session from now on, and where its readers are to go on: `None` if they are to stay.
    pub(super) fn moved(&self, placed: Placed, successor: Option<String>) {
        {
            let mut state = self.state.lock();
            state.term = placed.term;
            state.home = placed.home;
        }
        self.successor.send_replace(successor);
    }

    /// The home is gone: readers stay here until there is another one.
    pub(super) fn homeless(&self) {
        self.successor.send_replace(None);
    }

    /// The `host:port` at which readers here are to go on, once the home has moved there.
    pub(crate) fn successor(&self) -> watch::Receiver<Option<String>> {
        self.successor.subscribe()
    }

    /// Asks for the session's home to be `home`.
    pub(crate) fn rehome(&self, home: Endpoint) {
        self.wanted.send_replace(Some(home));
    }

    /// The home that was asked for last.
    pub(super) fn wanted(&self) -> watch::Receiver<Option<Endpoint>> {
        self.wanted.subscribe()
    }

    /// Tells the connection. One that has as many orders as it can hold is ending anyway.
    pub(crate) fn order(&self, order: Order) {
        drop(self.orders.try_send(order));
    }
}
