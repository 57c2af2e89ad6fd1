//! What tokio asks of a connection, in terms of a simulated one.

use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use tokio::io::ReadBuf;

use crate::simulation::Link;

pub(super) fn write_vectored(link: &dyn Link, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    let mut written = 0;
    for buf in bufs.iter().filter(|buf| !buf.is_empty()) {
        match link.try_write(buf) {
            Ok(n) => {
                written += n;
                if n < buf.len() {
                    break;
                }
            }
            Err(_) if written > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}

pub(super) fn poll_read(
    link: &dyn Link,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    if buf.remaining() == 0 {
        return Poll::Ready(Ok(()));
    }
    ready!(link.poll_read_ready(cx));
    let read = link.try_read(buf.initialize_unfilled(), false)?;
    buf.advance(read);
    Poll::Ready(Ok(()))
}

pub(super) fn poll_write(
    link: &dyn Link,
    cx: &mut Context<'_>,
    bufs: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    ready!(link.poll_write_ready(cx));
    Poll::Ready(write_vectored(link, bufs))
}
