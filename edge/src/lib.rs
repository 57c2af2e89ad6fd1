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
mod play;
mod pull;
mod shield;

pub use config::{ConfigError, DefaultMode, EdgeConfig, LimitsConfig, PullConfig, SocketConfig};
pub use edge::{Addresses, Edge, EdgeDeps, Ports, StartError};
pub use metrics::RegisterError;
pub use pull::{Finder, Finding, Moves};
