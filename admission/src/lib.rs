//! Who may publish and play: signed URLs, the HTTP callback and their settings.
//!
//! [`Admission`] is the gate that every publish and play passes. What a signature is worth is decided by pure functions
//! of the address, the keys and the time; only the gate itself reads the clock and asks the callback.

mod admission;
mod callback;
mod client;
mod config;
mod ends;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod keyring;
mod keys;
mod kind;
mod metrics;
mod pattern;
mod refusal;
mod settings;
pub mod sign;
mod signature;
mod target;

pub use admission::{Admission, AdmissionError, Request};
pub use config::{
    AdmissionConfig, CallbackConfig, CallbackEvent, ConfigError, KeyPair, KeyRule, OnError,
    TakenSchemes, Unmatched,
};
pub use ends::Ended;
pub use keys::{KeysError, PolicyKeys, SigningKeys};
pub use kind::Kind;
pub use pattern::PatternError;
pub use refusal::{Reason, Refusal};
pub use settings::{Mode, OnDuplicate, Settings};
