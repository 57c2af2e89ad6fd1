//! One connection from outside, as those who serve it see it: plain TCP, TCP in TLS, or a pipe to another protocol.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server;

use super::{Pace, Paced, PipeEnd, Sealed, SocketOptions, TcpStream};

/// A connection that is read and written without waiting, whatever carries it.
#[derive(Debug)]
pub enum Line {
    /// TCP.
    Plain(TcpStream),
    /// TCP that is read at its owner's pace.
    Paced(Box<Paced>),
    /// TCP in TLS.
    Tls(Box<Sealed>),
    /// A stream of a protocol that has several on one connection.
    Pipe(PipeEnd),
}

impl From<TcpStream> for Line {
    fn from(stream: TcpStream) -> Line {
        Line::Plain(stream)
    }
}

impl From<server::TlsStream<TcpStream>> for Line {
    fn from(stream: server::TlsStream<TcpStream>) -> Line {
        Line::Tls(Box::new(Sealed::new(stream)))
    }
}

impl Line {
    /// Lets its owner say when it is read ([`AsyncRead`]), where that can be had: it cannot in TLS and in a pipe.
    pub fn paced(self) -> (Line, Option<Pace>) {
        match self {
            Line::Plain(stream) => {
                let paced = Paced::new(stream);
                let pace = paced.pace();
                (Line::Paced(Box::new(paced)), Some(pace))
            }
            line @ (Line::Paced(_) | Line::Tls(_) | Line::Pipe(_)) => (line, None),
        }
    }

