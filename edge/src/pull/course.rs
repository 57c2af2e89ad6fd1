//! Which source a stream is pulled from: the decisions, as a pure machine.
//!
//! Told what happens and when, it says what to do ([`Action`]). It never waits, asks or connects itself; the rules it
//! keeps are those of the pull contract: down the list at once where a source is dead, another path beside a suspect one
//! and the first that delivers wins, never back to a lower term, viewers kept for a grace time while nobody has the stream.

mod beside;
mod candidate;
mod newer;
mod paths;
mod shield;
mod steer;
#[cfg(test)]
mod tests;
mod words;

use std::collections::VecDeque;
use std::time::Duration;

use headwater_hop::Known;

use beside::Beside;
use candidate::Candidates;
use paths::{Paths, SLOW, State};
use shield::Shield;
pub(crate) use words::{Action, Ending, Located, PathId, Standing, Times};

/// Between two look-ups while nothing is pulled.
const LOCATE_EVERY: Duration = Duration::from_secs(1);
/// Between two look-ups when a path has just ended.
const LOCATE_URGENT: Duration = Duration::from_millis(100);
/// The machine of one stream's pull.
#[derive(Debug)]
pub(crate) struct Course {
    times: Times,
    candidates: Candidates,
    guessed: bool,
    paths: Paths,
    /// The highest term heard.
    term: u64,
    /// The session that it is of, if that was said.
    term_of: Option<u64>,
    /// The newest session that was pulled.
    epoch: u64,
    /// The session whose publisher has left.
    left: Option<u64>,
    delivered: bool,
    missing: bool,
    /// Whether it was known to be somewhere.
    found: bool,
    /// When the publisher left, as far as that is known.
    left_at: Option<Duration>,
    over: bool,
    /// Since when nothing is delivered.
    quiet_since: Duration,
    /// Whether something was when it was looked at last.
    carried: bool,
    unwanted_since: Option<Duration>,
    locating: bool,
    located: Option<Duration>,
    urgent: bool,
    beside: Beside,
    shield: Shield,
    newer_due: Duration,
    beyond: VecDeque<String>,
    actions: VecDeque<Action>,
}

impl Course {
    /// A pull that somebody wants from `now` on.
    pub(crate) fn new(times: Times, now: Duration) -> Course {
        let mut course = Course {
            times,
            candidates: Candidates::default(),
            guessed: false,
            paths: Paths::default(),
            term: 0,
            term_of: None,
            epoch: 0,
            left: None,
            delivered: false,
            missing: false,
            found: false,
            left_at: None,
            over: false,
            quiet_since: now,
            carried: false,
            unwanted_since: None,
            locating: false,
            located: None,
            urgent: true,
            beside: Beside::new(now),
            shield: Shield::new(now),
            newer_due: now,
            beyond: VecDeque::new(),
            actions: VecDeque::new(),
        };
        course.steer(now);
        course
    }

    /// What is to be done next.
    pub(crate) fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Where the pull stands.
    pub(crate) fn standing(&self) -> Standing {
        let comes = |state| matches!(state, State::Feeding | State::Delivering | State::Suspect);
        let left = self.left_at.map(|at| Standing::Left {
            until: at + self.times.return_wait,
        });
        if self.over {
            Standing::Over
        } else if self.paths.any(|p| comes(p.state)) {
            Standing::Live
        } else if self.delivered {
            // Also while nobody has the stream, who has viewers is to look for it.
            left.filter(|_| self.left.is_some())
                .unwrap_or(Standing::Lost)
        } else if self.missing {
            left.unwrap_or(Standing::Missing)
        } else {
            Standing::Seeking
        }
    }

    /// The highest term heard.
    pub(crate) fn term(&self) -> u64 {
        self.term
    }

    /// The highest term heard and the session that it is of, if that is known: what sources are told.
    pub(crate) fn known(&self) -> Option<Known> {
        let epoch = self.term_of?;
        let term = self.term;
        Some(Known { epoch, term })
    }

