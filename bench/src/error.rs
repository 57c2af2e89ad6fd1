//! Why a measurement was not made.

use std::io;

/// One sentence: what, where, what to do.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// No list of cores.
    #[error(
        "`{0}` is no list of cores that this process may use; write for example `0` or `0,1` (`nproc` tells how many there are)"
    )]
    Cores(String),
    /// An address that is none, or is none of this machine.
    #[error("{0}")]
    Target(String),
    /// A value that makes no sense.
    #[error("{0}")]
    Value(String),
    /// A part of the measurement failed.
    #[error("{what}: {cause}")]
    Io {
        /// What was being done.
        what: String,
        /// What the system said.
        cause: io::Error,
    },
    /// A server, the load or the floor ended or answered wrongly.
    #[error("{0}")]
    Part(String),
}

impl BenchError {
    pub(crate) fn io(what: impl Into<String>, cause: io::Error) -> BenchError {
        BenchError::Io {
            what: what.into(),
            cause,
        }
    }

    pub(crate) fn part(what: impl Into<String>) -> BenchError {
        BenchError::Part(what.into())
    }

    /// Whether the user's input is to blame.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            BenchError::Cores(_) | BenchError::Target(_) | BenchError::Value(_)
        )
    }
}
