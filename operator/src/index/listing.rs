//! The ledger as people and scripts see it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use headwater_location::{Endpoint, Load, Member, MemberId, Part, Seen};
use serde::Serialize;

use super::Index;
use super::ledger::Entry;

/// Everything that a replica knows.
#[derive(Clone, Debug, Serialize)]
pub struct Listing {
    /// Whose ledger it is.
    pub replica: String,
    /// It has heard of everything that is alive.
    pub settled: bool,
    /// By id.
    pub members: Vec<MemberRow>,
    /// By key.
    pub streams: Vec<StreamRow>,
}

/// A member that is alive.
#[derive(Clone, Debug, Serialize)]
pub struct MemberRow {
    /// Its description.
    #[serde(flatten)]
    pub member: Arc<Member>,
    /// How busy it is.
    pub load: Load,
    /// How many streams have their home at it.
    pub homes: u64,
}

/// A live stream.
#[derive(Clone, Debug, Serialize)]
pub struct StreamRow {
    /// Its name.
    pub key: String,
    /// The publish session.
    pub epoch: u64,
    /// The term of its home.
    pub term: u64,
    /// More than one only while a move is under way, none while a home is sought.
    pub homes: Vec<MemberId>,
    /// Who has the publisher.
    pub ingress: Option<Endpoint>,
    /// Over all edges.
    pub viewers: u64,
    /// Where its time stood when the member that tells of it was last heard.
    pub seen: Option<Seen>,
    /// The home is not the first of the ring.
    pub exception: bool,
}

/// What a member has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Burden {
    /// Streams of which it is home or ingress.
    pub streams: u64,
    /// Viewers that it serves.
    pub viewers: u64,
}

impl Index {
    /// What each member has that has anything.
    pub fn burdens(&self) -> BTreeMap<MemberId, Burden> {
        let mut burdens: BTreeMap<MemberId, Burden> = BTreeMap::new();
        for (_, entry) in self.ledger.iter() {
            let mut counted = BTreeSet::new();
            for (member, carried) in entry.parts() {
                let burden = burdens.entry(member.clone()).or_default();
                if carried.part == Part::Carrier {
                    let viewers = u64::from(carried.viewers);
                    burden.viewers = burden.viewers.saturating_add(viewers);
                } else if counted.insert(member) {
                    burden.streams = burden.streams.saturating_add(1);
                }
            }
        }
        burdens
    }

    /// All members and live streams.
    pub fn listing(&self, now: Duration) -> Listing {
        let members = self.sessions.values().filter_map(|session| {
            let member = self.members.get(&session.member.id)?;
            Some(MemberRow {
                member: member.clone(),
                load: session.load,
                homes: self.ledger.homes(&member.id),
            })
        });
        let mut members: Vec<MemberRow> = members.collect();
        members.sort_by(|a, b| a.member.id.cmp(&b.member.id));
        let streams = self.ledger.iter().filter_map(|(key, entry)| {
            let current = Entry::current(entry)?;
            Some(StreamRow {
                key: key.to_string(),
                epoch: current.epoch,
                term: current.term,
                homes: current.homes,
                ingress: current.ingress,
                viewers: entry.viewers(),
                seen: self.ledger.seen(entry),
                exception: self.exceptions.contains(key),
            })
        });
        let mut streams: Vec<StreamRow> = streams.collect();
        streams.sort_by(|a, b| a.key.cmp(&b.key));
        Listing {
            replica: self.replica.clone(),
            settled: self.settled(now),
            members,
            streams,
        }
    }
}
