//! Who wants a stream: it is pulled for as long as somebody does, and a little longer.

use std::sync::Arc;

use super::Pull;

/// A share in a pull: a viewer, one who waits to become one, or another edge. Dropping it gives it up.
#[derive(Debug)]
pub(crate) struct Interest {
    pull: Arc<Pull>,
    hops: u32,
}

impl Interest {
    /// Of one whose request has passed `hops` roles, this one counted: 1 of a viewer, more of another edge.
    pub(super) fn new(pull: Arc<Pull>, hops: u32) -> Interest {
        let first = pull.interest.take();
        let serves = hops > 1 && pull.behind.join(hops);
        if first || serves {
            pull.changed.notify_one();
        }
        Interest { pull, hops }
    }

    pub(crate) fn pull(&self) -> &Arc<Pull> {
        &self.pull
    }
}

impl Drop for Interest {
    fn drop(&mut self) {
        let served = self.hops > 1 && self.pull.behind.leave(self.hops);
        let last = self.pull.interest.leave();
        if last || served {
            self.pull.changed.notify_one();
        }
    }
}
