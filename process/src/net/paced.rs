//! A connection whose owner says when it is read: at once, or only when it looks.
//!
//! Being woken for each small packet costs more than reading it. Who can wait a little leaves what comes in the kernel
//! and looks at its own pace.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{TcpStream, Unwatched};

/// What a look reads at a time.
const LOOK_BYTES: usize = 8 << 10;
thread_local! {
    static BESIDE: RefCell<Vec<u8>> = RefCell::new(vec![0; LOOK_BYTES]);
}

/// The owner's hold on when a [`Paced`] connection is read, wherever that has gone to; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Pace(Arc<State>);

#[derive(Debug, Default)]
struct State {
    held: AtomicBool,
    look: AtomicBool,
}

impl Pace {
    /// While `held`, nothing that comes wakes anybody, the connection's end included: only [`look`](Self::look) and a
    /// poll behind it find it.
    pub fn hold(&self, held: bool) {
        self.0.held.store(held, Ordering::Relaxed);
    }

    /// Lets the next poll of a connection that is held read what is there. Poll it then: nobody is woken for it.
    pub fn look(&self) {
        self.0.look.store(true, Ordering::Relaxed);
    }

    fn is_held(&self) -> bool {
        self.0.held.load(Ordering::Relaxed)
    }

    fn looks(&self) -> bool {
        self.0.look.load(Ordering::Relaxed)
    }

    fn has_looked(&self) {
        self.0.look.store(false, Ordering::Relaxed);
    }
}

/// A connection that is read at its owner's pace; at first at once.
#[derive(Debug)]
pub struct Paced {
    socket: Socket,
    pace: Pace,
}

#[derive(Debug)]
enum Socket {
    Watched(TcpStream),
    Unwatched(Unwatched),
    /// It was lost between the two.
    Lost,
}

impl Paced {
    /// `stream`, at its owner's pace.
    pub fn new(stream: TcpStream) -> Paced {
        Paced {
            socket: Socket::Watched(stream),
            pace: Pace::default(),
        }
    }

    /// The hold on it.
    pub fn pace(&self) -> Pace {
        self.pace.clone()
    }

