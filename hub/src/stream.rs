//! One live stream: the ring behind a lock, who may feed it, and the signal that it went on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use headwater_media::{Dts, StreamKey, Tag};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::limits::{RingLimits, StreamRules};
use crate::meter::{Meter, Rates};
use crate::metrics::HubMetrics;
use crate::pacing::Pacing;
use crate::ring::Ring;

/// What a session brings along when it (or another path to it) is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The publish session.
    pub epoch: u64,
    /// The fence: names this session and its home.
    pub term: u64,
    /// Session time + this = stream time.
    pub dts_offset: Dts,
    /// The number of the first tag that will come.
    pub first_sequence: u64,
}

/// Where a stream stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Liveness {
    /// Nothing has come yet.
    #[default]
    Waiting,
    /// A publisher is on.
    Live,
    /// The publisher has left; readers may wait for the next one.
    Ended,
    /// Nothing will come any more: readers end when they have all.
    Closed,
}

/// What readers wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The position that the next tag will have.
    pub end: u64,
    /// Where the stream stands.
    pub liveness: Liveness,
    /// The current session.
    pub epoch: u64,
    /// The highest term heard.
    pub term: u64,
}

/// Why tags are not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    /// A newer session has taken the stream over.
    #[error("session {epoch} of the stream is over: session {current} has taken its place")]
    StaleEpoch {
        /// The session that was offered.
        epoch: u64,
        /// The one that is on.
        current: u64,
    },
    /// A higher term has been heard.
    #[error("term {term} of the stream is over: term {current} holds now")]
    StaleTerm {
        /// The term that was offered.
        term: u64,
        /// The one that holds.
        current: u64,
    },
    /// A tag would leave a hole that nobody declared.
    #[error("tag {sequence} came where tag {expected} was next")]
    Hole {
        /// The number that came.
        sequence: u64,
        /// The number that was next.
        expected: u64,
    },
    /// The stream has been closed.
    #[error("the stream is closed")]
    Closed,
}

impl FeedError {
    /// The label for logs and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            FeedError::StaleEpoch { .. } => "stale_epoch",
            FeedError::StaleTerm { .. } => "stale_term",
            FeedError::Hole { .. } => "hole",
            FeedError::Closed => "closed",
        }
    }
}

/// What became of a pushed tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is in the ring.
    Taken,
    /// The ring has had it already (another path was first).
    Duplicate,
}

#[derive(Debug)]
struct State {
    ring: Ring,
    progress: Progress,
    next_sequence: u64,
    after_gap: bool,
    gap_tags: u64,
    meter: Meter,
    last_push: Duration,
    held_bytes: usize,
}

/// One live stream inside a process.
#[derive(Debug)]
pub struct Stream {
    key: StreamKey,
    state: Mutex<State>,
    progress: watch::Sender<Progress>,
    source_silent: AtomicBool,
    pacing: Pacing,
    metrics: Arc<HubMetrics>,
}

/// A stream's figures for `/streams`.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Where it stands.
    pub progress: Progress,
    /// Rates of the last seconds.
    pub rates: Rates,
    /// Bytes that the ring takes: payloads and the table of its tags.
    pub ring_bytes: usize,
    /// Tags in the ring.
    pub ring_tags: usize,
    /// Tags that never came here because the upstream no longer held them.
    pub gap_tags: u64,
    /// The newest stream time, if any tag has come.
    pub last_at: Option<Dts>,
    /// When the newest tag came, on the process's clock.
    pub last_push: Duration,
    /// The headers in force.
    pub headers: Arc<crate::Headers>,
}

impl Stream {
    /// An empty stream.
    pub fn new(key: StreamKey, limits: RingLimits, metrics: Arc<HubMetrics>) -> Stream {
        Stream {
            key,
            state: Mutex::new(State {
                ring: Ring::new(limits),
                progress: Progress::default(),
                next_sequence: 0,
                after_gap: false,
                gap_tags: 0,
                meter: Meter::default(),
                last_push: Duration::ZERO,
                held_bytes: 0,
            }),
            progress: watch::Sender::new(Progress::default()),
            source_silent: AtomicBool::new(false),
            pacing: Pacing::default(),
            metrics,
        }
    }

