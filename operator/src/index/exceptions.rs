//! Streams whose home is not the first of the ring: what members need to find them without an operator.

use std::collections::{BTreeMap, BTreeSet};

use headwater_location::limits::{CHUNK_MAX_ENTRIES, EXCEPTIONS_MAX};
use headwater_location::ring::Ring;
use headwater_location::{Down, Exception, Exceptions, StreamKey};

use super::ledger::{Entry, Ledger};

/// The exceptions as the members were told them.
#[derive(Debug, Default)]
pub(crate) struct ExceptionBook(BTreeMap<StreamKey, Exception>);

impl ExceptionBook {
    pub(crate) fn contains(&self, key: &StreamKey) -> bool {
        self.0.contains_key(key)
    }

    /// All, for a session that is new.
    pub(crate) fn whole(&self) -> Vec<Down> {
        let set: Vec<_> = self
            .0
            .iter()
            .map(|(key, exception)| (key.clone(), exception.clone()))
            .collect();
        chunks(true, set, Vec::new())
    }

    /// Looks at every stream again, as the ring is another one; gives the changes.
    pub(crate) fn recompute(&mut self, ledger: &Ledger, ring: &Ring) -> Vec<Down> {
        let keys: BTreeSet<StreamKey> = ledger
            .iter()
            .map(|(key, _)| key)
            .chain(self.0.keys())
            .cloned()
            .collect();
        self.update(&keys, ledger, ring)
    }

    /// Looks at the streams `keys` again; gives the changes.
    pub(crate) fn update(
        &mut self,
        keys: &BTreeSet<StreamKey>,
        ledger: &Ledger,
        ring: &Ring,
    ) -> Vec<Down> {
        let mut set = Vec::new();
        let mut removed = Vec::new();
        for key in keys {
            let exception = ledger
                .get(key)
                .and_then(|entry| exception(key, entry, ring));
            match exception {
                // Beyond the bound a stream is found by asking the ring's candidates, or not without an operator.
                Some(_) if self.0.len() >= EXCEPTIONS_MAX && !self.0.contains_key(key) => {}
                Some(exception) => {
                    if self.0.get(key) != Some(&exception) {
                        self.0.insert(key.clone(), exception.clone());
                        set.push((key.clone(), exception));
                    }
                }
                None => {
                    if self.0.remove(key).is_some() {
                        removed.push(key.clone());
                    }
                }
            }
        }
        if set.is_empty() && removed.is_empty() {
            return Vec::new();
        }
        chunks(false, set, removed)
    }
}

fn exception(key: &StreamKey, entry: &Entry, ring: &Ring) -> Option<Exception> {
    let current = entry.current()?;
    let first = ring.first(key.as_str());
    if current.homes.iter().any(|home| Some(&**home) == first) {
        return None;
    }
    // Between two homes the ingress serves whoever asks.
    let home = current
        .homes
        .first()
        .or(current.ingress.as_ref().map(|ingress| &ingress.member))?;
    Some(Exception {
        home: home.clone(),
        ingress: current.ingress.clone(),
        epoch: current.epoch,
        term: current.term,
    })
}

fn chunks(reset: bool, set: Vec<(StreamKey, Exception)>, removed: Vec<StreamKey>) -> Vec<Down> {
    let sets = set.chunks(CHUNK_MAX_ENTRIES).map(|set| Exceptions {
        set: set.to_vec(),
        ..Exceptions::default()
    });
    let removals = removed.chunks(CHUNK_MAX_ENTRIES).map(|removed| Exceptions {
        removed: removed.to_vec(),
        ..Exceptions::default()
    });
    let mut chunks: Vec<Exceptions> = sets.chain(removals).collect();
    if reset {
        match chunks.first_mut() {
            Some(first) => first.reset = true,
            None => chunks.push(Exceptions {
                reset: true,
                ..Exceptions::default()
            }),
        }
    }
    chunks.into_iter().map(Down::Exceptions).collect()
}
