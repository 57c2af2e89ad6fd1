//! What a course is told, and what it says.

use std::time::Duration;

/// The number of one path: one pull from one source.
pub(crate) type PathId = u64;

/// The times that are configured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) linger: Duration,
    pub(crate) grace: Duration,
    pub(crate) return_wait: Duration,
}

/// What a look-up or the operator says of where the stream is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Located {
    /// There, in the order to try (`host:port` of internal ports).
    At {
        term: u64,
        epoch: u64,
        addresses: Vec<String>,
        /// The edge that pulls for this edge's region, unless it is this one.
        shield: Option<String>,
    },
    /// Nobody knows; it would be at one of these.
    Guessed { addresses: Vec<String> },
    /// Nowhere, as far as operators know; they have lost sight of the origins `lost`, which may have it.
    /// Its publisher left so long ago, if that is known.
    Nowhere {
        lost: Vec<String>,
        left_ago: Option<Duration>,
    },
    /// Nobody could be asked.
    Failed,
}

/// How a path ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The connection is dead, or what it brought was wrong.
    Broken,
    /// The source has no such stream; it may be there.
    NotHere { term: u64, addresses: Vec<String> },
    /// The source is behind, busy, or refuses for another reason.
    Refused,
    /// Another session or a higher term holds.
    Stale,
    /// The publisher has left.
    PublisherLeft,
    /// A newer session is on at the same source.
    Replaced,
    /// The source lets go of the stream.
    Closed,
}

impl Ending {
    /// The label for metrics.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Ending::Broken => "broken",
            Ending::NotHere { .. } => "not_here",
            Ending::Refused => "refused",
            Ending::Stale => "stale",
            Ending::PublisherLeft => "publisher_left",
            Ending::Replaced => "replaced",
            Ending::Closed => "closed",
        }
    }
}

/// What is to be done, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Ask where the stream is.
    Locate,
    /// Say which origins may have the stream though no operator knows.
    LookBeyond,
    /// Ask this source for the stream.
    Open { path: PathId, address: String },
    /// Let the answered path feed the stream.
    Feed { path: PathId },
    /// Close the path.
    Drop { path: PathId },
    /// The pull is over: let go of everything.
    Finish,
}

/// Where the pull stands, for those who want to join.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Not known yet.
    #[default]
    Seeking,
    /// It comes.
    Live,
    /// It came, and its next source is being looked for.
    Lost,
    /// Nobody has it.
    Missing,
    /// Its publisher has left; viewers who come may wait for it until then.
    Left { until: Duration },
    /// The pull is over.
    Over,
}
