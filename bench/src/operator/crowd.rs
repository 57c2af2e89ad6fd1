//! A cluster without media: origins that carry streams where the operator placed them, and edges that watch them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use headwater_location::proto::LocateRequest;
use headwater_location::{
    Carried, Endpoint, Member, MemberId, Part, PlaceRequest, Role, Site, StreamKey, term,
};
use headwater_process::clock;
use tokio::task::AbortHandle;

use super::calls::client;
use super::member::{Pace, Session};
use crate::error::BenchError;

/// A new cluster's members may be strangers to the operator for this long, and its ledger incomplete.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the crowd looks whether that is over.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Regions and zones over which members are spread.
const SITES: [(&str, &str); 3] = [
    ("region-a", "zone-a1"),
    ("region-a", "zone-a2"),
    ("region-b", "zone-b1"),
];

/// How large the cluster is.
#[derive(Clone, Copy, Debug)]
pub(super) struct CrowdPlan {
    pub(super) streams: usize,
    pub(super) origins: usize,
    pub(super) edges: usize,
    /// Streams that each edge watches and carries.
    pub(super) watches: usize,
    /// How often each member says what is new of its streams; zero: once.
    pub(super) report_every: Duration,
    /// Of how many of a hundred streams of an edge that is their viewers.
    pub(super) changes_percent: usize,
}

impl CrowdPlan {
    /// Of member `n` of `count`.
    fn pace(&self, n: usize, count: usize, changes_percent: usize) -> Pace {
        let share = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Pace {
            every: self.report_every,
            phase: self.report_every.saturating_mul(share(n)) / share(count).max(1),
            changes_percent,
        }
    }
}

/// The cluster at work.
#[derive(Debug)]
pub(super) struct Crowd {
    sessions: Vec<Arc<Session>>,
    keys: Vec<StreamKey>,
}

impl Crowd {
    /// Lets all members join, has the streams placed, and returns when the operator has told every edge where the
    /// streams are that it watches.
    pub(super) async fn gather(operator: SocketAddr, plan: CrowdPlan) -> Result<Crowd, BenchError> {
        let mut origins = Vec::new();
        for n in 0..plan.origins {
            let open = Session::open(operator, member(Role::Origin, n));
            origins.push(Arc::new(open.await?));
        }
        let mut edges = Vec::new();
        for n in 0..plan.edges {
            edges.push(Arc::new(
                Session::open(operator, member(Role::Edge, n)).await?,
            ));
        }
        // They beat, or they would be gone before the last stream has its place.
        let idle = |sessions: &[Arc<Session>]| -> Vec<AbortHandle> {
            let idle = sessions.iter();
            idle.map(|session| spawn(session, Vec::new(), Pace::default()))
                .collect()
        };
        let (idle_origins, idle_edges) = (idle(&origins), idle(&edges));
        let keys: Vec<StreamKey> = (0..plan.streams)
            .map(|n| StreamKey::new("default", "live", &format!("bench-{n}")))
            .collect::<Result<_, _>>()
            .map_err(|e| BenchError::part(format!("naming a stream: {e}")))?;
        let (mut parts, terms) = place(operator, &keys, plan.origins).await?;
        idle_origins.iter().for_each(AbortHandle::abort);
        for (n, session) in origins.iter().enumerate() {
            let carried = parts.remove(&n).unwrap_or_default();
            spawn(session, carried, plan.pace(n, plan.origins, 0));
        }
        let crowd = Crowd {
            sessions: origins.into_iter().chain(edges.iter().cloned()).collect(),
            keys,
        };
        crowd.live(operator).await?;
        let keys = &crowd.keys;
        for (n, session) in edges.iter().enumerate() {
            let watched: Vec<usize> = (0..plan.watches.min(keys.len()))
                .map(|i| n.wrapping_mul(97).wrapping_add(i) % keys.len().max(1))
                .collect();
            let watched_keys: Vec<StreamKey> = watched
                .iter()
                .filter_map(|at| keys.get(*at).cloned())
                .collect();
            session.watch(&watched_keys).await?;
            crowd.until(|| session.moves() >= watched.len()).await?;
            let carried = watched
                .iter()
                .filter_map(|at| Some((keys.get(*at)?, terms.get(*at)?)));
            let carried = carried.map(|(key, (epoch, term))| Carried {
                key: key.clone(),
                part: Part::Carrier,
                epoch: *epoch,
                term: *term,
                ingress: None,
                home: None,
                seen: None,
                viewers: 10,
            });
            let before = idle_edges.get(n);
            before.into_iter().for_each(AbortHandle::abort);
            let pace = plan.pace(n, plan.edges, plan.changes_percent);
            spawn(session, carried.collect(), pace);
        }
        Ok(crowd)
    }

