//! What a publisher is granted: a session, and its place.

use headwater_location::MemberId;
use headwater_media::Dts;

/// Where a session is: its home and the term that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) term: u64,
    pub(crate) home: MemberId,
}

/// A publish that may begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Granted {
    pub(super) epoch: u64,
    pub(super) placed: Placed,
    pub(super) dts_offset: Dts,
}

/// It is a publisher's turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cue {
    pub(super) granted: Granted,
    /// The place in its ring where it begins.
    pub(super) from: u64,
}
