//! The members of a cluster and how near they are to one another.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ring::Ring;

/// What names a member: the pod's name, or what the configuration says.
pub type MemberId = Arc<str>;

/// What a member does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Takes publishers and serves edges.
    Origin,
    /// Serves viewers.
    Edge,
}

impl Role {
    /// A label of a closed set.
    pub fn label(self) -> &'static str {
        match self {
            Role::Origin => "origin",
            Role::Edge => "edge",
        }
    }
}

/// Where a member runs; empty where nothing was said.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Site {
    /// Zones within a region are near.
    pub region: String,
    /// Traffic within a zone is free in most clouds.
    pub zone: String,
}

impl Site {
    /// This site, with what it does not say taken from `other`.
    #[must_use]
    pub fn or(&self, other: &Site) -> Site {
        let part =
            |mine: &String, theirs: &String| if mine.is_empty() { theirs } else { mine }.clone();
        Site {
            region: part(&self.region, &other.region),
            zone: part(&self.zone, &other.zone),
        }
    }

    /// 0 in the same zone, 1 in the same region, 2 elsewhere.
    pub fn distance(&self, other: &Site) -> u8 {
        if self.region != other.region {
            2
        } else if self.zone != other.zone {
            1
        } else {
            0
        }
    }
}

/// One process of the cluster, as it describes itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Its name.
    pub id: MemberId,
    /// What it does.
    pub role: Role,
    /// Where other roles reach it, `host:port`.
    pub internal: String,
    /// Where it runs.
    pub site: Site,
    /// Of its binary.
    pub version: String,
    /// It takes new work.
    pub ready: bool,
    /// An operator keeps new work away from it.
    pub cordoned: bool,
    /// It gives its work up.
    pub draining: bool,
    /// Where the public reaches its RTMP port, if it has one.
    pub rtmp_url: String,
    /// Where the public reaches its HTTP port, if it has one.
    pub http_url: String,
    /// Grows with every start of the process.
    pub incarnation: u64,
    /// Grows, within an incarnation, with every change of this description.
    pub revision: u64,
}

impl Member {
    /// A ready member without public URLs or site.
    pub fn new(id: &str, role: Role, internal: &str) -> Member {
        Member {
            id: id.into(),
            role,
            internal: internal.to_owned(),
            site: Site::default(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ready: true,
            cordoned: false,
            draining: false,
            rtmp_url: String::new(),
            http_url: String::new(),
            incarnation: 0,
            revision: 0,
        }
    }

    /// Whether new streams may be given to it.
    pub fn takes_work(&self) -> bool {
        self.ready && !self.cordoned && !self.draining
    }

    /// Whether this description is newer than `other`, one of the same member.
    pub fn is_newer_than(&self, other: &Member) -> bool {
        (self.incarnation, self.revision) > (other.incarnation, other.revision)
    }
}

/// Members by id, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberList(Vec<Arc<Member>>);

impl MemberList {
    /// Sorts `members`; of two descriptions of one member the newer stays, kept away from new work if either says so.
    pub fn new(members: impl IntoIterator<Item = Arc<Member>>) -> MemberList {
        let mut members: Vec<Arc<Member>> = members.into_iter().collect();
        members.sort_by(|a, b| {
            (&a.id, a.incarnation, a.revision).cmp(&(&b.id, b.incarnation, b.revision))
        });
        let mut list: Vec<Arc<Member>> = Vec::with_capacity(members.len());
        for mut member in members {
            match list.last_mut() {
                Some(last) if last.id == member.id => {
                    if last.cordoned && !member.cordoned {
                        Arc::make_mut(&mut member).cordoned = true;
                    }
                    *last = member;
                }
                Some(_) | None => list.push(member),
            }
        }
        MemberList(list)
    }

    /// The member of this name.
    pub fn get(&self, id: &str) -> Option<&Arc<Member>> {
        let at = self
            .0
            .binary_search_by(|member| (*member.id).cmp(id))
            .ok()?;
        self.0.get(at)
    }

    /// All, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Member>> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ring of all origins: also those that take no new work now, so that a cordon or a drain changes nothing
    /// in the order of the others.
    pub fn origin_ring(&self) -> Ring {
        Ring::new(
            self.iter()
                .filter(|member| member.role == Role::Origin)
                .map(|member| member.id.to_string()),
        )
    }

    /// The ring of `region`'s ready edges: the first one of a key pulls for all of them.
    pub fn shield_ring(&self, region: &str) -> Ring {
        Ring::new(
            self.iter()
                .filter(|member| {
                    member.role == Role::Edge && member.takes_work() && member.site.region == region
                })
                .map(|member| member.id.to_string()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(region: &str, zone: &str) -> Site {
        Site {
            region: region.to_owned(),
            zone: zone.to_owned(),
        }
    }

    #[test]
    fn the_same_zone_is_nearer_than_the_region_and_that_than_elsewhere() {
        let here = site("eu", "a");
        for (other, distance) in [
            (site("eu", "a"), 0),
            (site("eu", "b"), 1),
            (site("us", "a"), 2),
            (site("", ""), 2),
        ] {
            assert_eq!(here.distance(&other), distance, "{other:?}");
        }
    }

    #[test]
    fn of_two_descriptions_the_newer_stays_and_a_cordon_holds() {
        let old = Member {
            cordoned: true,
            ..Member::new("a", Role::Origin, "old:1")
        };
        let new = Member {
            revision: 1,
            ..Member::new("a", Role::Origin, "new:1")
        };
        assert!(new.is_newer_than(&old));
        let other = Member::new("b", Role::Edge, "b:1");
        let list = MemberList::new([new, other, old].map(Arc::new));
        assert_eq!(list.len(), 2);
        let a = list.get("a").unwrap();
        assert_eq!((a.internal.as_str(), a.cordoned), ("new:1", true));
        assert!(list.get("c").is_none());
        assert_eq!(list.origin_ring().len(), 1);
    }

    #[test]
    fn a_shield_is_a_ready_edge_of_the_region() {
        let edge = |id, region, ready| {
            Arc::new(Member {
                site: site(region, "a"),
                ready,
                ..Member::new(id, Role::Edge, "x:1")
            })
        };
        let list = MemberList::new([
            edge("a", "eu", false),
            edge("b", "eu", true),
            edge("c", "us", true),
        ]);
        assert_eq!(
            list.shield_ring("eu").first("default/live/room").unwrap(),
            "b"
        );
        assert!(list.shield_ring("asia").is_empty());
    }
}
