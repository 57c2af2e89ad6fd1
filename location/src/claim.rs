//! The claim: an ingress asks an origin to be the home of a publish session, and the home lets it go.

mod client;
mod server;

use serde::{Deserialize, Serialize};

pub use self::client::{ClaimError, Origins};
pub use self::server::{ClaimHandler, routes};

use crate::StreamKey;
use crate::stream::{Endpoint, Seen};

/// What a home does when a name is published a second time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDuplicate {
    /// The newest session wins.
    #[default]
    Replace,
    /// The session that is on stays.
    Refuse,
}

/// "Be the home of this session."
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The stream.
    pub key: StreamKey,
    /// The publish session.
    pub epoch: u64,
    /// The highest term that the ingress knows of, or its own raised one within a session.
    pub term: u64,
    /// Where to pull the session from.
    pub ingress: Endpoint,
    /// The publisher's network address, to tell a reconnect from a rival.
    pub publisher: String,
    /// What to do if another session is on.
    pub on_duplicate: OnDuplicate,
    /// Where the stream's time stood, as far as the ingress knows.
    pub last: Option<Seen>,
}

/// A home's answer to a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the home.
    Accepted {
        /// The term in force from now on.
        term: u64,
        /// Stream time minus session time, milliseconds.
        dts_offset_ms: i64,
    },
    /// It is full: ask the next candidate.
    AtCap,
    /// The publisher may not: end it.
    Refused {
        /// A word of a closed set, for labels.
        reason: String,
        /// A sentence for the publisher.
        text: String,
    },
    /// The claim is fenced by a higher term.
    Stale {
        /// That term.
        term: u64,
    },
}

/// "Your session is over."
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The stream.
    pub key: StreamKey,
    /// The session that is over.
    pub epoch: u64,
    /// The term that ended it.
    pub term: u64,
    /// The onStatus code for the publisher.
    pub code: String,
    /// The sentence for the publisher.
    pub reason: String,
}