    /// `TCP_NODELAY`: sends small writes at once.
    ///
    /// # Errors
    /// What the socket reports.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.stream()
            .map_or(Ok(()), |stream| stream.set_nodelay(nodelay))
    }

    /// The connection while it is watched.
    pub(super) fn stream(&self) -> Option<&TcpStream> {
        match &self.socket {
            Socket::Watched(stream) => Some(stream),
            Socket::Unwatched(_) | Socket::Lost => None,
        }
    }

    /// The connection, watched from here on.
    pub(super) fn watched(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        if let Socket::Unwatched(_) = self.socket
            && let Socket::Unwatched(socket) = std::mem::replace(&mut self.socket, Socket::Lost)
        {
            self.socket = Socket::Watched(socket.watch()?);
        }
        match &mut self.socket {
            Socket::Watched(stream) => Ok(Pin::new(stream)),
            Socket::Unwatched(_) | Socket::Lost => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn unwatched(&mut self) -> io::Result<&mut Unwatched> {
        if let Socket::Watched(_) = self.socket
            && let Socket::Watched(socket) = std::mem::replace(&mut self.socket, Socket::Lost)
        {
            self.socket = Socket::Unwatched(socket.unwatch()?);
        }
        match &mut self.socket {
            Socket::Unwatched(socket) => Ok(socket),
            Socket::Watched(_) | Socket::Lost => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Reads what is there, if its owner looks.
    fn read_held(&mut self, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // Unwatched from here on, though its owner looks later.
        let pace = self.pace.clone();
        let socket = self.unwatched()?;
        if !pace.looks() {
            return Poll::Pending;
        }
        let room = buf.remaining().min(LOOK_BYTES);
        match read_some(socket, buf, room) {
            Ok(read) => {
                if read < room {
                    pace.has_looked();
                }
                Poll::Ready(Ok(()))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                pace.has_looked();
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

/// Reads up to `room` bytes. What `buf` has not been written to yet would have to be cleared first, eight kilobytes for the
/// four or five that come at a look: then it is read beside it, into memory that is at hand, and copied.
fn read_some(socket: &mut Unwatched, buf: &mut ReadBuf<'_>, room: usize) -> io::Result<usize> {
    let cleared = buf.initialized().len().saturating_sub(buf.filled().len());
    if cleared >= room {
        let read = socket.try_read(buf.initialize_unfilled_to(room))?;
        buf.advance(read);
        return Ok(read);
    }
    BESIDE.with_borrow_mut(|beside| {
        let beside = beside.get_mut(..room).unwrap_or_default();
        let read = socket.try_read(beside)?;
        buf.put_slice(beside.get(..read).unwrap_or_default());
        Ok(read)
    })
}

impl AsyncRead for Paced {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.pace.is_held() {
            return this.read_held(buf);
        }
        this.watched()?.poll_read(cx, buf)
    }
}

// Whoever waits for room has to be woken, so a connection is watched to be written. Reading takes it back.
impl AsyncWrite for Paced {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().watched()?.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    // A TCP socket keeps nothing back, so there is nothing to watch it for.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().watched()?.poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::super::{connect, listen};
    use super::*;

    async fn pair() -> (Paced, TcpStream) {
        let listener = listen("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap().to_string();
        let (near, far) = tokio::join!(connect(&to, Duration::from_secs(5)), listener.accept());
        (Paced::new(near.unwrap()), far.unwrap().0)
    }

    /// One poll of a read: what it gave.
    async fn poll_once(near: &mut Paced) -> Poll<Vec<u8>> {
        let mut bytes = [0; 64];
        poll_fn(|cx| {
            let mut buf = ReadBuf::new(&mut bytes);
            let polled = Pin::new(&mut *near).poll_read(cx, &mut buf);
            Poll::Ready(polled.map(|read| read.map(|()| buf.filled().to_vec()).unwrap()))
        })
        .await
    }

    /// Looks until there is something.
    async fn look(near: &mut Paced) -> Vec<u8> {
        loop {
            near.pace().look();
            if let Poll::Ready(bytes) = poll_once(near).await {
                return bytes;
            }
            tokio::task::yield_now().await;
        }
    }

    /// A pair whose near end is held, and has found nothing.
    async fn held() -> (Paced, TcpStream) {
        let (mut near, far) = pair().await;
        near.pace().hold(true);
        assert_eq!(poll_once(&mut near).await, Poll::Pending);
        (near, far)
    }

    #[tokio::test]
    async fn what_comes_while_it_is_held_is_read_by_a_look_alone() {
        let (mut near, mut far) = held().await;
        far.write_all(b"head").await.unwrap();
        assert_eq!(poll_once(&mut near).await, Poll::Pending, "nobody looked");
        assert_eq!(look(&mut near).await, b"head");
        far.write_all(b"water").await.unwrap();
        assert_eq!(
            poll_once(&mut near).await,
            Poll::Pending,
            "a look is one look"
        );
        drop(far);
        assert_eq!(look(&mut near).await, b"water");
        assert_eq!(look(&mut near).await, b"", "the end is found too");
    }

    #[tokio::test]
    async fn it_is_read_at_once_again_when_it_is_let_go() {
        let (mut near, mut far) = held().await;
        far.write_all(b"head").await.unwrap();
        near.pace().hold(false);
        let mut got = [0; 4];
        near.read_exact(&mut got).await.unwrap();
        far.write_all(b"next").await.unwrap();
        near.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"next");
    }

    #[tokio::test]
    async fn a_connection_that_is_held_can_be_written() {
        let (mut near, mut far) = held().await;
        near.write_all(b"ping").await.unwrap();
        let mut got = [0; 4];
        far.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"ping");
    }
}
