//! What bytes mean: stream names, tags, timestamps, codecs, FLV and RTMP, without a socket, clock or task.

pub mod amf0;
pub mod flv;
mod name;
pub mod payload;
mod percent;
mod query;
pub mod rtmp;
pub mod script;
mod tag;
mod timeline;
mod wildcard;

pub use name::{NameError, NamePart, StreamKey, VirtualHosts};
pub use query::{Query, QueryError};
pub use tag::{Dts, Tag, TagKind};
pub use timeline::{Timeline, UplinkHealth};
pub use wildcard::wildcard;
