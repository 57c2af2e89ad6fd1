//! A publisher's socket: reads into the thread's buffer, writes that are waited for, and the end.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use headwater_media::rtmp::{RtmpError, ServerSession};
use headwater_process::clock;
use headwater_process::net::Line;
use tokio::io::{AsyncRead as _, AsyncWriteExt as _, ReadBuf};
use tokio::time::timeout;

use super::error::End;

/// What one read takes at most. A connection has no buffer of its own: it reads when there is something, into its
/// thread's.
const READ_BYTES: usize = 64 << 10;
thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
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

/// Reads once into this thread's buffer, and gives the bytes to `rtmp`; a read that does not fill the buffer is known to
/// have left nothing.
pub(super) fn poll_read(
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
