//! A member of the cluster as the operator knows it: a session that beats, reports and watches, with nothing behind it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use headwater_location::limits::{CHUNK_MAX_ENTRIES, HEARTBEAT, MESSAGE_MAX_BYTES};
use headwater_location::{
    Carried, Heartbeat, Member, Report, Seen, StreamKey, StreamReport, Up, proto,
};
use headwater_process::clock;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_stream::wrappers::ReceiverStream;

use super::calls::client;
use crate::error::BenchError;

/// When a member that reports once reports again: no measurement is that long.
const FAR: Duration = Duration::from_secs(24 * 3600);
/// Messages that wait for the connection.
const QUEUE_MAX_MESSAGES: usize = 64;

/// A member, alive as long as it carries something, be it nothing.
#[derive(Debug)]
pub(super) struct Session {
    member: Member,
    up: mpsc::Sender<proto::Up>,
    heard: Arc<Heard>,
}

/// How often a member says what is new of its streams.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// Zero: once.
    pub(super) every: Duration,
    /// By so much it lags behind a member that began with it, so that not all speak at once.
    pub(super) phase: Duration,
    /// Of a hundred of its streams so many have gained or lost viewers meanwhile.
    pub(super) changes_percent: usize,
}

/// What the operator has said to a member.
#[derive(Debug, Default)]
struct Heard {
    /// Watched streams of which it said where they are.
    moves: AtomicUsize,
    /// Why the session is over.
    over: OnceLock<String>,
}

