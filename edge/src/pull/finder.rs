//! Where streams are, as an edge asks for it: the seam between the pulls and the locator.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use headwater_location::locator::Follow;
use headwater_location::policy::Policies;
use headwater_location::{
    Carried, Located, Locator, LocatorError, Part, Role, Seen, Source, Sources, StreamKey,
};
use tokio::sync::watch;

use super::course;

/// A future of a [`Finder`].
pub type Finding<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Who knows where streams are, and is told what this edge carries.
pub trait Finder: Send + Sync + 'static {
    /// Where `key` is now.
    fn locate<'a>(&'a self, key: &'a StreamKey) -> Finding<'a, Result<Located, LocatorError>>;
    /// Origins that may have `key` though no operator knows of it.
    fn beyond(&self, _key: &StreamKey) -> Vec<Source> {
        Vec::new()
    }
    /// Follows the moves of `key`.
    fn follow(&self, key: &StreamKey) -> Box<dyn Moves>;
    /// This edge carries a stream; said again when something about it has changed.
    fn carries(&self, carried: Carried);
    /// This edge carries it no longer.
    fn dropped(&self, key: &StreamKey, seen: Option<Seen>);
    /// What holds for streams by their names; `None` if nobody says so.
    fn policies(&self) -> Option<watch::Receiver<Arc<Policies>>> {
        None
    }
}

/// The moves of one stream, until this is dropped.
pub trait Moves: Send {
    /// Waits for the next move. Safe to cancel.
    fn moved(&mut self) -> Finding<'_, Sources>;
}

impl Finder for Locator {
    fn locate<'a>(&'a self, key: &'a StreamKey) -> Finding<'a, Result<Located, LocatorError>> {
        Box::pin(Locator::locate(self, key))
    }

    fn beyond(&self, key: &StreamKey) -> Vec<Source> {
        Locator::beyond(self, key)
    }

    fn follow(&self, key: &StreamKey) -> Box<dyn Moves> {
        Box::new(Locator::follow(self, key))
    }

    fn carries(&self, carried: Carried) {
        self.reports().changed(carried);
    }

    fn dropped(&self, key: &StreamKey, seen: Option<Seen>) {
        self.reports().ended(key, Part::Carrier, seen);
    }

    fn policies(&self) -> Option<watch::Receiver<Arc<Policies>>> {
        Some(Locator::policies(self))
    }
}

impl Moves for Follow {
    fn moved(&mut self) -> Finding<'_, Sources> {
        Box::pin(Follow::moved(self))
    }
}

/// What an answer means to a pull that has passed `hops` roles: a shield pulls from origins alone.
///
/// With "not found" comes how long that holds, as far as it was said.
pub(super) fn read(
    answer: Result<Located, LocatorError>,
    hops: u32,
) -> (course::Located, Option<Duration>) {
    match answer {
        Ok(Located::Found(sources)) => (of_sources(&sources, hops), None),
        Ok(Located::Guess(sources)) => (
            course::Located::Guessed {
                addresses: addresses(&sources, hops),
            },
            None,
        ),
        Ok(Located::Missing {
            cache,
            left_ago,
            lost,
        }) => {
            let lost = addresses(&lost, hops);
            (course::Located::Nowhere { lost, left_ago }, Some(cache))
        }
        Err(LocatorError::NoOrigin | LocatorError::Busy) => (course::Located::Failed, None),
    }
}

pub(super) fn of_sources(sources: &Sources, hops: u32) -> course::Located {
    let addresses = addresses(&sources.sources, hops);
    if addresses.is_empty() {
        return course::Located::Nowhere {
            lost: Vec::new(),
            left_ago: None,
        };
    }
    let front = sources.sources.first();
    let shield = front.filter(|it| it.role == Role::Edge);
    course::Located::At {
        term: sources.term,
        epoch: sources.epoch,
        shield: shield.map(|it| it.address.clone()),
        addresses,
    }
}

pub(super) fn addresses(sources: &[Source], hops: u32) -> Vec<String> {
    let allowed = |source: &&Source| hops <= 1 || source.role == Role::Origin;
    sources
        .iter()
        .filter(allowed)
        .map(|source| source.address.clone())
        .collect()
}
