//! A limit on everything that crosses the contract, and its clocks.

use std::time::Duration;

/// How often a member and a replica tell each other that they are alive.
pub const HEARTBEAT: Duration = Duration::from_millis(250);
/// A member or replica that says nothing for so long is considered gone.
pub const SILENCE: Duration = Duration::from_secs(1);
/// A member opens its session anew within this time after losing it.
pub const BACK_OFF_MAX: Duration = Duration::from_millis(500);
/// A replica that has run for so long has heard of everything that is alive.
pub const SETTLE: Duration = Duration::from_millis(1500);
/// How long one attempt to reach a replica may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// One gRPC message, encoded.
pub const MESSAGE_MAX_BYTES: usize = 1024 * 1024;
/// Entries of one list in one message: chunks hold at most so many.
pub const CHUNK_MAX_ENTRIES: usize = 256;
/// A stream's name.
pub const KEY_MAX_BYTES: usize = 512;
/// A member's id, an address, a region, a zone, a version.
pub const WORD_MAX_BYTES: usize = 253;
/// A URL, a sentence.
pub const TEXT_MAX_BYTES: usize = 1024;

/// Operator replicas of one cluster: more than anybody runs.
pub const OPERATORS_MAX: usize = 16;
/// Members of one cluster.
pub const MEMBERS_MAX: usize = 4096;
/// Streams that one member reports.
pub const MEMBER_STREAMS_MAX: usize = 20_000;
/// Keys that one member watches.
pub const MEMBER_WATCHES_MAX: usize = 20_000;
/// Streams of one cluster that are not at the first member of the ring.
pub const EXCEPTIONS_MAX: usize = 65_536;
/// Members that a Place request may exclude.
pub const EXCLUDE_MAX: usize = 16;
/// Candidates that a Place reply lists: the home and its alternatives.
pub const CANDIDATES_MAX: usize = 3;
/// Sources that Locate or a Move lists.
pub const SOURCES_MAX: usize = 8;

/// Policies of one cluster.
pub const POLICIES_MAX: usize = 256;
/// Policies in one message.
pub const POLICIES_CHUNK_MAX: usize = 16;
/// Patterns of one policy.
pub const POLICY_PATTERNS_MAX: usize = 32;
