//! Who comes in: the checks that every play passes, in one order for all protocols, and the end of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use headwater_admission::{self as admission, Ended, Kind, Refusal, Request};
use headwater_delivery::{Fanout, ViewerEnd};
use headwater_hub::Mode;
use headwater_location::policy::PlayMode;
use headwater_media::{Query, StreamKey};
use headwater_process::clock;
use headwater_process::drain::Hold;

use super::House;
use super::ask::{Ask, AskError};
use crate::metrics::Protocol;
use crate::pull::{EnterError, Interest};

/// Why a play is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denied {
    #[error("this edge is about to stop: connect again to reach another one")]
    Draining,
    #[error("this edge has as many viewers as it may: try again in a few seconds")]
    Full,
    #[error("this stream has as many viewers here as it may: try again in a few seconds")]
    StreamFull,
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error(transparent)]
    Admission(#[from] Refusal),
    #[error("{key} cannot be played: {why}{}", remedy(*why))]
    Stream { key: StreamKey, why: EnterError },
}

fn remedy(why: EnterError) -> &'static str {
    match why {
        EnterError::Missing => "; publish it, or add ?wait=10 to the address to wait for it",
        EnterError::Left => "; try again, or add ?wait=10 to the address to wait for it",
        EnterError::Slow | EnterError::Circle | EnterError::Full(_) => {
            "; try again in a few seconds"
        }
    }
}

impl Denied {
    /// The label for metrics.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Denied::Draining => "draining",
            Denied::Full => "viewers_full",
            Denied::StreamFull => "stream_full",
            Denied::Ask(error) => error.reason(),
            Denied::Admission(refusal) => refusal.reason(),
            Denied::Stream { why, .. } => why.reason(),
        }
    }

    /// The HTTP status that says it.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Denied::Ask(_) => 400,
            Denied::Admission(refusal) => refusal.http_status(),
            Denied::Stream {
                why: EnterError::Missing | EnterError::Left,
                ..
            } => 404,
            Denied::Draining | Denied::Full | Denied::StreamFull | Denied::Stream { .. } => 503,
        }
    }
}

/// Somebody at the door.
pub(crate) struct Guest<'a> {
    pub(crate) key: &'a StreamKey,
    pub(crate) query: &'a Query,
    pub(crate) peer: SocketAddr,
    pub(crate) agent: Option<&'a str>,
    pub(crate) protocol: Protocol,
}

/// A viewer who may come in: its share in the pull and its place. Dropping it gives both back.
pub(crate) struct Ticket {
    house: Arc<House>,
    interest: Interest,
    peer: SocketAddr,
    protocol: Protocol,
    began: Duration,
    entered: Duration,
    pub(crate) mode: Mode,
    /// A drain waits for it.
    _hold: Hold,
}

impl House {
    /// Whether `guest` may come in, without pulling the stream.
    pub(crate) async fn check(
        &self,
        guest: &Guest<'_>,
    ) -> Result<(Ask, admission::Settings), Denied> {
        if !self.drain.is_serving() {
            return Err(Denied::Draining);
        }
        let ask = Ask::read(guest.query, self.config.wait_max)?;
        let Guest {
            key,
            query,
            peer,
            agent,
            ..
        } = *guest;
        let policies = self.pulls.policies();
        let settings = self
            .admission
            .play(Request {
                key,
                query,
                peer,
                agent,
                policy: policies.keys(key),
            })
            .await?;
        Ok((ask, settings))
    }

    /// The mode of viewers of `key` who ask for none.
    fn default_mode(&self, key: &StreamKey) -> Mode {
        match self.pulls.settings(key).mode {
            Some(PlayMode::Live) => Mode::Live,
            Some(PlayMode::Rtc) => Mode::Rtc,
            None => self.config.default_mode.into(),
        }
    }

    /// Lets `guest` in, as soon as its stream comes.
    pub(crate) async fn enter(self: &Arc<House>, guest: Guest<'_>) -> Result<Ticket, Denied> {
        let began = clock::now();
        let (ask, settings) = self.check(&guest).await?;
        let entered = self.pulls.enter(guest.key, ask.wait, 1).await;
        let interest = entered.map_err(|why| Denied::Stream {
            key: guest.key.clone(),
            why,
        })?;
        if !self.take_place() {
            return Err(Denied::Full);
        }
        if !interest
            .pull()
            .take_place(self.config.limits.viewers_per_stream)
        {
            self.give_place();
            return Err(Denied::StreamFull);
        }
        let mode = match settings.mode {
            Some(admission::Mode::Live) => Mode::Live,
            Some(admission::Mode::Rtc) => Mode::Rtc,
            None => ask.mode.unwrap_or_else(|| self.default_mode(guest.key)),
        };
        let ticket = Ticket {
            house: Arc::clone(self),
            interest,
            peer: guest.peer,
            protocol: guest.protocol,
            began,
            entered: clock::now(),
            mode,
            _hold: self.drain.hold("viewers"),
        };
        self.metrics.joined(guest.protocol);
        tracing::info!(
            key = %guest.key,
            peer = %guest.peer,
            protocol = %guest.protocol,
            mode = word(mode),
            viewers = ticket.interest.pull().viewers(),
            "play"
        );
        Ok(ticket)
    }
}

impl Ticket {
    /// The fan-out that serves it.
    pub(crate) fn fanout(&self) -> Fanout {
        self.interest.pull().fanout(&self.house.fanout)
    }

    /// What is to be done when the connection is over; `permit` is its place at the port.
    pub(crate) fn on_end(self, permit: impl Send + 'static) -> Box<dyn FnOnce(ViewerEnd) + Send> {
        Box::new(move |end| {
            self.ended(&end);
            drop(permit);
        })
    }

    fn ended(&self, end: &ViewerEnd) {
        let key = self.interest.pull().key();
        if let Some(startup) = end.startup {
            let waited = self.entered.saturating_sub(self.began);
            self.house
                .metrics
                .started(waited.saturating_add(startup).as_secs_f64());
        }
        tracing::info!(
            %key,
            peer = %self.peer,
            protocol = %self.protocol,
            mode = word(self.mode),
            why = end.reason.as_str(),
            duration_s = (end.duration.as_secs_f64() * 1e3).round() / 1e3,
            bytes = end.bytes,
            dropped_tags = end.dropped.total(),
            "play ended"
        );
        self.house.admission.ended(Ended {
            kind: Kind::Play,
            key: key.clone(),
            peer: self.peer,
            duration: end.duration,
            bytes: end.bytes,
            why: end.reason.as_str(),
        });
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.interest.pull().give_place();
        self.house.give_place();
        self.house.metrics.left(self.protocol);
    }
}

fn word(mode: Mode) -> &'static str {
    match mode {
        Mode::Live => "live",
        Mode::Rtc => "rtc",
    }
}
