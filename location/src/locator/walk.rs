//! Without an operator: exceptions, else the ring that all members compute alike.

use super::Located;
use super::book::Book;
use super::metrics::Answered;
use crate::StreamKey;
use crate::limits::CANDIDATES_MAX;
use crate::member::{Member, MemberId, Site};
use crate::ring::Ring;
use crate::stream::{Part, Source};

pub(super) fn source(member: &Member) -> Source {
    Source {
        member: member.id.clone(),
        role: member.role,
        part: Part::Home,
        address: member.internal.clone(),
        site: member.site.clone(),
    }
}

/// Where to claim: at the home that is known, else at the first ring candidates. The bound on loads is off.
pub(super) fn place(
    book: &Book,
    ring: &Ring,
    key: &StreamKey,
    exclude: &[MemberId],
) -> (Vec<Source>, Answered) {
    let known = book
        .exception(key)
        .and_then(|exception| book.members().get(&exception.home));
    let candidates = ring
        .candidates(key.as_str())
        .filter_map(|id| book.members().get(id))
        .filter(|member| member.takes_work());
    let mut sources: Vec<Source> = Vec::with_capacity(CANDIDATES_MAX);
    for member in known.into_iter().chain(candidates) {
        let listed = sources.iter().any(|source| source.member == member.id);
        if sources.len() < CANDIDATES_MAX && !listed && !exclude.contains(&member.id) {
            sources.push(source(member));
        }
    }
    let by = if sources.is_empty() {
        Answered::Nobody
    } else if known.is_some_and(|known| !exclude.contains(&known.id)) {
        Answered::Exception
    } else {
        Answered::Ring
    };
    (sources, by)
}

/// Where to pull: where the exceptions say, else a guess: the candidates that an ingress would have claimed at, and the
/// first of the ring in case it takes no new work but has kept its old.
pub(super) fn locate(
    book: &Book,
    ring: &Ring,
    key: &StreamKey,
    near: &Site,
) -> (Option<Located>, Answered) {
    if let Some(exception) = book.exception(key) {
        let sources = exception.sources(book.members(), near);
        if !sources.sources.is_empty() {
            return (Some(Located::Found(sources)), Answered::Exception);
        }
    }
    let mut sources: Vec<Source> = Vec::with_capacity(CANDIDATES_MAX + 1);
    let mut takers = 0;
    for (index, id) in ring.candidates(key.as_str()).enumerate() {
        let Some(member) = book.members().get(id) else {
            continue;
        };
        if index == 0 || member.takes_work() {
            takers += usize::from(member.takes_work());
            sources.push(source(member));
        }
        if takers == CANDIDATES_MAX {
            break;
        }
    }
    if sources.is_empty() {
        (None, Answered::Nobody)
    } else {
        (Some(Located::Guess(sources)), Answered::Ring)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::member::Role;
    use crate::message::{Exceptions, Members};
    use crate::stream::{Endpoint, Exception};

    fn book() -> Book {
        let fixed = ["a", "b", "c", "d", "e"]
            .map(|id| Arc::new(Member::new(id, Role::Origin, &format!("{id}:7000"))));
        let edge = Arc::new(Member::new("edge", Role::Edge, "edge:7001"));
        Book::new(
            Site::default(),
            1,
            fixed.into_iter().chain([edge]).collect(),
        )
    }

    fn names(sources: &[Source]) -> Vec<&str> {
        sources.iter().map(|source| &*source.member).collect()
    }

    #[test]
    fn ingress_and_edges_meet_at_the_same_candidates() {
        let book = book();
        let ring = book.members().origin_ring();
        let key: StreamKey = "default/live/room".parse().unwrap();
        let order: Vec<&str> = ring.candidates(key.as_str()).collect();

        let (places, by) = place(&book, &ring, &key, &[]);
        assert_eq!((names(&places), by), (order[..3].to_vec(), Answered::Ring));
        let (located, _) = locate(&book, &ring, &key, &Site::default());
        assert_eq!(located, Some(Located::Guess(places)));

        let (places, _) = place(&book, &ring, &key, &[order[0].into()]);
        assert_eq!(names(&places), order[1..4]);
    }

    #[test]
    fn an_exception_comes_first() {
        let mut book = book();
        let ring = book.members().origin_ring();
        let key: StreamKey = "default/live/room".parse().unwrap();
        let last: MemberId = ring.candidates(key.as_str()).last().unwrap().into();
        book.connected(0);
        let members = book.members().iter().cloned().collect();
        book.listed(
            0,
            Members {
                members,
                settled: true,
                complete: true,
                ..Members::default()
            },
        );
        let exception = Exception {
            home: last.clone(),
            ingress: Some(Endpoint {
                member: "a".into(),
                address: "a:7000".to_owned(),
            }),
            epoch: 1,
            term: 1,
        };
        book.excepted(
            0,
            Exceptions {
                reset: true,
                set: vec![(key.clone(), exception)],
                removed: Vec::new(),
            },
        );
        book.disconnected(0);
        let (places, by) = place(&book, &ring, &key, &[]);
        assert_eq!((&places[0].member, by), (&last, Answered::Exception));
        let (located, _) = locate(&book, &ring, &key, &Site::default());
        let Some(Located::Found(found)) = located else {
            panic!("{located:?}");
        };
        assert_eq!(found.sources[0].member, last);
    }
}
