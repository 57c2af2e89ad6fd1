//! The operator on Kubernetes: what the cluster shows reaches the index, and what people should know is written back.
//!
//! Streams do not depend on it: while the API server is gone, what was known stays in force.

mod keys;
mod lease;
mod picture;
pub mod policy;
mod rights;
mod status;
mod watching;
mod writes;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use headwater_location::{MemberId, Order};
use headwater_process::drain::Drain;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::runtime::watcher;
use kube::{Api, Client, CustomResourceExt};
use prometheus::IntCounterVec;
use thiserror::Error;
use tokio::sync::watch;

use self::policy::StreamPolicy;
use self::rights::Troubles;
use self::watching::{Seen, keep};
use self::writes::Writer;
use crate::config::KubernetesConfig;
use crate::index::Event;
use crate::serve::desk::Desk;

/// How often what is written is looked through.
const WRITES: Duration = Duration::from_secs(5);
/// How long a member may take to give its streams up when its node is about to go.
const GRACE: Duration = Duration::from_secs(60);

/// Why the operator cannot talk to Kubernetes.
#[derive(Debug, Error)]
pub enum KubernetesError {
    /// Neither a pod's account nor a kubeconfig.
    #[error(
        "operator.kubernetes.enabled is set and there is no cluster to talk to: run in a pod with its ServiceAccount's \
         token, or set KUBECONFIG: {0}"
    )]
    NoCluster(#[source] Box<kube::Error>),
}

/// Why the custom resource definitions cannot be written.
#[derive(Debug, Error)]
pub enum DefinitionError {
    /// As a value.
    #[error("the definition of StreamPolicy: {0}")]
    Json(#[source] serde_json::Error),
    /// As text.
    #[error("the definition of StreamPolicy: {0}")]
    Yaml(#[source] serde_saphyr::ser::Error),
}

/// The custom resource definitions, as the chart ships them (YAML).
///
/// # Errors
/// If a definition cannot be written as YAML.
pub fn definitions() -> Result<String, DefinitionError> {
    let mut definition =
        serde_json::to_value(StreamPolicy::crd()).map_err(DefinitionError::Json)?;
    // Helm would take every policy away with the definition.
    let keep = serde_json::json!({"helm.sh/resource-policy": "keep"});
    if let Some(serde_json::Value::Object(metadata)) = definition.get_mut("metadata") {
        metadata.insert("annotations".to_owned(), keep);
    }
    serde_saphyr::to_string(&definition).map_err(DefinitionError::Yaml)
}

/// Connects to the cluster that this process runs in, or that `KUBECONFIG` names.
///
/// # Errors
/// If there is none.
pub(crate) async fn connect() -> Result<Client, KubernetesError> {
    Client::try_default()
        .await
        .map_err(|error| KubernetesError::NoCluster(Box::new(error)))
}

/// Watches and writes until the process ends.
pub(crate) async fn run(
    config: KubernetesConfig,
    client: Client,
    me: String,
    port: u16,
    desk: Arc<Desk>,
    errors: IntCounterVec,
    drain: Drain,
) {
    let troubles = Arc::new(Troubles::new(errors));
    let seen = Arc::new(Seen::default());
    let (leads, leading) = watch::channel(false);
    let own = || watcher::Config::default().labels(&config.selector);
    let namespace = &config.namespace;
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), namespace);
    let policies: Api<StreamPolicy> = Api::namespaced(client.clone(), namespace);
    let nodes: Api<Node> = Api::all(client.clone());
    let all = watcher::Config::default;
    let kept = (&seen, &troubles);
    tokio::select! {
        () = keep(pods, own(), kept.0.clone(), kept.1.clone()) => {}
        () = keep(slices, own(), kept.0.clone(), kept.1.clone()) => {}
        () = keep(policies, all(), kept.0.clone(), kept.1.clone()) => {}
        () = keep(nodes, all(), kept.0.clone(), kept.1.clone()) => {}
        () = keys::keep(client.clone(), namespace, seen.clone(), troubles.clone()) => {}
        () = tell(&seen, port, &desk) => {}
        () = lease::seek(client.clone(), namespace, &config.lease, &me, leads, &troubles) => {}
        () = write(&config, &client, &me, &seen, &desk, leading.clone(), &troubles) => {}
        () = drain.ended() => {}
    }
    if *leading.borrow() {
        lease::release(client, namespace, &config.lease, &me).await;
    }
}

