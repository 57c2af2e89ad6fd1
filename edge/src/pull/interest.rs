//! Who wants a stream: it is pulled for as long as somebody does, and a little longer.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Pull;

/// A share in a pull: a viewer, one who waits to become one, or another edge. Dropping it gives it up.
#[derive(Debug)]
pub(crate) struct Interest {
    pull: Arc<Pull>,
}

impl Interest {
    pub(super) fn new(pull: Arc<Pull>) -> Interest {
        if pull.interest.fetch_add(1, Ordering::AcqRel) == 0 {
            pull.changed.notify_one();
        }
        Interest { pull }
    }

    pub(crate) fn pull(&self) -> &Arc<Pull> {
        &self.pull
    }
}

impl Drop for Interest {
    fn drop(&mut self) {
        if self.pull.interest.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.pull.changed.notify_one();
        }
    }
}
