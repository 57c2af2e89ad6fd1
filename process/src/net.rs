//! The network seam: the one module through which a process opens, accepts and tunes TCP connections.
//!
//! Nothing else in the workspace names tokio's sockets, so a simulated network can stand in for this module.

mod connect;
mod lead;
mod line;
mod listener;
mod looks;
mod lookup;
mod options;
mod paced;
mod pipe;
mod sealed;
#[cfg(feature = "simulation")]
mod simulated;
mod stream;

pub use connect::ConnectError;
pub use line::Line;
pub use listener::ListenError;
pub use looks::Looks;
pub use lookup::lookup;
pub use options::SocketOptions;
pub use paced::{Pace, Paced};
pub use pipe::{PipeBroken, PipeEnd, PipeOutlet, pipe};
pub use sealed::Sealed;

#[cfg(not(feature = "simulation"))]
pub use {
    connect::connect,
    listener::{TcpListener, listen},
    stream::{ReadHalf, TcpStream, Unwatched, WriteHalf},
};

#[cfg(feature = "simulation")]
pub use simulated::{
    ReadHalf, TcpListener, TcpStream, Unwatched, WriteHalf, Writing, connect, listen,
};

/// The machine's own network, where a simulated one may stand in for it.
#[cfg(feature = "simulation")]
pub mod machine {
    pub use super::connect::connect;
    pub use super::listener::{TcpListener, listen};
    pub use super::stream::{ReadHalf, TcpStream, Unwatched, WriteHalf};
}

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

/// The address by which other machines of the network probably reach this one; `None` without a network.
pub fn own_address() -> Option<IpAddr> {
    // Connecting a datagram socket sends nothing: the kernel picks the route, and with it the sender's address.
    // 192.0.2.1 is nobody's (RFC 5737), so the route is the one to the world.
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then_some(ip)
}

/// `address` with an IPv4-mapped IPv6 address (what a dual-stack socket reports) shown as IPv4.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(_) => address,
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(ip) => SocketAddr::new(IpAddr::V4(ip), address.port()),
            None => address,
        },
    }
}
