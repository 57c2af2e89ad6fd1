//! The writer of one viewer's connection: a pure machine that says what to write next.

use std::io::IoSlice;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use headwater_hub::{Cursor, Dropped, LatePolicy, Liveness, Mode, Ring};

use crate::format::Format;
use crate::run::{Mark, Run};
use crate::window::Windows;

/// How much a viewer that is not in step takes from the ring for one write, in bytes.
const OWN_RUN_BYTES: usize = 64 << 10;
/// How long after a session's first tag its kinds are known well enough for the FLV header's flags, in milliseconds.
const KINDS_SETTLE_MS: i64 = 500;

/// What the writer reads from: the ring (under its lock) and the windows that are open.
pub struct Source<'s> {
    /// The stream's ring.
    pub ring: &'s Ring,
    /// The stream's windows.
    pub windows: &'s Windows,
    /// The late-viewer policy.
    pub policy: &'s LatePolicy,
    /// Where the stream stands.
    pub liveness: Liveness,
}

/// What is to be written next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// [`Writer::bytes`]; answer with [`Writer::wrote`].
    Bytes,
    /// Nothing now.
    Idle,
    /// Nothing any more: the stream is closed, or the viewer is to go, and it has all that it is to have.
    Done,
}

/// One viewer's writer.
#[derive(Debug)]
pub struct Writer {
    cursor: Cursor,
    format: Format,
    /// Bytes that go before anything else: heads, the rest of a tag that was cut by a full socket, replies.
    queued: Bytes,
    begun: bool,
    ended: bool,
    /// The position before which it ends, once it is to go.
    leaves_at: Option<u64>,
    blocked_since: Option<Duration>,
}

impl Writer {
    /// A writer for a viewer that joins `ring` now; `head` (response head, RTMP answers) goes first.
    pub fn join(
        ring: &Ring,
        mode: Mode,
        format: Format,
        policy: &LatePolicy,
        head: Bytes,
    ) -> Writer {
        Writer {
            cursor: Cursor::join(ring, mode, policy),
            format,
            queued: head,
            begun: false,
            ended: false,
            leaves_at: None,
            blocked_since: None,
        }
    }

    /// The framing of its bytes.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The mode it joined with.
    pub fn mode(&self) -> Mode {
        self.cursor.mode()
    }

    /// What it has lost.
    pub fn dropped(&self) -> &Dropped {
        self.cursor.dropped()
    }

    /// Since when the socket takes nothing, if it does not.
    pub fn blocked_since(&self) -> Option<Duration> {
        self.blocked_since
    }

    /// Ends it before the first keyframe that it has not been sent, if `ring` holds one; returns whether it is to end.
    ///
    /// Who has not been sent anything yet gets at least the GOP that it joined with.
    pub fn leave_at_keyframe(&mut self, ring: &Ring) -> bool {
        if self.leaves_at.is_none() {
            let from = self
                .cursor
                .next_position()
                .saturating_add(u64::from(!self.begun));
            self.leaves_at = ring.keyframe_from(from);
        }
        self.leaves_at.is_some()
    }

    /// Ends it before the next tag.
    pub fn leave_here(&mut self) {
        self.leaves_at = Some(self.cursor.next_position());
    }

    /// Whether it ends before the stream does.
    pub fn leaves(&self) -> bool {
        self.leaves_at.is_some()
    }

    /// Puts `reply` between two tags, as soon as the tag that is being sent is out.
    pub fn queue(&mut self, reply: &[u8]) {
        let mut queued = BytesMut::from(self.queued.as_ref());
        queued.extend_from_slice(reply);
        self.queued = queued.freeze();
    }

    /// Ends it with `last`, as soon as the tag that is being sent is out.
    pub fn close(&mut self, last: &[u8]) {
        self.queue(last);
        self.ended = true;
    }

    /// Whether the shared windows are next: then [`Writer::window_slices`] says what to write, without a look at the ring.
    pub fn in_step(&self, windows: &Windows) -> bool {
        self.begun
            && !self.ended
            && !self.leaves()
            && self.queued.is_empty()
            && windows
                .from(&self.cursor)
                .next()
                .is_some_and(|window| window.run(self.format).is_some())
    }

