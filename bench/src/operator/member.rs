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

/// How often a member says where the time of its streams stands.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// Zero: once.
    pub(super) every: Duration,
    /// By so much it lags behind a member that began with it, so that not all speak at once.
    pub(super) phase: Duration,
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

    /// Carries `parts` from now on: says so at once, then where the streams' time stands (not again if `pace` has no
    /// time for it), and that it is alive, until the session is over.
    pub(super) async fn carry(&self, parts: Vec<Carried>, pace: Pace) {
        let began_ms = clock::unix_ms();
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
                    for chunk in parts.chunks(CHUNK_MAX_ENTRIES) {
                        if self.say(&Up::Report(report(chunk, seen))).await.is_err() {
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

fn report(parts: &[Carried], seen: Seen) -> Report {
    let streams = parts.iter().map(|part| StreamReport {
        carried: Carried {
            seen: Some(seen),
            ..part.clone()
        },
        ended: false,
    });
    Report {
        streams: streams.collect(),
        ..Report::default()
    }
}
