//! Place and Locate: a healthy replica answers, the next one if it does not, and the ring if none does.

use std::sync::Arc;
use std::time::Duration;

use headwater_process::clock;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::Status;

use super::metrics::Answered;
use super::shared::Operator;
use super::{Client, Located, LocatorError, PlacedBy, Placement, Shared, walk};
use crate::limits::SOURCES_MAX;
use crate::member::MemberId;
use crate::message::{LocateReply, LocateRequest, PlaceReply, PlaceRequest};
use crate::stream::Source;
use crate::{StreamKey, proto};

/// A replica that has not answered by then is joined by the next one.
const HEDGE: Duration = Duration::from_millis(100);
/// All replicas together have so long.
const PATIENCE: Duration = Duration::from_millis(1000);
/// A process that has just started waits so long for its first session before it believes to be alone.
const FIRST_SESSION: Duration = Duration::from_millis(500);
/// Streams looked up at once.
const LOOKUPS_MAX: usize = 4096;

/// Asks the replicas in order, each a little after the one before it, for the first answer that is `good`; without
/// one, gives the first answer that was not.
async fn ask<T, F>(
    clients: Vec<Client>,
    call: impl Fn(Client) -> F,
    good: impl Fn(&T) -> bool,
) -> Option<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Status>> + Send + 'static,
{
    let mut asked = JoinSet::new();
    let mut clients = clients.into_iter();
    let mut second_best = None;
    let all = async {
        loop {
            let more = match clients.next() {
                Some(client) => {
                    asked.spawn(call(client));
                    true
                }
                None => false,
            };
            let answer = tokio::select! {
                biased;
                answer = asked.join_next() => answer,
                () = tokio::time::sleep(HEDGE), if more => continue,
            };
            match answer {
                Some(Ok(Ok(answer))) if good(&answer) => return Some(answer),
                // Those that know more are asked first.
                Some(Ok(Ok(answer))) => {
                    second_best.get_or_insert(answer);
                }
                Some(Ok(Err(status))) => tracing::debug!(%status, "an operator does not answer"),
                Some(Err(error)) => tracing::error!(%error, "a call to an operator broke"),
                None => return None,
            }
        }
    };
    let first = tokio::time::timeout(PATIENCE, all).await.ok().flatten();
    first.or(second_best)
}

async fn place_at(mut client: Client, request: PlaceRequest) -> Result<PlaceReply, Status> {
    let reply = client.place(proto::PlaceRequest::from(&request)).await?;
    Ok(PlaceReply::try_from(reply.into_inner())?)
}

async fn locate_at(mut client: Client, request: LocateRequest) -> Result<LocateReply, Status> {
    let reply = client.locate(proto::LocateRequest::from(&request)).await?;
    Ok(LocateReply::try_from(reply.into_inner())?)
}

impl Shared {
    async fn clients(&self) -> Vec<Client> {
        let mut sessions = self.sessions.subscribe();
        let first = async {
            // An error means that the locator is gone.
            let _ = sessions.wait_for(|sessions| sessions.ever).await;
        };
        if !self.replicas.is_empty() {
            let left = FIRST_SESSION.saturating_sub(self.age());
            let _ = tokio::time::timeout(left, first).await;
        }
        let book = self.state.lock();
        let mut operators: Vec<(bool, usize, Operator)> = self
            .replicas
            .iter()
            .enumerate()
            .filter_map(|(replica, it)| {
                let unsettled = !book.book.is_settled(replica);
                Some((unsettled, replica.min(self.named), it.lock().clone()?))
            })
            .collect();
        // All members ask the same settled replica first, so that its reservations count for all: the first that is
        // configured, or of those that were found, in whatever order, the one with the first address.
        operators.sort_by(
            |(unsettled, rank, it), (other_unsettled, other_rank, other)| {
                (unsettled, rank, &it.address).cmp(&(other_unsettled, other_rank, &other.address))
            },
        );
        operators.into_iter().map(|(_, _, it)| it.client).collect()
    }

