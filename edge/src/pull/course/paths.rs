//! The paths that are open, each with what is known of it.

use std::cmp::Reverse;
use std::time::Duration;

use super::PathId;

/// An answer is waited for this long before another source is asked beside.
pub(super) const SLOW: Duration = Duration::from_millis(400);
/// Answers of guessed sources are gathered this long after the first, so that the highest term wins.
pub(super) const GATHER: Duration = Duration::from_millis(150);
/// A source that is suspect for longer is not one that falls silent for moments.
const MOMENTS: Duration = Duration::from_secs(2);
/// Paths at once.
pub(super) const PATHS_MAX: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Asking,
    Answered,
    /// It feeds the stream, and nothing has been heard yet.
    Feeding,
    Delivering,
    Suspect,
}

#[derive(Clone, Debug)]
pub(super) struct Path {
    pub(super) id: PathId,
    pub(super) address: String,
    pub(super) state: State,
    /// When its state began.
    pub(super) since: Duration,
    pub(super) opened: Duration,
    /// As its source answered; 0 before.
    pub(super) term: u64,
    pub(super) epoch: u64,
    /// It was opened to the region's shield.
    pub(super) shield: bool,
    /// It is asked for a session newer than the one that is pulled.
    pub(super) newer: bool,
    /// It is alive and brings nothing.
    pub(super) dry: bool,
    /// It falls behind the stream, and no other source has been asked since.
    pub(super) slow: bool,
}

impl Path {
    /// Whether it is suspect, and has been for moments only.
    pub(super) fn may_come_back(&self, now: Duration) -> bool {
        self.state == State::Suspect && now < self.since + MOMENTS
    }

    pub(super) fn enter(&mut self, state: State, now: Duration) {
        self.state = state;
        self.since = now;
    }
}

/// All of them, in the order of opening.
#[derive(Debug, Default)]
pub(super) struct Paths {
    open: Vec<Path>,
    last: PathId,
}

impl Paths {
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.open.len() >= PATHS_MAX
    }

    pub(super) fn add(&mut self, address: String, shield: bool, now: Duration) -> PathId {
        self.last = self.last.saturating_add(1);
        self.open.push(Path {
            id: self.last,
            address,
            state: State::Asking,
            since: now,
            opened: now,
            term: 0,
            epoch: 0,
            shield,
            newer: false,
            dry: false,
            slow: false,
        });
        self.last
    }

    pub(super) fn get(&mut self, path: PathId) -> Option<&mut Path> {
        self.open.iter_mut().find(|p| p.id == path)
    }

    pub(super) fn take(&mut self, path: PathId) -> Option<Path> {
        let index = self.open.iter().position(|p| p.id == path)?;
        Some(self.open.remove(index))
    }

    /// Takes out all that `loses`; gives their numbers.
    pub(super) fn take_all(&mut self, loses: impl Fn(&Path) -> bool) -> Vec<PathId> {
        self.open
            .extract_if(.., |p| loses(p))
            .map(|p| p.id)
            .collect()
    }

    /// Another source is asked beside those that are slow.
    pub(super) fn asked_beside(&mut self) {
        self.open.iter_mut().for_each(|p| p.slow = false);
    }

    pub(super) fn any(&self, is: impl Fn(&Path) -> bool) -> bool {
        self.open.iter().any(is)
    }

    pub(super) fn count(&self, is: impl Fn(&Path) -> bool) -> usize {
        self.open.iter().filter(|p| is(p)).count()
    }

    /// The first of the times that `time` gives for them.
    pub(super) fn first_of(&self, time: impl Fn(&Path) -> Option<Duration>) -> Option<Duration> {
        self.open.iter().filter_map(time).min()
    }

    pub(super) fn any_in(&self, state: State) -> bool {
        self.any(|p| p.state == state)
    }

    pub(super) fn delivering(&self) -> Option<&Path> {
        self.open.iter().find(|p| p.state == State::Delivering)
    }

    /// The one that delivers, else the oldest.
    pub(super) fn first(&self) -> Option<&Path> {
        self.delivering().or(self.open.first())
    }

    /// Whether one of them may still turn out well.
    pub(super) fn is_pending(&self, now: Duration) -> bool {
        self.any(|p| match p.state {
            State::Asking if p.newer => false,
            State::Asking | State::Feeding => now < p.since + SLOW,
            State::Answered => true,
            State::Delivering | State::Suspect => false,
        })
    }

    pub(super) fn asks(&self, address: &str) -> bool {
        self.any(|p| p.address == address)
    }

    /// Whether `address` need not be asked once more: a source that is silent on one connection may still answer on
    /// another one.
    pub(super) fn asks_enough(&self, address: &str) -> bool {
        let of = || self.open.iter().filter(|p| p.address == address);
        of().any(|p| p.state != State::Suspect) || of().count() > 1
    }

    /// The best of those that were answered, and when the first of them was.
    pub(super) fn best_answered(&self) -> Option<(PathId, Duration)> {
        let answered = || self.open.iter().filter(|p| p.state == State::Answered);
        let first = answered().map(|p| p.since).min()?;
        let best = answered().max_by_key(|p| (p.term, p.epoch, Reverse(p.id)))?;
        Some((best.id, first))
    }

    /// When something is to be done if nothing happens; `suspect` is when another path may be opened beside one.
    pub(super) fn dues(&self, suspect: Duration) -> impl Iterator<Item = Duration> {
        self.open.iter().filter_map(move |p| match p.state {
            State::Asking | State::Feeding => Some(p.since + SLOW),
            State::Answered => Some(p.since + GATHER),
            State::Suspect => Some(suspect.min(p.since + MOMENTS)),
            State::Delivering => p.slow.then_some(suspect),
        })
    }
}
