//! Which origin is to be a stream's home: a pure function of what is known.

use std::collections::BTreeMap;

use headwater_location::limits::CANDIDATES_MAX;
use headwater_location::ring::{Ring, cap};

/// What a decision needs to know.
#[derive(Debug)]
pub struct View<'a> {
    /// All origins.
    pub ring: &'a Ring,
    /// Origins that may take the stream, and how many streams each has or is about to get.
    pub loads: &'a BTreeMap<&'a str, u64>,
    /// Where the stream's home is, if it is alive and keeps its work.
    pub home: Option<&'a str>,
    /// Where the stream was placed a moment ago.
    pub reserved: Option<&'a str>,
}

/// A decision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement<'a> {
    /// The home, then alternatives in ring order; empty if no origin may take the stream.
    pub candidates: Vec<&'a str>,
    /// The first candidate is the home already.
    pub kept: bool,
}

/// Decides where the home of `key` is to be.
///
/// A live stream stays where it is and a placed one stays where it was placed, so a decision that was followed is
/// made again. Another one goes to the first origin of the ring that is below the cap; alternatives are below it
/// too, for whoever finds the first one unwilling.
pub fn solve<'a>(view: &View<'a>, key: &str) -> Placement<'a> {
    let total = view.loads.values().copied().fold(0, u64::saturating_add);
    let cap = cap(total, view.loads.len());
    let reserved = view.reserved.filter(|id| view.loads.contains_key(id));
    let first = view.home.or(reserved);
    let below = view
        .ring
        .candidates(key)
        .filter(|id| view.loads.get(id).is_some_and(|load| *load < cap))
        .filter(|id| first != Some(*id));
    Placement {
        candidates: first
            .into_iter()
            .chain(below)
            .take(CANDIDATES_MAX)
            .collect(),
        kept: view.home.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring() -> Ring {
        Ring::new(["a", "b", "c", "d"])
    }

    fn solved(
        loads: &[(&'static str, u64)],
        home: Option<&str>,
        reserved: Option<&str>,
    ) -> Vec<String> {
        let ring = ring();
        let loads = loads.iter().copied().collect();
        let view = View {
            ring: &ring,
            loads: &loads,
            home,
            reserved,
        };
        solve(&view, "default/live/room")
            .candidates
            .into_iter()
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn the_first_below_the_cap_is_the_home() {
        let ring = ring();
        let order: Vec<&str> = ring.candidates("default/live/room").collect();
        let even: Vec<_> = ["a", "b", "c", "d"].map(|id| (id, 4)).to_vec();
        assert_eq!(solved(&even, None, None), order[..3]);

        // 16 streams over four: the cap is ceil(1.25 × 17 / 4) = 6.
        let full: Vec<_> = ["a", "b", "c", "d"]
            .map(|id| (id, if id == order[0] { 6 } else { 3 }))
            .to_vec();
        assert_eq!(solved(&full, None, None), order[1..]);

        let without_first: Vec<_> = even
            .iter()
            .copied()
            .filter(|(id, _)| *id != order[0])
            .collect();
        assert_eq!(solved(&without_first, None, None), order[1..]);
        assert!(solved(&[], None, None).is_empty());
    }

    #[test]
    fn a_stream_stays_where_it_is_even_above_the_cap() {
        let loads = [("a", 100), ("b", 0), ("c", 0), ("d", 0)];
        assert_eq!(solved(&loads, Some("a"), Some("b"))[0], "a");
        assert_eq!(solved(&loads, None, Some("a"))[0], "a");
        // A reservation at one that may no longer take it is void.
        assert_ne!(solved(&loads[1..], None, Some("a"))[0], "a");
    }
}
