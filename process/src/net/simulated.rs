//! The seam with a choice: on a simulated machine its network, elsewhere tokio's.

mod halves;
mod link;
mod stream;

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub use self::halves::{ReadHalf, WriteHalf, Writing};
pub use self::stream::{TcpStream, Unwatched};
use super::{ConnectError, ListenError, connect as real, listener};
use crate::simulation::{self, Port};

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
