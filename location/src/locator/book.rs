//! What the replicas say, joined: members, exceptions and the moves of followed streams.
//!
//! Replicas learn of everything separately, so their lists are not versions of one another. A member that any
//! connected replica hears of is alive; a replica that has just started is not believed about what is missing; and
//! what was known last stays when all are gone.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::StreamKey;
use crate::limits::EXCEPTIONS_MAX;
use crate::member::{Member, MemberList, Role, Site};
use crate::message::{Exceptions, Members};
use crate::ring::Ring;
use crate::stream::{Exception, Part, Source, Sources};

#[derive(Debug)]
pub(crate) struct Book {
    near: Site,
    replicas: Vec<Said>,
    /// What is known without any replica, this member included.
    fixed: Vec<Arc<Member>>,
    members: MemberList,
    /// The edges of this member's region.
    shields: Ring,
}

/// What one replica says.
#[derive(Debug, Default)]
struct Said {
    connected: bool,
    settled: bool,
    list: Option<Vec<Arc<Member>>>,
    coming: Vec<Arc<Member>>,
    exceptions: BTreeMap<StreamKey, Exception>,
    moves: BTreeMap<StreamKey, Sources>,
}

impl Said {
    fn is_authority(&self) -> bool {
        self.connected && self.settled
    }
}

impl Book {
    pub(crate) fn new(near: Site, replicas: usize, fixed: Vec<Arc<Member>>) -> Book {
        let members = MemberList::new(fixed.iter().cloned());
        Book {
            shields: members.shield_ring(&near.region),
            near,
            replicas: (0..replicas).map(|_| Said::default()).collect(),
            members,
            fixed,
        }
    }

    /// This member describes itself anew.
    pub(crate) fn describe(&mut self, me: Member) {
        if let Some(first) = self.fixed.first_mut() {
            *first = Arc::new(me);
        }
        self.join();
    }

    /// Where this member runs: as it was configured, else as an operator says.
    pub(crate) fn near(&self) -> &Site {
        &self.near
    }

    pub(crate) fn connected(&mut self, replica: usize) {
        if let Some(said) = self.replicas.get_mut(replica) {
            // Moves are told anew on request; exceptions with a reset; until then the old ones are better than none.
            said.connected = true;
            said.settled = false;
            said.list = None;
            said.coming.clear();
            said.moves.clear();
        }
    }

    pub(crate) fn disconnected(&mut self, replica: usize) {
        if let Some(said) = self.replicas.get_mut(replica) {
            said.connected = false;
            said.settled = false;
        }
        self.join();
    }

    /// Says whether that changed.
    pub(crate) fn settled(&mut self, replica: usize, settled: bool) -> bool {
        let Some(said) = self.replicas.get_mut(replica) else {
            return false;
        };
        let changed = said.settled != settled;
        said.settled = settled;
        if changed {
            self.join();
        }
        changed
    }

    /// Whether a replica is heard that has had the time to hear of everything.
    pub(crate) fn has_authority(&self) -> bool {
        self.replicas.iter().any(Said::is_authority)
    }

    pub(crate) fn is_settled(&self, replica: usize) -> bool {
        self.replicas.get(replica).is_some_and(Said::is_authority)
    }

    /// Takes a chunk of a list; false if the replica lists more than the contract allows.
    pub(crate) fn listed(&mut self, replica: usize, chunk: Members) -> bool {
        let Some(said) = self.replicas.get_mut(replica) else {
            return true;
        };
        said.coming.extend(chunk.members);
        if said.coming.len() > crate::limits::MEMBERS_MAX {
            return false;
        }
        if chunk.complete {
            said.list = Some(std::mem::take(&mut said.coming));
            said.settled = chunk.settled;
            self.join();
        }
        true
    }

    pub(crate) fn excepted(&mut self, replica: usize, change: Exceptions) {
        let Some(said) = self.replicas.get_mut(replica) else {
            return;
        };
        if change.reset {
            said.exceptions.clear();
        }
        for key in change.removed {
            said.exceptions.remove(&key);
        }
        for (key, exception) in change.set {
            if said.exceptions.len() < EXCEPTIONS_MAX || said.exceptions.contains_key(&key) {
                said.exceptions.insert(key, exception);
            }
        }
    }

    pub(crate) fn moved(&mut self, replica: usize, key: &StreamKey, sources: Sources) {
        if let Some(said) = self.replicas.get_mut(replica) {
            said.moves.insert(key.clone(), sources);
        }
    }

    pub(crate) fn unfollowed(&mut self, key: &StreamKey) {
        for said in &mut self.replicas {
            said.moves.remove(key);
        }
    }

