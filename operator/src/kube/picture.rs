//! What the cluster's API shows, as a plain value: objects go in, what the operator does by them comes out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use headwater_admission::{PolicyKeys, SigningKeys};
use headwater_location::{MemberId, Role, Site};
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::ResourceExt;

use super::policy::StreamPolicy;
use crate::index::{Known, Rule, Rules};

/// The label that says what a pod does.
const COMPONENT: &str = "app.kubernetes.io/component";
const REGION: &str = "topology.kubernetes.io/region";
const ZONE: &str = "topology.kubernetes.io/zone";

/// Everything that was shown and not taken away.
#[derive(Debug, Default)]
pub(crate) struct Picture {
    pods: BTreeMap<String, PodFacts>,
    /// Addresses of pods with a replica of the operator, ready or not.
    operators: BTreeMap<String, IpAddr>,
    nodes: BTreeMap<String, NodeFacts>,
    slices: BTreeMap<String, BTreeMap<String, bool>>,
    policies: BTreeMap<String, PolicyFacts>,
    /// What the Secrets that policies name hold, or what is wrong with each, as far as they have been read.
    keys: BTreeMap<String, Result<SigningKeys, String>>,
    /// The kinds that have been listed in full.
    listed: BTreeSet<&'static str>,
}

/// A pod that is a member, or may become one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PodFacts {
    pub(crate) member: MemberId,
    pub(crate) uid: String,
    pub(crate) role: Role,
    pub(crate) node: String,
    pub(crate) ready: bool,
    pub(crate) ends: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct NodeFacts {
    labels: BTreeMap<String, String>,
    cordoned: bool,
    lost: bool,
}

/// A policy, or what is wrong with it.
#[derive(Clone, Debug)]
pub(crate) struct PolicyFacts {
    pub(crate) generation: i64,
    pub(crate) rule: Result<Rule, String>,
    pub(crate) shown: StreamPolicy,
}

impl PolicyFacts {
    /// The Secret with its keys, by name.
    fn key_secret(&self) -> Option<&str> {
        Some(self.shown.spec.key_secret.as_ref()?.name.as_str())
    }
}

/// A kind of object that the picture is made of.
pub(crate) trait Shown: Sized {
    /// What people call it, with its group.
    const KIND: &'static str;
    /// It is there, or has changed.
    fn show(self, picture: &mut Picture);
    /// It is gone.
    fn hide(&self, picture: &mut Picture);
    /// All of its kind are gone.
    fn clear(picture: &mut Picture);
}

impl Picture {
    /// Takes a whole list in, in place of what was known of that kind.
    pub(crate) fn replace<K: Shown>(&mut self, all: Vec<K>) {
        K::clear(self);
        for object in all {
            object.show(self);
        }
        self.listed.insert(K::KIND);
    }

    /// What is known of members; `None` before pods and nodes have been listed.
    pub(crate) fn known(&self) -> Option<BTreeMap<MemberId, Known>> {
        if !self.has::<Pod>() || !self.has::<Node>() {
            return None;
        }
        let known = self.pods.iter().map(|(name, pod)| {
            let node = self.nodes.get(&pod.node);
            let label = |label: &str| {
                node.and_then(|node| node.labels.get(label))
                    .cloned()
                    .unwrap_or_default()
            };
            let unready = self
                .slices
                .values()
                .any(|slice| slice.get(name) == Some(&false));
            let known = Known {
                site: Site {
                    region: label(REGION),
                    zone: label(ZONE),
                },
                node_labels: node.map(|node| node.labels.clone()).unwrap_or_default(),
                cordoned: unready || pod.ends || node.is_some_and(|node| node.cordoned),
            };
            (pod.member.clone(), known)
        });
        Some(known.collect())
    }

    /// The members that should have a session; `None` before pods and nodes have been listed.
    pub(crate) fn expected(&self) -> Option<BTreeSet<MemberId>> {
        if !self.has::<Pod>() || !self.has::<Node>() {
            return None;
        }
        let there = self.pods.values().filter(|pod| {
            let lost = self.nodes.get(&pod.node).is_none_or(|node| node.lost);
            pod.ready && !pod.ends && !lost
        });
        Some(there.map(|pod| pod.member.clone()).collect())
    }