    /// Reads what is there into `buf`; 0 bytes mean the peer's end of stream.
    ///
    /// # Errors
    /// `WouldBlock` if nothing is there yet, else what the connection reports.
    pub fn try_read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Line::Plain(stream) => stream.try_read(buf),
            Line::Paced(paced) => paced.watched()?.try_read(buf),
            Line::Tls(sealed) => sealed.try_read(buf),
            Line::Pipe(pipe) => pipe.try_read(),
        }
    }

    /// Writes as much of `buf` as the connection takes now.
    ///
    /// # Errors
    /// `WouldBlock` if it takes nothing, else what the connection reports.
    pub fn try_write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Line::Plain(stream) => stream.try_write(buf),
            Line::Paced(paced) => paced.watched()?.try_write(buf),
            Line::Tls(sealed) => sealed.try_write(&[IoSlice::new(buf)]),
            Line::Pipe(pipe) => pipe.try_write(&[IoSlice::new(buf)]),
        }
    }

    /// Writes as much of `bufs`, one after another, as the connection takes now.
    ///
    /// # Errors
    /// `WouldBlock` if it takes nothing, else what the connection reports.
    pub fn try_write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Line::Plain(stream) => stream.try_write_vectored(bufs),
            Line::Paced(paced) => paced.watched()?.try_write_vectored(bufs),
            Line::Tls(sealed) => sealed.try_write(bufs),
            Line::Pipe(pipe) => pipe.try_write(bufs),
        }
    }

    /// Sends on what has been taken and still waits, encrypted, for the socket.
    ///
    /// # Errors
    /// `WouldBlock` if some goes on waiting, else what the connection reports.
    pub fn try_flush(&mut self) -> io::Result<()> {
        match self {
            Line::Plain(_) | Line::Paced(_) | Line::Pipe(_) => Ok(()),
            Line::Tls(sealed) => sealed.try_flush(),
        }
    }

    /// Ends the direction to the peer in good order, behind all that has been written.
    ///
    /// # Errors
    /// `WouldBlock` if something still waits for the socket: to be called again then; else what the connection reports.
    pub fn try_finish(&mut self) -> io::Result<()> {
        match self {
            // The kernel sends what it has, then the end, when the socket is dropped.
            Line::Plain(_) | Line::Paced(_) => Ok(()),
            Line::Tls(sealed) => sealed.try_finish(),
            Line::Pipe(pipe) => {
                pipe.finish();
                Ok(())
            }
        }
    }

    /// Ready when [`try_read`](Self::try_read) may succeed; keeps the last waker only.
    pub fn poll_read_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Line::Plain(stream) => stream.poll_read_ready(cx),
            Line::Paced(paced) => paced.watched()?.poll_read_ready(cx),
            Line::Tls(sealed) => sealed.poll_read_ready(cx),
            Line::Pipe(pipe) => pipe.poll_read_ready(cx),
        }
    }

    /// Ready when [`try_write`](Self::try_write) or [`try_flush`](Self::try_flush) may succeed; keeps the last waker only.
    pub fn poll_write_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Line::Plain(stream) => stream.poll_write_ready(cx),
            Line::Paced(paced) => paced.watched()?.poll_write_ready(cx),
            Line::Tls(sealed) => sealed.socket().poll_write_ready(cx),
            Line::Pipe(pipe) => pipe.poll_write_ready(cx),
        }
    }

    /// Waits until [`try_read`](Self::try_read) may succeed.
    ///
    /// # Errors
    /// What the connection reports.
    pub async fn readable(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_read_ready(cx)).await
    }

    /// Waits until the peer has closed its end; for ever once it has sent something that nobody reads now.
    pub async fn gone(&mut self) {
        match self {
            Line::Plain(stream) => gone(stream).await,
            Line::Paced(paced) => {
                if let Ok(stream) = paced.watched() {
                    gone(&stream).await;
                }
            }
            Line::Tls(sealed) => sealed.gone().await,
            Line::Pipe(pipe) => {
                // What fails is gone, too.
                drop(std::future::poll_fn(|cx| pipe.poll_read_ready(cx)).await);
            }
        }
    }

    /// Sets every option that is `Some`, and sends small writes at once. A pipe has no socket of its own.
    ///
    /// # Errors
    /// What the kernel says about the first option that it refuses.
    pub fn tune(&self, options: &SocketOptions) -> io::Result<()> {
        let Some(stream) = self.socket() else {
            return Ok(());
        };
        stream.set_nodelay(true)?;
        stream.tune(options)
    }

    fn socket(&self) -> Option<&TcpStream> {
        match self {
            Line::Plain(stream) => Some(stream),
            Line::Paced(paced) => paced.stream(),
            Line::Tls(sealed) => Some(sealed.socket()),
            Line::Pipe(_) => None,
        }
    }

    /// Whether the handshake chose HTTP/2.
    pub fn is_http2(&self) -> bool {
        match self {
            Line::Tls(sealed) => sealed.is_http2(),
            Line::Plain(_) | Line::Paced(_) | Line::Pipe(_) => false,
        }
    }

    /// Whether it is encrypted.
    pub fn is_tls(&self) -> bool {
        matches!(self, Line::Tls(_))
    }
}

/// As [`Line::gone`].
async fn gone(stream: &TcpStream) {
    if let Ok(1..) = stream.peek(&mut [0]).await {
        std::future::pending().await
    }
}

impl AsyncRead for Line {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Line::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Line::Paced(paced) => Pin::new(paced.as_mut()).poll_read(cx, buf),
            Line::Tls(sealed) => Pin::new(sealed.stream()).poll_read(cx, buf),
            Line::Pipe(pipe) => {
                ready!(pipe.poll_read_ready(cx))?;
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl AsyncWrite for Line {
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
            Line::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Line::Paced(paced) => Pin::new(paced.as_mut()).poll_write_vectored(cx, bufs),
            Line::Tls(sealed) => Pin::new(sealed.stream()).poll_write_vectored(cx, bufs),
            Line::Pipe(pipe) => {
                ready!(pipe.poll_write_ready(cx))?;
                Poll::Ready(pipe.try_write(bufs))
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Line::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Line::Paced(paced) => Pin::new(paced.as_mut()).poll_flush(cx),
            Line::Tls(sealed) => Pin::new(sealed.stream()).poll_flush(cx),
            Line::Pipe(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Line::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Line::Paced(paced) => Pin::new(paced.as_mut()).poll_shutdown(cx),
            Line::Tls(sealed) => Pin::new(sealed.stream()).poll_shutdown(cx),
            Line::Pipe(pipe) => {
                pipe.finish();
                Poll::Ready(Ok(()))
            }
        }
    }
}
