mod any_order;
mod newer;
mod shield;
mod sources;
mod standing;

use super::*;

const MS: Duration = Duration::from_millis(1);

/// A course, what it has asked for, and a clock.
struct Scenario {
    course: Course,
    now: Duration,
    /// Paths that are open, in the order of opening.
    open: Vec<(PathId, String)>,
    fed: Vec<PathId>,
    locates: usize,
    looks_beyond: usize,
    finished: bool,
}

fn at(term: u64, epoch: u64, addresses: &[&str]) -> Located {
    Located::At {
        term,
        epoch,
        addresses: addresses.iter().map(|a| (*a).to_owned()).collect(),
        shield: None,
    }
}

fn guessed(addresses: &[&str]) -> Located {
    Located::Guessed {
        addresses: addresses.iter().map(|a| (*a).to_owned()).collect(),
    }
}

fn lost(addresses: &[&str]) -> Located {
    Located::Nowhere {
        left_ago: None,
        lost: addresses.iter().map(|a| (*a).to_owned()).collect(),
    }
}

fn nowhere() -> Located {
    lost(&[])
}

fn not_here() -> Ending {
    Ending::NotHere {
        term: 0,
        addresses: Vec::new(),
    }
}

impl Scenario {
    fn new() -> Scenario {
        let times = Times {
            linger: Duration::from_secs(10),
            grace: Duration::from_secs(30),
            return_wait: Duration::from_secs(5),
        };
        let now = Duration::from_secs(100);
        let mut scenario = Scenario {
            course: Course::new(times, now),
            now,
            open: Vec::new(),
            fed: Vec::new(),
            locates: 0,
            looks_beyond: 0,
            finished: false,
        };
        scenario.act();
        scenario
    }

    /// One that is fed by `home`, with `ingress` as the second source.
    fn carried() -> Scenario {
        let mut scenario = Scenario::new();
        scenario.located(at(5, 5, &["home", "ingress"]));
        scenario.deliver("home", 5, 5);
        scenario
    }

    fn act(&mut self) {
        while let Some(action) = self.course.next_action() {
            match action {
                Action::Locate => self.locates += 1,
                Action::LookBeyond => self.looks_beyond += 1,
                Action::Open { path, address } => self.open.push((path, address)),
                Action::Feed { path } => self.fed.push(path),
                Action::Drop { path } => self.open.retain(|(id, _)| *id != path),
                Action::Finish => self.finished = true,
            }
        }
    }

    fn path(&self, address: &str) -> PathId {
        let found = self.open.iter().rev().find(|(_, a)| a == address);
        found
            .unwrap_or_else(|| panic!("no path to {address}: {:?}", self.open))
            .0
    }

    fn addresses(&self) -> Vec<&str> {
        self.open
            .iter()
            .map(|(_, address)| address.as_str())
            .collect()
    }

    fn located(&mut self, located: Located) {
        self.course.located(located, self.now);
        self.act();
    }

    fn answer(&mut self, address: &str, term: u64, epoch: u64) {
        let path = self.path(address);
        self.course.answered(path, term, epoch, self.now);
        self.act();
    }

    fn hear(&mut self, address: &str) {
        let path = self.path(address);
        self.course.heard(path, self.now);
        self.act();
    }

    fn deliver(&mut self, address: &str, term: u64, epoch: u64) {
        self.answer(address, term, epoch);
        self.hear(address);
    }

    fn silence(&mut self, address: &str) {
        let path = self.path(address);
        self.course.silent(path, self.now);
        self.act();
    }

    fn end(&mut self, address: &str, ending: Ending) {
        let path = self.path(address);
        self.open.retain(|(id, _)| *id != path);
        self.course.ended(path, ending, self.now);
        self.act();
    }

    /// Lets time pass, from timeout to timeout.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..100_000 {
            match self.course.next_timeout(self.now).filter(|due| *due <= end) {
                Some(due) => {
                    assert!(due > self.now, "time stands still");
                    self.now = due;
                    self.course.tick(self.now);
                    self.act();
                }
                None => break,
            }
        }
        self.now = end;
        self.course.tick(self.now);
        self.act();
    }
}
