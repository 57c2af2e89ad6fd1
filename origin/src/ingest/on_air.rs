//! A publisher's time on the air: the session that it feeds, from its opening to its end.

use std::sync::Arc;
use std::time::Duration;

use headwater_hub::{FeedError, Opening, Stream};
use headwater_location::{Carried, Part};
use headwater_media::{Dts, Tag};
use tokio::task::AbortHandle;

use super::grant::Granted;
use super::keeper;
use super::publisher::Publisher;
use super::session::Session;
use crate::shared::{OpenError, Shared};

/// A session that is fed here.
#[derive(Debug)]
pub(super) struct OnAir {
    pub(super) session: Arc<Session>,
    stream: Arc<Stream>,
    keeper: AbortHandle,
    /// The publisher's time at which the session begins.
    start: Dts,
    next_sequence: u64,
}

impl OnAir {
    /// Opens the session that was `granted` to `publisher`, whose time stands at `start`.
    pub(super) fn begin(
        shared: &Arc<Shared>,
        publisher: &Arc<Publisher>,
        granted: Granted,
        start: Dts,
    ) -> Result<OnAir, OpenError> {
        let opening = Opening {
            epoch: granted.epoch,
            term: granted.placed.term,
            dts_offset: granted.dts_offset,
            first_sequence: 0,
        };
        let stream = shared.open(&publisher.key, opening).inspect_err(|_| {
            shared.home_over(&publisher.key, granted.epoch);
        })?;
        let session = Session::new(Arc::clone(publisher), granted.epoch, granted.placed);
        let session = Arc::new(session);
        shared.sessions.add(&session);
        shared.report_ingress(&session);
        if shared.gives_up() {
            // It began while this publisher was being placed.
            publisher.order(shared.reconnect());
        }
        let keeper = tokio::spawn(keeper::keep(
            Arc::clone(shared),
            Arc::clone(&session),
            Arc::clone(&stream),
        ));
        Ok(OnAir {
            session,
            stream,
            keeper: keeper.abort_handle(),
            start,
            next_sequence: 0,
        })
    }

    /// Takes the next tag, in the publisher's time; nobody is woken for it before [`OnAir::show`].
    pub(super) fn push(&mut self, tag: Tag, now: Duration) -> Result<(), FeedError> {
        let sequence = self.next_sequence;
        // Sound may be a little behind the picture that the session begins with.
        let dts = (tag.dts - self.start).max(Dts(0));
        let tag = Tag { dts, ..tag };
        self.stream
            .push_unshown(self.session.epoch, sequence, tag, now)?;
        self.next_sequence = sequence.saturating_add(1);
        Ok(())
    }

    /// Wakes who reads the stream.
    pub(super) fn show(&self) {
        self.stream.show();
    }

    /// Whether somebody who reads the stream passes each tag on at once.
    pub(super) fn has_hurry(&self) -> bool {
        self.stream.pacing().has_at_once()
    }

    /// Ends the session, and tells everybody who was told of its beginning.
    pub(super) fn end(self, shared: &Shared) {
        let OnAir {
            session,
            stream,
            keeper,
            ..
        } = self;
        let key = &session.publisher.key;
        keeper.abort();
        stream.end(session.epoch);
        shared.sessions.remove(&session);
        // A newer session of the name has its own report by now.
        if shared.sessions.newest(key).is_none() {
            let reports = shared.locator.reports();
            reports.ended(key, Part::Ingress, shared.seen(key));
        }
        if session.placed().home == shared.me.member {
            shared.home_over(key, session.epoch);
        }
        shared.linger(stream, session.epoch);
    }
}

impl Shared {
    /// Tells the operators of a session whose publisher is here.
    pub(super) fn report_ingress(&self, session: &Session) {
        let placed = session.placed();
        let key = &session.publisher.key;
        self.locator.reports().changed(Carried {
            key: key.clone(),
            part: Part::Ingress,
            epoch: session.epoch,
            term: placed.term,
            ingress: Some(self.me.clone()),
            home: Some(placed.home),
            seen: self.seen(key),
            viewers: 0,
        });
    }
}
