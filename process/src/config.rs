//! One configuration for all roles: YAML file = environment = flag, one name for each setting.
//!
//! `origin.ring_max_bytes` in the file is `HEADWATER_ORIGIN_RING_MAX_BYTES` in the environment and
//! `--origin-ring-max-bytes` on the command line; a flag beats the environment, which beats the file, which
//! beats the default. All names come from the serialized [`Default`] of the configuration's type, so there is
//! no list to keep in step. Lists and maps are given to the environment and to flags as YAML text.

mod document;
mod error;
mod flags;
mod load;
mod nearest;
mod node;
mod schema;
mod secret;
pub mod size;
mod tick;
pub mod time;

pub use document::{Described, Documented, page};
pub use error::ConfigError;
pub use load::{File, Sources, load, show};
pub use schema::{Leaf, Schema};
pub use secret::Secret;
pub use tick::Tick;

#[doc(hidden)]
pub use document::{AnyField, DocumentedField, Probe};

/// The beginning of every environment variable that Headwater reads.
pub const ENV_PREFIX: &str = "HEADWATER_";
