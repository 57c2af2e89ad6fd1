//! The pulls by key, and the streams that were not found a moment ago.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use headwater_media::StreamKey;

use super::Pull;

/// Missing streams that are remembered. Beyond it the oldest news is forgotten.
const MISSING_MAX: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct Table {
    pulls: BTreeMap<StreamKey, Arc<Pull>>,
    /// Until when a stream counts as missing.
    missing: BTreeMap<StreamKey, Duration>,
}

impl Table {
    pub(super) fn get(&self, key: &StreamKey) -> Option<Arc<Pull>> {
        self.pulls.get(key).cloned()
    }

    pub(super) fn put(&mut self, pull: Arc<Pull>) {
        self.pulls.insert(pull.key().clone(), pull);
    }

    pub(super) fn list(&self) -> Vec<Arc<Pull>> {
        self.pulls.values().cloned().collect()
    }

    /// Takes `pull` out.
    pub(super) fn remove(&mut self, pull: &Arc<Pull>) {
        if self
            .get(pull.key())
            .is_some_and(|held| Arc::ptr_eq(&held, pull))
        {
            self.pulls.remove(pull.key());
        }
    }

    /// Remembers that `key` is missing until then.
    pub(super) fn missing(&mut self, key: &StreamKey, until: Duration, now: Duration) {
        if self.missing.len() >= MISSING_MAX {
            self.missing.retain(|_, until| *until > now);
        }
        if self.missing.len() < MISSING_MAX {
            self.missing.insert(key.clone(), until);
        }
    }

    /// `key` has come.
    pub(super) fn found(&mut self, key: &StreamKey) {
        self.missing.remove(key);
    }

    /// Whether `key` was not found a moment ago.
    pub(super) fn is_missing(&mut self, key: &StreamKey, now: Duration) -> bool {
        match self.missing.get(key) {
            Some(until) if *until > now => true,
            Some(_) => {
                self.missing.remove(key);
                false
            }
            None => false,
        }
    }
}