    pub(crate) fn members(&self) -> &MemberList {
        &self.members
    }

    /// Where `key` is if it is not at the first of the ring: the highest term that any replica knows.
    pub(crate) fn exception(&self, key: &StreamKey) -> Option<&Exception> {
        let of = |connected: bool| {
            self.replicas
                .iter()
                .filter(move |said| said.connected == connected)
                .filter_map(|said| said.exceptions.get(key))
                .max_by_key(|exception| (exception.term, exception.epoch))
        };
        if self.replicas.iter().any(Said::is_authority) {
            of(true)
        } else {
            of(true).or_else(|| of(false))
        }
    }

    /// Where the followed stream `key` is; `None` as long as nobody who can know says anything.
    pub(crate) fn sources(&self, key: &StreamKey) -> Option<Sources> {
        let mut joined: Option<Sources> = None;
        for said in self.replicas.iter().filter(|said| said.connected) {
            let Some(sources) = said.moves.get(key) else {
                continue;
            };
            if sources.sources.is_empty() && !said.settled {
                continue;
            }
            match &mut joined {
                Some(joined) => joined.merge(sources, &self.near),
                None => joined = Some(sources.clone()),
            }
        }
        joined
    }

    /// `sources` of `key` with the edge in front that pulls for this member's region, if the stream is in another region
    /// and this member is another edge: however many edges a region has, a stream comes there once.
    pub(crate) fn shielded(&self, key: &StreamKey, mut sources: Sources) -> Sources {
        let region = &self.near.region;
        let Some(me) = self.fixed.first().filter(|me| me.role == Role::Edge) else {
            return sources;
        };
        let elsewhere =
            |source: &Source| !source.site.region.is_empty() && source.site.region != *region;
        if region.is_empty() || sources.sources.is_empty() || !sources.sources.iter().all(elsewhere)
        {
            return sources;
        }
        if let Some(shield) = self.shields.first(key.as_str())
            && let Some(shield) = self.members.get(shield)
            && shield.id != me.id
        {
            let shield = Source {
                member: shield.id.clone(),
                role: shield.role,
                part: Part::Carrier,
                address: shield.internal.clone(),
                site: shield.site.clone(),
            };
            sources.sources.insert(0, shield);
        }
        sources
    }

