//! A simulated machine's place in the seam: whoever enters a [`Host`] on a thread gets its network, clock and randomness
//! there, until they leave it. Threads that have entered none keep the real ones.

use std::cell::RefCell;
use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::time::Instant;

use crate::net::SocketOptions;

/// The future of [`Host::connect`].
pub type Connecting = Pin<Box<dyn Future<Output = io::Result<Arc<dyn Link>>> + Send>>;

/// What a machine gives to a process on it.
pub trait Host: Send + Sync + Debug {
    /// The machine's address.
    fn address(&self) -> IpAddr;
    /// Opens a port; port 0 asks for a free one.
    ///
    /// # Errors
    /// If it is taken.
    fn listen(&self, at: SocketAddr) -> io::Result<Arc<dyn Port>>;
    /// Opens a connection.
    fn connect(&self, to: SocketAddr) -> Connecting;
    /// The reading of tokio's paused clock at the start of the process.
    fn started(&self) -> Instant;
    /// The machine's wall clock, in milliseconds since the Unix epoch.
    fn unix_ms(&self) -> u64;
    /// The next number of the machine's seed.
    fn random(&self) -> u64;
}

/// An open port. Dropping the last reference closes it.
pub trait Port: Send + Sync + Debug {
    /// The next connection.
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Arc<dyn Link>>>;
    /// Where it listens.
    fn local(&self) -> SocketAddr;
}

/// One end of a connection. Dropping the last reference closes it.
pub trait Link: Send + Sync + Debug {
    /// Copies what has come into `buf`, and leaves it there if `peek`; 0 bytes mean the end.
    ///
    /// # Errors
    /// `WouldBlock` if nothing is there, or how the connection ended.
    fn try_read(&self, buf: &mut [u8], peek: bool) -> io::Result<usize>;
    /// Takes as much of `buf` as there is room for.
    ///
    /// # Errors
    /// `WouldBlock` if there is none, or how the connection ended.
    fn try_write(&self, buf: &[u8]) -> io::Result<usize>;
    /// Ready when `try_read` would not block.
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<()>;
    /// Ready when `try_write` would not block.
    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<()>;
    /// Ends the direction to the peer, behind what was written.
    fn shutdown(&self);
    /// Makes the close a reset.
    fn reset_on_close(&self);
    /// Sets what the simulated kernel knows of it.
    fn tune(&self, options: &SocketOptions);
    /// The other end.
    fn peer(&self) -> SocketAddr;
    /// This end.
    fn local(&self) -> SocketAddr;
}

thread_local! {
    static ENTERED: RefCell<Option<Arc<dyn Host>>> = const { RefCell::new(None) };
}

/// Being on a machine; dropping it leaves.
#[derive(Debug)]
#[must_use]
pub struct Entered(Option<Arc<dyn Host>>);

/// Enters `host` on this thread.
pub fn enter(host: Arc<dyn Host>) -> Entered {
    Entered(ENTERED.replace(Some(host)))
}

impl Drop for Entered {
    fn drop(&mut self) {
        ENTERED.set(self.0.take());
    }
}

/// What `ask` gets from the machine that this thread is on, if it is on one.
pub fn with<T>(ask: impl FnOnce(&dyn Host) -> T) -> Option<T> {
    // A thread that ends has left.
    ENTERED
        .try_with(|entered| entered.borrow().as_deref().map(ask))
        .ok()
        .flatten()
}