    /// The address of the source that delivers.
    pub(crate) fn upstream(&self) -> Option<&str> {
        self.paths.first().map(|p| p.address.as_str())
    }

    /// Whether the source that delivers was chosen as the region's shield.
    pub(crate) fn is_shielded(&self) -> bool {
        self.paths.first().is_some_and(|p| p.shield)
    }

    /// Whether other edges are served from here: while they are, this pull is from origins alone, or two edges would feed
    /// each other.
    pub(crate) fn serves_edges(&mut self, serves: bool, now: Duration) {
        if let Some(shield) = self.shield.address().filter(|_| serves).map(str::to_owned) {
            self.candidates.remove(&shield);
            self.drop_all(|p| p.address == shield && p.state != State::Delivering);
        }
        self.shield.bar(serves);
        self.steer(now);
    }

    /// Whether anybody wants the stream.
    pub(crate) fn wanted(&mut self, wanted: bool, now: Duration) {
        match (wanted, self.unwanted_since) {
            (true, _) => self.unwanted_since = None,
            (false, None) => self.unwanted_since = Some(now),
            (false, Some(_)) => {}
        }
        self.steer(now);
    }

    /// A look-up was answered.
    pub(crate) fn located(&mut self, located: Located, now: Duration) {
        self.locating = false;
        self.located = Some(now);
        self.urgent = false;
        self.moved(located, now);
    }

    /// The operator says where the stream is now.
    pub(crate) fn moved(&mut self, located: Located, now: Duration) {
        match located {
            Located::At {
                term,
                epoch,
                addresses,
                shield,
            } => {
                if term >= self.term {
                    self.found = true;
                    self.shield.is(shield, now);
                    let news = term > self.term || self.left.is_some_and(|left| epoch > left);
                    self.term = term;
                    self.term_of = Some(epoch);
                    self.guessed = false;
                    self.candidates.replace(addresses);
                    if news {
                        self.candidates.wake();
                        self.beside.moved(now);
                    }
                }
            }
            Located::Guessed { addresses } => {
                // What was known for certain is worth more than a guess, as long as any of it may still answer.
                if self.guessed || self.candidates.is_empty() {
                    self.guessed = true;
                    self.candidates.replace(addresses);
                } else if !self.carrying() && self.candidates.all_tried() {
                    for address in addresses {
                        self.candidates.add(address);
                    }
                }
            }
            // A source that delivers knows better; one that does not is tried once more all the same.
            Located::Nowhere { lost, left_ago } if !self.carrying() => {
                let recent = left_ago.filter(|ago| *ago < self.times.return_wait);
                if let Some(ago) = recent.filter(|_| !self.delivered) {
                    self.left_at = Some(now.saturating_sub(ago));
                }
                // Who has viewers that wait looks further than the operators do.
                let asked = if self.delivered { lost } else { Vec::new() };
                self.guessed |= !asked.is_empty();
                self.candidates.replace(asked);
            }
            Located::Nowhere { .. } | Located::Failed => {}
        }
        self.steer(now);
    }

    /// A path was answered: it could feed the stream.
    pub(crate) fn answered(&mut self, path: PathId, term: u64, epoch: u64, now: Duration) {
        let over = self.left.is_some_and(|left| epoch <= left);
        let stale = term < self.term || epoch < self.epoch || over;
        let needless = self.carrying() && self.paths.get(path).is_some_and(|p| p.newer);
        if stale || needless && epoch == self.epoch {
            if let Some(refused) = self.paths.take(path) {
                self.actions.push_back(Action::Drop { path });
                if stale {
                    self.candidates.rest(&refused.address, now + LOCATE_EVERY);
                }
                if refused.newer {
                    self.ask_beyond(now);
                }
            }
        } else if let Some(found) = self.paths.get(path) {
            found.enter(State::Answered, now);
            found.term = term;
            found.epoch = epoch;
            self.missing = false;
        }
        self.steer(now);
    }

