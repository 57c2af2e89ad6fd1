//! The claim: an ingress asks an origin to be the home of a publish session, and the home lets it go.

mod client;
mod server;

use std::time::Duration;

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
    /// The session that is on stays as long as it has tags, and the newcomer stands by to go on in its place.
    Backup,
}

/// What a claim says of a publisher that stands by already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// How long ago the keyframe came with which it would begin. `None`: it only asks who is on.
    pub ready: Option<Duration>,
}

/// Who is on while a publisher stands by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnAir {
    /// The ingress of the session that is on; `None` if none is.
    pub ingress: Option<Endpoint>,
    /// How long ago the stream's newest tag came, as far as the origin knows.
    pub silent: Option<Duration>,
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
    /// The publisher stands by already ([`OnDuplicate::Backup`]).
    pub standing: Option<Standing>,
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
    /// The publisher is to stand by.
    StandsBy(OnAir),
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
    /// The publisher may stay, and stands by from now on.
    pub stands_by: bool,
}
