//! Opening a connection to another process.

use std::io;
use std::time::Duration;

use thiserror::Error;

use super::stream::TcpStream;

/// Why [`connect`] gave no connection.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// Nobody answered in time.
    #[error("{to} did not answer within {} ms", within.as_millis())]
    Timeout {
        /// The `host:port` that was asked.
        to: String,
        /// The time that it had.
        within: Duration,
    },
    /// The name is not known, the port is closed or the network says no.
    #[error("cannot connect to {to}: {cause}")]
    Socket {
        /// The `host:port` that was asked.
        to: String,
        /// What the system said.
        cause: io::Error,
    },
    /// The two ends do not trust each other.
    #[error("no TLS with {to}: {problem}")]
    Tls {
        /// The `host:port` that was asked.
        to: String,
        /// What is wrong, and what to do.
        problem: String,
    },
}

impl ConnectError {
    /// A label of a closed set for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            ConnectError::Timeout { .. } => "timeout",
            ConnectError::Socket { cause, .. }
                if cause.kind() == io::ErrorKind::ConnectionRefused =>
            {
                "refused"
            }
            ConnectError::Socket { .. } => "socket",
            ConnectError::Tls { .. } => "tls",
        }
    }
}

/// Connects to `host_port` (`10.0.0.7:7000`, `[::1]:7000` or `origin-0.origin:7000`), all addresses of a name in turn.
///
/// # Errors
/// If no address accepts; `timeout` bounds the whole attempt, name lookup included.
pub async fn connect(host_port: &str, timeout: Duration) -> Result<TcpStream, ConnectError> {
    match tokio::time::timeout(timeout, tokio::net::TcpStream::connect(host_port)).await {
        Ok(Ok(stream)) => Ok(TcpStream::new(stream)),
        Ok(Err(cause)) => Err(ConnectError::Socket {
            to: host_port.to_owned(),
            cause,
        }),
        Err(_) => Err(ConnectError::Timeout {
            to: host_port.to_owned(),
            within: timeout,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::listener::listen;
    use super::*;

    #[tokio::test]
    async fn a_closed_port_is_named_in_the_error() {
        let listener = listen("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap().to_string();
        drop(listener);
        let error = connect(&to, Duration::from_secs(5)).await.unwrap_err();
        assert_eq!(error.reason(), "refused");
        assert!(error.to_string().contains(&to), "{error}");
    }

    #[tokio::test]
    async fn an_address_without_a_port_is_refused() {
        let error = connect("localhost", Duration::from_secs(5)).await;
        assert_eq!(error.unwrap_err().reason(), "socket");
    }
}