    /// Where the replicas of the operator are that are not about to end.
    pub(crate) fn operators(&self) -> BTreeSet<IpAddr> {
        self.operators.values().copied().collect()
    }

    /// Origins whose node takes no pods any more, with the node's name: their streams are to move off.
    pub(crate) fn leaving(&self) -> BTreeMap<MemberId, String> {
        self.pods
            .values()
            .filter(|pod| pod.role == Role::Origin && !pod.ends)
            .filter(|pod| self.nodes.get(&pod.node).is_some_and(|it| it.cordoned))
            .map(|pod| (pod.member.clone(), pod.node.clone()))
            .collect()
    }

    /// The policies that can be followed; `None` before they have been listed and the Secrets that they name been read.
    pub(crate) fn rules(&self) -> Option<Rules> {
        if !self.has::<StreamPolicy>() {
            return None;
        }
        let mut rules = Vec::new();
        for (name, facts) in &self.policies {
            let keys = match facts.key_secret() {
                Some(secret) => Some(match self.keys.get(secret)? {
                    Ok(keys) => PolicyKeys::Known(keys.clone()),
                    Err(_) => PolicyKeys::Unread,
                }),
                None => None,
            };
            let mut rule = match &facts.rule {
                Ok(rule) => rule.clone(),
                // What is wrong elsewhere in a policy opens no stream to everybody.
                Err(_) if keys.is_some() => facts.shown.spec.patterns(name),
                Err(_) => continue,
            };
            rule.policy.keys = keys;
            rules.push(rule);
        }
        Some(Rules::new(rules))
    }

    /// The Secrets that policies name, and whether each has been read.
    pub(crate) fn key_secrets(&self) -> BTreeMap<String, bool> {
        let names = self.policies.values().filter_map(PolicyFacts::key_secret);
        names
            .map(|name| (name.to_owned(), self.keys.contains_key(name)))
            .collect()
    }

    /// Takes in what a Secret holds, and forgets those that no policy names; says whether that is news.
    pub(crate) fn show_keys(&mut self, name: String, keys: Result<SigningKeys, String>) -> bool {
        let named = self.key_secrets();
        self.keys.retain(|name, _| named.contains_key(name));
        let news = self.keys.get(&name) != Some(&keys);
        self.keys.insert(name, keys);
        news
    }

    /// What is wrong with the keys of a policy that should have some; `None` if it should have none, or is not known yet.
    pub(crate) fn keys_of(&self, facts: &PolicyFacts) -> Option<Result<(), String>> {
        let keys = self.keys.get(facts.key_secret()?)?;
        Some(keys.as_ref().map(|_| ()).map_err(Clone::clone))
    }

    pub(crate) fn pods(&self) -> &BTreeMap<String, PodFacts> {
        &self.pods
    }

    pub(crate) fn policies(&self) -> &BTreeMap<String, PolicyFacts> {
        &self.policies
    }

    /// Which other policy decides for each pattern of `name` because it has the same one.
    pub(crate) fn shadowed(&self, name: &str) -> Option<(String, String)> {
        let rule = self.policies.get(name)?.rule.as_ref().ok()?;
        self.policies
            .iter()
            .take_while(|(other, _)| other.as_str() < name)
            .filter_map(|(other, facts)| Some((other, facts.rule.as_ref().ok()?)))
            .find_map(|(other, theirs)| {
                let same = |it: &&_| theirs.policy.streams.contains(it);
                let pattern = rule.policy.streams.iter().find(same)?;
                Some((other.clone(), pattern.to_string()))
            })
    }

    fn has<K: Shown>(&self) -> bool {
        self.listed.contains(K::KIND)
    }
}

