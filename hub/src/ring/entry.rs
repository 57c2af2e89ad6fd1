//! A tag in the ring, with what its run of tags has in common.

use std::sync::Arc;
use std::time::Duration;

use headwater_media::{Dts, Tag};

use crate::headers::{Headers, Role, SLOT_BYTES};

/// One publish session as this ring saw it.
#[derive(Debug, PartialEq, Eq)]
pub struct Span {
    /// The session.
    pub epoch: u64,
    /// What makes the session's DTS the stream's.
    pub dts_offset: Dts,
}

/// A tag in the ring with all that readers need to know of it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its number in its session.
    pub sequence: u64,
    /// The tag, in the session's time.
    pub tag: Tag,
    pub(super) setting: Arc<Setting>,
    pub(super) arrived_ns: u64,
    /// What it means to the ring.
    pub role: Role,
    /// A header that a new session repeats unchanged: viewers who have it are not sent it again.
    pub repeated_header: bool,
    /// The tag before it in the ring is not the one before it in its session: there is a hole, or a new session begins.
    pub discontinuous: bool,
}

/// What runs of tags have in common. An entry is small because of it: rings of many small tags are mostly entries.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) span: Arc<Span>,
    pub(super) headers: Arc<Headers>,
}

impl Entry {
    /// What a ring takes for a tag beside its payload.
    pub const BYTES: usize = size_of::<Entry>();

    /// Its session.
    pub fn span(&self) -> &Arc<Span> {
        &self.setting.span
    }

    /// The headers in force before it.
    pub fn headers(&self) -> &Arc<Headers> {
        &self.setting.headers
    }

    /// Bytes that it keeps in memory: its payload and, of a header, the list of those in force behind it.
    pub(super) fn kept_bytes(&self) -> usize {
        let list = match self.role {
            Role::Header(_) => self.headers().list_bytes().saturating_add(SLOT_BYTES),
            Role::Keyframe | Role::Plain => 0,
        };
        self.tag.payload.len().saturating_add(list)
    }

    /// Its time in the stream's time, the one viewers see.
    pub fn at(&self) -> Dts {
        self.tag.dts + self.setting.span.dts_offset
    }

    /// When it came here, on the process's clock.
    pub fn arrived(&self) -> Duration {
        Duration::from_nanos(self.arrived_ns)
    }
}
