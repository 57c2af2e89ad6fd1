//! One pull a stream, and play over HTTP-FLV and RTMP.
//!
//! ```text
//! source(s) ──pull──► hub stream ──fan-out──► viewers over HTTP-FLV and RTMP
//!                              └──serve────► other edges (internal port)
//! ```
//!
//! [`Ports::open`], then [`Edge::start`]. A stream is pulled while somebody wants it; which source it comes from is
//! decided by a pure machine (`pull::course`).

mod config;
mod edge;
mod facts;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod metrics;
#[cfg(test)]
mod model;
mod play;
mod pull;
mod seats;
mod shield;

/// What [`seats`] counts with.
mod sync {
    pub(crate) use std::sync::atomic::{AtomicUsize, Ordering};
}

pub use config::{ConfigError, DefaultMode, EdgeConfig, LimitsConfig, PullConfig, SocketConfig};
pub use edge::{Addresses, Edge, EdgeDeps, Ports, StartError};
pub use metrics::RegisterError;
pub use pull::{Finder, Finding, Moves};
