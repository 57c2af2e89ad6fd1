//! Which member has which part of which stream: soft state, rebuilt from what members report.

use std::collections::{BTreeMap, BTreeSet};

use headwater_location::{
    Carried, Endpoint, MemberId, MemberList, Part, Role, Seen, Site, Source, Sources, StreamKey,
    order,
};

use super::past::{Past, Was};

/// One live stream: every member's part in it.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    parts: BTreeMap<(MemberId, Part), Carried>,
}

/// The session in force of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Current {
    pub(crate) epoch: u64,
    pub(crate) term: u64,
    /// More than one only while a move is under way; in the order of their ids.
    pub(crate) homes: Vec<MemberId>,
    pub(crate) ingress: Option<Endpoint>,
}

impl Entry {
    /// The session with the highest term; none if only carriers are left.
    pub(crate) fn current(&self) -> Option<Current> {
        let carried = || {
            self.parts
                .values()
                .filter(|carried| carried.part != Part::Carrier)
        };
        let (term, epoch) = carried().map(|it| (it.term, it.epoch)).max()?;
        // An ingress raises the term before a new home has it: the old home is fenced from then on.
        let homes = self
            .parts
            .iter()
            .filter(|((_, part), it)| *part == Part::Home && (it.term, it.epoch) == (term, epoch))
            .map(|((member, _), _)| member.clone())
            .collect();
        // The ingress is the ingress of the session whether or not it has heard of the home's term yet.
        let of_session = || carried().filter(|it| it.epoch == epoch);
        let ingress = of_session()
            .find(|it| it.part == Part::Ingress)
            .or_else(|| of_session().max_by_key(|it| it.term))
            .and_then(|it| it.ingress.clone());
        Some(Current {
            epoch,
            term,
            homes,
            ingress,
        })
    }

    /// Every part that a member has; the home and the ingress may be one member.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (&MemberId, &Carried)> {
        self.parts.iter().map(|((member, _), it)| (member, it))
    }

    pub(crate) fn viewers(&self) -> u64 {
        self.parts
            .values()
            .filter(|carried| carried.part == Part::Carrier)
            .map(|carried| u64::from(carried.viewers))
            .fold(0, u64::saturating_add)
    }

    /// The last time stamp of the newest session that anybody reported.
    pub(crate) fn seen(&self) -> Option<Seen> {
        self.parts
            .values()
            .filter_map(|it| Some((it.term, it.epoch, it.seen?)))
            .max_by_key(|(term, epoch, seen)| (*term, *epoch, seen.unix_ms))
            .map(|(_, _, seen)| seen)
    }

    pub(crate) fn highest_term(&self) -> u64 {
        self.parts.values().map(|it| it.term).max().unwrap_or(0)
    }
}

/// What a member's word on a part of a stream is news of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Nothing but where the stream's time stands, and how many watch: most reports are.
    Time,
    /// Its session, or who has its other parts.
    Session,
    /// That the member has the part at all.
    Part,
}

/// All live streams and the members that have them.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    streams: BTreeMap<StreamKey, Entry>,
    by_member: BTreeMap<MemberId, BTreeSet<(StreamKey, Part)>>,
    homes: BTreeMap<MemberId, u64>,
    past: Past,
}

impl Ledger {
    pub(crate) fn get(&self, key: &StreamKey) -> Option<&Entry> {
        self.streams.get(key)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&StreamKey, &Entry)> {
        self.streams.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.streams.len()
    }

    /// How many parts `member` has.
    pub(crate) fn parts(&self, member: &str) -> usize {
        self.by_member.get(member).map_or(0, BTreeSet::len)
    }

    pub(crate) fn parts_of(&self, member: &str) -> Vec<(StreamKey, Part)> {
        self.by_member
            .get(member)
            .map(|parts| parts.iter().cloned().collect())
            .unwrap_or_default()
    }

    /// How many streams have their home at `member`.
    pub(crate) fn homes(&self, member: &str) -> u64 {
        self.homes.get(member).copied().unwrap_or(0)
    }

    pub(crate) fn is_home(&self, member: &MemberId, key: &StreamKey) -> bool {
        self.streams
            .get(key)
            .is_some_and(|entry| entry.parts.contains_key(&(member.clone(), Part::Home)))
    }

