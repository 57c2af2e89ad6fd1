//! How those who read a stream and the one who feeds it keep step.
//!
//! Readers who look at a tick gain nothing from tags that come between two of them. They say so here, and whoever feeds
//! the stream from elsewhere may bring it by the same tick.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// What a stream's readers want and what it gets.
#[derive(Debug, Default)]
pub struct Pacing {
    /// In microseconds; 0: every tag at once.
    wanted_us: AtomicU64,
    at_once: Arc<AtomicUsize>,
    paced: AtomicBool,
}

impl Pacing {
    /// The fan-out's viewers look at multiples of `every` on the process's clock; `None` if some want each tag at once.
    pub fn want(&self, every: Option<Duration>) {
        let every_us = every.map_or(0, |every| {
            u64::try_from(every.as_micros()).unwrap_or(u64::MAX)
        });
        self.wanted_us.store(every_us, Ordering::Relaxed);
    }

    /// At which multiples all who read look; `None` if some want each tag at once.
    pub fn wanted(&self) -> Option<Duration> {
        let every_us = self.wanted_us.load(Ordering::Relaxed);
        let tick = every_us > 0 && !self.has_at_once();
        tick.then_some(Duration::from_micros(every_us))
    }

    /// Notes a reader who passes each tag on at once, until that is dropped.
    pub fn at_once(&self) -> AtOnce {
        self.at_once.fetch_add(1, Ordering::Relaxed);
        AtOnce(Arc::clone(&self.at_once))
    }

    /// Whether somebody reads who passes each tag on at once.
    pub fn has_at_once(&self) -> bool {
        self.at_once.load(Ordering::Relaxed) > 0
    }

    /// Whoever feeds the stream says whether it does so at the tick that is wanted.
    pub fn set_paced(&self, paced: bool) {
        self.paced.store(paced, Ordering::Relaxed);
    }

    /// Whether tags come at the tick already: waiting for the next one would make them late by another.
    pub fn is_paced(&self) -> bool {
        self.paced.load(Ordering::Relaxed)
    }
}

/// A reader of a stream who wants each tag at once, for as long as this is held.
#[derive(Debug)]
pub struct AtOnce(Arc<AtomicUsize>);

impl Drop for AtOnce {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_wanted_unless_somebody_wants_each_tag_at_once() {
        let pacing = Pacing::default();
        let tick = Duration::from_millis(40);
        assert_eq!(pacing.wanted(), None, "nobody has said");
        pacing.want(Some(tick));
        assert_eq!(pacing.wanted(), Some(tick));
        let onward = pacing.at_once();
        assert_eq!(pacing.wanted(), None);
        drop(onward);
        assert_eq!(pacing.wanted(), Some(tick));
        pacing.want(None);
        assert_eq!(pacing.wanted(), None);
    }
}
