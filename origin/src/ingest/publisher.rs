//! Who publishes over one connection, on the air or standing by: what the rest of the origin may know of it and tell it.

use std::net::SocketAddr;
use std::time::Duration;

use headwater_media::{Dts, StreamKey, TagKind, Timeline, UplinkHealth};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::grant::Cue;

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
    /// Another publisher goes on in its place; one that knows nothing of backups is told as by [`Order::End`].
    StandBy {
        /// The onStatus code.
        code: String,
        /// The sentence for the publisher.
        text: String,
    },
    /// It stood by and is on the air from now on.
    GoOn(Cue),
    /// Ask the publisher to connect again, if it can be asked.
    Reconnect {
        /// When whoever still stays is cut; `None`: this process goes on.
        stays_until: Option<Duration>,
    },
}

/// A publisher that is connected here.
#[derive(Debug)]
pub(crate) struct Publisher {
    pub(crate) key: StreamKey,
    pub(crate) peer: SocketAddr,
    /// What the encoder calls itself.
    pub(crate) agent: Option<String>,
    pub(crate) began: Duration,
    orders: mpsc::Sender<Order>,
    arrived: Mutex<Arrived>,
}

#[derive(Debug, Default)]
struct Arrived {
    timeline: Timeline,
    bytes: u64,
    tags: u64,
    /// Gaps and jumps that are counted in the metrics.
    counted: (u64, u64),
}

/// What has come of a publisher so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Uplink {
    pub(crate) bytes: u64,
    pub(crate) tags: u64,
    pub(crate) health: UplinkHealth,
}

impl Publisher {
    pub(super) fn new(
        key: StreamKey,
        peer: SocketAddr,
        agent: Option<String>,
        began: Duration,
    ) -> (Publisher, mpsc::Receiver<Order>) {
        let (orders, received) = mpsc::channel(ORDERS_MAX);
        let publisher = Publisher {
            key,
            peer,
            agent,
            began,
            orders,
            arrived: Mutex::default(),
        };
        (publisher, received)
    }

    /// Counts a tag of `bytes` and gives its time, counted from the publisher's first.
    pub(super) fn arrived(&self, kind: TagKind, wire_ms: u32, bytes: usize, now: Duration) -> Dts {
        let mut arrived = self.arrived.lock();
        arrived.tags = arrived.tags.saturating_add(1);
        arrived.bytes = arrived
            .bytes
            .saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        arrived.timeline.dts(kind, wire_ms, now)
    }

    pub(crate) fn uplink(&self, now: Duration) -> Uplink {
        let arrived = self.arrived.lock();
        Uplink {
            bytes: arrived.bytes,
            tags: arrived.tags,
            health: arrived.timeline.health(now),
        }
    }

    /// Gaps and jumps since the last time that it was asked.
    pub(crate) fn mishaps(&self, now: Duration) -> (u64, u64) {
        let mut arrived = self.arrived.lock();
        let UplinkHealth { gaps, jumps, .. } = arrived.timeline.health(now);
        let (gaps_before, jumps_before) = std::mem::replace(&mut arrived.counted, (gaps, jumps));
        (
            gaps.saturating_sub(gaps_before),
            jumps.saturating_sub(jumps_before),
        )
    }

    /// Tells the connection, and says whether it will hear it: one that has as many orders as it can hold is ending
    /// anyway.
    pub(crate) fn order(&self, order: Order) -> bool {
        self.orders.try_send(order).is_ok()
    }
}
