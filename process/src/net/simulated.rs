//! The seam with a choice: on a simulated machine its network, elsewhere tokio's.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{ConnectError, ListenError, SocketOptions, connect as real, listener, stream};
use crate::simulation::{self, Link, Port};

/// As the real one, on a simulated machine by its network.
///
/// # Errors
/// As the real one; a simulated machine knows addresses only, no names but `localhost`.
pub async fn connect(host_port: &str, timeout: Duration) -> Result<TcpStream, ConnectError> {
    let socket = |cause| ConnectError::Socket {
        to: host_port.to_owned(),
        cause,
    };
    let parsed = listener::parse(host_port);
    let connecting = simulation::with(|host| {
        let mut to = parsed.map_err(io::Error::other)?;
        if to.ip().is_loopback() {
            to.set_ip(host.address());
        }
        Ok(host.connect(to))
    });
    let Some(connecting) = connecting else {
        return real::connect(host_port, timeout).await.map(TcpStream::Real);
    };
    match tokio::time::timeout(timeout, connecting.map_err(socket)?).await {
        Ok(Ok(link)) => Ok(TcpStream::Simulated(link)),
        Ok(Err(cause)) => Err(socket(cause)),
        Err(_) => Err(ConnectError::Timeout {
            to: host_port.to_owned(),
            within: timeout,
        }),
    }
}

/// As the real one, on a simulated machine by its network.
///
/// # Errors
/// As the real one.
pub async fn listen(addr: &str) -> Result<TcpListener, ListenError> {
    let address = listener::parse(addr)?;
    match simulation::with(|host| host.listen(address)) {
        Some(port) => port
            .map(TcpListener::Simulated)
            .map_err(|cause| listener::explain(address, cause)),
        None => listener::listen(addr).await.map(TcpListener::Real),
    }
}

/// An open port.
#[derive(Debug)]
pub enum TcpListener {
    /// The machine's.
    Real(listener::TcpListener),
    /// A simulated machine's.
    Simulated(Arc<dyn Port>),
}

impl TcpListener {
    /// As the real one.
    ///
    /// # Errors
    /// As the real one.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        match self {
            TcpListener::Real(it) => {
                let (stream, peer) = it.accept().await?;
                Ok((TcpStream::Real(stream), peer))
            }
            TcpListener::Simulated(it) => {
                let link = poll_fn(|cx| it.poll_accept(cx)).await?;
                let peer = link.peer();
                Ok((TcpStream::Simulated(link), peer))
            }
        }
    }

    /// As the real one.
    ///
    /// # Errors
    /// As the real one.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            TcpListener::Real(it) => it.local_addr(),
            TcpListener::Simulated(it) => Ok(it.local()),
        }
    }
}

/// A TCP connection.
#[derive(Debug)]
pub enum TcpStream {
    /// The machine's.
    Real(stream::TcpStream),
    /// A simulated machine's.
    Simulated(Arc<dyn Link>),
}

fn write_vectored(link: &dyn Link, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
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

fn poll_read(link: &dyn Link, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
    if buf.remaining() == 0 {
        return Poll::Ready(Ok(()));
    }
    ready!(link.poll_read_ready(cx));
    let read = link.try_read(buf.initialize_unfilled(), false)?;
    buf.advance(read);
    Poll::Ready(Ok(()))
}

fn poll_write(
    link: &dyn Link,
    cx: &mut Context<'_>,
    bufs: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    ready!(link.poll_write_ready(cx));
    Poll::Ready(write_vectored(link, bufs))
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

/// The reading half of a [`TcpStream`].
#[derive(Debug)]
pub enum ReadHalf {
    /// The machine's.
    Real(stream::ReadHalf),
    /// A simulated machine's.
    Simulated(Arc<dyn Link>),
}

impl AsyncRead for ReadHalf {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            ReadHalf::Real(it) => Pin::new(it).poll_read(cx, buf),
            ReadHalf::Simulated(it) => poll_read(&**it, cx, buf),
        }
    }
}

/// A simulated connection's writing half: its end is the end of the direction.
#[derive(Debug)]
pub struct Writing(Arc<dyn Link>);

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.shutdown();
    }
}

/// The writing half of a [`TcpStream`].
#[derive(Debug)]
pub enum WriteHalf {
    /// The machine's.
    Real(stream::WriteHalf),
    /// A simulated machine's.
    Simulated(Writing),
}

impl WriteHalf {
    /// As the real one.
    ///
    /// # Errors
    /// As the real one.
    pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            WriteHalf::Real(it) => it.try_write_vectored(bufs),
            WriteHalf::Simulated(it) => write_vectored(&*it.0, bufs),
        }
    }

    /// As the real one.
    ///
    /// # Errors
    /// As the real one.
    pub async fn writable(&self) -> io::Result<()> {
        match self {
            WriteHalf::Real(it) => it.writable().await,
            WriteHalf::Simulated(it) => {
                poll_fn(|cx| it.0.poll_write_ready(cx)).await;
                Ok(())
            }
        }
    }
}

impl AsyncWrite for WriteHalf {
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
            WriteHalf::Real(it) => Pin::new(it).poll_write_vectored(cx, bufs),
            WriteHalf::Simulated(it) => poll_write(&*it.0, cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            WriteHalf::Real(it) => Pin::new(it).poll_flush(cx),
            WriteHalf::Simulated(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            WriteHalf::Real(it) => Pin::new(it).poll_shutdown(cx),
            WriteHalf::Simulated(it) => {
                it.0.shutdown();
                Poll::Ready(Ok(()))
            }
        }
    }
}