/// What a member that runs in a pod calls itself (charts/headwater, `HEADWATER_LOCATION_ID`).
fn member(name: &str, uid: &str) -> MemberId {
    format!("{name}.{uid}").into()
}

impl Shown for Pod {
    const KIND: &'static str = "pods";

    fn show(self, picture: &mut Picture) {
        let name = self.name_any();
        let role = match self.labels().get(COMPONENT).map(String::as_str) {
            Some("origin") => Role::Origin,
            Some("edge") => Role::Edge,
            Some("operator") => {
                show_operator(&self, picture);
                return;
            }
            _ => return,
        };
        let Some(uid) = self.uid() else { return };
        let conditions = self.status.iter().flat_map(|it| it.conditions.iter());
        let ready = conditions
            .flatten()
            .any(|it| it.type_ == "Ready" && it.status == "True");
        let pod = PodFacts {
            member: member(&name, &uid),
            uid,
            role,
            node: self
                .spec
                .as_ref()
                .and_then(|spec| spec.node_name.clone())
                .unwrap_or_default(),
            ready,
            ends: self.metadata.deletion_timestamp.is_some(),
        };
        picture.pods.insert(name, pod);
    }

    fn hide(&self, picture: &mut Picture) {
        picture.pods.remove(&self.name_any());
        picture.operators.remove(&self.name_any());
    }

    fn clear(picture: &mut Picture) {
        picture.pods.clear();
        picture.operators.clear();
    }
}

fn show_operator(pod: &Pod, picture: &mut Picture) {
    let address = pod
        .status
        .as_ref()
        .and_then(|status| status.pod_ip.as_ref()?.parse().ok());
    let name = pod.name_any();
    match address.filter(|_| pod.metadata.deletion_timestamp.is_none()) {
        Some(address) => picture.operators.insert(name, address),
        None => picture.operators.remove(&name),
    };
}

impl Shown for Node {
    const KIND: &'static str = "nodes";

    fn show(self, picture: &mut Picture) {
        let conditions = self.status.iter().flat_map(|it| it.conditions.iter());
        let node = NodeFacts {
            labels: self.labels().clone(),
            cordoned: self
                .spec
                .as_ref()
                .is_some_and(|spec| spec.unschedulable == Some(true)),
            lost: conditions
                .flatten()
                .any(|it| it.type_ == "Ready" && it.status != "True"),
        };
        picture.nodes.insert(self.name_any(), node);
    }

    fn hide(&self, picture: &mut Picture) {
        picture.nodes.remove(&self.name_any());
    }

    fn clear(picture: &mut Picture) {
        picture.nodes.clear();
    }
}

impl Shown for EndpointSlice {
    const KIND: &'static str = "endpointslices.discovery.k8s.io";

    fn show(self, picture: &mut Picture) {
        let endpoints = self.endpoints.iter().flatten().filter_map(|endpoint| {
            let pod = endpoint.target_ref.as_ref()?.name.clone()?;
            let ready = endpoint.conditions.as_ref().and_then(|it| it.ready);
            // Unknown counts as ready (EndpointConditions in the API's reference).
            Some((pod, ready.unwrap_or(true)))
        });
        let endpoints = endpoints.collect();
        picture.slices.insert(self.name_any(), endpoints);
    }

    fn hide(&self, picture: &mut Picture) {
        picture.slices.remove(&self.name_any());
    }

    fn clear(picture: &mut Picture) {
        picture.slices.clear();
    }
}

impl Shown for StreamPolicy {
    const KIND: &'static str = "streampolicies.headwater.dev";

    fn show(self, picture: &mut Picture) {
        let name = self.name_any();
        let facts = PolicyFacts {
            generation: self.metadata.generation.unwrap_or(0),
            rule: self.spec.rule(&name),
            shown: self,
        };
        picture.policies.insert(name, facts);
    }

    fn hide(&self, picture: &mut Picture) {
        picture.policies.remove(&self.name_any());
    }

    fn clear(picture: &mut Picture) {
        picture.policies.clear();
    }
}

#[cfg(test)]
mod tests;
