//! Which member has which part of which stream: soft state, rebuilt from what members report.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use headwater_location::{
    Carried, Endpoint, MemberId, MemberList, Part, Role, Seen, Site, Source, Sources, StreamKey,
    order,
};

use super::past::{Past, Was};

/// One live stream: every member's part in it.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    parts: BTreeMap<(MemberId, Part), Told>,
}

/// What a member last told of a part.
#[derive(Debug)]
struct Told {
    carried: Carried,
    /// When it did.
    at: Duration,
}

impl Told {
    /// Where the stream's time stood when the member was last `heard`. Members tell nothing of a time that follows from
    /// what they told, so it goes on here, by this replica's clock: a member's own may be ahead of the one that a later
    /// reader goes by, for whom nothing would have passed since.
    fn seen(&self, heard: Duration) -> Option<Seen> {
        let passed = heard.saturating_sub(self.at);
        self.carried.seen.map(|seen| seen.after(passed))
    }
}

/// What a member has.
#[derive(Debug, Default)]
struct Parts {
    parts: BTreeSet<(StreamKey, Part)>,
    /// When anything was last heard of the member.
    heard: Duration,
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
            let told = self.parts.values().map(|told| &told.carried);
            told.filter(|carried| carried.part != Part::Carrier)
        };
        let (term, epoch) = carried().map(|it| (it.term, it.epoch)).max()?;
        // An ingress raises the term before a new home has it: the old home is fenced from then on.
        let homes = self
            .parts
            .iter()
            .filter(|((_, part), told)| {
                let of = (told.carried.term, told.carried.epoch);
                *part == Part::Home && of == (term, epoch)
            })
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
        let parts = self.parts.iter();
        parts.map(|((member, _), told)| (member, &told.carried))
    }

    pub(crate) fn viewers(&self) -> u64 {
        self.parts()
            .filter(|(_, carried)| carried.part == Part::Carrier)
            .map(|(_, carried)| u64::from(carried.viewers))
            .fold(0, u64::saturating_add)
    }

    pub(crate) fn highest_term(&self) -> u64 {
        self.parts().map(|(_, it)| it.term).max().unwrap_or(0)
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
    by_member: BTreeMap<MemberId, Parts>,
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
        self.by_member.get(member).map_or(0, |it| it.parts.len())
    }

    pub(crate) fn parts_of(&self, member: &str) -> Vec<(StreamKey, Part)> {
        self.by_member
            .get(member)
            .map(|it| it.parts.iter().cloned().collect())
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
            .and_then(|entry| self.seen(entry))
            .or_else(|| was.and_then(|was| was.seen));
        (term, seen)
    }

    /// Where the time of the newest session stood when who told of it was last heard.
    pub(crate) fn seen(&self, entry: &Entry) -> Option<Seen> {
        let parts = entry.parts.iter().filter_map(|((member, _), told)| {
            let heard = self.by_member.get(member)?.heard;
            let (term, epoch) = (told.carried.term, told.carried.epoch);
            Some((term, epoch, told.seen(heard)?))
        });
        parts
            .max_by_key(|(term, epoch, seen)| (*term, *epoch, seen.unix_ms))
            .map(|(_, _, seen)| seen)
    }

    /// `member` lives: what it told of its parts holds until now.
    pub(crate) fn heard(&mut self, member: &str, now: Duration) {
        if let Some(held) = self.by_member.get_mut(member) {
            held.heard = now;
        }
    }

    /// How long ago the publisher of `key` left, if that is remembered.
    pub(crate) fn left_ago(&self, key: &StreamKey, now: Duration) -> Option<Duration> {
        let left = self.past.get(key)?.left?;
        Some(now.saturating_sub(left))
    }

    /// Adds or replaces a part of `member`; says what that is news of.
    pub(crate) fn set(&mut self, member: &MemberId, carried: Carried, now: Duration) -> News {
        let part = carried.part;
        let entry = match self.streams.get_mut(&carried.key) {
            Some(entry) => entry,
            None => self.streams.entry(carried.key.clone()).or_default(),
        };
        if let Some(told) = entry.parts.get_mut(&(member.clone(), part)) {
            let held = &told.carried;
            let session = |it: &Carried| (it.epoch, it.term);
            let same = session(held) == session(&carried)
                && held.ingress == carried.ingress
                && held.home == carried.home;
            *told = Told { carried, at: now };
            return if same { News::Time } else { News::Session };
        }
        let key = carried.key.clone();
        let told = Told { carried, at: now };
        entry.parts.insert((member.clone(), part), told);
        let held = self.by_member.entry(member.clone()).or_default();
        held.parts.insert((key, part));
        held.heard = now;
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
        now: Duration,
    ) {
        let mut heard = now;
        if let Some(held) = self.by_member.get_mut(member) {
            heard = held.heard;
            held.parts.remove(&(key.clone(), part));
            if held.parts.is_empty() {
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
        let held = held.map(|told| Carried {
            seen: told.seen(heard),
            ..told.carried
        });
        // The last word of a member counts, however far its time was foretold.
        if let Some(said) = last.or(held.as_ref()) {
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
    pub(crate) fn forget(&mut self, now: Duration) {
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