    pub(super) async fn place(
        &self,
        key: &StreamKey,
        epoch: u64,
        exclude: &[MemberId],
    ) -> Result<Placement, LocatorError> {
        let request = PlaceRequest {
            key: key.clone(),
            ingress: self.me().id,
            epoch,
            exclude: exclude
                .iter()
                .take(crate::limits::EXCLUDE_MAX)
                .cloned()
                .collect(),
        };
        let reply = ask(
            self.clients().await,
            |client| place_at(client, request.clone()),
            |reply: &PlaceReply| reply.settled,
        )
        .await;
        let walked = || {
            let state = self.state.lock();
            walk::place(&state.book, &state.ring, key, exclude)
        };
        match reply {
            Some(reply) if reply.candidates.is_empty() && reply.settled => {
                self.metrics.answered("place", Answered::Operator);
                Err(LocatorError::NoOrigin)
            }
            // A replica that has just started may not know the stream's home yet; the exceptions may.
            Some(reply) if reply.settled || reply.existing.is_some() => {
                self.metrics.answered("place", Answered::Operator);
                Ok(Placement::of(reply, PlacedBy::Operator))
            }
            Some(reply) => {
                let candidates = match walked() {
                    (known, Answered::Exception) => {
                        self.metrics.answered("place", Answered::Exception);
                        known
                    }
                    (walked, by) if reply.candidates.is_empty() => {
                        self.metrics.answered("place", by);
                        walked
                    }
                    (_, Answered::Operator | Answered::Ring | Answered::Nobody) => {
                        self.metrics.answered("place", Answered::Operator);
                        reply.candidates.clone()
                    }
                };
                Placement {
                    candidates,
                    ..Placement::of(reply, PlacedBy::Operator)
                }
                .some()
            }
            None => {
                let (candidates, by) = walked();
                self.metrics.answered("place", by);
                Placement {
                    candidates,
                    existing: None,
                    highest_term: 0,
                    resume: None,
                    by: PlacedBy::Ring,
                }
                .some()
            }
        }
    }

    /// One lookup in flight for each name, whoever asks and whoever goes away.
    pub(super) async fn locate(self: &Arc<Self>, key: &StreamKey) -> Result<Located, LocatorError> {
        let mut lookup = {
            let mut lookups = self.lookups.lock();
            if let Some(lookup) = lookups.get(key) {
                self.metrics.shared.inc();
                lookup.clone()
            } else if lookups.len() >= LOOKUPS_MAX {
                return Err(LocatorError::Busy);
            } else {
                let (done, lookup) = watch::channel(None);
                lookups.insert(key.clone(), lookup.clone());
                let shared = self.clone();
                let key = key.clone();
                tokio::spawn(async move {
                    let in_flight = InFlight { shared, key };
                    let located = in_flight.shared.look_up(&in_flight.key).await;
                    drop(in_flight);
                    done.send_replace(Some(located));
                });
                lookup
            }
        };
        match lookup.wait_for(Option::is_some).await {
            Ok(located) => located.clone().unwrap_or(Err(LocatorError::Busy)),
            Err(_) => Err(LocatorError::Busy),
        }
    }

    pub(super) fn beyond(&self, key: &StreamKey) -> Vec<Source> {
        let state = self.state.lock();
        let lost = state.lost.members(clock::now());
        let mut origins: Vec<Source> = lost.map(|it| walk::source(it)).collect();
        if !state.book.has_authority() {
            let members = state.ring.candidates(key.as_str());
            let members = members.filter_map(|id| state.book.members().get(id));
            origins.extend(members.take(SOURCES_MAX).map(|it| walk::source(it)));
        }
        origins
    }

    async fn look_up(&self, key: &StreamKey) -> Result<Located, LocatorError> {
        let request = LocateRequest {
            key: key.clone(),
            member: self.me().id,
            site: self.state.lock().book.near().clone(),
        };
        let reply = ask(
            self.clients().await,
            |client| locate_at(client, request.clone()),
            |reply: &LocateReply| !reply.sources.sources.is_empty(),
        )
        .await;
        match reply {
            Some(reply) if !reply.sources.sources.is_empty() => {
                self.metrics.answered("locate", Answered::Operator);
                let state = self.state.lock();
                return Ok(Located::Found(state.book.shielded(key, reply.sources)));
            }
            Some(reply) if reply.settled => {
                self.metrics.answered("locate", Answered::Operator);
                let state = self.state.lock();
                let lost = state.lost.members(clock::now());
                return Ok(Located::Missing {
                    cache: reply.cache,
                    left_ago: reply.left_ago,
                    lost: lost.map(|it| walk::source(it)).collect(),
                });
            }
            // A replica that has just started does not know what is missing.
            Some(_) | None => {}
        }
        let (located, by) = {
            let state = self.state.lock();
            walk::locate(&state.book, &state.ring, key, state.book.near())
        };
        self.metrics.answered("locate", by);
        located.ok_or(LocatorError::NoOrigin)
    }
}

/// Takes the lookup off the list, also if its task breaks.
struct InFlight {
    shared: Arc<Shared>,
    key: StreamKey,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.shared.lookups.lock().remove(&self.key);
    }
}
