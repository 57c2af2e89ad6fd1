//! What tests of the whole system are made of: processes, publishers that know what they sent, and viewers that know
//! what they got.
//!
//! A test says what was to come and compares lists of [`Record`]: nothing here decides what is right but
//! [`compare`].

pub mod audience;
pub mod authority;
pub mod clip;
mod cluster;
pub mod compare;
pub mod http;
pub mod identity;
pub mod metronome;
pub mod port;
pub mod process;
pub mod publisher;
pub mod readme;
mod record;
pub mod tool;
pub mod up;
pub mod viewer;

pub use record::Record;

use std::time::Duration;

/// No event that a test waits for takes longer, even on a machine with other work.
pub const SOON: Duration = Duration::from_secs(30);
