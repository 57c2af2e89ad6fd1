//! Feeding a stream of the hub from a pull.

use std::future::{Future as _, poll_fn};
use std::task::Poll;
use std::time::Duration;

use headwater_hub::{FeedError, Opening, Stream};
use headwater_media::Tag;

use crate::control::EndReason;
use crate::head::PullHead;
use crate::pull::{Heard, Pull, PullError};
use crate::receiver::Event;

/// What whoever runs a pull may act upon; the pull goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Nothing was heard for this long: open another path beside this one.
    Suspect(Duration),
    /// Something was heard again.
    Alive,
    /// A higher term.
    Term(u64),
    /// The stream goes on elsewhere: open a path there, then end this one.
    Moved {
        /// `host:port` of the internal port there.
        to: String,
        /// The number of the next tag.
        next: u64,
    },
    /// That many tags were lost.
    Gap(u64),
}

/// Why [`run`] has returned.
#[derive(Debug)]
pub enum PullEnd {
    /// The sender has ended it in good order.
    Ended(EndReason),
    /// The stream does not take it any more: another session or term holds.
    Stale(FeedError),
    /// The connection is dead, or what it brought is wrong.
    Failed(PullError),
}

impl PullEnd {
    /// The label for logs and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            PullEnd::Ended(reason) => reason.as_str(),
            PullEnd::Stale(error) => error.reason(),
            PullEnd::Failed(error) => error.reason(),
        }
    }
}

/// The way of one pull's events into a stream.
///
/// Several may feed one stream side by side, as long as they bring the same session: of each tag the first copy is taken.
/// A path beside another is to ask for what follows the stream's last tag, so that it declares no gap which the other fills.
#[derive(Debug)]
pub struct Feed<'s> {
    stream: &'s Stream,
    opening: Opening,
    /// The headers in force before the next tag, as they come in.
    preface: Vec<Tag>,
    /// Tags have come that readers have not been woken for.
    unshown: bool,
}

impl<'s> Feed<'s> {
    /// Opens the session of `head` on `stream`, or another path to it.
    ///
    /// # Errors
    /// If the stream knows a newer session or a higher term.
    pub fn open(stream: &'s Stream, head: &PullHead) -> Result<Feed<'s>, FeedError> {
        let opening = Opening {
            epoch: head.epoch,
            term: head.term,
            dts_offset: head.dts_offset,
            first_sequence: head.first_sequence,
        };
        stream.open(opening)?;
        Ok(Feed {
            stream,
            opening,
            preface: Vec::new(),
            unshown: false,
        })
    }

    /// Waits for what `pull` brings next. Before it waits, it wakes who reads the stream: once for all that came together.
    ///
    /// # Errors
    /// As [`Pull::next`].
    pub async fn hear(&mut self, pull: &mut Pull) -> Result<Heard, PullError> {
        if let Some(heard) = pull.ready()? {
            return Ok(heard);
        }
        let pacing = self.stream.pacing();
        pull.want_at_once(pacing.has_at_once());
        pull.read_every(pacing.wanted());
        let paced = pull.is_paced();
        let mut next = std::pin::pin!(pull.next());
        if let Some(heard) = poll_fn(|cx| match next.as_mut().poll(cx) {
            Poll::Ready(heard) => Poll::Ready(Some(heard)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
        {
            return heard;
        }
        pacing.set_paced(paced);
        self.show();
        next.await
    }

    /// Wakes who reads the stream, if there is something new.
    pub fn show(&mut self) {
        if std::mem::take(&mut self.unshown) {
            self.stream.show();
        }
    }

    /// Takes one event; gives what is to be acted upon. `now` is the process's clock.
    ///
    /// # Errors
    /// If another session or a higher term has taken the stream over.
    pub fn take(&mut self, event: Event, now: Duration) -> Result<Option<Signal>, FeedError> {
        let epoch = self.opening.epoch;
        match event {
            Event::Header(tag) => self.preface.push(tag),
            Event::Tag { sequence, tag } => {
                if !self.preface.is_empty() {
                    self.stream.adopt_headers(
                        epoch,
                        sequence,
                        &std::mem::take(&mut self.preface),
                    )?;
                }
                self.stream.push_unshown(epoch, sequence, tag, now)?;
                self.unshown = true;
            }
            Event::Heartbeat => {}
            Event::Ended(EndReason::PublisherLeft) => self.stream.end(epoch),
            Event::Ended(EndReason::Replaced | EndReason::Closed) => {}
            Event::Term(term) => {
                self.opening.term = term;
                self.stream.raise_term(term);
                return Ok(Some(Signal::Term(term)));
            }
            Event::Moved { to, next } => return Ok(Some(Signal::Moved { to, next })),
            Event::Gap { tags, next } => {
                self.preface.clear();
                self.stream.open(Opening {
                    first_sequence: next,
                    ..self.opening
                })?;
                return Ok(Some(Signal::Gap(tags)));
            }
        }
        Ok(None)
    }
}

impl Drop for Feed<'_> {
    fn drop(&mut self) {
        self.stream.pacing().set_paced(false);
        self.show();
    }
}

/// Feeds `stream` from `pull` until that ends; says to `signal` what happens on the way.
pub async fn run(pull: &mut Pull, stream: &Stream, mut signal: impl FnMut(Signal)) -> PullEnd {
    let mut feed = match Feed::open(stream, pull.head()) {
        Ok(feed) => feed,
        Err(error) => return PullEnd::Stale(error),
    };
    loop {
        let event = match feed.hear(pull).await {
            Ok(Heard::Event(event)) => event,
            Ok(Heard::Suspect(silence)) => {
                signal(Signal::Suspect(silence));
                continue;
            }
            Ok(Heard::Alive) => {
                signal(Signal::Alive);
                continue;
            }
            Err(error) => return PullEnd::Failed(error),
        };
        let ended = if let Event::Ended(reason) = event {
            Some(reason)
        } else {
            None
        };
        match feed.take(event, pull.heard_at()) {
            Ok(Some(news)) => signal(news),
            Ok(None) => {}
            Err(error) => return PullEnd::Stale(error),
        }
        if let Some(reason) = ended {
            return PullEnd::Ended(reason);
        }
    }
}
