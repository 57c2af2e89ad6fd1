//! RTMP in, admission, claim (ingest) and the home that pulls from the ingress and serves edges.
//!
//! ```text
//! encoder ──RTMP──► ingest ──tags──► hub ──► internal port ──► edges
//!                     │ Place, Claim              ▲
//!                     ▼                           │ pull
//!                   home (this origin, or another one)
//! ```

mod config;
mod error;
mod facts;
mod home;
mod ingest;
mod internal;
mod metrics;
mod origin;
mod shared;

pub use config::{ConfigError, OriginConfig};
pub use error::StartError;
pub use facts::{StreamFacts, UplinkFacts};
pub use origin::{Addresses, Origin, OriginDeps, Ports};
