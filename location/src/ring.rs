//! Consistent hashing with bounded loads: every role computes the same order from the same member list.
//!
//! The order is part of the contract between versions (`tests/golden/ring-order.txt` pins it): the bytes that are
//! hashed are written out here, so that neither std's `Hash` of a type nor the width of `usize` has a say.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{Hash, Hasher};

use consistent_hash::{DefaultHash, Node, RingHash, StaticHashRing};

/// Points of one member on the ring: enough that shares differ by a few percent, few enough to rebuild at once.
const POINTS_PER_MEMBER: usize = 128;

/// The members of one role on a ring, by id.
pub struct Ring(StaticHashRing<'static, Point, (), ExplicitHash>);

impl Ring {
    /// A ring of `ids`, in any order; repeated ones count once.
    pub fn new<I>(ids: I) -> Ring
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let ids: BTreeSet<String> = ids.into_iter().map(Into::into).collect();
        let nodes = ids
            .into_iter()
            .map(|id| Node::new(Point(id)).quantity(POINTS_PER_MEMBER));
        Ring(StaticHashRing::new(ExplicitHash, nodes))
    }

    /// How many members it has.
    pub fn len(&self) -> usize {
        self.0.nodes().len()
    }

    /// Whether it has no member.
    pub fn is_empty(&self) -> bool {
        self.0.nodes().is_empty()
    }

    /// Whether `other` is a ring of the same members, and so the same ring.
    pub fn same_members(&self, other: &Ring) -> bool {
        self.0.nodes() == other.0.nodes()
    }

    /// All members in the order in which `key` prefers them.
    pub fn candidates(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0
            .calc_candidates(&Item(key))
            .map(|node| node.key.0.as_str())
    }

    /// The member that `key` prefers.
    pub fn first(&self, key: &str) -> Option<&str> {
        self.candidates(key).next()
    }

    /// The first candidate of `key` whose load (streams) is below `cap`.
    pub fn place(&self, key: &str, load: impl Fn(&str) -> u64, cap: u64) -> Option<&str> {
        self.candidates(key).find(|id| load(id) < cap)
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.0.nodes().iter().map(|node| node.key.0.as_str());
        formatter.debug_set().entries(ids).finish()
    }
}

/// The most streams a member may have after one more is placed: ceil(1.25 × (`total` + 1) / `members`).
///
/// Whatever the loads, some member of `members` whose loads sum to `total` is below it.
pub fn cap(total: u64, members: usize) -> u64 {
    let members = u64::try_from(members).unwrap_or(u64::MAX).max(1);
    total
        .saturating_add(1)
        .saturating_mul(5)
        .div_ceil(members.saturating_mul(4))
}

struct ExplicitHash;

impl RingHash for ExplicitHash {
    fn hash_item<T: Hash>(&self, item: &T) -> u64 {
        DefaultHash.hash_item(item)
    }

    fn hash_vnode<K: Hash>(&self, node_key: &K, vnode_seq: usize) -> u64 {
        DefaultHash.hash_item(&Vnode(
            node_key,
            u64::try_from(vnode_seq).unwrap_or(u64::MAX),
        ))
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Point(String);

impl Hash for Point {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.0.as_bytes());
    }
}

struct Vnode<'a, K>(&'a K, u64);

impl<K: Hash> Hash for Vnode<'_, K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
        // Not a byte of UTF-8, so no id runs into the number.
        state.write(&[0xFF]);
        state.write(&self.1.to_le_bytes());
    }
}

struct Item<'a>(&'a str);

impl Hash for Item<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.0.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::fmt::Write;

    use proptest::prelude::*;

    use super::*;

    fn ids(count: usize) -> Vec<String> {
        (0..count).map(|index| format!("origin-{index}")).collect()
    }

    #[test]
    fn the_order_is_the_golden_one() {
        let mut order = String::new();
        for members in [1, 2, 3, 5, 16] {
            let ring = Ring::new(ids(members));
            for key in ["default/live/room", "default/live/a/b", "v.example/ü/1"] {
                let candidates: Vec<&str> = ring.candidates(key).collect();
                writeln!(order, "{members} {key}: {}", candidates.join(" ")).unwrap();
            }
        }
        let path = "tests/golden/ring-order.txt";
        if std::env::var_os("HEADWATER_REWRITE").is_some() {
            std::fs::write(path, &order).unwrap();
        }
        let golden = std::fs::read_to_string(path).unwrap();
        assert_eq!(order, golden, "a new order moves streams in mixed clusters");
    }

    #[test]
    fn the_cap_is_a_quarter_above_the_mean_rounded_up() {
        for (total, members, want) in [
            (0, 1, 2),
            (0, 3, 1),
            (2, 3, 2),
            (7, 4, 3),
            (79, 10, 10),
            (80, 10, 11),
            (0, 0, 2),
            (u64::MAX, 1, u64::MAX / 4 + 1),
        ] {
            assert_eq!(cap(total, members), want, "{total} over {members}");
        }
    }

    #[test]
    fn an_empty_ring_has_no_candidate() {
        let ring = Ring::new(Vec::<String>::new());
        assert!(ring.is_empty());
        assert_eq!(ring.first("default/live/room"), None);
    }

    #[test]
    fn shares_are_even_to_a_third() {
        let ring = Ring::new(ids(10));
        let mut shares: HashMap<&str, u32> = HashMap::new();
        for index in 0..10_000 {
            *shares
                .entry(ring.first(&format!("default/live/{index}")).unwrap())
                .or_default() += 1;
        }
        for (id, share) in shares {
            assert!((670..1330).contains(&share), "{id} has {share} of 1000");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn candidates_are_all_members_once(
            members in prop::collection::btree_set("[a-z0-9-]{1,12}", 0..20),
            key in ".{0,40}",
        ) {
            let ring = Ring::new(members.clone());
            let mut candidates: Vec<&str> = ring.candidates(&key).collect();
            prop_assert_eq!(candidates.len(), members.len());
            candidates.sort_unstable();
            prop_assert!(candidates.iter().copied().eq(members.iter().map(String::as_str)));
        }

        #[test]
        fn one_member_more_takes_about_its_share_and_moves_nothing_else(members in 2_usize..24, seed: u32) {
            let before = Ring::new(ids(members));
            let after = Ring::new(ids(members + 1));
            let joined = format!("origin-{members}");
            let keys = 1000;
            let mut moved = 0;
            for index in 0..keys {
                let key = format!("default/{seed}/{index}");
                let (old, new) = (before.first(&key).unwrap(), after.first(&key).unwrap());
                if old != new {
                    prop_assert_eq!(new, joined.as_str());
                    moved += 1;
                }
                // The others keep their order among themselves, so a leaver's keys go to their next candidates.
                let others = after.candidates(&key).filter(|id| *id != joined);
                prop_assert!(before.candidates(&key).eq(others));
            }
            let share = keys / (members + 1);
            prop_assert!(moved < share * 2 && moved > share / 4, "{} of {}", moved, share);
        }

        #[test]
        fn no_placement_goes_to_a_member_at_its_cap(
            loads in prop::collection::vec(0_u64..50, 1..12),
            key in "[a-z]{1,8}",
        ) {
            let ids = ids(loads.len());
            let ring = Ring::new(ids.clone());
            let by_id: HashMap<&str, u64> = ids.iter().map(String::as_str).zip(loads.iter().copied()).collect();
            let cap = cap(loads.iter().sum(), loads.len());
            let placed = ring.place(&key, |id| by_id[id], cap);
            let load = by_id[placed.expect("somebody is below the cap")];
            prop_assert!(load < cap);
        }
    }
}
