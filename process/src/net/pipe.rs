//! A bounded pipe: a line's writing end here, and there whoever frames its bytes for a protocol of several streams.

use std::io::{self, ErrorKind, IoSlice};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;

/// A pipe that holds at most `capacity` bytes.
pub fn pipe(capacity: usize) -> (PipeEnd, PipeOutlet) {
    let shared = Arc::new(Mutex::new(Shared {
        held: BytesMut::new(),
        capacity,
        writing: Writing::Open,
        taken_by_nobody: false,
        writer: None,
        watcher: None,
        taker: None,
    }));
    (PipeEnd(Arc::clone(&shared)), PipeOutlet(shared))
}

#[derive(Debug)]
struct Shared {
    held: BytesMut,
    capacity: usize,
    writing: Writing,
    /// The outlet is gone.
    taken_by_nobody: bool,
    /// Who waits for room.
    writer: Option<Waker>,
    /// Who waits for the outlet to go.
    watcher: Option<Waker>,
    /// Who waits for bytes.
    taker: Option<Waker>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writing {
    Open,
    Finished,
    Broken,
}

/// The end that is written.
#[derive(Debug)]
pub struct PipeEnd(Arc<Mutex<Shared>>);

impl PipeEnd {
    /// Nothing ever comes back: 0 once the outlet is gone.
    pub(super) fn try_read(&mut self) -> io::Result<usize> {
        if self.0.lock().taken_by_nobody {
            Ok(0)
        } else {
            Err(ErrorKind::WouldBlock.into())
        }
    }

    pub(super) fn try_write(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut shared = self.0.lock();
        if shared.taken_by_nobody {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let mut room = shared.capacity.saturating_sub(shared.held.len());
        let before = shared.held.len();
        for buf in bufs {
            let part = buf.get(..room.min(buf.len())).unwrap_or_default();
            shared.held.extend_from_slice(part);
            room = room.saturating_sub(part.len());
        }
        let taken = shared.held.len().saturating_sub(before);
        if taken == 0 && bufs.iter().any(|buf| !buf.is_empty()) {
            return Err(ErrorKind::WouldBlock.into());
        }
        wake(shared.taker.take());
        Ok(taken)
    }

    pub(super) fn poll_write_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut shared = self.0.lock();
        if shared.taken_by_nobody || shared.held.len() < shared.capacity {
            return Poll::Ready(Ok(()));
        }
        shared.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(super) fn poll_read_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut shared = self.0.lock();
        if shared.taken_by_nobody {
            return Poll::Ready(Ok(()));
        }
        shared.watcher = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(super) fn finish(&mut self) {
        self.end(Writing::Finished);
    }

    fn end(&mut self, how: Writing) {
        let mut shared = self.0.lock();
        if shared.writing == Writing::Open {
            shared.writing = how;
            wake(shared.taker.take());
        }
    }
}

impl Drop for PipeEnd {
    fn drop(&mut self) {
        self.end(Writing::Broken);
    }
}

/// The end where bytes come out.
#[derive(Debug)]
pub struct PipeOutlet(Arc<Mutex<Shared>>);

/// The writing end went away without having finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ended early")]
pub struct PipeBroken;

impl PipeOutlet {
    /// Takes all bytes that are there; `None` after the last ones of a writing end that has finished.
    pub fn poll_take(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, PipeBroken>>> {
        let mut shared = self.0.lock();
        if !shared.held.is_empty() {
            let bytes = std::mem::take(&mut shared.held).freeze();
            wake(shared.writer.take());
            return Poll::Ready(Some(Ok(bytes)));
        }
        match shared.writing {
            Writing::Open => {
                shared.taker = Some(cx.waker().clone());
                Poll::Pending
            }
            Writing::Finished => Poll::Ready(None),
            Writing::Broken => Poll::Ready(Some(Err(PipeBroken))),
        }
    }
}

impl Drop for PipeOutlet {
    fn drop(&mut self) {
        let mut shared = self.0.lock();
        shared.taken_by_nobody = true;
        shared.held = BytesMut::new();
        wake(shared.writer.take());
        wake(shared.watcher.take());
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    async fn take(outlet: &mut PipeOutlet) -> Option<Result<Bytes, PipeBroken>> {
        poll_fn(|cx| outlet.poll_take(cx)).await
    }

    #[tokio::test]
    async fn a_pipe_holds_what_it_may_and_wakes_both_ends() {
        let (mut end, mut outlet) = pipe(8);
        let bufs = [IoSlice::new(b"hello"), IoSlice::new(b"world")];
        assert_eq!(end.try_write(&bufs).unwrap(), 8);
        let full = end.try_write(&bufs).unwrap_err();
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
        let (room, taken) = tokio::join!(poll_fn(|cx| end.poll_write_ready(cx)), take(&mut outlet));
        room.unwrap();
        assert_eq!(taken.unwrap().unwrap(), "hellowor");
        let more = async { end.try_write(&[IoSlice::new(b"ld")]) };
        let (taken, more) = tokio::join!(take(&mut outlet), more);
        assert_eq!(
            (taken.unwrap().unwrap(), more.unwrap()),
            (Bytes::from("ld"), 2)
        );
    }

    #[tokio::test]
    async fn only_a_finished_pipe_ends_in_good_order() {
        let (mut end, mut outlet) = pipe(8);
        end.try_write(&[IoSlice::new(b"last")]).unwrap();
        end.finish();
        drop(end);
        assert_eq!(take(&mut outlet).await.unwrap().unwrap(), "last");
        assert_eq!(take(&mut outlet).await, None);

        let (end, mut outlet) = pipe(8);
        drop(end);
        assert_eq!(take(&mut outlet).await, Some(Err(PipeBroken)));
    }

    #[tokio::test]
    async fn a_reader_who_leaves_is_noticed() {
        let (mut end, outlet) = pipe(8);
        assert_eq!(end.try_read().unwrap_err().kind(), ErrorKind::WouldBlock);
        let left = async { drop(outlet) };
        let (noticed, ()) = tokio::join!(poll_fn(|cx| end.poll_read_ready(cx)), left);
        noticed.unwrap();
        assert_eq!(end.try_read().unwrap(), 0);
        assert!(end.try_write(&[IoSlice::new(b"x")]).is_err());
    }
}
