//! A well-behaved process: network seam, accept, drain, admin port, configuration and logs.

pub mod accept;
pub mod admin;
pub mod clock;
pub mod config;
pub mod drain;
pub mod log;
pub mod metrics;
pub mod net;
pub mod random;
#[cfg(feature = "simulation")]
pub mod simulation;
pub mod tls;
