//! The two directions of a connection, each with an owner of its own.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::link::{poll_read, poll_write, write_vectored};
use crate::net::stream;
use crate::simulation::Link;

/// The reading half of a [`TcpStream`](super::TcpStream).
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
pub struct Writing(pub(super) Arc<dyn Link>);

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.shutdown();
    }
}

/// The writing half of a [`TcpStream`](super::TcpStream).
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
