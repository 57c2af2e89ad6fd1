//! One connection, both ends.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::task::Waker;

use bytes::Bytes;

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The listener has not heard of it.
    Asked,
    /// It waits to be accepted, or is.
    Open,
}

#[derive(Debug)]
pub(super) struct Wire {
    pub(super) phase: Phase,
    /// The one that connected, and the one that listened.
    pub(super) ends: [End; 2],
}

#[derive(Debug)]
pub(super) struct End {
    pub(super) address: SocketAddr,
    /// A process has it, or will when it accepts.
    pub(super) held: bool,
    pub(super) connected: bool,
    pub(super) inbox: VecDeque<Bytes>,
    /// Segments that overtook others.
    early: BTreeMap<u64, Bytes>,
    next_in: u64,
    pub(super) next_out: u64,
    pub(super) ended: bool,
    pub(super) finished: bool,
    pub(super) broken: Option<io::ErrorKind>,
    /// Written here and not yet read there.
    pub(super) unacknowledged: usize,
    /// How many may be.
    pub(super) window_bytes: usize,
    pub(super) line_free_us: u64,
    pub(super) reset_on_close: bool,
    pub(super) read_wakers: Vec<Waker>,
    pub(super) write_wakers: Vec<Waker>,
}

impl Wire {
    pub(super) fn new(from: SocketAddr, to: SocketAddr) -> Wire {
        Wire {
            phase: Phase::Asked,
            ends: [End::new(from), End::new(to)],
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.ends.iter().map(|end| end.unacknowledged).sum()
    }
}

impl End {
    fn new(address: SocketAddr) -> End {
        End {
            address,
            held: true,
            connected: false,
            inbox: VecDeque::new(),
            early: BTreeMap::new(),
            next_in: 0,
            next_out: 0,
            ended: false,
            finished: false,
            broken: None,
            unacknowledged: 0,
            window_bytes: 0,
            line_free_us: 0,
            reset_on_close: false,
            read_wakers: Vec::new(),
            write_wakers: Vec::new(),
        }
    }

    /// Takes a segment; those that come early wait for the others.
    pub(super) fn receive(&mut self, number: u64, bytes: Bytes, wakers: &mut Vec<Waker>) {
        self.early.insert(number, bytes);
        while let Some(bytes) = self.early.remove(&self.next_in) {
            self.next_in += 1;
            if bytes.is_empty() {
                self.ended = true;
            } else {
                self.inbox.push_back(bytes);
            }
            wakers.append(&mut self.read_wakers);
        }
    }

    /// The connection is over for this end.
    pub(super) fn break_off(&mut self, how: io::ErrorKind, wakers: &mut Vec<Waker>) {
        self.broken.get_or_insert(how);
        self.inbox.clear();
        self.unacknowledged = 0;
        wakers.append(&mut self.read_wakers);
        wakers.append(&mut self.write_wakers);
    }
}
