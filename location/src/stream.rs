//! What members tell one another about streams.

use std::time::Duration;

use serde::Serialize;

use crate::StreamKey;
use crate::member::{MemberId, MemberList, Role, Site};

/// A pair of readings of one stream: stream time at a moment of the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// The last time stamp in stream time, milliseconds.
    pub stream_dts_ms: i64,
    /// When it was seen, Unix milliseconds.
    pub unix_ms: u64,
}

impl Seen {
    /// Where stream time stands at `unix_ms`: never before what was seen, whatever the clocks say.
    pub fn stream_dts_ms_at(&self, unix_ms: u64) -> i64 {
        let passed = i64::try_from(unix_ms.saturating_sub(self.unix_ms)).unwrap_or(i64::MAX);
        self.stream_dts_ms.saturating_add(passed)
    }

    /// The reading that follows from this one when `passed` has gone by.
    pub fn after(&self, passed: Duration) -> Seen {
        let passed_ms = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        let unix_ms = self.unix_ms.saturating_add(passed_ms);
        Seen {
            stream_dts_ms: self.stream_dts_ms_at(unix_ms),
            unix_ms,
        }
    }

    /// Whether who was told `self` can do without `later`: time stands where it follows from `self`, or behind that by no
    /// more than 250 ms. Where it is ahead of that it is news, since the next session begins above it.
    pub fn foretells(&self, later: &Seen) -> bool {
        let ahead_ms = self
            .stream_dts_ms_at(later.unix_ms)
            .saturating_sub(later.stream_dts_ms);
        later.unix_ms >= self.unix_ms && (0..=TOLD_AHEAD_MAX_MS).contains(&ahead_ms)
    }
}

/// So much further than it is, in milliseconds, an operator may hold a stream's time to be: tags come now sooner, now later
/// than their time stamps say, and who last told of it at a moment when they came soon need not tell again each second.
const TOLD_AHEAD_MAX_MS: i64 = 250;

/// What a member has to do with a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// It serves the edges.
    Home,
    /// The publisher is connected to it.
    Ingress,
    /// It pulls for viewers.
    Carrier,
}

/// A member and where other roles reach it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Endpoint {
    /// Who.
    pub member: MemberId,
    /// `host:port`.
    pub address: String,
}

/// One member's part in a live stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// The stream.
    pub key: StreamKey,
    /// The part.
    pub part: Part,
    /// The publish session that the member has.
    pub epoch: u64,
    /// The term under which it has it.
    pub term: u64,
    /// Who has the publisher, as far as the member knows.
    pub ingress: Option<Endpoint>,
    /// Who is the home, as far as the member knows.
    pub home: Option<MemberId>,
    /// Where the stream's time stands.
    pub seen: Option<Seen>,
    /// Viewers that this member serves.
    pub viewers: u32,
}

impl Carried {
    /// Brings the reading up to `later`'s moment, on the line that it foretells: who is told now gets what those have who
    /// were told before. An old reading would not do, since clocks differ: of one that lies ahead of a reader's clock
    /// nothing has passed for that reader.
    pub(crate) fn go_on(&mut self, later: &Carried) {
        if let (Some(told), Some(seen)) = (&mut self.seen, &later.seen) {
            let passed_ms = seen.unix_ms.saturating_sub(told.unix_ms);
            *told = told.after(Duration::from_millis(passed_ms));
        }
    }

    /// Whether who was told `self` can do without `later`: nothing has changed, and time goes on as it did.
    pub fn foretells(&self, later: &Carried) -> bool {
        let time = match (&self.seen, &later.seen) {
            (Some(told), Some(seen)) => told.foretells(seen),
            (told, seen) => told == seen,
        };
        time && (&self.key, self.part, self.epoch, self.term, self.viewers)
            == (
                &later.key,
                later.part,
                later.epoch,
                later.term,
                later.viewers,
            )
            && (&self.ingress, &self.home) == (&later.ingress, &later.home)
    }
}

