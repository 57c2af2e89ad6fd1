//! Who wants a stream: it is pulled for as long as somebody does, and a little longer.

use std::sync::Arc;

use super::Pull;

/// A share in a pull: a viewer, one who waits to become one, or another edge. Dropping it gives it up.
#[derive(Debug)]
pub(crate) struct Interest {
    pull: Arc<Pull>,
}

impl Interest {
    pub(super) fn new(pull: Arc<Pull>) -> Interest {
        if pull.interest.take() {
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
        if self.pull.interest.leave() {
            self.pull.changed.notify_one();
        }
    }
}
