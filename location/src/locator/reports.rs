//! The parts that this member has in streams, kept whole so that a new replica can be told everything.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use headwater_process::clock;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::limits::CHUNK_MAX_ENTRIES;
use crate::stream::{Carried, Part, Seen, StreamReport};
use crate::{Report, StreamKey};

/// Streams that ended are told to new replicas too, so that their time goes on: the newest so many.
const ENDED_MAX: usize = 4096;
/// No longer than an operator remembers them.
const ENDED_KEPT: Duration = Duration::from_secs(600);

pub(crate) type PartOf = (StreamKey, Part);

/// Where a role says what it carries; every replica is told. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reports {
    set: Arc<Mutex<ReportSet>>,
    nudge: watch::Sender<u64>,
}

impl Reports {
    pub(crate) fn new(replicas: usize, nudge: watch::Sender<u64>) -> Reports {
        Reports {
            set: Arc::new(Mutex::new(ReportSet::new(replicas))),
            nudge,
        }
    }

    /// This member has a part in a stream.
    pub fn publish_started(&self, carried: Carried) {
        self.changed(carried);
    }

    /// Something about a part has changed; a new session, term, home or ingress is told at once, the rest with the
    /// next heartbeat.
    pub fn changed(&self, carried: Carried) {
        if self.set.lock().put(carried) {
            self.nudge();
        }
    }

    /// Where a stream's time stands now, for parts that are there.
    pub fn seen(&self, key: &StreamKey, part: Part, seen: Seen, viewers: u32) {
        let mut set = self.set.lock();
        if let Some(mut carried) = set.parts.get(&(key.clone(), part)).cloned() {
            carried.seen = Some(seen);
            carried.viewers = viewers;
            set.put(carried);
        }
    }

    /// This member no longer has the part; `seen` is where the stream's time stood.
    pub fn ended(&self, key: &StreamKey, part: Part, seen: Option<Seen>) {
        if self.set.lock().end(key, part, seen, clock::now()) {
            self.nudge();
        }
    }

    /// How many parts this member has.
    pub fn len(&self) -> usize {
        self.set.lock().parts.len()
    }

    /// Whether this member has no part in any stream.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn begin(&self, replica: usize) {
        self.set.lock().begin(replica, clock::now());
    }

    /// The session is over; the next one starts with a snapshot.
    pub(crate) fn close(&self, replica: usize) {
        if let Some(told) = self.set.lock().replicas.get_mut(replica) {
            *told = Told::default();
        }
    }

    pub(crate) fn pending(&self, replica: usize) -> bool {
        self.set.lock().pending(replica)
    }

    pub(crate) fn next(&self, replica: usize) -> Option<Report> {
        self.set.lock().next(replica)
    }

    fn nudge(&self) {
        self.nudge
            .send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// The parts, and what each replica has not been told of them.
#[derive(Debug)]
struct ReportSet {
    parts: BTreeMap<PartOf, Carried>,
    ended: BTreeMap<PartOf, Carried>,
    ended_order: VecDeque<(PartOf, Duration)>,
    replicas: Vec<Told>,
}

#[derive(Debug, Default)]
struct Told {
    /// The replica has a session.
    open: bool,
    /// What the snapshot under way has not named yet.
    snapshot: Option<Vec<PartOf>>,
    begun: bool,
    dirty: BTreeSet<PartOf>,
}

impl ReportSet {
    fn new(replicas: usize) -> ReportSet {
        ReportSet {
            parts: BTreeMap::new(),
            ended: BTreeMap::new(),
            ended_order: VecDeque::new(),
            replicas: (0..replicas).map(|_| Told::default()).collect(),
        }
    }

    /// Says whether the replicas should know at once.
    fn put(&mut self, carried: Carried) -> bool {
        let part = (carried.key.clone(), carried.part);
        let mut old = self.parts.get_mut(&part);
        // What was told goes on as told: what comes is compared with that, not with what was kept back.
        if let Some(old) = &mut old
            && old.foretells(&carried)
        {
            old.go_on(&carried);
            return false;
        }
        let urgent = old.is_none_or(|old| {
            (old.epoch, old.term, &old.ingress, &old.home)
                != (carried.epoch, carried.term, &carried.ingress, &carried.home)
        });
        if self.ended.remove(&part).is_some() {
            self.ended_order.retain(|(it, _)| *it != part);
        }
        self.parts.insert(part.clone(), carried);
        self.soil(&part);
        urgent
    }

    fn end(&mut self, key: &StreamKey, part: Part, seen: Option<Seen>, now: Duration) -> bool {
        let part = (key.clone(), part);
        let Some(mut carried) = self.parts.remove(&part) else {
            return false;
        };
        carried.seen = seen.or(carried.seen);
        carried.viewers = 0;
        self.ended.insert(part.clone(), carried);
        self.ended_order.push_back((part.clone(), now));
        while self.ended.len() > ENDED_MAX {
            let Some((oldest, _)) = self.ended_order.pop_front() else {
                break;
            };
            self.ended.remove(&oldest);
        }
        self.soil(&part);
        true
    }

    fn soil(&mut self, part: &PartOf) {
        for replica in self.replicas.iter_mut().filter(|replica| replica.open) {
            replica.dirty.insert(part.clone());
        }
    }

    /// A session starts: everything is to be told.
    fn begin(&mut self, replica: usize, now: Duration) {
        while let Some((oldest, at)) = self.ended_order.front() {
            if now.saturating_sub(*at) <= ENDED_KEPT {
                break;
            }
            self.ended.remove(oldest);
            self.ended_order.pop_front();
        }
        let all = self
            .ended
            .keys()
            .chain(self.parts.keys())
            .cloned()
            .collect();
        if let Some(told) = self.replicas.get_mut(replica) {
            *told = Told {
                open: true,
                snapshot: Some(all),
                begun: false,
                dirty: BTreeSet::new(),
            };
        }
    }

    fn pending(&self, replica: usize) -> bool {
        self.replicas
            .get(replica)
            .is_some_and(|told| told.snapshot.is_some() || !told.dirty.is_empty())
    }

    fn next(&mut self, replica: usize) -> Option<Report> {
        let told = self.replicas.get_mut(replica)?;
        let (names, begin, complete) = match &mut told.snapshot {
            Some(left) => {
                let rest = left.len().saturating_sub(CHUNK_MAX_ENTRIES);
                let names = left.split_off(rest);
                let complete = left.is_empty();
                if complete {
                    told.snapshot = None;
                }
                let begin = !std::mem::replace(&mut told.begun, true);
                (names, begin, complete)
            }
            None if told.dirty.is_empty() => return None,
            None => {
                let names: Vec<PartOf> =
                    told.dirty.iter().take(CHUNK_MAX_ENTRIES).cloned().collect();
                for name in &names {
                    told.dirty.remove(name);
                }
                (names, false, false)
            }
        };
        let streams = names.iter().map(|name| self.state(name)).collect();
        Some(Report {
            begin,
            complete,
            streams,
        })
    }

    fn state(&self, name: &PartOf) -> StreamReport {
        if let Some(carried) = self.parts.get(name) {
            return StreamReport {
                carried: carried.clone(),
                ended: false,
            };
        }
        let forgotten = || Carried {
            key: name.0.clone(),
            part: name.1,
            epoch: 0,
            term: 0,
            ingress: None,
            home: None,
            seen: None,
            viewers: 0,
        };
        StreamReport {
            carried: self.ended.get(name).cloned().unwrap_or_else(forgotten),
            ended: true,
        }
    }
}

#[cfg(test)]
mod tests;