    /// Waits until the operator finds every stream.
    async fn live(&self, operator: SocketAddr) -> Result<(), BenchError> {
        let mut client = client(operator).await?;
        let mut looks = tokio::time::interval(LOOK_EVERY);
        let end = clock::now().saturating_add(PATIENCE);
        for key in &self.keys {
            loop {
                let request = LocateRequest {
                    key: key.to_string(),
                    ..LocateRequest::default()
                };
                let reply = client.locate(request).await;
                let reply = reply.map_err(|e| BenchError::part(format!("finding {key}: {e}")))?;
                if reply.into_inner().found {
                    break;
                }
                self.check()?;
                if clock::now() > end {
                    return Err(BenchError::part(format!(
                        "the operator does not find {key}"
                    )));
                }
                looks.tick().await;
            }
        }
        Ok(())
    }

    /// All streams, as they are asked for.
    pub(super) fn keys(&self) -> Arc<Vec<String>> {
        Arc::new(self.keys.iter().map(ToString::to_string).collect())
    }

    /// # Errors
    /// If the operator has ended a session: the measurement was one of something else.
    pub(super) fn check(&self) -> Result<(), BenchError> {
        match self.sessions.iter().find_map(|session| session.over()) {
            Some(why) => Err(BenchError::part(format!(
                "the operator has ended a member's session ({why}): is the load's core too slow for this crowd?"
            ))),
            None => Ok(()),
        }
    }

    async fn until(&self, reached: impl Fn() -> bool) -> Result<(), BenchError> {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        let end = clock::now().saturating_add(PATIENCE);
        while !reached() {
            self.check()?;
            if clock::now() > end {
                return Err(BenchError::part(
                    "the operator has not told all edges where their streams are",
                ));
            }
            looks.tick().await;
        }
        Ok(())
    }
}

/// A member's life goes on beside the measurement.
fn spawn(session: &Arc<Session>, parts: Vec<Carried>, pace: Pace) -> AbortHandle {
    let session = Arc::clone(session);
    tokio::spawn(async move { session.carry(parts, pace).await }).abort_handle()
}

fn endpoint(n: usize) -> Endpoint {
    Endpoint {
        member: MemberId::from(format!("origin-{n}")),
        address: format!("origin-{n}.origin.example:7000"),
    }
}

fn member(role: Role, n: usize) -> Member {
    let Endpoint { member, address } = endpoint(n);
    let (id, address) = match role {
        Role::Origin => (member.to_string(), address),
        Role::Edge => (format!("edge-{n}"), format!("edge-{n}.edge.example:7000")),
    };
    let (region, zone) = SITES.get(n % SITES.len()).copied().unwrap_or_default();
    Member {
        site: Site {
            region: region.to_owned(),
            zone: zone.to_owned(),
        },
        incarnation: term::next(0, clock::unix_ms()),
        ..Member::new(&id, role, &address)
    }
}

/// What each origin carries, and epoch and term of each stream.
type Placed = (BTreeMap<usize, Vec<Carried>>, Vec<(u64, u64)>);

/// Asks for a place for each of `keys`, whose publishers are spread over the origins.
async fn place(
    operator: SocketAddr,
    keys: &[StreamKey],
    origins: usize,
) -> Result<Placed, BenchError> {
    let failed = |why: String| BenchError::part(format!("placing a stream: {why}"));
    let mut client = client(operator).await?;
    let numbers: BTreeMap<String, usize> = (0..origins)
        .map(|n| (endpoint(n).member.to_string(), n))
        .collect();
    let (mut parts, mut terms) = (BTreeMap::<usize, Vec<Carried>>::new(), Vec::new());
    for (n, key) in keys.iter().enumerate() {
        let ingress = n % origins.max(1);
        let epoch = term::next(0, clock::unix_ms());
        let request = PlaceRequest {
            key: key.clone(),
            ingress: endpoint(ingress).member,
            epoch,
            exclude: Vec::new(),
        };
        let reply = client
            .place(headwater_location::proto::PlaceRequest::from(&request))
            .await
            .map_err(|e| failed(e.to_string()))?
            .into_inner();
        let home = reply
            .candidates
            .first()
            .and_then(|source| numbers.get(&source.member).copied())
            .ok_or_else(|| failed(format!("no origin takes {key}")))?;
        let term = epoch.max(reply.highest_term).saturating_add(1);
        for (origin, part) in [(ingress, Part::Ingress), (home, Part::Home)] {
            parts.entry(origin).or_default().push(Carried {
                key: key.clone(),
                part,
                epoch,
                term,
                ingress: Some(endpoint(ingress)),
                home: Some(endpoint(home).member),
                seen: None,
                viewers: 0,
            });
        }
        terms.push((epoch, term));
    }
    Ok((parts, terms))
}
