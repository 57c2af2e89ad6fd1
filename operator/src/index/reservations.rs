//! Homes that were named in a Place reply and have not reported the stream yet: they count as load for a few
//! seconds, so that a burst is spread and two asks for one name agree.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use headwater_location::{MemberId, StreamKey};

/// A claim and the report after it take much less.
const HELD: Duration = Duration::from_secs(5);
/// Beyond so many the oldest are let go.
const MAX_RESERVATIONS: usize = 20_000;

#[derive(Debug, Default)]
pub(crate) struct Reservations {
    by_key: BTreeMap<StreamKey, (MemberId, Duration)>,
    by_end: BTreeSet<(Duration, StreamKey)>,
    counts: BTreeMap<MemberId, u64>,
}

impl Reservations {
    pub(crate) fn get(&self, key: &StreamKey) -> Option<&MemberId> {
        self.by_key.get(key).map(|(home, _)| home)
    }

    /// How many streams are on their way to `member`.
    pub(crate) fn count(&self, member: &str) -> u64 {
        self.counts.get(member).copied().unwrap_or(0)
    }

    pub(crate) fn reserve(&mut self, key: &StreamKey, home: &MemberId, now: Duration) {
        self.release(key);
        let end = now.saturating_add(HELD);
        self.by_key.insert(key.clone(), (home.clone(), end));
        self.by_end.insert((end, key.clone()));
        let count = self.counts.entry(home.clone()).or_default();
        *count = count.saturating_add(1);
        while self.by_key.len() > MAX_RESERVATIONS {
            let Some((_, oldest)) = self.by_end.first().cloned() else {
                break;
            };
            self.release(&oldest);
        }
    }

    pub(crate) fn release(&mut self, key: &StreamKey) {
        let Some((home, end)) = self.by_key.remove(key) else {
            return;
        };
        self.by_end.remove(&(end, key.clone()));
        if let Some(count) = self.counts.get_mut(&home) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.counts.remove(&home);
            }
        }
    }

    /// Lets go what is at `member`.
    pub(crate) fn release_all(&mut self, member: &str) {
        let keys: Vec<StreamKey> = self
            .by_key
            .iter()
            .filter(|(_, (home, _))| **home == *member)
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            self.release(&key);
        }
    }

    /// Lets go what was not used in time.
    pub(crate) fn expire(&mut self, now: Duration) {
        while let Some((end, key)) = self.by_end.first().cloned() {
            if end > now {
                break;
            }
            self.release(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reservation_counts_until_it_is_used_or_late() {
        let key = |name: &str| -> StreamKey { format!("default/live/{name}").parse().unwrap() };
        let a: MemberId = "a".into();
        let b: MemberId = "b".into();
        let mut held = Reservations::default();
        held.reserve(&key("1"), &a, Duration::ZERO);
        held.reserve(&key("2"), &a, Duration::from_secs(1));
        held.reserve(&key("1"), &b, Duration::from_secs(2));
        assert_eq!((held.count("a"), held.count("b")), (1, 1));
        held.expire(Duration::from_secs(6));
        assert_eq!((held.count("a"), held.count("b")), (0, 1));
        held.release_all("b");
        assert_eq!(held.get(&key("1")), None);
        assert!(held.by_end.is_empty() && held.counts.is_empty());
    }
}
