//! The streams of one role in this process, by name, within one memory budget.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use headwater_media::{Dts, StreamKey};
use parking_lot::Mutex;

use crate::limits::{RingLimits, StreamRules};
use crate::metrics::HubMetrics;
use crate::stream::Stream;

/// A ring is never shrunk below this: a GOP of a usual stream.
const RING_MIN_BYTES: usize = 1 << 20;
/// How many streams that are gone are remembered, so that their time goes on when they return.
const REMEMBERED_MAX: usize = 10_000;
/// How long they are remembered.
const REMEMBERED_FOR: Duration = Duration::from_secs(600);

/// What bounds a registry.
#[derive(Clone, Copy, Debug)]
pub struct RegistryLimits {
    /// Streams at most.
    pub streams_max: usize,
    /// Payload bytes in all rings at most; rings shrink towards 1 MiB each before a stream is refused.
    pub budget_bytes: usize,
    /// The bounds of each ring.
    pub ring: RingLimits,
}

/// Why there is no room for a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// The configured number of streams is reached.
    #[error("this process holds {0} streams, its limit")]
    TooManyStreams(usize),
    /// The ring budget has no room for one more.
    #[error("the ring budget of {0} bytes has no room for another stream")]
    OverBudget(usize),
}

/// All streams of a role. Cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct Registry {
    limits: RegistryLimits,
    metrics: Arc<HubMetrics>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    streams: BTreeMap<StreamKey, Arc<Stream>>,
    /// Held by others, not under their names.
    aside: Vec<Weak<Stream>>,
    remembered: BTreeMap<StreamKey, (Dts, Duration)>,
    ring_bytes_max: usize,
}

impl Inner {
    fn held(&self) -> usize {
        self.streams.len().saturating_add(self.aside.len())
    }
}

impl Registry {
    /// An empty registry.
    pub fn new(limits: RegistryLimits, metrics: Arc<HubMetrics>) -> Registry {
        let inner = Inner {
            ring_bytes_max: limits.ring.bytes_max,
            ..Inner::default()
        };
        Registry {
            limits,
            metrics,
            inner: Mutex::new(inner),
        }
    }

    /// The stream of this name, if it is held.
    pub fn get(&self, key: &StreamKey) -> Option<Arc<Stream>> {
        self.inner.lock().streams.get(key).cloned()
    }

    /// The stream of this name, made if it is not held.
    ///
    /// # Errors
    /// [`RegistryError`] if the limits leave no room for a new one.
    pub fn get_or_create(&self, key: &StreamKey) -> Result<Arc<Stream>, RegistryError> {
        let mut inner = self.inner.lock();
        if let Some(stream) = inner.streams.get(key) {
            return Ok(Arc::clone(stream));
        }
        let stream = self.make(&mut inner, key)?;
        inner.streams.insert(key.clone(), Arc::clone(&stream));
        self.rebalance(&mut inner);
        Ok(stream)
    }

    /// A stream of this name that nobody finds by it, for one who is to go on in the place of the stream that is held. It
    /// counts towards the limits as long as the caller keeps it.
    ///
    /// # Errors
    /// [`RegistryError`] if the limits leave no room for it.
    pub fn aside(&self, key: &StreamKey) -> Result<Arc<Stream>, RegistryError> {
        let mut inner = self.inner.lock();
        let stream = self.make(&mut inner, key)?;
        inner.aside.push(Arc::downgrade(&stream));
        self.rebalance(&mut inner);
        Ok(stream)
    }

    fn make(&self, inner: &mut Inner, key: &StreamKey) -> Result<Arc<Stream>, RegistryError> {
        inner.aside.retain(|stream| stream.strong_count() > 0);
        let count = inner.held().saturating_add(1);
        if count > self.limits.streams_max {
            return Err(RegistryError::TooManyStreams(self.limits.streams_max));
        }
        if count.saturating_mul(RING_MIN_BYTES) > self.limits.budget_bytes {
            return Err(RegistryError::OverBudget(self.limits.budget_bytes));
        }
        let mut ring = self.limits.ring;
        ring.bytes_max = self.share(count);
        let metrics = Arc::clone(&self.metrics);
        Ok(Arc::new(Stream::new(key.clone(), ring, metrics)))
    }

