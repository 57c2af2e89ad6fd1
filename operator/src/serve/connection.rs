//! One connection to the operator's port.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use headwater_process::accept::{Acceptor, Permit};
use headwater_process::net::{Line, SocketOptions};
use headwater_process::tls::{Received, Security};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

/// Whoever says nothing for so long is gone: HTTP/2 pings make everybody who is there say something.
const IDLE: Duration = Duration::from_secs(15);

/// The connections of the port, until it closes.
pub(super) fn incoming(
    mut acceptor: Acceptor,
    security: Security,
) -> ReceiverStream<io::Result<Connection>> {
    let (to, incoming) = mpsc::channel(1);
    tokio::spawn(async move {
        while let Some(accepted) = acceptor.next().await {
            if to.is_closed() {
                break;
            }
            let (to, security) = (to.clone(), security.clone());
            // A peer that is slow with its handshake holds up nobody else.
            tokio::spawn(async move {
                if let Some(received) = security.receive(accepted, IDLE).await {
                    // It fails when the port closes.
                    drop(to.send(Ok(Connection::new(received))).await);
                }
            });
        }
    });
    ReceiverStream::new(incoming)
}

#[derive(Debug)]
pub(super) struct Connection {
    line: Line,
    peer: SocketAddr,
    idle: Pin<Box<Sleep>>,
    _permit: Permit,
}

impl Connection {
    fn new(received: Received) -> Connection {
        if let Err(error) = received.line.tune(&SocketOptions::default()) {
            tracing::debug!(%error, "a connection keeps Nagle's delay");
        }
        Connection {
            line: received.line,
            peer: received.peer,
            idle: Box::pin(tokio::time::sleep(IDLE)),
            _permit: received.permit,
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = SocketAddr;

    fn connect_info(&self) -> SocketAddr {
        self.peer
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.line).poll_read(context, buffer);
        if read.is_ready() {
            self.idle.as_mut().reset(Instant::now() + IDLE);
            return read;
        }
        match self.idle.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.line).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.line).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.line).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.line).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.line.is_write_vectored()
    }
}
