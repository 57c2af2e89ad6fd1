//! Look-ups: as many as go, and as many as are asked for.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use headwater_location::proto::location_client::LocationClient;
use headwater_location::proto::{LocateReply, LocateRequest};
use headwater_process::tls::Dialer;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::clock::{now_ns, sleep_until};
use crate::error::BenchError;
use crate::stats::{Quantiles, Spread};

/// Connections over which the calls are spread, as those of several edges are.
const CONNECTIONS: usize = 4;
/// Calls at once on each of them, where there are to be as many as go.
const AT_ONCE: usize = 32;
/// Calls that are asked for come in groups, one in so many microseconds.
const GROUP_US: u64 = 1_000;
/// A machine that stands still for some ms is seen in the moments that this hits, and in no other.
const MOMENT_US: u64 = 100_000;

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
    pub(super) whole: Quantiles,
    /// The median of the p99 of all moments of 100 ms.
    pub(super) moment_p99_ms: f64,
}

impl Paced {
    /// Of calls with the moment in which each was due, and the µs that it took from then.
    fn of(calls: &[(u64, u32)]) -> Paced {
        let mut moments: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
        for (moment, took_us) in calls {
            moments.entry(*moment).or_default().push(*took_us);
        }
        let p99s = moments
            .values_mut()
            .map(|micros| Quantiles::of(micros).p99_ms);
        let moment_p99_ms = Spread::of(p99s).map_or(0.0, |spread| spread.median);
        let mut micros: Vec<u32> = calls.iter().map(|(_, took_us)| *took_us).collect();
        Paced {
            whole: Quantiles::of(&mut micros),
            moment_p99_ms,
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
    /// was due.
    pub(super) async fn at_rate(&self, per_second: u64, seconds: u64) -> Result<Paced, BenchError> {
        let groups = seconds.saturating_mul(1_000_000) / GROUP_US;
        let each = (per_second.saturating_mul(GROUP_US) / 1_000_000).max(1);
        let all = usize::try_from(groups.saturating_mul(each)).unwrap_or(0);
        let (done, mut times) = mpsc::channel(all.max(1));
        let (calls, runtime) = (self.clone(), Handle::current());
        let begins_ns = now_ns();
        // A thread of its own keeps the pace to microseconds; the runtime's timers keep it to milliseconds.
        let pacer = tokio::task::spawn_blocking(move || {
            for group in 0..groups {
                let due_us = group.saturating_mul(GROUP_US);
                let due_ns = begins_ns.saturating_add(due_us.saturating_mul(1_000));
                let moment = due_us / MOMENT_US;
                sleep_until(due_ns);
                for n in 0..each {
                    let turn = usize::try_from(n).unwrap_or(0) % CONNECTIONS;
                    let Some(mut client) = calls.clients.get(turn).cloned() else {
                        continue;
                    };
                    let (request, done) = (calls.request(), done.clone());
                    runtime.spawn(async move {
                        let answer = locate(&mut client, request).await;
                        let took_us = now_ns().saturating_sub(due_ns) / 1_000;
                        let took_us = u32::try_from(took_us).unwrap_or(u32::MAX);
                        // There is room for all.
                        drop(done.try_send(answer.map(|_| (moment, took_us))));
                    });
                }
            }
        });
        let mut taken = Vec::with_capacity(all);
        while let Some(call) = times.recv().await {
            taken.push(call?);
        }
        pacer.await.map_err(|e| failed(&e))?;
        Ok(Paced::of(&taken))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_stands_still_is_seen_in_the_whole_and_not_in_the_median_of_moments() {
        let mut calls: Vec<(u64, u32)> = (0..10)
            .flat_map(|moment| (0..100).map(move |n| (moment, 1_000 + n)))
            .collect();
        calls.extend((0..100).map(|_| (3, 50_000)));
        let paced = Paced::of(&calls);
        assert_eq!(paced.whole.p99_ms, 50.0);
        assert_eq!(paced.moment_p99_ms, 1.098);
    }
}
