//! The edge that pulls a stream for its whole region, and the way back to it.
//!
//! A pull that had to pass over its region's shield (late, dead, another one by now) takes the stream over the regions'
//! border a second time. It comes back as soon as the shield serves, at the same sequence number; less and less often
//! while the shield does not hold what it takes.

use std::time::Duration;

/// The shortest and longest time until it is tried again.
const REST_MIN: Duration = Duration::from_secs(1);
const REST_MAX: Duration = Duration::from_secs(60);
/// The shortest for one that served and was left.
const REST_LEFT: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Shield {
    address: Option<String>,
    due: Duration,
    rest: Duration,
    /// Whether it is what serves.
    serves: bool,
    /// Whether this edge serves others, and pulls from origins alone.
    barred: bool,
}

impl Shield {
    pub(super) fn new(now: Duration) -> Shield {
        Shield {
            address: None,
            due: now,
            rest: REST_MIN,
            serves: false,
            barred: false,
        }
    }

    /// Who it is now, if the region has one for this stream, and this edge may pull from it.
    pub(super) fn address(&self) -> Option<&str> {
        self.address.as_deref().filter(|_| !self.barred)
    }

    /// Bars the way to it, or opens it again.
    pub(super) fn bar(&mut self, barred: bool) {
        self.barred = barred;
    }

    pub(super) fn is(&mut self, address: Option<String>, now: Duration) {
        if self.address != address {
            self.address = address;
            self.rest = REST_MIN;
            self.due = self.due.min(now + REST_MIN);
            self.serves = false;
        }
    }

    /// The source at `address` begins to serve.
    pub(super) fn served_by(&mut self, address: &str, now: Duration) {
        let serves = self.address() == Some(address);
        if self.serves && !serves {
            self.rest = self.rest.max(REST_LEFT);
        }
        self.serves = serves;
        self.due = self.due.max(now + self.rest);
    }

    /// When the way back may be tried.
    pub(super) fn due(&self) -> Duration {
        self.due
    }

    /// It is tried.
    pub(super) fn tried(&mut self, now: Duration) {
        self.rest = self.rest.saturating_mul(2).min(REST_MAX);
        self.due = now + self.rest;
    }
}
