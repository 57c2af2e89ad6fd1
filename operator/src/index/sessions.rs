//! Sessions: a member's connection to this replica.

use std::collections::BTreeSet;
use std::time::Duration;

use headwater_location::{Load, Member, Order, Part, StreamKey};

/// Numbers the sessions of a replica in the order in which they were opened.
pub type SessionId = u64;

/// Why a replica ends a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The first message was not a Hello.
    NoHello,
    /// A second Hello came.
    HelloTwice,
    /// The member is not in the static list.
    NotAllowed,
    /// The member has a newer session.
    Replaced,
    /// Nothing was heard for too long.
    Silent,
    /// A limit was reached.
    TooMany,
    /// The member does not read what it is sent.
    Slow,
}

impl CloseReason {
    /// A label of a closed set.
    pub fn reason(self) -> &'static str {
        match self {
            CloseReason::NoHello => "no_hello",
            CloseReason::HelloTwice => "hello_twice",
            CloseReason::NotAllowed => "not_allowed",
            CloseReason::Replaced => "replaced",
            CloseReason::Silent => "silent",
            CloseReason::TooMany => "too_many",
            CloseReason::Slow => "slow",
        }
    }

    /// What the member is told.
    pub fn text(self) -> &'static str {
        match self {
            CloseReason::NoHello => "the first message of a session is its hello",
            CloseReason::HelloTwice => "a session has one hello",
            CloseReason::NotAllowed => "this member is not in the operator's list of members",
            CloseReason::Replaced => {
                "this member has a newer session; two processes must not share one member id"
            }
            CloseReason::Silent => "nothing was heard of this member for too long",
            CloseReason::TooMany => "a limit on members, streams or watches is reached",
            CloseReason::Slow => "this member does not read what it is sent",
        }
    }
}

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) member: Member,
    pub(crate) heard: Duration,
    pub(crate) load: Load,
    /// What the snapshot under way has named.
    pub(crate) named: Option<BTreeSet<(StreamKey, Part)>>,
    /// A snapshot was complete.
    pub(crate) whole: bool,
}

impl Session {
    pub(crate) fn new(member: Member, now: Duration) -> Session {
        Session {
            member,
            heard: now,
            load: Load::default(),
            named: None,
            whole: false,
        }
    }
}

/// What this replica decided about a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) cordoned: bool,
    /// The order under which it gives its work up; a session that it opens meanwhile starts with it.
    pub(crate) drain: Option<Order>,
}
