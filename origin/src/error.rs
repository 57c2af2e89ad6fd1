//! Why an origin does not start.

use headwater_process::metrics::MetricsError;
use headwater_process::net::ListenError;
use thiserror::Error;

use crate::config::ConfigError;

/// Why an origin does not start: one sentence for the person who started it.
#[derive(Debug, Error)]
pub enum StartError {
    /// A setting cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A port cannot be opened.
    #[error("origin.{setting}: {source}")]
    Listen {
        /// The setting that names the port.
        setting: &'static str,
        /// Why.
        source: ListenError,
    },
    /// A port does not say where it is.
    #[error("origin.{setting}: {source}")]
    Address {
        /// The setting that names the port.
        setting: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The registry has an origin's metrics already.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// Likewise, of a part.
    #[error("metrics: {0}")]
    Parts(#[from] prometheus::Error),
}
