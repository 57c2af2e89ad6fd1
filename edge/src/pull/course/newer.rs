//! A source that brings nothing, or is silent for long: perhaps its publisher is on elsewhere by now, where no operator
//! looks.
//!
//! It may as well be a line that stands still. So the source is kept, and origins that could have a newer session are asked
//! beside it. One that has is taken; one that has the same session is, where the source is silent and does not just bring
//! nothing: it may be the ingress, cut off from the operators.

use std::time::Duration;

use super::paths::{Path, State};
use super::{Action, Course, LOCATE_EVERY, PathId};

/// Such paths at once: one is left for a source that the operators name.
const PATHS_MAX: usize = 2;
/// One that is silent for longer is not held up for a moment.
const SILENT: Duration = Duration::from_secs(1);

impl Course {
    /// A source that delivers has brought no tag for a while (`dry`), or brings some again.
    pub(crate) fn dry(&mut self, path: PathId, dry: bool, now: Duration) {
        if let Some(found) = self.paths.get(path) {
            found.dry = dry;
        }
        self.steer(now);
    }

    /// When others are to be asked, if no source brings anything.
    pub(super) fn newer_due(&self) -> Option<Duration> {
        if self.paths.any(|p| p.state == State::Delivering && !p.dry) {
            return None;
        }
        let idle = |p: &Path| match p.state {
            State::Delivering => Some(p.since),
            State::Suspect => Some(p.since + SILENT),
            State::Asking | State::Answered | State::Feeding => None,
        };
        let since = self.paths.first_of(idle)?;
        Some(since.max(self.newer_due))
    }

    pub(super) fn look_for_newer(&mut self, now: Duration) {
        if self.newer_due().is_some_and(|due| now >= due) {
            self.newer_due = now + LOCATE_EVERY;
            self.actions.push_back(Action::LookBeyond);
        }
    }

    /// Origins that may have a newer session and could tell no operator: asked one after the other.
    pub(crate) fn beyond(&mut self, addresses: Vec<String>, now: Duration) {
        self.beyond = addresses.into();
        self.ask_beyond(now);
        self.steer(now);
    }

    pub(super) fn ask_beyond(&mut self, now: Duration) {
        if self.newer_due().is_none() {
            self.beyond.clear();
        }
        while self.paths.count(|p| p.newer) < PATHS_MAX
            && !self.paths.is_full()
            && let Some(address) = self.beyond.pop_front()
        {
            if !self.paths.asks(&address) {
                let path = self.open(address, now);
                if let Some(opened) = self.paths.get(path) {
                    opened.newer = true;
                }
            }
        }
    }
}
