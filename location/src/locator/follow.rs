//! Streams whose moves this member follows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::watch;

use super::Shared;
use crate::limits::CHUNK_MAX_ENTRIES;
use crate::stream::Sources;
use crate::{StreamKey, Up};

/// A stream whose moves are followed until this is dropped.
#[derive(Debug)]
pub struct Follow {
    key: StreamKey,
    moves: watch::Receiver<Option<Sources>>,
    shared: Arc<Shared>,
}

impl Follow {
    pub(super) fn new(shared: Arc<Shared>, key: StreamKey) -> Follow {
        let moves = {
            let mut state = shared.state.lock();
            let state = &mut *state;
            let now = state.book.sources(&key);
            state.follows.add(&key, now)
        };
        shared.nudge();
        Follow { key, moves, shared }
    }

    /// The stream.
    pub fn key(&self) -> &StreamKey {
        &self.key
    }

    /// Where the stream is (without sources: nowhere); `None` until a replica has said.
    pub fn now(&self) -> Option<Sources> {
        self.moves.borrow().clone()
    }

    /// Waits until the stream is elsewhere than the last time this (or [`now`](Self::now) before the first move) said.
    ///
    /// Safe to cancel. Without operators it waits for ever.
    pub async fn moved(&mut self) -> Sources {
        loop {
            if self.moves.changed().await.is_err() {
                // The locator is gone, and with it all news.
                return std::future::pending().await;
            }
            if let Some(sources) = self.moves.borrow_and_update().clone() {
                return sources;
            }
        }
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        let state = &mut *state;
        if state.follows.remove(&self.key) {
            state.book.unfollowed(&self.key);
        }
        self.shared.nudge();
    }
}

/// The followed streams, and what each replica has not been told of them.
#[derive(Debug)]
pub(super) struct Follows {
    streams: BTreeMap<StreamKey, Followed>,
    replicas: Vec<Told>,
}

#[derive(Debug)]
struct Followed {
    count: usize,
    moves: watch::Sender<Option<Sources>>,
}

#[derive(Debug, Default)]
struct Told {
    open: bool,
    watched: BTreeSet<StreamKey>,
    dirty: BTreeSet<StreamKey>,
}

impl Follows {
    pub(super) fn new(replicas: usize) -> Follows {
        Follows {
            streams: BTreeMap::new(),
            replicas: (0..replicas).map(|_| Told::default()).collect(),
        }
    }

    pub(super) fn contains(&self, key: &StreamKey) -> bool {
        self.streams.contains_key(key)
    }

    pub(super) fn keys(&self) -> Vec<StreamKey> {
        self.streams.keys().cloned().collect()
    }

    fn add(&mut self, key: &StreamKey, now: Option<Sources>) -> watch::Receiver<Option<Sources>> {
        if let Some(followed) = self.streams.get_mut(key) {
            followed.count = followed.count.saturating_add(1);
            return followed.moves.subscribe();
        }
        let (moves, follower) = watch::channel(now);
        self.streams
            .insert(key.clone(), Followed { count: 1, moves });
        self.soil(key);
        follower
    }

    /// Says whether nobody follows it any more.
    fn remove(&mut self, key: &StreamKey) -> bool {
        let Some(followed) = self.streams.get_mut(key) else {
            return false;
        };
        followed.count = followed.count.saturating_sub(1);
        let last = followed.count == 0;
        if last {
            self.streams.remove(key);
            self.soil(key);
        }
        last
    }

    fn soil(&mut self, key: &StreamKey) {
        for replica in self.replicas.iter_mut().filter(|replica| replica.open) {
            replica.dirty.insert(key.clone());
        }
    }

    /// Tells the followers of `key`, if it is news. What is not known changes nothing.
    pub(super) fn tell(&self, key: &StreamKey, sources: Option<Sources>) {
        let (Some(followed), Some(sources)) = (self.streams.get(key), sources) else {
            return;
        };
        followed.moves.send_if_modified(|told| {
            let news = told.as_ref() != Some(&sources);
            *told = Some(sources);
            news
        });
    }

    pub(super) fn begin(&mut self, replica: usize) {
        let dirty = self.streams.keys().cloned().collect();
        if let Some(told) = self.replicas.get_mut(replica) {
            *told = Told {
                open: true,
                watched: BTreeSet::new(),
                dirty,
            };
        }
    }

    pub(super) fn close(&mut self, replica: usize) {
        if let Some(told) = self.replicas.get_mut(replica) {
            *told = Told::default();
        }
    }

    pub(super) fn pending(&self, replica: usize) -> bool {
        self.replicas
            .get(replica)
            .is_some_and(|told| !told.dirty.is_empty())
    }

    /// What the replica is to be told next: the new ones of a chunk, or those that are no longer followed.
    pub(super) fn next(&mut self, replica: usize) -> Option<Up> {
        let told = self.replicas.get_mut(replica)?;
        let chunk: Vec<StreamKey> = told.dirty.iter().take(CHUNK_MAX_ENTRIES).cloned().collect();
        let (watch, unwatch): (Vec<StreamKey>, Vec<StreamKey>) = chunk
            .into_iter()
            .partition(|key| self.streams.contains_key(key));
        if watch.is_empty() {
            for key in &unwatch {
                told.dirty.remove(key);
            }
            let known: Vec<StreamKey> = unwatch
                .into_iter()
                .filter(|key| told.watched.remove(key))
                .collect();
            return (!known.is_empty()).then_some(Up::Unwatch(known));
        }
        for key in &watch {
            told.dirty.remove(key);
            told.watched.insert(key.clone());
        }
        Some(Up::Watch(watch))
    }
}
