//! One live stream inside a process: the ring of tags, start-up and the late-viewer policy.
//!
//! A publisher (or a pull) pushes tags into a [`Stream`]; readers hold a [`Cursor`] or a position and are woken by its
//! [`Progress`]. Publishing never waits for readers: the ring is bounded in bytes, GOPs and time.

mod codecs;
mod cursor;
mod headers;
mod late;
mod limits;
mod meter;
mod metrics;
mod pacing;
mod registry;
mod ring;
mod stream;

pub use codecs::Codecs;
pub use cursor::{Cursor, Item, Mode};
pub use headers::{HeaderSlot, Headers, Role};
pub use late::{DropReason, Dropped, LatePolicy};
pub use limits::{RingLimits, StreamRules};
pub use meter::Rates;
pub use metrics::HubMetrics;
pub use pacing::{AtOnce, Pacing};
pub use registry::{Registry, RegistryError, RegistryLimits};
pub use ring::{Entry, Kinds, Ring, Span};
pub use stream::{Facts, FeedError, Liveness, Opening, Progress, Pushed, Stream};
