//! Connecting to other roles, in TLS if there is any between them.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::{TlsConnector, client};

use super::InternalTls;
use super::error::explain;
use crate::net::{self, ConnectError, Pace, Paced};

/// Opens connections to the internal ports of other roles; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Dialer {
    tls: Option<InternalTls>,
}

impl Dialer {
    /// Connects in TLS if there is any between roles.
    pub fn new(tls: Option<InternalTls>) -> Dialer {
        Dialer { tls }
    }

    /// What its own end of internal ports asks for.
    pub fn security(&self) -> super::Security {
        super::Security::internal(self.tls.as_ref())
    }

    /// Connects to `host_port` as [`net::connect`] does, and shakes hands within the same time.
    ///
    /// # Errors
    /// If no address accepts in time, or one end does not trust the other.
    pub async fn connect(&self, host_port: &str, timeout: Duration) -> Result<Wire, ConnectError> {
        let Some(tls) = &self.tls else {
            let stream = net::connect(host_port, timeout).await?;
            return Ok(Wire::Plain(Paced::new(stream)));
        };
        let late = || ConnectError::Timeout {
            to: host_port.to_owned(),
            within: timeout,
        };
        tokio::time::timeout(timeout, Box::pin(secure(tls, host_port, timeout)))
            .await
            .unwrap_or_else(|_| Err(late()))
    }
}

async fn secure(
    tls: &InternalTls,
    host_port: &str,
    timeout: Duration,
) -> Result<Wire, ConnectError> {
    let stream = Paced::new(net::connect(host_port, timeout).await?);
    let (config, name) = tls.client();
    let connected = TlsConnector::from(config).connect(name, stream).await;
    match connected {
        Ok(stream) => Ok(Wire::Tls(Box::new(SealedWire {
            stream,
            tls: tls.clone(),
            to: host_port.to_owned(),
        }))),
        Err(error) => {
            let problem = explain(&error);
            tls.complain(host_port, &problem);
            Err(ConnectError::Tls {
                to: host_port.to_owned(),
                problem,
            })
        }
    }
}

/// A connection that this process has opened.
#[derive(Debug)]
pub enum Wire {
    /// TCP.
    Plain(Paced),
    /// TCP in TLS.
    Tls(Box<SealedWire>),
}

/// A connection in TLS.
#[derive(Debug)]
pub struct SealedWire {
    stream: client::TlsStream<Paced>,
    tls: InternalTls,
    to: String,
}

impl Wire {
    /// The hold on when it is read.
    pub fn pace(&self) -> Pace {
        match self {
            Wire::Plain(stream) => stream.pace(),
            Wire::Tls(sealed) => sealed.stream.get_ref().0.pace(),
        }
    }

    /// `TCP_NODELAY`: sends small writes at once.
    ///
    /// # Errors
    /// What the socket reports.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        match self {
            Wire::Plain(stream) => stream.set_nodelay(nodelay),
            Wire::Tls(sealed) => sealed.stream.get_ref().0.set_nodelay(nodelay),
        }
    }
}

impl SealedWire {
    /// What a refusal means that comes after this end's handshake: in TLS 1.3 the other end looks at certificates last.
    fn refused(&self, error: io::Error) -> io::Error {
        let refused = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<Error>())
            .is_some_and(|error| matches!(error, Error::AlertReceived(_)));
        if !refused {
            return error;
        }
        let problem = explain(&error);
        self.tls.complain(&self.to, &problem);
        io::Error::new(io::ErrorKind::ConnectionReset, problem)
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Wire::Tls(sealed) => Pin::new(&mut sealed.stream)
                .poll_read(cx, buf)
                .map_err(|error| sealed.refused(error)),
        }
    }
}

impl AsyncWrite for Wire {
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
            Wire::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Wire::Tls(sealed) => Pin::new(&mut sealed.stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Wire::Tls(sealed) => Pin::new(&mut sealed.stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Wire::Tls(sealed) => Pin::new(&mut sealed.stream).poll_shutdown(cx),
        }
    }
}
