//! One publish session: what the rest of the origin may know of it.

use std::sync::Arc;

use headwater_location::Endpoint;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::grant::Placed;
use super::publisher::Publisher;

/// A publish session whose publisher is connected here.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) epoch: u64,
    wanted: watch::Sender<Option<Endpoint>>,
    /// The highest term of an older session that a reader has heard of.
    older: watch::Sender<u64>,
    /// Where readers here are to go on.
    successor: watch::Sender<Option<String>>,
    placed: Mutex<Placed>,
}

impl Session {
    pub(super) fn new(publisher: Arc<Publisher>, epoch: u64, placed: Placed) -> Session {
        Session {
            publisher,
            epoch,
            wanted: watch::Sender::new(None),
            older: watch::Sender::new(0),
            successor: watch::Sender::new(None),
            placed: Mutex::new(placed),
        }
    }

    pub(crate) fn placed(&self) -> Placed {
        self.placed.lock().clone()
    }

    /// Notes the home that has the session from now on, and where its readers are to go on: `None` if they are to stay.
    pub(super) fn moved(&self, placed: Placed, successor: Option<String>) {
        *self.placed.lock() = placed;
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

    /// A reader has heard of `term`, the one of session `epoch`. If that is an older one, it has never heard of this
    /// session, nor has this one's home of it; the reader can take nothing from here until the term is raised.
    pub(crate) fn known(&self, epoch: u64, term: u64) {
        if epoch < self.epoch && term > self.placed().term {
            self.older
                .send_if_modified(|highest| std::mem::replace(highest, term.max(*highest)) < term);
        }
    }

    /// The terms of older sessions above which this one's is to be.
    pub(super) fn older(&self) -> watch::Receiver<u64> {
        self.older.subscribe()
    }
}
