//! What a session between a member and an operator replica says, and what the single calls ask and answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::StreamKey;
use crate::member::{Member, MemberId, Site};
use crate::policy::Policy;
use crate::stream::{Endpoint, Exception, Seen, Source, Sources, StreamReport};

/// From a member to a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Up {
    /// Who opens the session; always first.
    Hello(Member),
    /// What it carries.
    Report(Report),
    /// It is alive.
    Heartbeat(Heartbeat),
    /// It wants to hear of these streams' moves.
    Watch(Vec<StreamKey>),
    /// No longer.
    Unwatch(Vec<StreamKey>),
}

/// A chunk of the snapshot, or a delta after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// A snapshot starts.
    pub begin: bool,
    /// The snapshot ends: what it did not name is not there.
    pub complete: bool,
    /// At most [`crate::limits::CHUNK_MAX_ENTRIES`].
    pub streams: Vec<StreamReport>,
}

/// What the status says (code UNAVAILABLE) with which a replica that ends in good order closes its sessions.
pub const REPLICA_ENDS: &str = "this replica ends";

/// A member is alive, and how busy it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heartbeat {
    /// It takes new work.
    pub ready: bool,
    /// It gives its work up.
    pub draining: bool,
    /// Of the member's description.
    pub revision: u64,
    /// How busy it is.
    pub load: Load,
}

/// Load figures of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Load {
    /// Of its processors, 0 to 1000.
    pub cpu_permille: u32,
    /// Resident memory.
    pub memory_bytes: u64,
    /// What it sends.
    pub egress_bits_per_second: u64,
    /// Publishers and viewers.
    pub connections: u32,
}

/// From a replica to a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Down {
    /// A chunk of the list of all members that are alive.
    Members(Members),
    /// Streams whose home is not the first of the ring.
    Exceptions(Exceptions),
    /// Where a watched stream is from now on.
    Move {
        /// The stream.
        key: StreamKey,
        /// Empty: nowhere.
        sources: Sources,
    },
    /// What the member is to do with itself.
    Order(Order),
    /// The home of a session of which the member is the ingress is to be another one.
    Rehome(Rehome),
    /// The replica is alive.
    Beat {
        /// It has run long enough to have heard of everything.
        settled: bool,
    },
    /// A chunk of what holds for streams by their names.
    Policies(PoliciesChunk),
}

/// A chunk of all policies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoliciesChunk {
    /// The list starts.
    pub begin: bool,
    /// The list ends with this chunk.
    pub complete: bool,
    /// At most [`crate::limits::POLICIES_CHUNK_MAX`].
    pub policies: Vec<Policy>,
}

/// A chunk of the member list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// Who says so; versions of two replicas cannot be compared.
    pub replica: String,
    /// Grows with every change that this replica saw.
    pub version: u64,
    /// At most [`crate::limits::CHUNK_MAX_ENTRIES`].
    pub members: Vec<Arc<Member>>,
    /// The replica has run long enough to have heard of everything.
    pub settled: bool,
    /// The list ends with this chunk.
    pub complete: bool,
    /// Addresses of all replicas that this one knows of, with the last chunk; at most
    /// [`crate::limits::OPERATORS_MAX`]. A name server may tell of them much later.
    pub operators: Vec<SocketAddr>,
}

/// A change of the exceptions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exceptions {
    /// All earlier ones are void.
    pub reset: bool,
    /// New or changed; at most [`crate::limits::CHUNK_MAX_ENTRIES`].
    pub set: Vec<(StreamKey, Exception)>,
    /// No longer exceptions; at most [`crate::limits::CHUNK_MAX_ENTRIES`].
    pub removed: Vec<StreamKey>,
}

/// What a member is to do with itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Give all work up.
    Drain {
        /// How long it may take.
        grace: Duration,
        /// Why, for the log.
        reason: String,
    },
    /// Take work again.
    Undrain,
}

/// Asks the ingress of a session to move its home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rehome {
    /// The stream.
    pub key: StreamKey,
    /// The publish session.
    pub epoch: u64,
    /// Where its home is to be.
    pub home: Endpoint,
}

/// Asks where the home of a stream is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceRequest {
    /// The stream.
    pub key: StreamKey,
    /// The member that has the publisher.
    pub ingress: MemberId,
    /// The publish session.
    pub epoch: u64,
    /// Members that did not accept or did not answer; at most [`crate::limits::EXCLUDE_MAX`].
    pub exclude: Vec<MemberId>,
}

/// Where the home of a stream is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlaceReply {
    /// The home, then alternatives in ring order. Empty: no origin takes the stream now.
    pub candidates: Vec<Source>,
    /// The session in force for the key.
    pub existing: Option<Existing>,
    /// The highest term seen for the key, 0 if none.
    pub highest_term: u64,
    /// Where the stream's time stood.
    pub resume: Option<Seen>,
    /// The replica has run long enough to have heard of everything.
    pub settled: bool,
}

/// A session in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Existing {
    /// The publish session.
    pub epoch: u64,
    /// Its term.
    pub term: u64,
    /// Who has the publisher.
    pub ingress: Option<Endpoint>,
}

/// Asks where a live stream can be pulled from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocateRequest {
    /// The stream.
    pub key: StreamKey,
    /// Who asks.
    pub member: MemberId,
    /// Where it runs, for the order of the sources.
    pub site: Site,
}

/// Where a live stream can be pulled from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocateReply {
    /// Empty: not found.
    pub sources: Sources,
    /// How long "not found" holds.
    pub cache: Duration,
    /// Not found: how long ago the publisher left, if that is known.
    pub left_ago: Option<Duration>,
    /// The replica has run long enough to have heard of everything.
    pub settled: bool,
}
