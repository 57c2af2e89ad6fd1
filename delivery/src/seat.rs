//! One viewer's connection in a fan-out: its writer joined to its socket.

use std::io::{self, ErrorKind, IoSlice};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use headwater_hub::{Dropped, LatePolicy, Stream};
use headwater_process::net::Line;

use crate::release::Leave;
use crate::run::Run;
use crate::viewer::{EndReason, Inbound, Reaction, Viewer, ViewerEnd};
use crate::window::Windows;
use crate::writer::{Next, Source, Writer};

/// Reads a wake-up of a viewer that does not stop sending may cost.
const READS_PER_WAKE: usize = 16;
/// Writes from the ring before others have their turn.
const WRITES_PER_WAKE: usize = 8;

/// Replies that may wait for a socket that is full: a viewer who asks on and reads nothing is ended.
const REPLIES_MAX_BYTES: usize = 64 << 10;

/// What a pump is to do next with a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Nothing until it is woken or there are new tags.
    Rest,
    /// There is more to do now, after the others.
    Again,
    /// The connection is over.
    Over(EndReason),
}

pub(crate) struct Seat {
    socket: Line,
    pub(crate) writer: Writer,
    waker: Waker,
    inbound: Option<Box<dyn Inbound>>,
    /// The viewer has asked to close.
    closing: bool,
    /// Replies since the socket was full.
    replies_bytes: usize,
    tail: Bytes,
    release: Bytes,
    /// When it is to go, once the process drains.
    leave: Option<Leave>,
    on_end: Box<dyn FnOnce(ViewerEnd) + Send>,
    joined: Duration,
    startup: Option<Duration>,
    bytes: u64,
    /// What of its losses has been counted in the metrics.
    pub(crate) dropped_counted: Dropped,
}

impl Seat {
    pub(crate) fn new(viewer: Viewer, writer: Writer, waker: Waker, now: Duration) -> Seat {
        Seat {
            socket: viewer.socket,
            writer,
            waker,
            inbound: viewer.inbound,
            closing: false,
            replies_bytes: 0,
            tail: viewer.tail,
            release: viewer.release,
            leave: None,
            on_end: viewer.on_end,
            joined: now,
            startup: None,
            bytes: 0,
            dropped_counted: Dropped::default(),
        }
    }

    /// Says good-bye to the owner.
    pub(crate) fn end(self, reason: EndReason, now: Duration) {
        (self.on_end)(ViewerEnd {
            reason,
            bytes: self.bytes,
            duration: now.saturating_sub(self.joined),
            startup: self.startup,
            dropped: *self.writer.dropped(),
        });
    }

