//! What an RTMP viewer sends while it plays.

use std::fmt;

use headwater_delivery::{EndReason, Inbound, Reaction};
use headwater_media::rtmp::{ServerEvent, ServerSession};
use headwater_process::clock;

/// Goes on reading: acknowledgements, pings, and the commands that end a play.
pub(super) struct PlayInbound {
    session: ServerSession,
}

impl PlayInbound {
    pub(super) fn new(session: ServerSession) -> PlayInbound {
        PlayInbound { session }
    }
}

impl fmt::Debug for PlayInbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlayInbound").finish_non_exhaustive()
    }
}

impl Inbound for PlayInbound {
    fn received(&mut self, bytes: &[u8]) -> Reaction {
        let read = self.session.input(bytes, clock::now());
        let mut stopped = false;
        while let Some(event) = self.session.next_event() {
            stopped |= matches!(event, ServerEvent::StopPlay);
        }
        match self.session.take_output() {
            _ if stopped => Reaction::End(EndReason::Left),
            _ if read.is_err() => Reaction::End(EndReason::Refused),
            Some(reply) => Reaction::Reply(reply),
            None => Reaction::Continue,
        }
    }
}
