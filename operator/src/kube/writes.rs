//! What the replica that holds the lease writes: deletion costs, the status of policies, Events.

use std::collections::BTreeMap;

use headwater_location::Role;
use k8s_openapi::api::core::v1::{ObjectReference, Pod};
use kube::api::{Patch, PatchParams};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Api, Client, Resource};
use serde_json::json;

use super::picture::{Picture, PodFacts};
use super::policy::StreamPolicy;
use super::rights::Troubles;
use super::status::Status;
use crate::index::Index;

const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
const MANAGER: &str = "headwater-operator";

/// The writer's memory: what it wrote last.
pub(super) struct Writer {
    client: Client,
    namespace: String,
    recorder: Recorder,
    costs: BTreeMap<String, u64>,
}

impl Writer {
    pub(super) fn new(client: Client, namespace: &str, me: &str) -> Writer {
        let reporter = Reporter {
            controller: MANAGER.to_owned(),
            instance: Some(me.to_owned()),
        };
        Writer {
            recorder: Recorder::new(client.clone(), reporter),
            client,
            namespace: namespace.to_owned(),
            costs: BTreeMap::new(),
        }
    }

    /// Another replica may have written meanwhile.
    pub(super) fn forget(&mut self) {
        self.costs.clear();
    }

    /// Says of each pod what its deletion would cost: the viewers and streams that it has.
    pub(super) async fn costs(&mut self, due: BTreeMap<String, u64>, troubles: &Troubles) {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        self.costs.retain(|name, _| due.contains_key(name));
        for (name, cost) in due {
            if self
                .costs
                .get(&name)
                .is_some_and(|last| !differs(*last, cost))
            {
                continue;
            }
            let patch = json!({"metadata": {"annotations": {DELETION_COST: cost.to_string()}}});
            let written = pods
                .patch(&name, &PatchParams::default(), &Patch::Merge(patch))
                .await;
            match written {
                Ok(_) => {
                    self.costs.insert(name, cost);
                    troubles.well("pod_deletion_cost");
                }
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => {
                    return troubles.failed("pod_deletion_cost", "patch pods", &error);
                }
            }
        }
    }

    /// Writes the statuses that are not so yet.
    pub(super) async fn statuses(&self, due: Vec<Status>, troubles: &Troubles) {
        let policies: Api<StreamPolicy> = Api::namespaced(self.client.clone(), &self.namespace);
        for Status { name, status } in due {
            let patch = json!({"status": status});
            let written = policies
                .patch_status(&name, &PatchParams::default(), &Patch::Merge(patch))
                .await;
            match written {
                Ok(_) => troubles.well("policy_status"),
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => {
                    return troubles.failed("policy_status", "patch streampolicies/status", &error);
                }
            }
        }
    }

    /// Tells people about a pod.
    pub(super) async fn tell_of_pod(
        &self,
        name: &str,
        pod: &PodFacts,
        reason: &str,
        note: String,
        troubles: &Troubles,
    ) {
        let about = ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            name: Some(name.to_owned()),
            namespace: Some(self.namespace.clone()),
            uid: Some(pod.uid.clone()),
            ..ObjectReference::default()
        };
        self.tell(&about, EventType::Normal, reason, note, troubles)
            .await;
    }

    /// Tells people what is wrong with a policy.
    pub(super) async fn tell_of_policy(
        &self,
        policy: &StreamPolicy,
        note: String,
        troubles: &Troubles,
    ) {
        let about = policy.object_ref(&());
        self.tell(&about, EventType::Warning, "NotFollowed", note, troubles)
            .await;
    }

    async fn tell(
        &self,
        about: &ObjectReference,
        type_: EventType,
        reason: &str,
        note: String,
        troubles: &Troubles,
    ) {
        let event = Event {
            type_,
            reason: reason.to_owned(),
            note: Some(note),
            action: reason.to_owned(),
            secondary: None,
        };
        match self.recorder.publish(&event, about).await {
            Ok(()) => troubles.well("events"),
            Err(error) => troubles.failed("events", "create events.events.k8s.io", &error),
        }
    }
}

/// Whether a change is worth a write: a fifth, or from or to nothing.
fn differs(last: u64, now: u64) -> bool {
    (last == 0) != (now == 0) || last.abs_diff(now).saturating_mul(5) > last
}

/// What the deletion of each pod would cost now.
pub(super) fn costs(picture: &Picture, index: &Index) -> BTreeMap<String, u64> {
    let burdens = index.burdens();
    picture
        .pods()
        .iter()
        .filter(|(_, pod)| !pod.ends)
        .map(|(name, pod)| {
            let burden = burdens.get(&pod.member).copied().unwrap_or_default();
            let cost = match pod.role {
                Role::Origin => burden.streams,
                Role::Edge => burden.viewers,
            };
            // The annotation is a signed 32-bit number.
            (name.clone(), cost.min(1 << 30))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_is_written_when_it_changed_by_a_fifth() {
        for (last, now, due) in [
            (0, 0, false),
            (0, 1, true),
            (100, 110, false),
            (100, 130, true),
            (5, 0, true),
        ] {
            assert_eq!(differs(last, now), due, "{last} {now}");
        }
    }
}