impl Session {
    /// Joins: with no streams so far.
    pub(super) async fn open(operator: SocketAddr, member: Member) -> Result<Session, BenchError> {
        let (up, from) = mpsc::channel(QUEUE_MAX_MESSAGES);
        let heard = Arc::new(Heard::default());
        let session = Session {
            member: member.clone(),
            up,
            heard: Arc::clone(&heard),
        };
        session.say(&Up::Hello(member)).await?;
        let nothing = Report {
            begin: true,
            complete: true,
            streams: Vec::new(),
        };
        session.say(&Up::Report(nothing)).await?;
        let mut client = client(operator)
            .await?
            .max_decoding_message_size(MESSAGE_MAX_BYTES);
        let mut down = client
            .session(ReceiverStream::new(from))
            .await
            .map_err(|e| BenchError::part(format!("a member may not join: {e}")))?
            .into_inner();
        tokio::spawn(async move {
            // The connection is the client's.
            let _client = client;
            let why = loop {
                match down.message().await {
                    Ok(Some(said)) => {
                        if let Some(proto::down::Message::Move(moved)) = said.message
                            && !moved.sources.is_empty()
                        {
                            heard.moves.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    Ok(None) => break "it ended".to_owned(),
                    Err(status) => break status.message().to_owned(),
                }
            };
            // It is set here only.
            drop(heard.over.set(why));
        });
        Ok(session)
    }

    async fn say(&self, up: &Up) -> Result<(), BenchError> {
        self.pass(up.into()).await
    }

    async fn pass(&self, up: proto::Up) -> Result<(), BenchError> {
        self.up
            .send(up)
            .await
            .map_err(|_| BenchError::part("the operator has ended a member's session"))
    }

    /// Watches `keys`.
    pub(super) async fn watch(&self, keys: &[StreamKey]) -> Result<(), BenchError> {
        for chunk in keys.chunks(CHUNK_MAX_ENTRIES) {
            self.say(&Up::Watch(chunk.to_vec())).await?;
        }
        Ok(())
    }

    /// How many of the streams that it watches it has heard of.
    pub(super) fn moves(&self) -> usize {
        self.heard.moves.load(Ordering::Relaxed)
    }

    /// Why the operator has ended the session, if it has.
    pub(super) fn over(&self) -> Option<&str> {
        self.heard.over.get().map(String::as_str)
    }

    /// Carries `parts` from now on: says so at once, then what is new of them by the rule of members with media behind
    /// them (nothing if `pace` has no time for it), and that it is alive, until the session is over.
    pub(super) async fn carry(&self, parts: Vec<Carried>, pace: Pace) {
        let began_ms = clock::unix_ms();
        let mut crowds = Crowds::new(parts, pace.changes_percent);
        let mut beats = tokio::time::interval(HEARTBEAT);
        // What is new is said at once; from then on each member has an instant of its own.
        let mut due = Instant::now();
        let mut wait = pace.phase;
        loop {
            tokio::select! {
                _ = beats.tick() => {
                    if self.say(&self.beat()).await.is_err() {
                        return;
                    }
                }
                () = sleep_until(due) => {
                    due = if pace.every.is_zero() {
                        Instant::now() + FAR
                    } else {
                        due + pace.every + std::mem::take(&mut wait)
                    };
                    let unix_ms = clock::unix_ms();
                    let seen = Seen {
                        stream_dts_ms: i64::try_from(unix_ms.saturating_sub(began_ms)).unwrap_or(0),
                        unix_ms,
                    };
                    let news = crowds.news(seen);
                    for chunk in news.chunks(CHUNK_MAX_ENTRIES) {
                        let report = Report {
                            streams: chunk.to_vec(),
                            ..Report::default()
                        };
                        if self.say(&Up::Report(report)).await.is_err() {
                            return;
                        }
                    }
                }
            }
        }
    }

    fn beat(&self) -> Up {
        Up::Heartbeat(Heartbeat {
            ready: true,
            revision: self.member.revision,
            ..Heartbeat::default()
        })
    }
}

/// The parts of a member, and their viewers who come and go.
#[derive(Debug)]
struct Crowds {
    /// As the operator was told last.
    told: Vec<Carried>,
    first: bool,
    changes_percent: usize,
    /// Where in the list viewers come and go next.
    next: usize,
}

impl Crowds {
    fn new(parts: Vec<Carried>, changes_percent: usize) -> Crowds {
        Crowds {
            told: parts,
            first: true,
            changes_percent,
            next: 0,
        }
    }

    /// What the operator has to be told of, of streams whose time stands at `seen`.
    fn news(&mut self, seen: Seen) -> Vec<StreamReport> {
        let first = std::mem::take(&mut self.first);
        let count = self.told.len();
        let change = if first {
            0
        } else {
            count.saturating_mul(self.changes_percent) / 100
        };
        let begin = self.next;
        self.next = begin.saturating_add(change).checked_rem(count).unwrap_or(0);
        let mut news = Vec::new();
        for (at, told) in self.told.iter_mut().enumerate() {
            let distance = at
                .saturating_add(count)
                .saturating_sub(begin)
                .checked_rem(count);
            let changes = distance.is_some_and(|distance| distance < change);
            let now = Carried {
                seen: Some(seen),
                // One comes, then one goes.
                viewers: told.viewers ^ u32::from(changes),
                ..told.clone()
            };
            if first || !told.foretells(&now) {
                *told = now.clone();
                news.push(StreamReport {
                    carried: now,
                    ended: false,
                });
            }
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use headwater_location::Part;

    use super::*;

    #[test]
    fn each_stream_is_told_once_and_then_in_turn_as_its_viewers_change() {
        let parts = (0..20).map(|n| Carried {
            key: StreamKey::new("default", "live", &format!("{n}")).unwrap(),
            part: Part::Carrier,
            epoch: 1,
            term: 1,
            ingress: None,
            home: None,
            seen: None,
            viewers: 10,
        });
        let mut crowds = Crowds::new(parts.collect(), 35);
        let mut told = |at: u64| -> Vec<String> {
            let seen = Seen {
                stream_dts_ms: i64::try_from(at).unwrap(),
                unix_ms: at,
            };
            let news = crowds.news(seen).into_iter();
            news.map(|it| it.carried.key.stream().to_owned()).collect()
        };
        let names = |range: std::ops::Range<u32>| range.map(|n| n.to_string());
        assert!(told(0).into_iter().eq(names(0..20)));
        assert!(told(1000).into_iter().eq(names(0..7)));
        assert!(told(2000).into_iter().eq(names(7..14)));
        assert!(told(3000).into_iter().eq(names(0..1).chain(names(14..20))));
    }
}
