//! The index and the open sessions behind one lock: events go in, their effects are carried out in order.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use headwater_location::{
    Down, LocateReply, LocateRequest, PlaceReply, PlaceRequest, REPLICA_ENDS,
};
use headwater_process::clock;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use tonic::Status;

use crate::index::{CloseReason, Effect, Event, Index, Rebalanced, SessionId};
use crate::metrics::Metrics;

/// Messages that wait for a member that reads slowly: a whole set of exceptions fits four times.
const QUEUE_MAX_MESSAGES: usize = 1024;

/// What a session is sent, or the status that ends it.
pub(super) type Said = Result<Arc<Down>, Status>;

#[derive(Debug)]
pub(crate) struct Desk {
    state: Mutex<State>,
    metrics: Metrics,
}

#[derive(Debug)]
struct State {
    index: Index,
    seats: BTreeMap<SessionId, Seat>,
    next: SessionId,
    closed: bool,
}

/// The replica's end of a session.
#[derive(Debug)]
struct Seat {
    to: mpsc::Sender<Said>,
    over: Arc<Notify>,
    greeted: bool,
}

/// A session that was opened.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) id: SessionId,
    /// What to send.
    pub(super) from: mpsc::Receiver<Said>,
    /// Notified when the replica ends the session.
    pub(super) over: Arc<Notify>,
}

impl Desk {
    pub(super) fn new(index: Index, metrics: Metrics) -> Desk {
        Desk {
            state: Mutex::new(State {
                index,
                seats: BTreeMap::new(),
                next: 1,
                closed: false,
            }),
            metrics,
        }
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&Index) -> T) -> T {
        read(&self.state.lock().index)
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// A place for a new session; the index hears of it with its Hello.
    pub(super) fn open(&self) -> Result<Opened, Status> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Status::unavailable(REPLICA_ENDS));
        }
        let id = state.next;
        state.next = id.saturating_add(1);
        let (to, from) = mpsc::channel(QUEUE_MAX_MESSAGES);
        let over = Arc::new(Notify::new());
        state.seats.insert(
            id,
            Seat {
                to,
                over: over.clone(),
                greeted: false,
            },
        );
        Ok(Opened { id, from, over })
    }

    /// The connection of a session is gone.
    pub(super) fn gone(&self, id: SessionId) {
        self.state.lock().seats.remove(&id);
        self.apply(Event::Lost(id));
    }

    /// Ends a session with a status.
    pub(super) fn refuse(&self, id: SessionId, status: Status) {
        let seat = self.state.lock().seats.remove(&id);
        if let Some(seat) = seat {
            seat.end(status);
        }
        self.apply(Event::Lost(id));
    }

    pub(crate) fn apply(&self, event: Event) {
        let mut state = self.state.lock();
        let now = clock::now();
        if let Event::Said(id, headwater_location::Up::Hello(_)) = &event
            && let Some(seat) = state.seats.get_mut(id)
        {
            seat.greeted = true;
        }
        let ticked = matches!(event, Event::Tick);
        let mut events = VecDeque::from([event]);
        // A member that does not read is lost, which is an event of its own.
        while let Some(event) = events.pop_front() {
            for effect in state.index.apply(event, now) {
                for slow in state.carry_out(effect, &self.metrics) {
                    state.close(slow, CloseReason::Slow, &self.metrics);
                    events.push_back(Event::Lost(slow));
                }
            }
        }
        if ticked {
            self.metrics.levels(&state.index);
        }
    }

    /// Tells the member of a session that this replica is alive, once it has said Hello.
    pub(super) fn beat(&self, id: SessionId) {
        let state = self.state.lock();
        let settled = state.index.settled(clock::now());
        if let Some(seat) = state.seats.get(&id).filter(|seat| seat.greeted) {
            // A member whose queue is full has enough to read to know that.
            seat.take(&Arc::new(Down::Beat { settled }));
        }
    }

    pub(super) fn place(&self, request: &PlaceRequest) -> PlaceReply {
        let reply = self.state.lock().index.place(request, clock::now());
        self.metrics.placed(&reply);
        reply
    }

    pub(super) fn locate(&self, request: &LocateRequest) -> LocateReply {
        let reply = self.read(|index| index.locate(request, clock::now()));
        self.metrics.located(&reply);
        reply
    }

    /// Moves the streams that would be placed elsewhere now; with `dry_run` only says which.
    pub(super) fn rebalance(&self, dry_run: bool) -> Vec<Rebalanced> {
        let mut state = self.state.lock();
        let (moves, effects) = state.index.rebalance(dry_run, clock::now());
        let slow: Vec<SessionId> = effects
            .into_iter()
            .flat_map(|effect| state.carry_out(effect, &self.metrics))
            .collect();
        drop(state);
        for id in slow {
            self.refuse(id, Status::deadline_exceeded(CloseReason::Slow.text()));
        }
        moves
    }

    /// Ends all sessions and takes no more.
    pub(super) fn close(&self) {
        let seats = {
            let mut state = self.state.lock();
            state.closed = true;
            std::mem::take(&mut state.seats)
        };
        for seat in seats.into_values() {
            seat.end(Status::unavailable(REPLICA_ENDS));
        }
    }
}

impl State {
    /// Gives the sessions whose queues are full.
    fn carry_out(&mut self, effect: Effect, metrics: &Metrics) -> Vec<SessionId> {
        match effect {
            Effect::Send(id, down) => self
                .seats
                .get(&id)
                .filter(|seat| !seat.take(&down))
                .map(|_| id)
                .into_iter()
                .collect(),
            Effect::Broadcast(down) => self
                .seats
                .iter()
                .filter(|(_, seat)| seat.greeted && !seat.take(&down))
                .map(|(id, _)| *id)
                .collect(),
            Effect::Close(id, reason) => {
                self.close(id, reason, metrics);
                Vec::new()
            }
        }
    }

    fn close(&mut self, id: SessionId, reason: CloseReason, metrics: &Metrics) {
        let Some(seat) = self.seats.remove(&id) else {
            return;
        };
        metrics.ended(reason);
        tracing::info!(session = id, reason = reason.reason(), "session ended");
        let status = match reason {
            CloseReason::NoHello | CloseReason::HelloTwice => {
                Status::failed_precondition(reason.text())
            }
            CloseReason::NotAllowed => Status::permission_denied(reason.text()),
            CloseReason::Replaced => Status::aborted(reason.text()),
            CloseReason::TooMany => Status::resource_exhausted(reason.text()),
            CloseReason::Silent | CloseReason::Slow => Status::deadline_exceeded(reason.text()),
        };
        seat.end(status);
    }
}

impl Seat {
    /// False if the queue is full; a session whose connection is gone takes anything.
    fn take(&self, down: &Arc<Down>) -> bool {
        !matches!(
            self.to.try_send(Ok(down.clone())),
            Err(mpsc::error::TrySendError::Full(_))
        )
    }

    fn end(self, status: Status) {
        // A full queue ends without its status: the stream ends all the same.
        let _ = self.to.try_send(Err(status));
        self.over.notify_one();
    }
}
