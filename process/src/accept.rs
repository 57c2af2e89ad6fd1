//! Taking connections: within limits, without falling over when files run out, until the process drains.

mod limits;
mod metrics;
mod proxy;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

pub use limits::{Limits, Permit, Refusal};
pub use metrics::{AcceptMetrics, PortMetrics};
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub use proxy::proxy_header;
pub use proxy::{NetworkError, ProxyNetworks};
use tokio::task::JoinSet;

use crate::drain::Drain;
use crate::net::{TcpListener, TcpStream};
use limits::Table;
use proxy::ProxyError;

// How long the loop rests when the kernel has no file or memory for a connection; it doubles while that lasts.
// The peers wait in the backlog meanwhile, and connections that end free what is missing.
const BACK_OFF_MIN: Duration = Duration::from_millis(10);
const BACK_OFF_MAX: Duration = Duration::from_secs(1);

/// When a port closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closes {
    /// With the beginning of a drain: a port for new work.
    WhenDraining,
    /// With the end of the process: a port that finishing work needs.
    WhenEnded,
}

/// A connection that was let in.
#[derive(Debug)]
pub struct Accepted {
    /// The connection.
    pub stream: TcpStream,
    /// The client: the other end, or whom a trusted load balancer names as such.
    pub peer: SocketAddr,
    /// Its place among the limits; to be dropped with the connection.
    pub permit: Permit,
}

/// The accept loop of one port, without the loop: each [`next`](Self::next) is one connection.
#[derive(Debug)]
pub struct Acceptor {
    listener: TcpListener,
    table: Table,
    metrics: PortMetrics,
    drain: Drain,
    closes: Closes,
    refusal: &'static [u8],
    back_off: Duration,
    proxies: ProxyNetworks,
    /// Connections of load balancers that have yet to say who their client is.
    arriving: JoinSet<Arrival>,
    /// Whether a load balancer's mistake has been logged.
    complained: bool,
}

/// What came of a load balancer's connection.
struct Arrival {
    stream: TcpStream,
    proxy: SocketAddr,
    permit: Permit,
    client: Result<Option<SocketAddr>, ProxyError>,
}

impl Acceptor {
    /// Takes connections from `listener` within `limits` until the process reaches the phase of `closes`.
    pub fn new(
        listener: TcpListener,
        limits: Limits,
        metrics: PortMetrics,
        drain: Drain,
        closes: Closes,
    ) -> Self {
        Acceptor {
            listener,
            table: Table::new(limits, metrics.clone()),
            metrics,
            drain,
            closes,
            refusal: b"",
            back_off: BACK_OFF_MIN,
            proxies: ProxyNetworks::default(),
            arriving: JoinSet::new(),
            complained: false,
        }
    }

    /// Connections from `networks` begin with a PROXY header (version 1 or 2) that names the client; one without is
    /// refused. From elsewhere such a header is what any other wrong byte is.
    #[must_use]
    pub fn behind(mut self, networks: ProxyNetworks) -> Self {
        self.proxies = networks;
        self
    }

    /// What a refused connection is sent before it is closed, if its socket takes it at once: an HTTP 503 for example.
    #[must_use]
    pub fn refuse_with(mut self, answer: &'static [u8]) -> Self {
        self.refusal = answer;
        self
    }

