//! What publishers and viewers know of each other: which session of a stream is on, and what went wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::plan::Size;
use crate::publisher;
use crate::timeline::Timeline;

/// A stream as its publisher sees it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Show {
    /// The session that was granted last; sessions count up.
    pub(crate) session: u64,
    /// It is on: media flows.
    pub(crate) on: bool,
    /// When it last went on or off.
    pub(crate) since_us: u64,
    /// The origin that has the publisher.
    pub(crate) origin: usize,
    /// The highest number that a session of the stream has had.
    pub(crate) highest: u64,
    /// The newest session whose number is known.
    pub(crate) numbered: u64,
    /// The publisher means to be on.
    pub(crate) wanted: bool,
    /// When that last changed.
    pub(crate) wanted_since_us: u64,
}

/// What a viewer has seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sight {
    /// It watches, or tries to.
    pub(crate) wants: bool,
    /// When it began to want.
    pub(crate) since_us: u64,
    /// Where it has an answer.
    pub(crate) joined: Option<Joined>,
    /// The session of its last tag.
    pub(crate) session: u64,
    /// When that came.
    pub(crate) last_us: u64,
    /// Tags in all.
    pub(crate) tags: u64,
    /// Tags that it did not get.
    pub(crate) skipped: u64,
    /// The stream.
    pub(crate) stream: usize,
    /// A line that cannot carry the stream.
    pub(crate) slow: bool,
}

/// A viewer's connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Joined {
    pub(crate) edge: usize,
    /// Which process of the edge it is to: see [`House::started`].
    pub(crate) process: u64,
    pub(crate) since_us: u64,
}

/// An origin or edge as it really is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct House {
    /// How many processes it has been.
    pub(crate) started: u64,
    /// It lives, and was not told to end.
    pub(crate) serves: bool,
}

#[derive(Debug, Default)]
struct State {
    shows: Vec<Show>,
    origins: Vec<House>,
    edges: Vec<House>,
    sights: Vec<Sight>,
    /// By stream and session: the stamp that its first tag has, or would have, for whoever saw one of it first.
    bases: BTreeMap<(usize, u64), i64>,
    /// Sessions whose number is below an older one's: nobody who could be reached knew that, and clocks are far apart.
    below: BTreeSet<(usize, u64)>,
    violations: Vec<String>,
}

/// Shared by all who play a part. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    state: Arc<Mutex<State>>,
    pub(crate) timeline: Timeline,
}

impl Stage {
    pub(crate) fn new(size: Size, timeline: Timeline) -> Stage {
        Stage {
            state: Arc::new(Mutex::new(State {
                shows: vec![Show::default(); size.streams],
                origins: vec![House::default(); size.origins],
                edges: vec![House::default(); size.edges],
                sights: vec![Sight::default(); size.viewers],
                bases: BTreeMap::new(),
                below: BTreeSet::new(),
                violations: Vec::new(),
            })),
            timeline,
        }
    }

    pub(crate) fn show<T>(&self, stream: usize, then: impl FnOnce(&mut Show) -> T) -> T {
        then(&mut self.state.lock().shows[stream])
    }

    pub(crate) fn sight<T>(&self, viewer: usize, then: impl FnOnce(&mut Sight) -> T) -> T {
        then(&mut self.state.lock().sights[viewer])
    }

    pub(crate) fn edge<T>(&self, edge: usize, then: impl FnOnce(&mut House) -> T) -> T {
        then(&mut self.state.lock().edges[edge])
    }

    pub(crate) fn origin<T>(&self, origin: usize, then: impl FnOnce(&mut House) -> T) -> T {
        then(&mut self.state.lock().origins[origin])
    }

    /// What a viewer of `stream` sees as the stamp of the first tag of `session`; gives what others have seen.
    pub(crate) fn base(&self, stream: usize, session: u64, base_ms: i64) -> i64 {
        let mut state = self.state.lock();
        *state.bases.entry((stream, session)).or_insert(base_ms)
    }

    /// `stream` is on, under the number `epoch`.
    pub(crate) fn numbered(&self, now_us: u64, stream: usize, epoch: u64) {
        let mut state = self.state.lock();
        let show = &mut state.shows[stream];
        let (session, below) = (show.session, epoch < show.highest);
        show.highest = show.highest.max(epoch);
        show.numbered = session;
        if below && state.below.insert((stream, session)) {
            let name = publisher::name(stream);
            let text = format!("session {session} of {name} has a number below an older one's");
            self.timeline.note(now_us, &text);
        }
    }

    /// Whether a stream is on whose number is not known.
    pub(crate) fn lacks_numbers(&self) -> bool {
        let state = self.state.lock();
        let mut shows = state.shows.iter();
        shows.any(|show| show.on && show.numbered != show.session)
    }

    /// Whether `session` may be late: its number is below an older one's, so that it is sent away or waited for until
    /// the two have met.
    pub(crate) fn is_below(&self, stream: usize, session: u64) -> bool {
        self.state.lock().below.contains(&(stream, session))
    }

    /// How many sessions had such a number.
    pub(crate) fn below(&self) -> usize {
        self.state.lock().below.len()
    }

    pub(crate) fn sights(&self) -> Vec<Sight> {
        self.state.lock().sights.clone()
    }

    /// A promise is broken: the run has failed.
    pub(crate) fn violation(&self, now_us: u64, text: &str) {
        self.timeline.note(now_us, &format!("VIOLATION {text}"));
        self.state.lock().violations.push(text.to_owned());
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        self.state.lock().violations.clone()
    }
}
