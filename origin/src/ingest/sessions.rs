//! The publish sessions of this origin, by stream and epoch.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use headwater_media::StreamKey;
use parking_lot::Mutex;

use super::session::Session;

/// All sessions whose publishers are connected here. A name may have several for the moment of a replacement.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<BTreeMap<(StreamKey, u64), Arc<Session>>>);

impl Sessions {
    pub(crate) fn add(&self, session: &Arc<Session>) {
        self.0.lock().insert(
            (session.publisher.key.clone(), session.epoch),
            Arc::clone(session),
        );
    }

    pub(crate) fn remove(&self, session: &Session) {
        self.0
            .lock()
            .remove(&(session.publisher.key.clone(), session.epoch));
    }

    pub(crate) fn get(&self, key: &StreamKey, epoch: u64) -> Option<Arc<Session>> {
        self.0.lock().get(&(key.clone(), epoch)).cloned()
    }

    /// The newest session of `key`.
    pub(crate) fn newest(&self, key: &StreamKey) -> Option<Arc<Session>> {
        let range = (
            Bound::Included((key.clone(), 0)),
            Bound::Included((key.clone(), u64::MAX)),
        );
        self.0
            .lock()
            .range(range)
            .next_back()
            .map(|(_, session)| Arc::clone(session))
    }

    pub(crate) fn all(&self) -> Vec<Arc<Session>> {
        self.0.lock().values().cloned().collect()
    }
}