/// One entry of a report: a part that the member has, or had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamReport {
    /// The part; the last one that it was, if it ended.
    pub carried: Carried,
    /// The member no longer has it.
    pub ended: bool,
}

/// A member that a stream can be pulled from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Source {
    /// Who.
    pub member: MemberId,
    /// What the member does.
    pub role: Role,
    /// What it is to this stream.
    pub part: Part,
    /// Where to pull, `host:port`.
    pub address: String,
    /// Where it runs.
    pub site: Site,
}

/// Where a stream is, in the order to try; nowhere if `sources` is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sources {
    /// The publish session.
    pub epoch: u64,
    /// The term of the home; who hears a higher one lets go.
    pub term: u64,
    /// Home, then ingress; nearest first where there is a choice.
    pub sources: Vec<Source>,
}

impl Sources {
    /// Joins what two replicas say: the higher term wins, equal ones add up.
    pub fn merge(&mut self, other: &Sources, near: &Site) {
        match (self.term, self.epoch).cmp(&(other.term, other.epoch)) {
            std::cmp::Ordering::Greater => {}
            std::cmp::Ordering::Less => self.clone_from(other),
            std::cmp::Ordering::Equal => {
                for source in &other.sources {
                    if !self
                        .sources
                        .iter()
                        .any(|held| held.member == source.member && held.address == source.address)
                    {
                        self.sources.push(source.clone());
                    }
                }
                order(&mut self.sources, near);
            }
        }
    }
}

/// Sorts into the order to try: homes, then ingresses, then carriers; nearest to `near` first within each.
pub fn order(sources: &mut Vec<Source>, near: &Site) {
    sources.sort_by(|a, b| {
        (a.part, near.distance(&a.site), &a.member).cmp(&(
            b.part,
            near.distance(&b.site),
            &b.member,
        ))
    });
    // A home that has the publisher too is asked once.
    let mut seen: Vec<MemberId> = Vec::with_capacity(sources.len());
    sources.retain(|source| {
        let first = !seen.contains(&source.member);
        if first {
            seen.push(source.member.clone());
        }
        first
    });
    sources.truncate(crate::limits::SOURCES_MAX);
}

/// A stream whose home is not the first member of the ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Who is the home.
    pub home: MemberId,
    /// Who has the publisher.
    pub ingress: Option<Endpoint>,
    /// The publish session.
    pub epoch: u64,
    /// The term of the home.
    pub term: u64,
}

