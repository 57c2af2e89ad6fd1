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
        let old = self.parts.get(&part);
        // What was told stays: what comes is compared with that, not with what was kept back.
        if old.is_some_and(|old| old.foretells(&carried)) {
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
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1);

    fn carried(name: &str, term: u64) -> Carried {
        Carried {
            key: format!("default/live/{name}").parse().unwrap(),
            part: Part::Home,
            epoch: 1,
            term,
            ingress: None,
            home: None,
            seen: None,
            viewers: 0,
        }
    }

    fn names(report: &Report) -> Vec<(String, bool)> {
        report
            .streams
            .iter()
            .map(|it| (it.carried.key.stream().to_owned(), it.ended))
            .collect()
    }

    #[test]
    fn a_session_starts_with_a_snapshot_and_goes_on_with_changes() {
        let mut set = ReportSet::new(1);
        set.put(carried("a", 1));
        assert!(!set.pending(0), "nobody listens yet");
        set.begin(0, NOW);
        let first = set.next(0).unwrap();
        assert!(first.begin && first.complete);
        assert_eq!(names(&first), [("a".to_owned(), false)]);
        assert_eq!(set.next(0), None);

        assert!(set.put(carried("b", 1)));
        assert!(!set.put(carried("b", 1)), "nothing changed");
        assert!(set.end(&carried("a", 1).key, Part::Home, None, NOW));
        let delta = set.next(0).unwrap();
        assert!(!delta.begin && !delta.complete);
        assert_eq!(
            names(&delta),
            [("a".to_owned(), true), ("b".to_owned(), false)]
        );
        assert_eq!(set.next(0), None);
    }

    #[test]
    fn an_empty_snapshot_is_one_message() {
        let mut set = ReportSet::new(1);
        set.begin(0, NOW);
        let only = set.next(0).unwrap();
        assert!(only.begin && only.complete && only.streams.is_empty());
        assert!(!set.pending(0));
    }

    #[test]
    fn a_large_snapshot_comes_in_chunks_and_misses_nothing_that_changes_meanwhile() {
        let mut set = ReportSet::new(1);
        let count = CHUNK_MAX_ENTRIES * 3;
        for index in 0..count {
            set.put(carried(&index.to_string(), 1));
        }
        set.begin(0, NOW);
        let mut seen = BTreeSet::new();
        let first = set.next(0).unwrap();
        assert!(first.begin && !first.complete);
        seen.extend(names(&first));
        set.put(carried("late", 1));
        set.end(&carried("0", 1).key, Part::Home, None, NOW);
        let mut completes = 0;
        while let Some(report) = set.next(0) {
            assert!(report.streams.len() <= CHUNK_MAX_ENTRIES && !report.begin);
            completes += usize::from(report.complete);
            seen.extend(names(&report));
        }
        assert_eq!(completes, 1);
        assert!(seen.contains(&("late".to_owned(), false)));
        assert!(seen.contains(&("0".to_owned(), true)));
        assert!(seen.len() > count);
    }

    #[test]
    fn viewers_and_time_wait_for_the_heartbeat_and_terms_do_not() {
        let mut set = ReportSet::new(1);
        assert!(set.put(carried("a", 1)));
        let busier = Carried {
            viewers: 5,
            ..carried("a", 1)
        };
        assert!(!set.put(busier.clone()));
        assert!(set.put(Carried { term: 2, ..busier }));
    }

    #[test]
    fn time_that_goes_on_as_it_did_is_not_told_again() {
        let mut set = ReportSet::new(1);
        set.begin(0, NOW);
        assert!(set.next(0).is_some_and(|snapshot| snapshot.complete));
        let mut told = |stream_dts_ms, unix_ms| {
            set.put(Carried {
                seen: Some(Seen {
                    stream_dts_ms,
                    unix_ms,
                }),
                ..carried("a", 1)
            });
            let report = set.next(0)?;
            report.streams.first()?.carried.seen
        };
        assert!(told(0, 0).is_some());
        // Half a second behind in four steps is behind what was told, however small each step.
        for (stream_dts_ms, unix_ms) in [(1_000, 1_000), (1_880, 2_000), (2_760, 3_000)] {
            assert_eq!(told(stream_dts_ms, unix_ms), None, "{unix_ms}");
        }
        assert!(told(3_640, 4_000).is_some());
        assert!(told(4_641, 5_000).is_some(), "ahead by a millisecond");
    }

    #[test]
    fn a_new_session_hears_of_what_ended_lately() {
        let mut set = ReportSet::new(1);
        set.put(carried("a", 1));
        set.end(&carried("a", 1).key, Part::Home, None, NOW);
        for (after, want) in [(0, 1), (600, 1), (601, 0)] {
            set.begin(0, NOW + Duration::from_secs(after));
            assert_eq!(set.next(0).unwrap().streams.len(), want, "after {after} s");
        }
        assert!(set.ended.is_empty() && set.ended_order.is_empty());
    }

    #[test]
    fn ended_streams_are_bounded() {
        let mut set = ReportSet::new(1);
        for index in 0..ENDED_MAX + 10 {
            let carried = carried(&index.to_string(), 1);
            set.put(carried.clone());
            set.end(&carried.key, Part::Home, None, NOW);
        }
        assert_eq!(
            (set.ended.len(), set.ended_order.len()),
            (ENDED_MAX, ENDED_MAX)
        );
    }
}
