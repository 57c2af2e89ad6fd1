//! The answers to Place and Locate.

use std::collections::BTreeMap;
use std::time::Duration;

use headwater_location::{
    Existing, LocateReply, LocateRequest, MemberId, Part, PlaceReply, PlaceRequest, Role, Source,
};

use super::Index;
use super::ledger::Entry;
use crate::placement::{View, solve};

/// "Not found" holds so long: a player that tries again every second asks an operator once.
const NOT_FOUND: Duration = Duration::from_secs(1);

impl Index {
    /// Where the home of a stream is to be; the place is kept for it for a few seconds.
    pub fn place(&mut self, request: &PlaceRequest, now: Duration) -> PlaceReply {
        let key = &request.key;
        self.reservations.expire(now);
        let excluded = |id: &str| request.exclude.iter().any(|it| **it == *id);
        if self.reservations.get(key).is_some_and(|id| excluded(id)) {
            self.reservations.release(key);
        }
        let placement = self.rules.as_ref().and_then(|rules| rules.placement(key));
        let loads: BTreeMap<&str, u64> = self
            .members
            .iter()
            .filter(|member| member.role == Role::Origin && member.takes_work())
            .filter(|member| !excluded(&member.id))
            .filter(|member| {
                placement.is_none_or(|it| it.allows(member, self.known.get(&member.id)))
            })
            .map(|member| {
                // The stream itself is not a load against itself, so that the same question has the same answer.
                let own = self.reservations.get(key) == Some(&member.id);
                let coming = self.reservations.count(&member.id);
                let coming = coming.saturating_sub(u64::from(own));
                (
                    &*member.id,
                    self.ledger.homes(&member.id).saturating_add(coming),
                )
            })
            .collect();
        let current = self.ledger.get(key).and_then(Entry::current);
        let home = current
            .iter()
            .flat_map(|current| &current.homes)
            .find(|id| !excluded(id) && self.members.get(id).is_some_and(|home| !home.draining));
        let reserved = self.reservations.get(key).cloned();
        let view = View {
            ring: &self.ring,
            loads: &loads,
            home: home.map(|id| &**id),
            reserved: reserved.as_deref(),
        };
        let placement = solve(&view, key.as_str());
        let candidates = placement
            .candidates
            .iter()
            .filter_map(|id| self.members.get(id))
            .map(|member| Source {
                member: member.id.clone(),
                role: member.role,
                part: Part::Home,
                address: member.internal.clone(),
                site: member.site.clone(),
            })
            .collect();
        let chosen: Option<MemberId> = placement.candidates.first().map(|id| MemberId::from(*id));
        if let Some(chosen) = &chosen
            && !self.ledger.is_home(chosen, key)
        {
            self.reservations.reserve(key, chosen, now);
        }
        let (highest_term, resume) = self.ledger.memory(key);
        PlaceReply {
            candidates,
            existing: current.map(|current| Existing {
                epoch: current.epoch,
                term: current.term,
                ingress: current.ingress,
            }),
            highest_term,
            resume,
            settled: self.settled(now),
        }
    }

    /// Where a live stream can be pulled from.
    pub fn locate(&self, request: &LocateRequest, now: Duration) -> LocateReply {
        let site = match self.members.get(&request.member) {
            Some(member) => request.site.or(&member.site),
            None => request.site.clone(),
        };
        let sources = self.ledger.sources(&request.key, &self.members, &site);
        let missing = sources.sources.is_empty();
        LocateReply {
            sources,
            cache: NOT_FOUND,
            left_ago: missing
                .then(|| self.ledger.left_ago(&request.key, now))
                .flatten(),
            settled: self.settled(now),
        }
    }
}
