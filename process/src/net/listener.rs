//! Opening a port.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;

use super::canonical;
use super::stream::TcpStream;

// Bursts of viewers wait here while the accept loop is busy; the kernel caps it by net.core.somaxconn.
const BACKLOG: i32 = 4096;

/// Why [`listen`] opened no port: a sentence for the person who started the process.
#[derive(Debug, Error)]
pub enum ListenError {
    /// The text is not an address.
    #[error(
        "cannot listen on `{given}`: it is not an IP address with a port; write for example `[::]:1935` (all addresses), `127.0.0.1:1935` or `[::1]:1935`"
    )]
    Address {
        /// The text as given.
        given: String,
    },
    /// Another process (or another part of this one) has the port.
    #[error(
        "cannot listen on {address}: the port is in use; stop the process that has it (`ss -ltnp 'sport = :{}'` shows which) or configure another port", address.port()
    )]
    InUse {
        /// The address as asked.
        address: SocketAddr,
    },
    /// Ports below 1024 need a capability.
    #[error(
        "cannot listen on {address}: not permitted; use a port above 1023 or grant CAP_NET_BIND_SERVICE"
    )]
    Forbidden {
        /// The address as asked.
        address: SocketAddr,
    },
    /// The address belongs to no interface of this machine.
    #[error(
        "cannot listen on {address}: this machine does not have that address; use `[::]:{}` for all addresses", address.port()
    )]
    NotHere {
        /// The address as asked.
        address: SocketAddr,
    },
    /// Anything else that the system says.
    #[error("cannot listen on {address}: {cause}")]
    Socket {
        /// The address as asked.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
}

/// An open port.
#[derive(Debug)]
pub struct TcpListener(tokio::net::TcpListener);

impl TcpListener {
    /// Waits for the next connection; gives the peer's address with it, an IPv4-mapped one as IPv4.
    ///
    /// # Errors
    /// What the kernel reports; the accept loop in [`crate::accept`] knows which errors pass.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = self.0.accept().await?;
        Ok((TcpStream::new(stream), canonical(peer)))
    }

    /// Where it listens: the real port where 0 was asked.
    ///
    /// # Errors
    /// What the socket reports.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// Opens `addr`: `[::]:1935` and `:1935` take IPv4 and IPv6 (IPv4 alone where the machine has no IPv6).
///
/// # Errors
/// A sentence that says what is wrong, where, and what to do.
pub async fn listen(addr: &str) -> Result<TcpListener, ListenError> {
    let address = parse(addr)?;
    let opened = match open(address) {
        Err(error) if address.ip().is_unspecified() && address.is_ipv6() && lacks_ipv6(&error) => {
            open(SocketAddr::new(
                IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                address.port(),
            ))
        }
        opened => opened,
    };
    opened
        .map(TcpListener)
        .map_err(|cause| explain(address, cause))
}

pub(super) fn explain(address: SocketAddr, cause: io::Error) -> ListenError {
    let kind = cause.kind();
    if kind == io::ErrorKind::AddrInUse {
        ListenError::InUse { address }
    } else if kind == io::ErrorKind::PermissionDenied {
        ListenError::Forbidden { address }
    } else if kind == io::ErrorKind::AddrNotAvailable {
        ListenError::NotHere { address }
    } else {
        ListenError::Socket { address, cause }
    }
}

pub(super) fn parse(addr: &str) -> Result<SocketAddr, ListenError> {
    let full = match addr.strip_prefix(':') {
        Some(port) => format!("[::]:{port}"),
        None => match addr.strip_prefix("localhost:") {
            Some(port) => format!("127.0.0.1:{port}"),
            None => addr.to_owned(),
        },
    };
    full.parse().map_err(|_| ListenError::Address {
        given: addr.to_owned(),
    })
}

fn open(address: SocketAddr) -> io::Result<tokio::net::TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking().cloexec(),
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        // Only the wildcard means "all addresses"; a named IPv6 address cannot carry IPv4 anyway.
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    // Connections of the previous run in TIME_WAIT do not keep a restart off its port.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    tokio::net::TcpListener::from_std(socket.into())
}

// A kernel without IPv6 refuses the socket (EAFNOSUPPORT, 97); one with it disabled refuses the address.
fn lacks_ipv6(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(97)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::connect::connect;
    use super::*;

    #[tokio::test]
    async fn the_wildcard_takes_ipv4_and_shows_it_as_ipv4() {
        for wildcard in ["[::]:0", ":0"] {
            let listener = listen(wildcard).await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let near = connect(&format!("127.0.0.1:{port}"), Duration::from_secs(5))
                .await
                .unwrap();
            let (far, peer) = listener.accept().await.unwrap();
            assert!(peer.is_ipv4(), "{peer}");
            assert_eq!(near.local_addr().unwrap(), peer);
            assert_eq!(far.peer_addr().unwrap(), peer);
            assert!(far.local_addr().unwrap().is_ipv4());
        }
    }

    #[tokio::test]
    async fn a_port_in_use_gives_one_sentence_with_address_and_remedy() {
        let first = listen("127.0.0.1:0").await.unwrap();
        let address = first.local_addr().unwrap();
        for second in [address.to_string(), format!("[::]:{}", address.port())] {
            let error = listen(&second).await.unwrap_err();
            let text = error.to_string();
            assert!(matches!(error, ListenError::InUse { .. }), "{text}");
            assert!(text.contains(&address.port().to_string()), "{text}");
            assert!(!text.contains('\n'), "{text}");
        }
    }

    #[tokio::test]
    async fn what_is_not_an_address_is_refused_with_an_example() {
        for given in [
            "",
            "1935",
            "example.org:1935",
            "[::]",
            "1.2.3.4",
            "1.2.3.4:99999",
        ] {
            let error = listen(given).await.unwrap_err();
            assert!(
                matches!(error, ListenError::Address { .. }),
                "{given}: {error}"
            );
            assert!(error.to_string().contains("[::]:1935"));
        }
        assert!(listen("localhost:0").await.is_ok());
        let foreign = listen("192.0.2.1:0").await.unwrap_err();
        assert!(matches!(foreign, ListenError::NotHere { .. }), "{foreign}");
    }
}
