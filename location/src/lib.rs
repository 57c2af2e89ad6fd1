//! The contract between roles: the proto, the Locator client and the ring that both sides compute alike.

pub mod claim;
mod config;
mod connector;
pub mod limits;
pub mod locator;
mod member;
mod message;
pub mod policy;
pub mod proto;
pub mod ring;
mod stream;
pub mod term;
mod wire;

pub use config::{LocationConfig, StaticMember};
pub use connector::connect;
pub use headwater_media::StreamKey;
pub use locator::{Located, Locator, LocatorError, PlacedBy, Placement};
pub use member::{Member, MemberId, MemberList, Role, Site};
pub use message::{
    Down, Exceptions, Existing, Heartbeat, Load, LocateReply, LocateRequest, Members, Order,
    PlaceReply, PlaceRequest, PoliciesChunk, REPLICA_ENDS, Rehome, Report, Up,
};
pub use stream::{Carried, Endpoint, Exception, Part, Seen, Source, Sources, StreamReport, order};
pub use wire::WireError;