    /// Something was heard on a path: at first, or after a silence.
    pub(crate) fn heard(&mut self, path: PathId, now: Duration) {
        let Some(found) = self.paths.get(path) else {
            return;
        };
        found.enter(State::Delivering, now);
        let (address, term) = (found.address.clone(), found.term);
        self.delivered = true;
        self.left = None;
        self.left_at = None;
        self.shield.served_by(&address, now);
        self.candidates.succeeded(&address);
        // The first that delivers wins, but for those of a higher term: to them it has only not let go yet.
        self.drop_all(|p| p.id != path && p.term <= term);
        self.steer(now);
    }

    /// Nothing has been heard on a path for a while: it is suspect.
    pub(crate) fn silent(&mut self, path: PathId, now: Duration) {
        if let Some(found) = self.paths.get(path) {
            found.enter(State::Suspect, now);
            self.beside.silent(now);
            self.urgent = true;
        }
        self.steer(now);
    }

    /// A path that delivers falls behind the stream: a source with more of a rate is looked for, once.
    pub(crate) fn slow(&mut self, path: PathId, now: Duration) {
        if let Some(found) = self.paths.get(path) {
            found.slow = found.state == State::Delivering;
            self.beside.silent(now);
            self.urgent = true;
        }
        self.steer(now);
    }

    /// A source has heard of a higher term.
    pub(crate) fn term_heard(&mut self, term: u64, now: Duration) {
        if term > self.term {
            self.term = term;
            self.term_of = None;
            self.urgent = true;
        }
        self.steer(now);
    }

    /// A source will close: the stream goes on at `to`.
    pub(crate) fn redirected(&mut self, to: String, now: Duration) {
        let known = self.paths.asks(&to);
        self.candidates.prefer(to.clone());
        if !known && !self.over && !self.paths.is_full() {
            self.open(to, now);
        }
        self.steer(now);
    }

    /// A path has ended.
    pub(crate) fn ended(&mut self, path: PathId, ending: Ending, now: Duration) {
        let Some(ended) = self.paths.take(path) else {
            return;
        };
        let address = ended.address;
        if ended.newer {
            // Nobody expected anything of it.
            self.ask_beyond(now);
            self.steer(now);
            return;
        }
        match ending {
            Ending::Broken | Ending::Refused => self.candidates.failed(&address, now),
            Ending::NotHere { term, addresses } => {
                self.candidates.rest(&address, now + LOCATE_EVERY);
                if term >= self.term {
                    for elsewhere in addresses {
                        self.candidates.add(elsewhere);
                    }
                }
            }
            Ending::Stale | Ending::Closed => self.candidates.rest(&address, now + LOCATE_EVERY),
            Ending::PublisherLeft => {
                self.left = Some(ended.epoch.max(self.epoch));
                self.left_at = Some(now);
                self.candidates.rest_all(now + LOCATE_EVERY);
            }
            Ending::Replaced if now.saturating_sub(ended.opened) > SLOW => self.candidates.wake(),
            Ending::Replaced => self.candidates.failed(&address, now),
        }
        self.urgent = true;
        self.steer(now);
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Duration) {
        self.steer(now);
    }

    /// When [`Course::tick`] is to be called, if nothing happens before.
    pub(crate) fn next_timeout(&self, now: Duration) -> Option<Duration> {
        if self.over {
            return None;
        }
        let linger = self.unwanted_since.map(|since| since + self.times.linger);
        let grace = (!self.carrying()).then(|| self.quiet_since + self.times.grace);
        let locate = (!self.locating).then(|| self.locate_due());
        let back = self.way_back().map(|_| self.shield.due());
        let paths = self.paths.dues(self.beside.after());
        let times = [linger, grace, locate, back, self.newer_due()]
            .into_iter()
            .flatten();
        times
            .chain(paths)
            .chain(self.candidates.wakes())
            .filter(|at| *at > now)
            .min()
    }
}
