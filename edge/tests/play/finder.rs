//! A locator that says what a test tells it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use headwater_edge::{Finder, Finding, Moves};
use headwater_location::{
    Carried, Located, LocatorError, Part, Role, Seen, Site, Source, Sources, StreamKey,
};
use parking_lot::Mutex;
use tokio::sync::watch;

/// Says the same of every stream.
pub(crate) struct Told {
    located: watch::Sender<Located>,
    pub(crate) lookups: AtomicUsize,
    pub(crate) carried: Mutex<Vec<Carried>>,
    pub(crate) dropped: Mutex<Vec<StreamKey>>,
}

pub(crate) fn missing() -> Located {
    Located::Missing {
        cache: std::time::Duration::from_secs(1),
        left_ago: None,
        lost: Vec::new(),
    }
}

pub(crate) fn found(term: u64, epoch: u64, addresses: &[&str]) -> Located {
    Located::Found(Sources {
        epoch,
        term,
        sources: addresses.iter().map(|a| source(a, Role::Origin)).collect(),
    })
}

pub(crate) fn guess(addresses: &[&str]) -> Located {
    Located::Guess(addresses.iter().map(|a| source(a, Role::Origin)).collect())
}

pub(crate) fn source(address: &str, role: Role) -> Source {
    Source {
        member: address.into(),
        role,
        part: Part::Home,
        address: address.to_owned(),
        site: Site::default(),
    }
}

impl Told {
    pub(crate) fn new(located: Located) -> Arc<Told> {
        Arc::new(Told {
            located: watch::Sender::new(located),
            lookups: AtomicUsize::new(0),
            carried: Mutex::default(),
            dropped: Mutex::default(),
        })
    }

    /// Says something else from now on; those who follow hear of it.
    pub(crate) fn tell(&self, located: Located) {
        self.located.send_replace(located);
    }
}

impl Finder for Told {
    fn locate<'a>(&'a self, _: &'a StreamKey) -> Finding<'a, Result<Located, LocatorError>> {
        self.lookups.fetch_add(1, Ordering::Relaxed);
        let located = self.located.borrow().clone();
        Box::pin(std::future::ready(Ok(located)))
    }

    fn follow(&self, _: &StreamKey) -> Box<dyn Moves> {
        Box::new(Following(self.located.subscribe()))
    }

    fn carries(&self, carried: Carried) {
        self.carried.lock().push(carried);
    }

    fn dropped(&self, key: &StreamKey, _: Option<Seen>) {
        self.dropped.lock().push(key.clone());
    }
}

struct Following(watch::Receiver<Located>);

impl Moves for Following {
    fn moved(&mut self) -> Finding<'_, Sources> {
        Box::pin(async {
            loop {
                if self.0.changed().await.is_err() {
                    return std::future::pending().await;
                }
                match &*self.0.borrow_and_update() {
                    Located::Found(sources) => return sources.clone(),
                    Located::Missing { .. } => return Sources::default(),
                    Located::Guess(_) => {}
                }
            }
        })
    }
}