    /// Takes `stream` out, if it is still the one held under its name, and remembers where its time stood at `now`.
    pub fn remove(&self, stream: &Arc<Stream>, now: Duration) {
        let mut inner = self.inner.lock();
        let held = inner
            .streams
            .get(stream.key())
            .is_some_and(|held| Arc::ptr_eq(held, stream));
        if !held {
            return;
        }
        inner.streams.remove(stream.key());
        if let Some((last, ago)) = stream.last_shown(now) {
            inner
                .remembered
                .retain(|_, (_, when)| now.saturating_sub(*when) < REMEMBERED_FOR);
            if inner.remembered.len() < REMEMBERED_MAX {
                inner
                    .remembered
                    .insert(stream.key().clone(), (last, now.saturating_sub(ago)));
            }
        }
        self.rebalance(&mut inner);
    }

    /// Changes what holds for `stream` alone, in place of what holds for all.
    pub fn rule(&self, stream: &Stream, rules: StreamRules) {
        stream.rule(rules, &self.limits.ring);
    }

    /// Where the time of a stream that is gone, or held, stood last, and how long ago.
    pub fn last_shown(&self, key: &StreamKey, now: Duration) -> Option<(Dts, Duration)> {
        let (held, remembered) = {
            let inner = self.inner.lock();
            (
                inner.streams.get(key).cloned(),
                inner.remembered.get(key).copied(),
            )
        };
        held.and_then(|stream| stream.last_shown(now))
            .or_else(|| remembered.map(|(last, when)| (last, now.saturating_sub(when))))
    }

    /// All streams, in no order.
    pub fn streams(&self) -> Vec<Arc<Stream>> {
        self.inner.lock().streams.values().cloned().collect()
    }

    /// How many streams are held.
    pub fn len(&self) -> usize {
        self.inner.lock().streams.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn share(&self, count: usize) -> usize {
        (self.limits.budget_bytes / count.max(1))
            .max(RING_MIN_BYTES)
            .min(self.limits.ring.bytes_max)
    }

    fn rebalance(&self, inner: &mut Inner) {
        inner.aside.retain(|stream| stream.strong_count() > 0);
        self.metrics
            .streams
            .set(i64::try_from(inner.streams.len()).unwrap_or(i64::MAX));
        let share = self.share(inner.held());
        if share != inner.ring_bytes_max {
            inner.ring_bytes_max = share;
            for stream in inner.streams.values() {
                stream.set_bytes_max(share);
            }
            for stream in inner.aside.iter().filter_map(Weak::upgrade) {
                stream.set_bytes_max(share);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_aside_is_found_by_nobody_and_counts_as_long_as_it_is_held() {
        let limits = RegistryLimits {
            streams_max: 2,
            budget_bytes: 8 << 20,
            ring: RingLimits::default(),
        };
        let metrics = Arc::new(HubMetrics::register(&prometheus::Registry::new()).unwrap());
        let registry = Registry::new(limits, metrics);
        let (key, other) = (
            "default/live/room".parse().unwrap(),
            "default/live/other".parse().unwrap(),
        );
        let aside = registry.aside(&key).unwrap();
        assert!(registry.get(&key).is_none());
        let named = registry.get_or_create(&key).unwrap();
        assert!(!Arc::ptr_eq(&aside, &named));
        assert_eq!(
            registry.get_or_create(&other).unwrap_err(),
            RegistryError::TooManyStreams(2)
        );
        drop(aside);
        registry.get_or_create(&other).unwrap();
        assert_eq!(
            registry.aside(&key).unwrap_err(),
            RegistryError::TooManyStreams(2)
        );
    }
}
