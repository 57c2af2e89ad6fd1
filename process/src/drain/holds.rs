//! What a drain waits for.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// How many of each kind of work are under way.
#[derive(Debug, Default)]
pub(super) struct Holds {
    counts: Mutex<BTreeMap<&'static str, usize>>,
    none: Notify,
}

impl Holds {
    pub(super) fn hold(holds: &Arc<Holds>, what: &'static str) -> Hold {
        let mut counts = holds.counts.lock();
        let count = counts.entry(what).or_default();
        *count = count.saturating_add(1);
        Hold {
            holds: Arc::clone(holds),
            what,
        }
    }

    /// Each kind that there has been, with how many there are.
    pub(super) fn counts(&self) -> BTreeMap<&'static str, usize> {
        self.counts.lock().clone()
    }

    pub(super) fn total(&self) -> usize {
        self.counts.lock().values().sum()
    }

    /// Waits until there are none.
    pub(super) async fn none(&self) {
        loop {
            let released = self.none.notified();
            if self.total() == 0 {
                return;
            }
            released.await;
        }
    }

    fn release(&self, what: &'static str) {
        let left: usize = {
            let mut counts = self.counts.lock();
            if let Some(count) = counts.get_mut(what) {
                *count = count.saturating_sub(1);
            }
            counts.values().sum()
        };
        if left == 0 {
            self.none.notify_waiters();
        }
    }
}

/// `3 viewers, 1 publishers`, or `nothing`.
impl fmt::Display for Holds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.counts();
        let mut some = counts.iter().filter(|(_, count)| **count > 0).peekable();
        if some.peek().is_none() {
            return f.write_str("nothing");
        }
        while let Some((what, count)) = some.next() {
            write!(f, "{count} {what}")?;
            if some.peek().is_some() {
                f.write_str(", ")?;
            }
        }
        Ok(())
    }
}

/// Work that a drain waits for.
#[derive(Debug)]
pub struct Hold {
    holds: Arc<Holds>,
    what: &'static str,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.holds.release(self.what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_said_by_kind() {
        let holds = Arc::new(Holds::default());
        assert_eq!(holds.to_string(), "nothing");
        let _publisher = Holds::hold(&holds, "publishers");
        let viewers = [
            Holds::hold(&holds, "viewers"),
            Holds::hold(&holds, "viewers"),
        ];
        assert_eq!(holds.to_string(), "1 publishers, 2 viewers");
        drop(viewers);
        assert_eq!(holds.to_string(), "1 publishers");
        assert_eq!(holds.total(), 1);
    }
}