    /// Where the port is.
    ///
    /// # Errors
    /// What the socket reports.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The next connection that the limits let in, or `None` once the port is to close (drop the acceptor then).
    ///
    /// Safe to cancel: a connection is not lost.
    pub async fn next(&mut self) -> Option<Accepted> {
        loop {
            let accepted = tokio::select! {
                biased;
                () = closed(&self.drain, self.closes) => return None,
                Some(arrived) = self.arriving.join_next() => {
                    match arrived.ok().and_then(|arrival| self.arrived(arrival)) {
                        Some(accepted) => return Some(accepted),
                        None => continue,
                    }
                }
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    self.back_off = BACK_OFF_MIN;
                    if self.proxies.contains(peer.ip()) {
                        self.await_header(stream, peer);
                        continue;
                    }
                    match self.table.admit(peer.ip()) {
                        Ok(permit) => {
                            return Some(Accepted {
                                stream,
                                peer,
                                permit,
                            });
                        }
                        Err(refusal) => self.refuse(&stream, peer, refusal),
                    }
                }
                Err(error) if is_exhaustion(&error) => {
                    self.metrics.refused(Refusal::Exhausted);
                    if self.back_off == BACK_OFF_MIN {
                        tracing::error!(
                            %error,
                            connections = self.table.connections(),
                            "no more connections can be opened for now; raise the limit of open files (`ulimit -n`)"
                        );
                    }
                    let rest = self.back_off;
                    self.back_off = rest.saturating_mul(2).min(BACK_OFF_MAX);
                    tokio::select! {
                        biased;
                        () = closed(&self.drain, self.closes) => return None,
                        () = tokio::time::sleep(rest) => {}
                    }
                }
                // The peer gave up while it waited; that says nothing of the next one.
                Err(error) => tracing::debug!(%error, "a connection ended before it was accepted"),
            }
        }
    }

    /// Reads a load balancer's header beside the loop, within a place of its own.
    fn await_header(&mut self, stream: TcpStream, proxy: SocketAddr) {
        match self.table.hold() {
            Ok(permit) => {
                self.arriving.spawn(async move {
                    Arrival {
                        client: proxy::take(&stream).await,
                        stream,
                        proxy,
                        permit,
                    }
                });
            }
            Err(refusal) => self.refuse(&stream, proxy, refusal),
        }
    }

    /// The connection of a load balancer whose client is known, if that client may come in.
    fn arrived(&mut self, arrival: Arrival) -> Option<Accepted> {
        let Arrival {
            stream,
            proxy,
            mut permit,
            client,
        } = arrival;
        let peer = match client {
            Ok(client) => client.unwrap_or(proxy),
            Err(error) => {
                self.misled(proxy, &error);
                return None;
            }
        };
        match permit.settle(peer.ip()) {
            Ok(()) => Some(Accepted {
                stream,
                peer,
                permit,
            }),
            Err(refusal) => {
                self.refuse(&stream, peer, refusal);
                None
            }
        }
    }

    fn misled(&mut self, proxy: SocketAddr, error: &ProxyError) {
        let refusal = match error {
            ProxyError::Nothing | ProxyError::Socket(_) => return,
            ProxyError::Malformed(_) => Refusal::ProxyMalformed,
            ProxyError::TooLong(_) => Refusal::ProxyTooLong,
            ProxyError::Slow(_) => Refusal::ProxySlow,
        };
        self.metrics.refused(refusal);
        let reason = refusal.reason();
        if std::mem::replace(&mut self.complained, true) {
            tracing::debug!(%proxy, reason, %error, "connection refused");
        } else {
            tracing::warn!(
                %proxy, reason, %error,
                "connection of a load balancer refused: have it send the PROXY protocol, or take its network out of \
                 `proxy_protocol_from`"
            );
        }
    }

    fn refuse(&self, stream: &TcpStream, peer: SocketAddr, refusal: Refusal) {
        self.metrics.refused(refusal);
        tracing::debug!(%peer, reason = refusal.reason(), "connection refused");
        if !self.refusal.is_empty() {
            // Closing with unread bytes resets the connection, and a reset can overtake the answer.
            let _ = stream.try_read(&mut [0; 4096]);
            let _ = stream.try_write(self.refusal);
        }
    }
}

async fn closed(drain: &Drain, closes: Closes) {
    match closes {
        Closes::WhenDraining => {
            drain.draining().await;
        }
        Closes::WhenEnded => drain.ended().await,
    }
}

// EMFILE, ENFILE, ENOBUFS and ENOMEM of Linux: the process or the machine is out of something.
fn is_exhaustion(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(24 | 23 | 105 | 12))
}

#[cfg(test)]
mod tests;
