//! How often another path is opened beside a suspect one: less and less while the suspect comes back each time.

use std::time::Duration;

/// The shortest and longest time between two such paths.
const REST_MIN: Duration = Duration::from_millis(400);
const REST_MAX: Duration = Duration::from_secs(6);
/// After so long without a silence a source is taken for steady again.
const CALM: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Beside {
    after: Duration,
    rest: Duration,
    silent: Duration,
}

impl Beside {
    pub(super) fn new(now: Duration) -> Beside {
        Beside {
            after: now,
            rest: REST_MIN,
            silent: now,
        }
    }

    /// From when on another path may be opened.
    pub(super) fn after(&self) -> Duration {
        self.after
    }

    /// A path has fallen silent.
    pub(super) fn silent(&mut self, now: Duration) {
        if now.saturating_sub(self.silent) > CALM {
            self.rest = REST_MIN;
        }
        self.silent = now;
    }

    /// The stream is known to be elsewhere: nothing speaks for waiting.
    pub(super) fn moved(&mut self, now: Duration) {
        self.after = self.after.min(now);
    }

    /// Another path was opened.
    pub(super) fn opened(&mut self, now: Duration) {
        self.after = now + self.rest;
        self.rest = self.rest.saturating_mul(2).min(REST_MAX);
    }
}