    /// Reads what the viewer sent, until the socket has no more.
    pub(crate) fn read(&mut self) -> Turn {
        let mut buffer = [0_u8; 1024];
        let mut context = Context::from_waker(&self.waker);
        for _ in 0..READS_PER_WAKE {
            match self.socket.poll_read_ready(&mut context) {
                Poll::Pending => return Turn::Rest,
                Poll::Ready(Err(e)) => return Turn::Over(failure(&e)),
                Poll::Ready(Ok(())) => {}
            }
            match self.socket.try_read(&mut buffer) {
                Ok(0) => return Turn::Over(EndReason::Left),
                Ok(n) => {
                    let reaction = match &mut self.inbound {
                        Some(inbound) => inbound.received(buffer.get(..n).unwrap_or_default()),
                        None => Reaction::Continue,
                    };
                    match reaction {
                        Reaction::Continue => {}
                        Reaction::Reply(reply) => {
                            if self.writer.blocked_since().is_none() {
                                self.replies_bytes = 0;
                            }
                            self.replies_bytes = self.replies_bytes.saturating_add(reply.len());
                            if self.replies_bytes > REPLIES_MAX_BYTES {
                                return Turn::Over(EndReason::Refused);
                            }
                            self.writer.queue(&reply);
                        }
                        Reaction::Close(last) => {
                            self.closing = true;
                            self.tail = Bytes::new();
                            self.release = Bytes::new();
                            self.writer.close(&last);
                            return Turn::Rest;
                        }
                        Reaction::End(reason) => return Turn::Over(reason),
                    }
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(e) => return Turn::Over(failure(&e)),
            }
        }
        Turn::Again
    }

    /// It is to go then.
    pub(crate) fn is_to_leave(&mut self, leave: Leave) {
        self.leave = Some(leave);
    }

    /// Lets it go, if it is time and a keyframe is there, or too late to wait for one; returns whether it goes.
    pub(crate) fn leaves(&mut self, stream: &Stream, now: Duration) -> bool {
        let Some(leave) = self.leave.filter(|leave| leave.due <= now) else {
            return false;
        };
        if !self.writer.leaves()
            && !stream.with_ring(|ring| self.writer.leave_at_keyframe(ring))
            && leave.latest <= now
        {
            self.writer.leave_here();
        }
        self.writer.leaves()
    }

    /// Bytes written so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the shared windows are next for it.
    pub(crate) fn in_step(&self, windows: &Windows) -> bool {
        self.writer.blocked_since().is_none() && self.writer.in_step(windows)
    }

    /// Writes the shared windows.
    pub(crate) fn write_windows(&mut self, windows: &Windows, now: Duration) -> Turn {
        let mut slices: [IoSlice<'_>; 8] = [IoSlice::new(&[]); 8];
        let turn = self.write_while_in_step(windows, &mut slices, now);
        if turn == Turn::Rest {
            self.flush(now)
        } else {
            turn
        }
    }

    fn write_while_in_step<'w>(
        &mut self,
        windows: &'w Windows,
        slices: &mut [IoSlice<'w>; 8],
        now: Duration,
    ) -> Turn {
        while self.writer.in_step(windows) {
            let used = self.writer.window_slices(windows, slices);
            let bufs = slices.get(..used).unwrap_or_default();
            let written = match bufs {
                [one] => self.socket.try_write(one),
                several => self.socket.try_write_vectored(several),
            };
            let offered: usize = bufs.iter().map(|buf| buf.len()).sum();
            match self.took(written, now) {
                Ok(Some(n)) => {
                    self.writer.wrote_windows(n, windows);
                    if n < offered {
                        // The rest is this viewer's own, and nothing else would wake it when no more tags come.
                        return Turn::Again;
                    }
                }
                Ok(None) => return Turn::Rest,
                Err(turn) => return turn,
            }
        }
        Turn::Rest
    }

    /// Writes what it alone needs: heads, start-up burst, what it is late with. The ring is locked only while `run` is
    /// filled.
    pub(crate) fn write_own(&mut self, from: &Reading<'_>, run: &mut Run, now: Duration) -> Turn {
        for _ in 0..WRITES_PER_WAKE {
            let liveness = from.stream.progress().liveness;
            let next = from.stream.with_ring(|ring| {
                let source = Source {
                    ring,
                    windows: from.windows,
                    policy: from.policy,
                    liveness,
                };
                self.writer.next(&source, run)
            });
            match next {
                Next::Idle => return self.flush(now),
                Next::Done => return self.part(now),
                Next::Bytes => {}
            }
            let written = self.socket.try_write(self.writer.bytes(run));
            let begun = self.writer.begun();
            match self.took(written, now) {
                Ok(Some(n)) => self.writer.wrote(n, run),
                Ok(None) => return Turn::Rest,
                Err(turn) => return turn,
            }
            if !begun && self.writer.begun() {
                self.startup = Some(now.saturating_sub(self.joined));
            }
        }
        Turn::Again
    }

    /// Sends on what the connection has taken and not sent; what is left wakes the seat.
    fn flush(&mut self, now: Duration) -> Turn {
        let flushed = self.socket.try_flush().map(|()| 0);
        match self.took(flushed, now) {
            Ok(_) => Turn::Rest,
            Err(turn) => turn,
        }
    }

    /// The last words, behind all that the viewer is to get.
    fn part(&mut self, now: Duration) -> Turn {
        let (last, reason) = if self.writer.leaves() {
            (&mut self.release, EndReason::Released)
        } else {
            (&mut self.tail, EndReason::StreamEnded)
        };
        // Best effort: it is over, and a socket that is full now is not waited for.
        let _ = self.socket.try_write(&std::mem::take(last));
        let finished = self.socket.try_finish().map(|()| 0);
        match self.took(finished, now) {
            Ok(Some(_)) if self.closing => Turn::Over(EndReason::Left),
            Ok(Some(_)) => Turn::Over(reason),
            Ok(None) => Turn::Rest,
            Err(turn) => turn,
        }
    }

    /// Notes what a write did: `Ok(None)` if the socket is full and will wake the seat.
    fn took(&mut self, written: io::Result<usize>, now: Duration) -> Result<Option<usize>, Turn> {
        match written {
            Ok(n) => {
                self.bytes = self.bytes.saturating_add(n as u64);
                Ok(Some(n))
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                self.writer.blocked(now);
                match self
                    .socket
                    .poll_write_ready(&mut Context::from_waker(&self.waker))
                {
                    Poll::Pending => Ok(None),
                    Poll::Ready(Ok(())) => {
                        self.waker.wake_by_ref();
                        Ok(None)
                    }
                    Poll::Ready(Err(e)) => Err(Turn::Over(failure(&e))),
                }
            }
            Err(e) => Err(Turn::Over(failure(&e))),
        }
    }
}

/// Players that are closed while media is under way reset the connection: that is how most viewers leave.
fn failure(error: &io::Error) -> EndReason {
    if matches!(
        error.kind(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
    ) {
        EndReason::Left
    } else {
        EndReason::Socket
    }
}

/// What seats write from.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'s> {
    pub(crate) stream: &'s Stream,
    pub(crate) windows: &'s Windows,
    pub(crate) policy: &'s LatePolicy,
}
