//! Why a pull gives no more.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use headwater_process::net::ConnectError;
use http::StatusCode;

use crate::head::HeadError;
use crate::receiver::ReceiveError;
use crate::refusal::Refusal;

/// Why a pull gives no more, and whose move it is.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection was reset, or ended where it must not: the sender is dead at once.
    #[error("connection broke: {0}")]
    Dead(#[source] hyper::Error),
    /// Connected, but no answer in time.
    #[error("no answer within {} ms", .0.as_millis())]
    NoAnswer(Duration),
    /// The sender says no.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// Another status, which no sender gives.
    #[error("answered with status {0}")]
    Status(StatusCode),
    /// Not HTTP, or not as it must be.
    #[error("not a proper answer: {0}")]
    Http(#[source] hyper::Error),
    /// The host cannot stand in a request.
    #[error("cannot ask: {0}")]
    Request(#[from] http::Error),
    /// A head that cannot be followed.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// Bytes that are wrong.
    #[error(transparent)]
    Receive(#[from] ReceiveError),
}

impl PullError {
    /// The label for logs and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            PullError::Connect(error) => error.reason(),
            PullError::Dead(_) => "dead",
            PullError::NoAnswer(_) => "no_answer",
            PullError::Refused(refusal) => refusal.reason(),
            PullError::Status(_) => "status",
            PullError::Http(_) => "http",
            PullError::Request(_) => "request",
            PullError::Head(error) => error.reason(),
            PullError::Receive(error) => error.reason(),
        }
    }

    pub(super) fn of_connection(error: hyper::Error) -> PullError {
        if is_dead(&error) {
            PullError::Dead(error)
        } else {
            PullError::Http(error)
        }
    }
}

/// Whether the connection is gone, rather than wrong in what it says.
fn is_dead(error: &hyper::Error) -> bool {
    if error.is_incomplete_message()
        || error.is_canceled()
        || error.is_closed()
        || error.is_body_write_aborted()
    {
        return true;
    }
    let mut source = error.source();
    while let Some(cause) = source {
        if cause.is::<io::Error>() {
            // Malformed chunks are reported as input and output too.
            return cause.downcast_ref::<io::Error>().is_some_and(|io| {
                !matches!(
                    io.kind(),
                    io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData
                )
            });
        }
        source = cause.source();
    }
    false
}
