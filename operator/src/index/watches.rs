//! Which session wants to hear of which stream's moves, and what it was told last.

use std::collections::{BTreeMap, BTreeSet};

use headwater_location::{Sources, StreamKey};

use super::SessionId;

#[derive(Debug, Default)]
pub(crate) struct Watches {
    by_key: BTreeMap<StreamKey, BTreeMap<SessionId, Sources>>,
    by_session: BTreeMap<SessionId, BTreeSet<StreamKey>>,
}

impl Watches {
    pub(crate) fn of(&self, session: SessionId) -> usize {
        self.by_session.get(&session).map_or(0, BTreeSet::len)
    }

    /// All that anybody watches.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &StreamKey> {
        self.by_key.keys()
    }

    pub(crate) fn add(&mut self, session: SessionId, key: &StreamKey, told: Sources) {
        self.by_session
            .entry(session)
            .or_default()
            .insert(key.clone());
        self.by_key
            .entry(key.clone())
            .or_default()
            .insert(session, told);
    }

    pub(crate) fn remove(&mut self, session: SessionId, key: &StreamKey) {
        if let Some(keys) = self.by_session.get_mut(&session) {
            keys.remove(key);
            if keys.is_empty() {
                self.by_session.remove(&session);
            }
        }
        self.forget(session, key);
    }

    pub(crate) fn remove_session(&mut self, session: SessionId) {
        for key in self.by_session.remove(&session).unwrap_or_default() {
            self.forget(session, &key);
        }
    }

    /// The sessions that watch `key`, each with what it was told last.
    pub(crate) fn watchers(
        &mut self,
        key: &StreamKey,
    ) -> impl Iterator<Item = (&SessionId, &mut Sources)> {
        self.by_key.get_mut(key).into_iter().flatten()
    }

    fn forget(&mut self, session: SessionId, key: &StreamKey) {
        if let Some(sessions) = self.by_key.get_mut(key) {
            sessions.remove(&session);
            if sessions.is_empty() {
                self.by_key.remove(key);
            }
        }
    }
}
