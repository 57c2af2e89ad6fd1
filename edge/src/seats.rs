//! How many have a place in something, whoever comes and goes at the same time.
//!
//! Without a lock: every viewer passes here. `tests` runs it under all orders that threads could take, on the atomics of a
//! model, so it names those of its parent.

use super::sync::{AtomicUsize, Ordering};

/// The count of those who have a place.
#[derive(Debug)]
pub(crate) struct Seats(AtomicUsize);

impl Seats {
    pub(crate) fn new() -> Seats {
        Seats(AtomicUsize::new(0))
    }

    /// How many there are.
    pub(crate) fn taken(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }

    /// Takes a place; returns whether it is the only one.
    pub(crate) fn take(&self) -> bool {
        self.0.fetch_add(1, Ordering::AcqRel) == 0
    }

    /// Takes a place unless there are `max` already; returns whether it did.
    pub(crate) fn take_below(&self, max: usize) -> bool {
        let more = |taken: usize| (taken < max).then(|| taken.saturating_add(1));
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more)
            .is_ok()
    }

    /// Gives one's place up; returns whether it was the last one.
    pub(crate) fn leave(&self) -> bool {
        self.0.fetch_sub(1, Ordering::AcqRel) == 1
    }
}
