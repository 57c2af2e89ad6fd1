//! A connection of the machine's, or of a simulated one's.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::halves::{ReadHalf, WriteHalf, Writing};
use super::link::{poll_read, poll_write, write_vectored};
use crate::net::{SocketOptions, stream};
use crate::simulation::Link;

/// A TCP connection.
#[derive(Debug)]
pub enum TcpStream {
    /// The machine's.
    Real(stream::TcpStream),
    /// A simulated machine's.
    Simulated(Arc<dyn Link>),
}

impl TcpStream {
    /// As the real one.
    ///
    /// # Errors
    /// As the real one.
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            TcpStream::Real(it) => it.try_read(buf),
            TcpStream::Simulated(it) => it.try_read(buf, false),
        }
    }

    /// As the real one.
    ///
    /// # Errors
    /// As the real one.
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        match self {
            TcpStream::Real(it) => it.try_write(buf),
            TcpStream::Simulated(it) => it.try_write(buf),
        }
    }

    /// As the real one.
    ///
    /// # Errors
    /// As the real one.
    pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            TcpStream::Real(it) => it.try_write_vectored(bufs),
            TcpStream::Simulated(it) => write_vectored(&**it, bufs),
        }
    }

    /// As the real one.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            TcpStream::Real(it) => it.poll_read_ready(cx),
            TcpStream::Simulated(it) => it.poll_read_ready(cx).map(Ok),
        }
    }

    /// As the real one.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            TcpStream::Real(it) => it.poll_write_ready(cx),
            TcpStream::Simulated(it) => it.poll_write_ready(cx).map(Ok),
        }
    }

    /// As the real one.
    ///
    /// # Errors
    /// As the real one.
    pub async fn readable(&self) -> io::Result<()> {
        match self {
            TcpStream::Real(it) => it.readable().await,
            TcpStream::Simulated(it) => {
                poll_fn(|cx| it.poll_read_ready(cx)).await;
                Ok(())
            }
        }
    }

    /// As the real one.
    ///
    /// # Errors
    /// As the real one.
    pub async fn writable(&self) -> io::Result<()> {
        match self {
            TcpStream::Real(it) => it.writable().await,
            TcpStream::Simulated(it) => {
                poll_fn(|cx| it.poll_write_ready(cx)).await;
                Ok(())
            }
        }
    }

    /// As the real one.
    ///
    /// # Errors
    /// As the real one.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            TcpStream::Real(it) => it.peek(buf).await,
            TcpStream::Simulated(it) => {
                poll_fn(|cx| it.poll_read_ready(cx)).await;
                it.try_read(buf, true)
            }
        }
    }

    /// As the real one.
    ///
    /// # Errors
    /// As the real one.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        match self {
            TcpStream::Real(it) => it.peer_addr(),
            TcpStream::Simulated(it) => Ok(it.peer()),
        }
    }

    /// As the real one.
    ///
    /// # Errors
    /// As the real one.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            TcpStream::Real(it) => it.local_addr(),
            TcpStream::Simulated(it) => Ok(it.local()),
        }
    }

    /// As the real one; simulated connections know no delay of small writes.
    ///
    /// # Errors
    /// As the real one.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        match self {
            TcpStream::Real(it) => it.set_nodelay(nodelay),
            TcpStream::Simulated(_) => Ok(()),
        }
    }

    /// As the real one.
    ///
    /// # Errors
    /// As the real one.
    pub fn tune(&self, options: &SocketOptions) -> io::Result<()> {
        match self {
            TcpStream::Real(it) => it.tune(options),
            TcpStream::Simulated(it) => {
                it.tune(options);
                Ok(())
            }
        }
    }

    /// As the real one.
    ///
    /// # Errors
    /// As the real one.
    pub fn reset_on_close(&self) -> io::Result<()> {
        match self {
            TcpStream::Real(it) => it.reset_on_close(),
            TcpStream::Simulated(it) => {
                it.reset_on_close();
                Ok(())
            }
        }
    }

    /// As the real one.
    ///
    /// # Errors
    /// As the real one.
    pub fn unwatch(self) -> io::Result<Unwatched> {
        match self {
            TcpStream::Real(it) => it.unwatch().map(Unwatched::Real),
            TcpStream::Simulated(it) => Ok(Unwatched::Simulated(it)),
        }
    }

    /// As the real one.
    pub fn into_split(self) -> (ReadHalf, WriteHalf) {
        match self {
            TcpStream::Real(it) => {
                let (read, write) = it.into_split();
                (ReadHalf::Real(read), WriteHalf::Real(write))
            }
            TcpStream::Simulated(it) => (
                ReadHalf::Simulated(Arc::clone(&it)),
                WriteHalf::Simulated(Writing(it)),
            ),
        }
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            TcpStream::Real(it) => Pin::new(it).poll_read(cx, buf),
            TcpStream::Simulated(it) => poll_read(&**it, cx, buf),
        }
    }
}

impl AsyncWrite for TcpStream {
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
        match self.get_mut() {
            TcpStream::Real(it) => Pin::new(it).poll_write_vectored(cx, bufs),
            TcpStream::Simulated(it) => poll_write(&**it, cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            TcpStream::Real(it) => Pin::new(it).poll_flush(cx),
            TcpStream::Simulated(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            TcpStream::Real(it) => Pin::new(it).poll_shutdown(cx),
            TcpStream::Simulated(it) => {
                it.shutdown();
                Poll::Ready(Ok(()))
            }
        }
    }
}

/// A connection that nobody watches.
#[derive(Debug)]
pub enum Unwatched {
    /// The machine's.
    Real(stream::Unwatched),
    /// A simulated machine's.
    Simulated(Arc<dyn Link>),
}

impl Unwatched {
    /// As the real one.
    ///
    /// # Errors
    /// As the real one.
    pub fn try_read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Unwatched::Real(it) => it.try_read(buf),
            Unwatched::Simulated(it) => it.try_read(buf, false),
        }
    }

    /// As the real one.
    ///
    /// # Errors
    /// As the real one.
    pub fn watch(self) -> io::Result<TcpStream> {
        match self {
            Unwatched::Real(it) => it.watch().map(TcpStream::Real),
            Unwatched::Simulated(it) => Ok(TcpStream::Simulated(it)),
        }
    }
}
