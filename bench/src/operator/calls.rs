//! Look-ups: as many as go, and as many as are asked for.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::try_join_all;
use headwater_location::proto::location_client::LocationClient;
use headwater_location::proto::{LocateReply, LocateRequest};
use headwater_process::tls::Dialer;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::clock::{now_ns, sleep_until};
use crate::cpu::Cores;
use crate::error::BenchError;
use crate::stats::Quantiles;
use crate::witness::{Steadiness, Witness};

/// Connections over which the calls are spread, as those of several edges are.
const CONNECTIONS: usize = 4;
/// Calls at once on each of them, where there are to be as many as go.
const AT_ONCE: usize = 32;
/// Calls that are asked for come in groups, one in so many microseconds.
const GROUP_US: u64 = 1_000;

/// Who asks, and for what.
#[derive(Clone, Debug)]
pub(super) struct Calls {
    clients: Vec<LocationClient<Channel>>,
    keys: Arc<Vec<String>>,
    next: Arc<AtomicUsize>,
}

/// How long calls took that were asked for at a rate.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Paced {
    pub(super) all: Quantiles,
    /// Those that were due while the machine was steady.
    pub(super) steady: Quantiles,
    /// Share of the time in which the machine was slow.
    pub(super) slow_share: f64,
}

impl Paced {
    /// Of calls with when each was due, and the µs that it took from then.
    fn of(calls: &[(u64, u32)], machine: &Steadiness) -> Paced {
        let micros = calls.iter().map(|(_, took_us)| *took_us);
        let steady = calls.iter().filter(|(due_ns, _)| machine.at(*due_ns));
        let steady = steady.map(|(_, took_us)| *took_us);
        Paced {
            all: Quantiles::of(&mut micros.collect::<Vec<_>>()),
            steady: Quantiles::of(&mut steady.collect::<Vec<_>>()),
            slow_share: machine.slow_share(),
        }
    }
}

/// A failed call, in a sentence.
fn failed(why: &dyn std::fmt::Display) -> BenchError {
    BenchError::part(format!("a look-up failed: {why}"))
}

impl Calls {
    /// Connects to `server`, to ask for `keys` in turn.
    pub(super) async fn open(
        server: SocketAddr,
        keys: Arc<Vec<String>>,
    ) -> Result<Calls, BenchError> {
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS {
            clients.push(client(server).await?);
        }
        Ok(Calls {
            clients,
            keys,
            next: Arc::default(),
        })
    }

    fn request(&self) -> LocateRequest {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        // Neighbours in the ledger are not asked for one after the other.
        let at = next
            .wrapping_mul(7_919)
            .checked_rem(self.keys.len())
            .unwrap_or(0);
        LocateRequest {
            key: self.keys.get(at).cloned().unwrap_or_default(),
            member: "edge-0".to_owned(),
            region: "region-a".to_owned(),
            zone: "zone-a1".to_owned(),
        }
    }

    /// One look-up.
    pub(super) async fn one(&self) -> Result<LocateReply, BenchError> {
        let mut client = self
            .clients
            .first()
            .cloned()
            .ok_or_else(|| failed(&"no connection"))?;
        locate(&mut client, self.request()).await
    }

    /// As many as go for `seconds`: how many that was.
    pub(super) async fn saturate(&self, seconds: u64) -> Result<u64, BenchError> {
        let end_ns = now_ns().saturating_add(seconds.saturating_mul(1_000_000_000));
        let mut callers = JoinSet::new();
        for client in &self.clients {
            for _ in 0..AT_ONCE {
                let (calls, mut client) = (self.clone(), client.clone());
                callers.spawn(async move {
                    let mut done = 0_u64;
                    while now_ns() < end_ns {
                        locate(&mut client, calls.request()).await?;
                        done = done.saturating_add(1);
                    }
                    Ok::<_, BenchError>(done)
                });
            }
        }
        let mut all = 0_u64;
        while let Some(done) = callers.join_next().await {
            all = all.saturating_add(done.map_err(|e| failed(&e))??);
        }
        Ok(all)
    }

    /// `per_second` for `seconds`, whether or not the earlier ones were answered. How long each took counts from when it
    /// was due. `cores` are those that the calls are made and answered on.
    pub(super) async fn at_rate(
        &self,
        per_second: u64,
        seconds: u64,
        cores: &[&Cores],
    ) -> Result<Paced, BenchError> {
        let groups = seconds.saturating_mul(1_000_000) / GROUP_US;
        let each = (per_second.saturating_mul(GROUP_US) / 1_000_000).max(1);
        let (calls, runtime) = (self.clone(), Handle::current());
        let witness = Witness::start(cores);
        let begins_ns = now_ns();
        // A thread of its own keeps the pace to microseconds; the runtime's timers keep it to milliseconds. Nobody waits
        // for an answer but the group's own task: to wake another thread for each call took more of the load's core than
        // the call itself, and left it no room at 10,000 a second.
        let pacer = tokio::task::spawn_blocking(move || {
            let mut asked = Vec::with_capacity(usize::try_from(groups).unwrap_or(0));
            for group in 0..groups {
                let due_us = group.saturating_mul(GROUP_US);
                let due_ns = begins_ns.saturating_add(due_us.saturating_mul(1_000));
                sleep_until(due_ns);
                let answers = calls.clone().group(each, due_ns);
                asked.push((due_ns, runtime.spawn(answers)));
            }
            asked
        });
        let mut taken = Vec::new();
        for (due_ns, answers) in pacer.await.map_err(|e| failed(&e))? {
            let micros = answers.await.map_err(|e| failed(&e))??;
            taken.extend(micros.into_iter().map(|took_us| (due_ns, took_us)));
        }
        Ok(Paced::of(&taken, &witness.ask()?))
    }

    /// `each` calls at once: the µs that each took since `due_ns`.
    async fn group(self, each: u64, due_ns: u64) -> Result<Vec<u32>, BenchError> {
        let turns = self.clients.iter().cycle().cloned();
        let count = usize::try_from(each).unwrap_or(0);
        let calls = turns.take(count).map(|mut client| {
            let request = self.request();
            async move {
                locate(&mut client, request).await?;
                let took_us = now_ns().saturating_sub(due_ns) / 1_000;
                Ok(u32::try_from(took_us).unwrap_or(u32::MAX))
            }
        });
        try_join_all(calls).await
    }
}

async fn locate(
    client: &mut LocationClient<Channel>,
    request: LocateRequest,
) -> Result<LocateReply, BenchError> {
    let reply = client.locate(request).await.map_err(|e| failed(&e))?;
    let reply = reply.into_inner();
    if reply.found {
        Ok(reply)
    } else {
        Err(failed(&"a stream that is live was not found"))
    }
}

/// A connection as members have it.
pub(super) async fn client(to: SocketAddr) -> Result<LocationClient<Channel>, BenchError> {
    let channel = headwater_location::connect(&Dialer::new(None), &to.to_string())
        .await
        .map_err(|e| BenchError::part(format!("connecting to {to}: {e}")))?;
    Ok(LocationClient::new(channel))
}