    /// What is known of the stream's last time stamp and term, live or ended.
    pub(crate) fn memory(&self, key: &StreamKey) -> (u64, Option<Seen>) {
        let entry = self.streams.get(key);
        let was = self.past.get(key);
        let term = entry
            .map_or(0, Entry::highest_term)
            .max(was.map_or(0, |was| was.term));
        let seen = entry
            .and_then(Entry::seen)
            .or_else(|| was.and_then(|was| was.seen));
        (term, seen)
    }

    /// How long ago the publisher of `key` left, if that is remembered.
    pub(crate) fn left_ago(
        &self,
        key: &StreamKey,
        now: std::time::Duration,
    ) -> Option<std::time::Duration> {
        let left = self.past.get(key)?.left?;
        Some(now.saturating_sub(left))
    }

    /// Adds or replaces a part of `member`; says what that is news of.
    pub(crate) fn set(&mut self, member: &MemberId, carried: Carried) -> News {
        let part = carried.part;
        let entry = match self.streams.get_mut(&carried.key) {
            Some(entry) => entry,
            None => self.streams.entry(carried.key.clone()).or_default(),
        };
        if let Some(held) = entry.parts.get_mut(&(member.clone(), part)) {
            let session = |it: &Carried| (it.epoch, it.term);
            let same = session(held) == session(&carried)
                && held.ingress == carried.ingress
                && held.home == carried.home;
            *held = carried;
            return if same { News::Time } else { News::Session };
        }
        let key = carried.key.clone();
        entry.parts.insert((member.clone(), part), carried);
        let parts = self.by_member.entry(member.clone()).or_default();
        parts.insert((key, part));
        if part == Part::Home {
            let homes = self.homes.entry(member.clone()).or_default();
            *homes = homes.saturating_add(1);
        }
        News::Part
    }

    /// `member` no longer has the part; what it last said of the stream is remembered for a while.
    pub(crate) fn end(
        &mut self,
        member: &MemberId,
        key: &StreamKey,
        part: Part,
        last: Option<&Carried>,
        now: std::time::Duration,
    ) {
        if let Some(parts) = self.by_member.get_mut(member) {
            parts.remove(&(key.clone(), part));
            if parts.is_empty() {
                self.by_member.remove(member);
            }
        }
        let mut held = None;
        if let Some(entry) = self.streams.get_mut(key) {
            held = entry.parts.remove(&(member.clone(), part));
            if entry.parts.is_empty() {
                self.streams.remove(key);
            }
        }
        if held.is_some()
            && part == Part::Home
            && let Some(homes) = self.homes.get_mut(member)
        {
            *homes = homes.saturating_sub(1);
            if *homes == 0 {
                self.homes.remove(member);
            }
        }
        for said in held.iter().chain(last) {
            self.past.remember(
                key,
                Was {
                    term: said.term,
                    epoch: said.epoch,
                    seen: said.seen,
                    left: (part != Part::Carrier).then_some(now),
                },
                now,
            );
        }
    }

    /// Forgets what ended long ago.
    pub(crate) fn forget(&mut self, now: std::time::Duration) {
        self.past.forget(now);
    }

    /// Where `key` can be pulled from, nearest to `near` first where there is a choice.
    pub(crate) fn sources(&self, key: &StreamKey, members: &MemberList, near: &Site) -> Sources {
        let Some(current) = self.streams.get(key).and_then(Entry::current) else {
            return Sources::default();
        };
        let homes = current.homes.iter().filter_map(|id| {
            let home = members.get(id)?;
            Some(Source {
                member: home.id.clone(),
                role: home.role,
                part: Part::Home,
                address: home.internal.clone(),
                site: home.site.clone(),
            })
        });
        let ingress = current.ingress.as_ref().and_then(|ingress| {
            let member = members.get(&ingress.member)?;
            Some(Source {
                member: member.id.clone(),
                role: Role::Origin,
                part: Part::Ingress,
                address: ingress.address.clone(),
                site: member.site.clone(),
            })
        });
        let mut sources: Vec<Source> = homes.chain(ingress).collect();
        order(&mut sources, near);
        Sources {
            epoch: current.epoch,
            term: current.term,
            sources,
        }
    }
}