    fn join(&mut self) {
        let live = || self.replicas.iter().filter(|said| said.connected);
        let listed: Vec<Arc<Member>> = live()
            .filter_map(|said| said.list.as_ref())
            .flatten()
            .cloned()
            .collect();
        let authority = live().any(|said| said.settled && said.list.is_some());
        let kept: Vec<Arc<Member>> = if authority {
            Vec::new()
        } else {
            self.members.iter().cloned().collect()
        };
        // An operator may know more of the machine that this member runs on.
        if let Some(me) = self.fixed.first_mut()
            && let Some(told) = listed.iter().find(|it| it.id == me.id)
            && told.site != me.site
        {
            self.near = me.site.or(&told.site);
            Arc::make_mut(me).site = self.near.clone();
        }
        // This member is alive, whatever a replica that lost its session may think.
        let me = self.fixed.first().cloned();
        let members = MemberList::new(listed.into_iter().chain(kept).chain(me));
        if members != self.members {
            self.shields = members.shield_ring(&self.near.region);
            self.members = members;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: &str) -> Arc<Member> {
        Arc::new(Member::new(id, Role::Origin, "x:1"))
    }

    fn list(ids: &[&str], settled: bool) -> Members {
        Members {
            replica: "r".to_owned(),
            version: 1,
            members: ids.iter().map(|id| member(id)).collect(),
            settled,
            complete: true,
            operators: Vec::new(),
        }
    }

    fn ids(book: &Book) -> Vec<String> {
        book.members().iter().map(|it| it.id.to_string()).collect()
    }

    fn sources(term: u64, members: &[&str]) -> Sources {
        let source = |id: &&str| Source {
            member: (*id).into(),
            role: Role::Origin,
            part: Part::Home,
            address: "x:1".to_owned(),
            site: Site::default(),
        };
        Sources {
            epoch: term,
            term,
            sources: members.iter().map(source).collect(),
        }
    }

    #[test]
    fn members_are_the_union_of_what_connected_replicas_say() {
        let mut book = Book::new(Site::default(), 2, vec![member("me"), member("static")]);
        assert_eq!(ids(&book), ["me", "static"]);
        for replica in [0, 1] {
            book.connected(replica);
        }
        book.listed(0, list(&["a", "me"], true));
        assert_eq!(
            ids(&book),
            ["a", "me"],
            "an operator knows who of the static list is alive"
        );
        book.listed(1, list(&["b"], true));
        assert_eq!(ids(&book), ["a", "b", "me"]);
        book.listed(0, list(&["me"], true));
        assert_eq!(ids(&book), ["b", "me"]);
        book.disconnected(1);
        assert_eq!(ids(&book), ["me"]);
    }

    #[test]
    fn a_replica_that_has_just_started_takes_nobody_away() {
        let mut book = Book::new(Site::default(), 1, vec![member("me")]);
        book.connected(0);
        book.listed(0, list(&["a", "b", "me"], true));
        book.disconnected(0);
        assert_eq!(ids(&book), ["a", "b", "me"], "the last list stays");
        book.connected(0);
        book.listed(0, list(&["c", "me"], false));
        assert_eq!(ids(&book), ["a", "b", "c", "me"]);
        assert!(book.settled(0, true));
        assert_eq!(ids(&book), ["c", "me"]);
    }

    #[test]
    fn exceptions_of_the_highest_term_count_and_outlive_the_replicas() {
        let key: StreamKey = "default/live/room".parse().unwrap();
        let exception = |home: &str, term| Exception {
            home: home.into(),
            ingress: None,
            epoch: 1,
            term,
        };
        let set = |reset, home, term| Exceptions {
            reset,
            set: vec![(key.clone(), exception(home, term))],
            removed: Vec::new(),
        };
        let mut book = Book::new(Site::default(), 2, vec![member("me")]);
        for replica in [0, 1] {
            book.connected(replica);
            book.listed(replica, list(&["me"], true));
        }
        book.excepted(0, set(true, "a", 1));
        book.excepted(1, set(true, "b", 2));
        assert_eq!(book.exception(&key), Some(&exception("b", 2)));
        book.disconnected(1);
        assert_eq!(book.exception(&key), Some(&exception("a", 1)));
        book.disconnected(0);
        assert_eq!(book.exception(&key), Some(&exception("b", 2)));
        book.connected(0);
        book.listed(0, list(&["me"], true));
        let none = Exceptions {
            reset: true,
            ..Exceptions::default()
        };
        book.excepted(0, none);
        assert_eq!(book.exception(&key), None);
    }

    #[test]
    fn nowhere_is_believed_only_of_a_replica_that_can_know() {
        let key: StreamKey = "default/live/room".parse().unwrap();
        let mut book = Book::new(Site::default(), 2, vec![member("me")]);
        book.connected(0);
        book.moved(0, &key, sources(1, &["a"]));
        book.connected(1);
        book.moved(1, &key, Sources::default());
        assert_eq!(book.sources(&key), Some(sources(1, &["a"])));
        book.moved(0, &key, Sources::default());
        assert_eq!(book.sources(&key), None);
        book.settled(0, true);
        assert_eq!(book.sources(&key), Some(Sources::default()));
        book.moved(1, &key, sources(2, &["b"]));
        assert_eq!(book.sources(&key), Some(sources(2, &["b"])));
    }

    #[test]
    fn an_edge_pulls_what_is_in_another_region_from_the_edge_that_pulls_for_its_own() {
        let key: StreamKey = "default/live/room".parse().unwrap();
        let site = |region: &str| Site {
            region: region.to_owned(),
            zone: String::new(),
        };
        let edge = |id: &str, region: &str| {
            let mut edge = Member::new(id, Role::Edge, &format!("{id}:7001"));
            edge.site = site(region);
            Arc::new(edge)
        };
        let members = [edge("a", "eu"), edge("b", "eu"), edge("c", "us")];
        let far = |region: &str| {
            let mut sources = sources(1, &["home"]);
            sources.sources[0].site = site(region);
            sources
        };
        let first = |me: usize, from: &str| {
            let me = members[me].clone();
            let fixed = std::iter::once(me.clone()).chain(members.iter().cloned());
            let book = Book::new(me.site.clone(), 0, fixed.collect());
            let shielded = book.shielded(&key, far(from));
            let names = shielded.sources.iter().map(|it| it.member.to_string());
            names.collect::<Vec<_>>()
        };
        let shields: Vec<usize> = [0, 1]
            .into_iter()
            .filter(|me| first(*me, "us") == ["home"])
            .collect();
        let [shield] = shields[..] else {
            panic!("one edge of the region pulls from the home, not {shields:?}");
        };
        let name = ["a", "b"][shield];
        assert_eq!(first(1 - shield, "us"), [name, "home"]);
        assert_eq!(first(1 - shield, "eu"), ["home"], "the home is near");
        assert_eq!(first(1 - shield, ""), ["home"], "nobody knows where it is");
        assert_eq!(first(2, "eu"), ["home"], "alone in its region");
    }
}