    /// Its name.
    pub fn key(&self) -> &StreamKey {
        &self.key
    }

    /// Opens a session, or another path to the session that is on.
    ///
    /// Returns how many tags will be missing (0 where the path begins at or before the next tag).
    ///
    /// # Errors
    /// [`FeedError::StaleEpoch`] or [`FeedError::StaleTerm`] if a newer session or a higher term is known.
    pub fn open(&self, opening: Opening) -> Result<u64, FeedError> {
        let mut state = self.state.lock();
        let current = state.progress;
        if current.liveness == Liveness::Closed {
            return Err(FeedError::Closed);
        }
        if opening.epoch < current.epoch {
            return Err(FeedError::StaleEpoch {
                epoch: opening.epoch,
                current: current.epoch,
            });
        }
        if opening.term < current.term {
            return Err(FeedError::StaleTerm {
                term: opening.term,
                current: current.term,
            });
        }
        let mut gap = 0;
        if opening.epoch > current.epoch {
            state.ring.begin(opening.epoch, opening.dts_offset);
            state.next_sequence = opening.first_sequence;
            state.after_gap = false;
        } else if opening.first_sequence > state.next_sequence {
            gap = opening.first_sequence.saturating_sub(state.next_sequence);
            state.next_sequence = opening.first_sequence;
            state.after_gap = true;
            state.gap_tags = state.gap_tags.saturating_add(gap);
            self.metrics.gap_tags.inc_by(gap);
        }
        // Whoever opens it has a source that speaks.
        self.set_source_silent(false);
        state.progress.epoch = opening.epoch;
        state.progress.term = opening.term;
        state.progress.liveness = Liveness::Live;
        self.publish_progress(&mut state);
        Ok(gap)
    }

    /// Takes tag number `sequence` of session `epoch` and wakes who waits for it.
    ///
    /// # Errors
    /// As [`Stream::push_unshown`].
    pub fn push(
        &self,
        epoch: u64,
        sequence: u64,
        tag: Tag,
        now: Duration,
    ) -> Result<Pushed, FeedError> {
        let pushed = self.push_unshown(epoch, sequence, tag, now)?;
        self.show();
        Ok(pushed)
    }

    /// Wakes who waits for the tags that have been pushed unshown.
    pub fn show(&self) {
        self.publish_progress(&mut self.state.lock());
    }

    /// Takes tag number `sequence` of session `epoch`. Nobody is woken for it before [`Stream::show`]: who has several
    /// tags wakes readers once.
    ///
    /// # Errors
    /// [`FeedError::StaleEpoch`] if another session is on; [`FeedError::Hole`] if a tag before it is missing.
    pub fn push_unshown(
        &self,
        epoch: u64,
        sequence: u64,
        tag: Tag,
        now: Duration,
    ) -> Result<Pushed, FeedError> {
        let mut state = self.state.lock();
        if state.progress.liveness == Liveness::Closed {
            return Err(FeedError::Closed);
        }
        if epoch != state.progress.epoch {
            return Err(FeedError::StaleEpoch {
                epoch,
                current: state.progress.epoch,
            });
        }
        if sequence < state.next_sequence {
            return Ok(Pushed::Duplicate);
        }
        if sequence > state.next_sequence {
            return Err(FeedError::Hole {
                sequence,
                expected: state.next_sequence,
            });
        }
        state.next_sequence = sequence.saturating_add(1);
        let after_gap = std::mem::take(&mut state.after_gap);
        let size = tag.payload.len();
        state.last_push = now;
        let kind = tag.kind;
        let position = state.ring.push(sequence, tag, after_gap, now);
        let keyframe = state.ring.newest_keyframe() == Some(position);
        let dts = state
            .ring
            .get(position)
            .map_or(Dts(0), crate::ring::Entry::at);
        state.meter.record(kind, size, keyframe, dts, now);
        self.metrics.received(kind, size);
        Ok(Pushed::Taken)
    }

