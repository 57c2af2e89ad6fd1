//! Streams that ended a short while ago: their terms still fence and their time still goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use headwater_location::{Seen, StreamKey};

/// A publisher who comes back within this time goes on in the same stream time.
const KEPT: Duration = Duration::from_secs(600);
/// Beyond so many the oldest are forgotten.
const MAX_STREAMS: usize = 65_536;

/// What a stream was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Was {
    pub(crate) term: u64,
    pub(crate) epoch: u64,
    pub(crate) seen: Option<Seen>,
    /// When an origin last gave it up.
    pub(crate) left: Option<Duration>,
}

impl Was {
    fn rank(&self) -> (u64, u64, Option<u64>) {
        (self.term, self.epoch, self.seen.map(|seen| seen.unix_ms))
    }
}

#[derive(Debug, Default)]
pub(crate) struct Past {
    streams: BTreeMap<StreamKey, (Was, Duration)>,
    by_age: BTreeSet<(Duration, StreamKey)>,
}

impl Past {
    pub(crate) fn get(&self, key: &StreamKey) -> Option<&Was> {
        self.streams.get(key).map(|(was, _)| was)
    }

    pub(crate) fn remember(&mut self, key: &StreamKey, was: Was, now: Duration) {
        let mut kept = was;
        if let Some((held, at)) = self.streams.remove(key) {
            self.by_age.remove(&(at, key.clone()));
            if held.rank() > was.rank() {
                kept = held;
            }
            kept.left = held.left.max(was.left);
        }
        self.streams.insert(key.clone(), (kept, now));
        self.by_age.insert((now, key.clone()));
        while self.streams.len() > MAX_STREAMS {
            let Some((_, oldest)) = self.by_age.pop_first() else {
                break;
            };
            self.streams.remove(&oldest);
        }
    }

    pub(crate) fn forget(&mut self, now: Duration) {
        while let Some((at, key)) = self.by_age.first().cloned() {
            if now.saturating_sub(at) < KEPT {
                break;
            }
            self.by_age.pop_first();
            self.streams.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn was(term: u64, stream_dts_ms: i64) -> Was {
        Was {
            term,
            epoch: term,
            seen: Some(Seen {
                stream_dts_ms,
                unix_ms: 0,
            }),
            left: None,
        }
    }

    #[test]
    fn the_newest_session_is_remembered_for_ten_minutes() {
        let key: StreamKey = "default/live/room".parse().unwrap();
        let mut past = Past::default();
        past.remember(&key, was(2, 20), Duration::ZERO);
        past.remember(&key, was(1, 10), Duration::from_secs(1));
        assert_eq!(past.get(&key), Some(&was(2, 20)));
        past.forget(Duration::from_secs(600));
        assert!(past.get(&key).is_some());
        past.forget(Duration::from_secs(601));
        assert!(past.get(&key).is_none());
        assert!(past.by_age.is_empty());
    }

    #[test]
    fn the_oldest_are_forgotten_beyond_the_bound() {
        let key = |index: usize| -> StreamKey { format!("default/live/{index}").parse().unwrap() };
        let mut past = Past::default();
        for index in 0..=MAX_STREAMS {
            let now = Duration::from_millis(u64::try_from(index).unwrap());
            past.remember(&key(index), was(1, 1), now);
        }
        assert!(past.get(&key(0)).is_none());
        assert!(past.get(&key(1)).is_some());
        assert_eq!(past.streams.len(), MAX_STREAMS);
    }
}
