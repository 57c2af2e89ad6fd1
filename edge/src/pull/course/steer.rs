//! What is due, whatever it was that happened.

use std::time::Duration;

use super::paths::{GATHER, Path, State};
use super::{Action, Course, LOCATE_EVERY, LOCATE_URGENT, PathId};

impl Course {
    pub(super) fn locate_due(&self) -> Duration {
        let gap = if self.urgent {
            LOCATE_URGENT
        } else {
            LOCATE_EVERY
        };
        self.located.map_or(Duration::ZERO, |at| at + gap)
    }

    /// Whether a source delivers that is not suspect.
    pub(crate) fn carrying(&self) -> bool {
        self.paths.any_in(State::Delivering)
    }

    pub(super) fn drop_all(&mut self, loses: impl Fn(&Path) -> bool) {
        for path in self.paths.take_all(loses) {
            self.actions.push_back(Action::Drop { path });
        }
    }

    /// Does it.
    pub(super) fn steer(&mut self, now: Duration) {
        if self.over {
            return;
        }
        let carrying = self.carrying();
        // The grace begins when the silence is noticed, for nothing need have happened for long before: a process that was
        // stopped itself hears the silence first, and what came meanwhile behind it.
        if std::mem::replace(&mut self.carried, carrying) || carrying {
            self.quiet_since = now;
        }
        let unwanted = self
            .unwanted_since
            .is_some_and(|since| !self.delivered || now >= since + self.times.linger);
        let forsaken = self.delivered && now >= self.quiet_since + self.times.grace;
        if unwanted || forsaken {
            self.finish();
            return;
        }
        self.choose(now);
        self.seek(now);
        self.look_for_newer(now);
        let quiet = !carrying || self.urgent;
        if quiet && !self.locating && now >= self.locate_due() {
            self.locating = true;
            self.actions.push_back(Action::Locate);
        }
        let tried = self.located.is_some() && self.candidates.all_tried();
        if !self.delivered && tried && self.paths.is_empty() {
            self.missing = true;
            // Operators know where it was, and have not heard yet that it is there no longer.
            if self.found {
                self.left_at.get_or_insert(now);
            }
        }
    }

    fn finish(&mut self) {
        self.over = true;
        self.drop_all(|_| true);
        self.actions.push_back(Action::Finish);
    }

    /// Lets the best of the answered paths feed the stream, once there is no better one to be expected.
    fn choose(&mut self, now: Duration) {
        let Some((best, first)) = self.paths.best_answered() else {
            return;
        };
        if self.guessed && self.paths.any_in(State::Asking) && now < first + GATHER {
            return;
        }
        self.drop_all(|p| p.state == State::Answered && p.id != best);
        if let Some(path) = self.paths.get(best) {
            path.enter(State::Feeding, now);
            path.newer = false;
            if path.term >= self.term {
                self.term = path.term;
                self.term_of = Some(path.epoch);
            }
            self.epoch = self.epoch.max(path.epoch);
            self.actions.push_back(Action::Feed { path: best });
        }
    }

    /// Opens paths where one is needed.
    fn seek(&mut self, now: Duration) {
        if self.guessed && self.paths.is_empty() {
            while !self.paths.is_full()
                && let Some(address) = self.candidates.pick(now, |a| self.paths.asks(a))
            {
                self.open(address, now);
            }
            return;
        }
        // The home is another one now, under a higher term than the one that delivers.
        let deposed = self.paths.any(|p| {
            p.state == State::Delivering
                && p.term < self.term
                && !self.candidates.contains(&p.address)
        });
        let slow = self.paths.any(|p| p.slow && p.state == State::Delivering);
        let served = self.carrying() && !deposed && !slow;
        if self.paths.is_pending(now) || self.paths.is_full() {
            return;
        }
        if served {
            self.come_back(now);
            return;
        }
        let comes_back = slow || self.paths.any(|p| p.may_come_back(now));
        if comes_back && now < self.beside.after() {
            return;
        }
        let other = self.candidates.pick(now, |a| self.paths.asks(a));
        let picked = other.or_else(|| self.candidates.pick(now, |a| self.paths.asks_enough(a)));
        if let Some(address) = picked {
            if comes_back {
                self.beside.opened(now);
                self.paths.asked_beside();
            }
            self.open(address, now);
        }
    }

    /// The source that is to be had instead of the one that delivers: the region's shield, and for one that is the
    /// shield by now, or serves other edges, a source that is none.
    pub(super) fn way_back(&self) -> Option<&str> {
        let serving = self.paths.delivering()?;
        let to = match self.shield.address() {
            Some(shield) => (serving.address != shield).then_some(shield),
            None if serving.shield => self.candidates.first(),
            None => None,
        };
        to.filter(|to| !self.paths.asks(to))
    }

    fn come_back(&mut self, now: Duration) {
        if now >= self.shield.due()
            && let Some(to) = self.way_back().map(str::to_owned)
        {
            self.shield.tried(now);
            self.open(to, now);
        }
    }

    pub(super) fn open(&mut self, address: String, now: Duration) -> PathId {
        let shield = self.shield.address() == Some(address.as_str());
        let path = self.paths.add(address.clone(), shield, now);
        self.actions.push_back(Action::Open { path, address });
        path
    }
}
