//! The list of all members that are alive, and how the members hear of it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use headwater_location::limits::{CHUNK_MAX_ENTRIES, OPERATORS_MAX};
use headwater_location::{Down, Member, MemberList, Members, Role, Site, StreamKey};

use super::{Effect, Index};

impl Index {
    /// Makes the member list anew, if anything has changed that it is made of.
    pub(super) fn relist(&mut self) {
        if !std::mem::take(&mut self.members_changed) {
            return;
        }
        let list = MemberList::new(self.sessions.values().map(|session| {
            let standing = self.standings.get(&session.member.id);
            let mut member = session.member.clone();
            let known = self.known.get(&session.member.id);
            member.site = known.map_or(member.site.clone(), |it| member.site.or(&it.site));
            member.cordoned =
                standing.is_some_and(|it| it.cordoned) || known.is_some_and(|it| it.cordoned);
            member.draining |= standing.is_some_and(|it| it.drain.is_some());
            Arc::new(member)
        }));
        if list == self.members {
            return;
        }
        self.places_changed |= !places(&list).eq(places(&self.members));
        self.members = list;
        self.version = self.version.saturating_add(1);
        self.list_changed = true;
        let ring = self.members.origin_ring();
        if !ring.same_members(&self.ring) {
            self.ring = ring;
            self.ring_changed = true;
        }
    }

    /// The streams that somebody watches, if members came, went or moved since the last time: who serves a stream is then
    /// told anew, where it is another one. Nothing if not.
    pub(super) fn watched_anew(&mut self) -> Vec<StreamKey> {
        if !std::mem::take(&mut self.places_changed) {
            return Vec::new();
        }
        self.watches.keys().cloned().collect()
    }

    /// Notes where replicas are; the members hear of it with the next list.
    pub(super) fn operators(&mut self, operators: BTreeSet<SocketAddr>) {
        let operators: Vec<SocketAddr> = operators.into_iter().take(OPERATORS_MAX).collect();
        if operators != self.operators {
            self.operators = operators;
            self.list_changed = true;
        }
    }

    /// Broadcasts the member list, and the exceptions of its ring, if they changed since the last time: once a tick,
    /// so that a crowd that joins at once costs each member a few lists and not one for each of the crowd.
    pub(super) fn publish_members(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        if std::mem::take(&mut self.list_changed) {
            let chunks = self.member_chunks(now);
            effects.extend(chunks.into_iter().map(|it| Effect::Broadcast(Arc::new(it))));
        }
        if std::mem::take(&mut self.ring_changed) {
            let changes = self.exceptions.recompute(&self.ledger, &self.ring);
            effects.extend(
                changes
                    .into_iter()
                    .map(|it| Effect::Broadcast(Arc::new(it))),
            );
        }
    }

    pub(super) fn member_chunks(&self, now: Duration) -> Vec<Down> {
        let members: Vec<Arc<Member>> = self.members.iter().cloned().collect();
        let settled = self.settled(now);
        let chunk = |members: &[Arc<Member>], complete| {
            Down::Members(Members {
                replica: self.replica.clone(),
                version: self.version,
                members: members.to_vec(),
                settled,
                complete,
                operators: Vec::new(),
            })
        };
        let mut chunks: Vec<Down> = members
            .chunks(CHUNK_MAX_ENTRIES)
            .map(|members| chunk(members, false))
            .collect();
        match chunks.last_mut() {
            Some(Down::Members(last)) => last.complete = true,
            Some(_) | None => chunks.push(chunk(&[], true)),
        }
        if let Some(Down::Members(last)) = chunks.last_mut() {
            last.operators.clone_from(&self.operators);
        }
        chunks
    }
}

/// What of each member stands in answers of where a stream is.
fn places(list: &MemberList) -> impl Iterator<Item = (&str, Role, &str, &Site)> {
    list.iter()
        .map(|it| (&*it.id, it.role, &*it.internal, &it.site))
}