    /// Says what is next for a viewer that is not in step. `run` is scratch memory, which holds a run of the viewer's own
    /// between this call and [`Writer::wrote`].
    pub fn next(&mut self, source: &Source<'_>, run: &mut Run) -> Next {
        run.clear();
        if !self.queued.is_empty() {
            return Next::Bytes;
        }
        if self.ended {
            return Next::Done;
        }
        self.own_run(source, run);
        if !run.bytes.is_empty() {
            return Next::Bytes;
        }
        let next = self.cursor.next_position();
        let closed = source.liveness == Liveness::Closed && next >= source.ring.next_position();
        if closed || self.leaves_at.is_some_and(|at| next >= at) {
            self.ended = true;
            self.queued = Bytes::from_static(self.format.end());
            return if self.queued.is_empty() {
                Next::Done
            } else {
                Next::Bytes
            };
        }
        // What the full socket was to take is no longer for this viewer: nothing holds it back.
        self.blocked_since = None;
        Next::Idle
    }

    /// The bytes that [`Next::Bytes`] speaks of; `run` as `next` left it.
    pub fn bytes<'w>(&'w self, run: &'w Run) -> &'w [u8] {
        if self.queued.is_empty() {
            &run.bytes
        } else {
            &self.queued
        }
    }

    /// Whether a tag, or a part of one, has been written.
    pub fn begun(&self) -> bool {
        self.begun
    }

    /// Fills `run` from the ring for a viewer that joins, is late, or has windows ahead that lack its format.
    fn own_run(&mut self, source: &Source<'_>, run: &mut Run) {
        self.cursor.catch_up(source.ring, source.policy);
        let mut cursor = self.cursor.clone();
        let preface = if self.begun {
            0
        } else {
            self.begin(source.ring, run)
        };
        run.extend(
            &mut cursor,
            source.ring,
            source.windows.end().min(self.leaves_at.unwrap_or(u64::MAX)),
            self.format,
            source.policy,
            OWN_RUN_BYTES,
        );
        if run.bytes.len() == preface {
            // Nothing to send, but tags may have been stepped over.
            run.clear();
            self.cursor = cursor;
        }
    }

    /// The bytes before the first tag: they go out together with it, when the stream's kinds are known.
    fn begin(&self, ring: &Ring, run: &mut Run) -> usize {
        let mut kinds = ring.kinds();
        let age_ms = ring.last_at().map_or(0, |last| (last - ring.began_at()).0);
        if age_ms < KINDS_SETTLE_MS || !(kinds.audio || kinds.video) {
            kinds.audio = true;
            kinds.video = true;
        }
        self.format.begin(kinds, &mut run.bytes);
        run.bytes.len()
    }

    /// The first `n` bytes of what [`Next::Bytes`] held have been written; `run` as `next` left it.
    pub fn wrote(&mut self, n: usize, run: &Run) {
        self.blocked_since = None;
        if !self.queued.is_empty() {
            self.queued = self.queued.slice(n.min(self.queued.len())..);
            return;
        }
        if let Some(mark) = last_begun(n, run) {
            self.begun = true;
            self.cursor = mark.cursor.clone();
            self.queue_rest(n, mark, run);
        }
    }

    fn queue_rest(&mut self, n: usize, mark: &Mark, run: &Run) {
        self.queued = run
            .bytes
            .get(n..mark.end)
            .map(Bytes::copy_from_slice)
            .unwrap_or_default();
    }

    /// Puts the shared windows' bytes for one write, oldest first, into `slices`; returns how many it used.
    pub fn window_slices<'w>(&self, windows: &'w Windows, slices: &mut [IoSlice<'w>]) -> usize {
        let runs = windows
            .from(&self.cursor)
            .map_while(|window| window.run(self.format));
        let mut used = 0;
        for (slice, run) in slices.iter_mut().zip(runs) {
            *slice = IoSlice::new(&run.bytes);
            used += 1;
        }
        used
    }

    /// The first `n` bytes of the windows' slices have been written.
    pub fn wrote_windows(&mut self, mut n: usize, windows: &Windows) {
        self.blocked_since = None;
        for window in windows.from(&self.cursor) {
            let Some(run) = window.run(self.format) else {
                return;
            };
            if n < run.bytes.len() {
                // A window may be empty: then it is passed though nothing was written of it.
                if let Some(mark) = last_begun(n, run) {
                    self.cursor.follow_leader(&window.start, &mark.cursor);
                    self.queue_rest(n, mark, run);
                }
                return;
            }
            n = n.saturating_sub(run.bytes.len());
            self.cursor.follow_leader(&window.start, &window.end);
        }
    }

    /// The socket takes nothing at `now`.
    pub fn blocked(&mut self, now: Duration) {
        self.blocked_since.get_or_insert(now);
    }
}

/// The last item of `run` of which some of the first `n` bytes are.
fn last_begun(n: usize, run: &Run) -> Option<&Mark> {
    run.mark_at(n.checked_sub(1)?)
}
