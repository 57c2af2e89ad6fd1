//! The first thing that a port does with a connection: the handshake, if there is to be one.

use std::net::SocketAddr;
use std::time::Duration;

use rustls::ServerConfig;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

use super::error::explain;
use super::{InternalTls, PublicTls};
use crate::accept::{Accepted, Permit, Refusal};
use crate::net::Line;

/// What a port asks of its connections before anything else.
#[derive(Clone, Debug, Default)]
pub enum Security {
    /// Nothing: they are plain.
    #[default]
    None,
    /// TLS, in which the version of HTTP is chosen.
    Https(PublicTls),
    /// TLS.
    Public(PublicTls),
    /// TLS in which the peer shows a member's certificate.
    Internal(InternalTls),
}

/// A connection that has shaken hands.
#[derive(Debug)]
pub struct Received {
    /// The connection.
    pub line: Line,
    /// The client, as in [`Accepted::peer`].
    pub peer: SocketAddr,
    /// Its place among the limits; to be dropped with the connection.
    pub permit: Permit,
}

impl Received {
    /// Whether the peer says anything within `limit`. One that does not is a socket and this small future until then.
    pub async fn speaks(&mut self, limit: Duration) -> bool {
        tokio::time::timeout(limit, self.line.readable())
            .await
            .is_ok()
    }
}

impl Security {
    /// The security between roles, if there is any.
    pub fn internal(tls: Option<&InternalTls>) -> Security {
        tls.map_or(Security::None, |tls| Security::Internal(tls.clone()))
    }

    /// Shakes hands, for which the peer has the time `within`. `None` if that failed, which is counted and logged here.
    pub async fn receive(&self, accepted: Accepted, within: Duration) -> Option<Received> {
        let Accepted {
            stream,
            peer,
            permit,
        } = accepted;
        let Some(config) = self.config() else {
            let line = Line::Plain(stream);
            return Some(Received { line, peer, permit });
        };
        let shaken = async {
            // Whoever says nothing costs no state of a handshake.
            stream.readable().await?;
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%peer, %error, "the connection keeps the machine's settings");
            }
            Box::pin(TlsAcceptor::from(config).accept(stream)).await
        };
        match tokio::time::timeout(within, shaken).await {
            Ok(Ok(stream)) => Some(Received {
                line: Line::from(stream),
                peer,
                permit,
            }),
            Ok(Err(error)) => {
                permit.refused(Refusal::TlsHandshake);
                self.failed(peer, &explain(&error));
                None
            }
            Err(_) => {
                permit.refused(Refusal::TlsSlow);
                tracing::debug!(%peer, "no TLS handshake in time");
                None
            }
        }
    }

    fn config(&self) -> Option<Arc<ServerConfig>> {
        match self {
            Security::None => None,
            Security::Https(tls) => Some(tls.http()),
            Security::Public(tls) => Some(tls.bare()),
            Security::Internal(tls) => Some(tls.server()),
        }
    }

    fn failed(&self, peer: SocketAddr, problem: &str) {
        match self {
            Security::Internal(tls) => tls.complain(&peer.to_string(), problem),
            Security::None | Security::Https(_) | Security::Public(_) => {
                tracing::debug!(%peer, problem, "no TLS");
            }
        }
    }
}