impl Exception {
    /// The sources that it tells of, as far as `members` knows them.
    pub fn sources(&self, members: &MemberList, near: &Site) -> Sources {
        let home = members.get(&self.home).map(|home| Source {
            member: home.id.clone(),
            role: home.role,
            part: Part::Home,
            address: home.internal.clone(),
            site: home.site.clone(),
        });
        let ingress = self.ingress.as_ref().map(|ingress| {
            let known = members.get(&ingress.member);
            Source {
                member: ingress.member.clone(),
                role: Role::Origin,
                part: Part::Ingress,
                address: ingress.address.clone(),
                site: known.map(|member| member.site.clone()).unwrap_or_default(),
            }
        });
        let mut sources: Vec<Source> = home.into_iter().chain(ingress).collect();
        order(&mut sources, near);
        Sources {
            epoch: self.epoch,
            term: self.term,
            sources,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(member: &str, part: Part, zone: &str) -> Source {
        Source {
            member: member.into(),
            role: Role::Origin,
            part,
            address: format!("{member}:7000"),
            site: Site {
                region: "eu".to_owned(),
                zone: zone.to_owned(),
            },
        }
    }

    fn names(sources: &Sources) -> Vec<&str> {
        sources
            .sources
            .iter()
            .map(|source| &*source.member)
            .collect()
    }

    #[test]
    fn homes_come_before_ingresses_and_near_ones_before_far_ones() {
        let near = source("x", Part::Home, "a").site;
        let mut sources = vec![
            source("ingress", Part::Ingress, "a"),
            source("far", Part::Home, "b"),
            source("near", Part::Home, "a"),
            source("near", Part::Ingress, "a"),
        ];
        order(&mut sources, &near);
        let order: Vec<&str> = sources.iter().map(|source| &*source.member).collect();
        assert_eq!(order, ["near", "far", "ingress"]);
    }

    #[test]
    fn replicas_add_up_within_a_term_and_the_higher_term_wins() {
        let near = Site::default();
        let said = |term, sources: &[Source]| Sources {
            epoch: 1,
            term,
            sources: sources.to_vec(),
        };
        let home = source("home", Part::Home, "a");
        let ingress = source("ingress", Part::Ingress, "a");
        for (name, ours, theirs, want) in [
            (
                "equal terms",
                said(1, std::slice::from_ref(&ingress)),
                said(1, std::slice::from_ref(&home)),
                vec!["home", "ingress"],
            ),
            (
                "theirs is higher",
                said(1, std::slice::from_ref(&ingress)),
                said(2, std::slice::from_ref(&home)),
                vec!["home"],
            ),
            (
                "ours is higher",
                said(3, &[ingress]),
                said(2, &[home]),
                vec!["ingress"],
            ),
        ] {
            let mut merged = ours;
            merged.merge(&theirs, &near);
            assert_eq!(names(&merged), want, "{name}");
        }
    }

    #[test]
    fn stream_time_goes_on_with_the_wall_clock_and_never_back() {
        let seen = Seen {
            stream_dts_ms: 5000,
            unix_ms: 1000,
        };
        for (unix_ms, want) in [
            (1000, 5000),
            (1500, 5500),
            (400, 5000),
            (u64::MAX, i64::MAX),
        ] {
            assert_eq!(seen.stream_dts_ms_at(unix_ms), want, "{unix_ms}");
        }
    }

    #[test]
    fn only_time_that_runs_ahead_or_falls_far_behind_is_news() {
        let seen = |(stream_dts_ms, unix_ms)| Seen {
            stream_dts_ms,
            unix_ms,
        };
        for (told, later, foretold) in [
            ((0, 1000), (0, 1000), true),
            ((0, 1000), (5000, 6000), true),
            ((0, 1000), (4750, 6000), true),
            ((0, 1000), (4749, 6000), false),
            ((0, 1000), (5001, 6000), false),
            // A clock that was set back foretells nothing.
            ((0, 1000), (0, 999), false),
            ((i64::MAX, 0), (i64::MIN, u64::MAX), false),
        ] {
            assert_eq!(
                seen(told).foretells(&seen(later)),
                foretold,
                "{told:?} {later:?}"
            );
        }
    }

    #[test]
    fn whatever_else_changes_of_a_part_is_news() {
        let told = Carried {
            key: StreamKey::new("default", "live", "room").unwrap(),
            part: Part::Carrier,
            epoch: 1,
            term: 2,
            ingress: None,
            home: None,
            seen: None,
            viewers: 3,
        };
        assert!(told.foretells(&told));
        let endpoint = Endpoint {
            member: "o".into(),
            address: "o:1".to_owned(),
        };
        let seen = Seen {
            stream_dts_ms: 0,
            unix_ms: 0,
        };
        for later in [
            Carried {
                epoch: 2,
                ..told.clone()
            },
            Carried {
                term: 3,
                ..told.clone()
            },
            Carried {
                ingress: Some(endpoint),
                ..told.clone()
            },
            Carried {
                home: Some("o".into()),
                ..told.clone()
            },
            Carried {
                seen: Some(seen),
                ..told.clone()
            },
            Carried {
                viewers: 4,
                ..told.clone()
            },
        ] {
            assert!(!told.foretells(&later), "{later:?}");
        }
    }
}