    /// Puts `headers` in force before tag `sequence` of session `epoch`, the next one that comes, where a path joins the
    /// session mid-way or behind a gap. They get no number and no position; viewers who have the same are not sent them
    /// again. Does nothing if the session has gone on past `sequence`: then what is in force is newer.
    ///
    /// # Errors
    /// [`FeedError::StaleEpoch`] if another session is on.
    pub fn adopt_headers(
        &self,
        epoch: u64,
        sequence: u64,
        headers: &[Tag],
    ) -> Result<(), FeedError> {
        let mut state = self.state.lock();
        if epoch != state.progress.epoch {
            return Err(FeedError::StaleEpoch {
                epoch,
                current: state.progress.epoch,
            });
        }
        if sequence == state.next_sequence {
            state.ring.adopt_headers(headers);
        }
        Ok(())
    }

    /// The publisher of session `epoch` has left. Does nothing if another session is on.
    pub fn end(&self, epoch: u64) {
        self.set_liveness(epoch, Liveness::Ended);
    }

    /// Nothing will come any more: readers end when they have all that is there.
    pub fn close(&self) {
        let epoch = self.progress().epoch;
        self.set_liveness(epoch, Liveness::Closed);
    }

    fn set_liveness(&self, epoch: u64, liveness: Liveness) {
        let mut state = self.state.lock();
        if state.progress.epoch == epoch && state.progress.liveness != Liveness::Closed {
            state.progress.liveness = liveness;
            self.publish_progress(&mut state);
        }
    }

    /// Notes a higher term for the session that is on.
    pub fn raise_term(&self, term: u64) {
        let mut state = self.state.lock();
        if term > state.progress.term {
            state.progress.term = term;
            self.publish_progress(&mut state);
        }
    }

    /// Whoever feeds the stream says whether its source has fallen silent. Who serves the stream on is silent then too:
    /// heartbeats say that tags would come, and none would.
    pub fn set_source_silent(&self, silent: bool) {
        self.source_silent.store(silent, Ordering::Relaxed);
    }

    /// Whether the source has fallen silent.
    pub fn source_silent(&self) -> bool {
        self.source_silent.load(Ordering::Relaxed)
    }

    /// How its readers and whoever feeds it keep step.
    pub fn pacing(&self) -> &Pacing {
        &self.pacing
    }

    fn publish_progress(&self, state: &mut State) {
        state.progress.end = state.ring.next_position();
        self.metrics
            .ring_bytes_changed(&mut state.held_bytes, state.ring.bytes());
        self.progress.send_replace(state.progress);
    }

    /// Where it stands now.
    pub fn progress(&self) -> Progress {
        *self.progress.borrow()
    }

    /// A receiver that is woken by every tag and change of state.
    pub fn subscribe(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Reads the ring under its lock. `read` must be short: the publisher waits for it.
    pub fn with_ring<T>(&self, read: impl FnOnce(&Ring) -> T) -> T {
        read(&self.state.lock().ring)
    }

    /// The number that the next tag of the current session will have.
    pub fn next_sequence(&self) -> u64 {
        self.state.lock().next_sequence
    }

    /// The last stream time that was shown, and how long ago (`now` is the process's clock): from this the home makes the
    /// next session's `dts_offset`. `None` if nothing was ever shown.
    pub fn last_shown(&self, now: Duration) -> Option<(Dts, Duration)> {
        let state = self.state.lock();
        Some((state.ring.last_at()?, now.saturating_sub(state.last_push)))
    }

    /// Lowers or raises the ring's byte bound, for the process-wide budget.
    pub fn set_bytes_max(&self, bytes_max: usize) {
        let mut state = self.state.lock();
        state.ring.set_bytes_max(bytes_max);
        self.publish_progress(&mut state);
    }

    /// Changes what holds for this stream alone, in place of `defaults`.
    pub fn rule(&self, rules: StreamRules, defaults: &RingLimits) {
        let mut state = self.state.lock();
        state.ring.rule(rules, defaults);
        self.publish_progress(&mut state);
    }

    /// Its figures, as of `now` on the process's clock.
    pub fn facts(&self, now: Duration) -> Facts {
        let state = self.state.lock();
        Facts {
            progress: state.progress,
            rates: state.meter.rates(now),
            ring_bytes: state.ring.bytes(),
            ring_tags: state.ring.entries().len(),
            gap_tags: state.gap_tags,
            last_at: state.ring.last_at(),
            last_push: state.last_push,
            headers: Arc::clone(state.ring.headers()),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        self.metrics.ring_bytes_changed(&mut state.held_bytes, 0);
    }
}
