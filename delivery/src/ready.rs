//! Which seats' sockets have become ready: wakers that note a number instead of waking a task each.

use std::sync::Arc;
use std::task::{Wake, Waker};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// The numbers of the seats that have something to do.
#[derive(Debug, Default)]
pub(crate) struct ReadyQueue {
    seats: Mutex<Vec<usize>>,
    notify: Notify,
}

impl ReadyQueue {
    /// Notes `seat` and wakes the one who waits.
    pub(crate) fn push(&self, seat: usize) {
        let first = {
            let mut seats = self.seats.lock();
            seats.push(seat);
            seats.len() == 1
        };
        if first {
            self.notify.notify_one();
        }
    }

    /// Waits until some seat is ready, and swaps the numbers into `into`, which must be empty.
    pub(crate) async fn wait(&self, into: &mut Vec<usize>) {
        loop {
            {
                let mut seats = self.seats.lock();
                if !seats.is_empty() {
                    std::mem::swap(&mut *seats, into);
                    return;
                }
            }
            self.notify.notified().await;
        }
    }

    /// The waker of `seat`.
    pub(crate) fn waker(self: &Arc<Self>, seat: usize) -> Waker {
        Waker::from(Arc::new(SeatWaker {
            queue: Arc::clone(self),
            seat,
        }))
    }
}

struct SeatWaker {
    queue: Arc<ReadyQueue>,
    seat: usize,
}

impl Wake for SeatWaker {
    fn wake(self: Arc<Self>) {
        self.queue.push(self.seat);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.queue.push(self.seat);
    }
}