/// Tells the index what changed in the picture; every replica listens on `port`.
async fn tell(seen: &Seen, port: u16, desk: &Desk) {
    let mut known = None;
    let mut expected = None;
    loop {
        seen.changed.notified().await;
        let (now_known, now_expected, operators, rules) = {
            let picture = seen.picture.lock();
            (
                picture.known(),
                picture.expected(),
                picture.operators(),
                picture.rules(),
            )
        };
        let operators = operators.into_iter().map(|ip| SocketAddr::new(ip, port));
        desk.apply(Event::Operators(operators.collect()));
        if now_known != known {
            known.clone_from(&now_known);
            if let Some(known) = now_known {
                desk.apply(Event::Known(known));
            }
        }
        if now_expected != expected {
            expected.clone_from(&now_expected);
            if let Some(expected) = now_expected {
                desk.apply(Event::Expect(expected));
            }
        }
        if let Some(rules) = rules {
            desk.apply(Event::Rules(rules));
        }
    }
}

/// Writes and orders as long as this replica leads.
async fn write(
    config: &KubernetesConfig,
    client: &Client,
    me: &str,
    seen: &Seen,
    desk: &Desk,
    mut leading: watch::Receiver<bool>,
    troubles: &Troubles,
) {
    let mut writer = Writer::new(client.clone(), &config.namespace, me);
    let mut ordered: BTreeMap<MemberId, String> = BTreeMap::new();
    let mut complained: BTreeMap<String, i64> = BTreeMap::new();
    let mut ticks = tokio::time::interval(WRITES);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        // Orders are urgent; the rest can wait for its turn.
        let urgent = tokio::select! {
            () = seen.ordered.notified() => true,
            _ = ticks.tick() => false,
            changed = leading.changed() => {
                if changed.is_err() {
                    return;
                }
                writer.forget();
                true
            }
        };
        let leads = *leading.borrow_and_update();
        order(leads, seen, desk, &writer, &mut ordered, troubles).await;
        if urgent || !leads {
            continue;
        }
        complain(seen, &writer, &mut complained, troubles).await;
        let (costs, statuses) = {
            let picture = seen.picture.lock();
            desk.read(|index| {
                (
                    writes::costs(&picture, index),
                    status::statuses(&picture, index),
                )
            })
        };
        if config.pod_deletion_cost {
            writer.costs(costs, troubles).await;
        }
        writer.statuses(statuses, troubles).await;
    }
}

/// Orders members off nodes that take no pods any more, if this replica leads, and back when they do, if it has ordered
/// them off.
async fn order(
    leads: bool,
    seen: &Seen,
    desk: &Desk,
    writer: &Writer,
    ordered: &mut BTreeMap<MemberId, String>,
    troubles: &Troubles,
) {
    let (leaving, pods) = {
        let picture = seen.picture.lock();
        let pods = picture.pods();
        let by_member: BTreeMap<MemberId, _> = pods
            .iter()
            .map(|(name, pod)| (pod.member.clone(), (name.clone(), pod.clone())))
            .collect();
        (picture.leaving(), by_member)
    };
    let back: Vec<MemberId> = ordered
        .keys()
        .filter(|member| !leaving.contains_key(*member))
        .cloned()
        .collect();
    for member in back {
        ordered.remove(&member);
        desk.apply(Event::Order(member, Order::Undrain));
    }
    for (member, node) in leaving {
        if !leads || ordered.contains_key(&member) {
            continue;
        }
        let streams = desk.read(|index| index.burdens().get(&member).map_or(0, |it| it.streams));
        let reason = format!("node {node} is cordoned");
        desk.apply(Event::Order(
            member.clone(),
            Order::Drain {
                grace: GRACE,
                reason: reason.clone(),
            },
        ));
        if let Some((name, pod)) = pods.get(&member) {
            let note = format!("{streams} streams move off {name} because {reason}");
            tracing::info!(%member, streams, "{note}");
            writer
                .tell_of_pod(name, pod, "MovingStreams", note, troubles)
                .await;
        }
        ordered.insert(member, node);
    }
}

/// Tells people once about each generation of a policy that cannot be followed.
async fn complain(
    seen: &Seen,
    writer: &Writer,
    complained: &mut BTreeMap<String, i64>,
    troubles: &Troubles,
) {
    let wrong: Vec<_> = {
        let picture = seen.picture.lock();
        complained.retain(|name, _| picture.policies().contains_key(name));
        let wrong = picture.policies().iter().filter_map(|(name, facts)| {
            let keys = picture.keys_of(facts).and_then(Result::err);
            let problem = facts.rule.as_ref().err().cloned().or(keys)?;
            let news = complained.get(name) != Some(&facts.generation);
            news.then(|| (name.clone(), facts.generation, facts.shown.clone(), problem))
        });
        wrong.collect()
    };
    for (name, generation, policy, problem) in wrong {
        writer.tell_of_policy(&policy, problem, troubles).await;
        complained.insert(name, generation);
    }
}
