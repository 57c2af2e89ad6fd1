//! A publisher's socket: reads into the thread's buffer, writes that are waited for, and the end.

use std::cell::RefCell;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use headwater_media::rtmp::{RtmpError, ServerSession};
use headwater_process::clock;
use headwater_process::net::Line;
use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};
use tokio::time::timeout;

use super::error::End;

/// What one read takes at most. A connection has no buffer of its own: it reads when there is something, into its
/// thread's.
const READ_BYTES: usize = 64 << 10;
thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// A read into a buffer that is given away, whose payloads are parts of it then. Larger ones would cut fewer messages in
/// two, and hold more events of a peer that sends the smallest messages there are.
const GIVEN_BYTES: usize = 128 << 10;

/// How a connection is read next.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reads {
    /// The last read left more than it took: what comes now will fill a buffer of its own.
    filled: bool,
}

/// What one read gave.
pub(super) struct Taken {
    pub(super) bytes: usize,
    pub(super) at: Duration,
    /// The peer's fault. What came before it is still to be acted upon.
    pub(super) broken: Result<(), RtmpError>,
}

/// Sends `bytes`, which the peer has `within` to take.
pub(super) async fn send(socket: &mut Line, bytes: &[u8], within: Duration) -> Result<(), End> {
    let sent = async {
        socket.write_all(bytes).await?;
        socket.flush().await
    };
    match timeout(within, sent).await {
        Ok(sent) => sent.map_err(End::Socket),
        Err(_) => Err(End::Unread(within)),
    }
}

impl Reads {
    /// Reads once, and gives the bytes to `rtmp`; a read that does not fill the buffer is known to have left nothing.
    pub(super) fn poll(
        &mut self,
        socket: &mut Line,
        rtmp: &mut ServerSession,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Taken>> {
        if std::mem::take(&mut self.filled) {
            return self.poll_given(socket, rtmp, cx);
        }
        let taken = ready!(poll_lent(socket, rtmp, cx))?;
        self.filled = taken.bytes == READ_BYTES;
        Poll::Ready(Ok(taken))
    }

    fn poll_given(
        &mut self,
        socket: &mut Line,
        rtmp: &mut ServerSession,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Taken>> {
        let mut buffer = BytesMut::with_capacity(GIVEN_BYTES);
        let bytes = ready!(pin!(socket.read_buf(&mut buffer)).poll(cx))?;
        let at = clock::now();
        self.filled = bytes >= GIVEN_BYTES / 2;
        let broken = if self.filled {
            rtmp.input_given(buffer, at)
        } else {
            rtmp.input(&buffer, at)
        };
        Poll::Ready(Ok(Taken { bytes, at, broken }))
    }
}

fn poll_lent(
    socket: &mut Line,
    rtmp: &mut ServerSession,
    cx: &mut Context<'_>,
) -> Poll<io::Result<Taken>> {
    BUFFER.with_borrow_mut(|buffer| {
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(socket).poll_read(cx, &mut buffer))?;
        let at = clock::now();
        Poll::Ready(Ok(Taken {
            bytes: buffer.filled().len(),
            at,
            broken: rtmp.input(buffer.filled(), at),
        }))
    })
}

/// Reads away what the peer has sent already: closing a socket with unread bytes resets the connection, and the reset
/// can overtake the last words.
pub(super) async fn discard(socket: &mut Line) {
    let mut left = 64;
    let drained = async {
        while left > 0 && socket.readable().await.is_ok() {
            left -= 1;
            let read = BUFFER.with_borrow_mut(|buffer| socket.try_read(buffer));
            match read {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    };
    // Only the peer's close ends this early; an encoder that goes on sending is cut off.
    drop(timeout(Duration::from_millis(200), drained).await);
}
