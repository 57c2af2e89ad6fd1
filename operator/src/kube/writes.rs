//! What the replica that holds the lease writes: deletion costs, the status of policies, Events.

use std::collections::BTreeMap;

use headwater_location::Role;
use headwater_process::clock;
use k8s_openapi::api::core::v1::{ObjectReference, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Api, Client, Resource};
use serde_json::json;

use super::picture::{Picture, PodFacts};
use super::policy::{Condition, StreamPolicy, StreamPolicyStatus};
use super::rights::Troubles;
use crate::index::{Index, Matched};

const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
const MANAGER: &str = "headwater-operator";

/// The writer's memory: what it wrote last.
pub(super) struct Writer {
    client: Client,
    namespace: String,
    recorder: Recorder,
    costs: BTreeMap<String, u64>,
}

/// A write that is due.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Status {
    name: String,
    status: StreamPolicyStatus,
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

/// The statuses that differ from those that are shown.
pub(super) fn statuses(picture: &Picture, index: &Index) -> Vec<Status> {
    let matched = index.matched();
    picture
        .policies()
        .iter()
        .filter_map(|(name, facts)| {
            let shown = facts.shown.status.clone().unwrap_or_default();
            let matched = matched.get(name).cloned().unwrap_or_default();
            let shadow = picture.shadowed(name);
            let status = status(facts.generation, &facts.rule, &matched, shadow, &shown);
            (status != shown).then(|| Status {
                name: name.clone(),
                status,
            })
        })
        .collect()
}

fn status<R>(
    generation: i64,
    rule: &Result<R, String>,
    matched: &Matched,
    shadow: Option<(String, String)>,
    shown: &StreamPolicyStatus,
) -> StreamPolicyStatus {
    let accepted = match (rule, shadow) {
        (Err(problem), _) => (false, "Contradiction", problem.clone()),
        (Ok(_), Some((other, pattern))) => (
            false,
            "SamePattern",
            format!(
                "StreamPolicy {other} has the pattern {pattern} too and decides, being the first by name: remove the \
                 pattern from one of them"
            ),
        ),
        (Ok(_), None) => (true, "Valid", "the policy is in force".to_owned()),
    };
    let placeable = match rule {
        Err(_) => (false, "NotAccepted", "the policy is not in force".to_owned()),
        Ok(_) if matched.origins == 0 => (
            false,
            "NoOrigin",
            "no origin that takes new streams fits the placement, so publishers of these streams are refused: change \
             the placement or add origins there"
                .to_owned(),
        ),
        Ok(_) => (
            true,
            "OriginsFit",
            format!("{} origins may be home", matched.origins),
        ),
    };
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    StreamPolicyStatus {
        observed_generation: generation,
        matched_streams: count(matched.streams),
        examples: matched.examples.clone(),
        origins: count(matched.origins),
        conditions: [("Accepted", accepted), ("Placeable", placeable)]
            .into_iter()
            .map(|(kind, said)| condition(kind, said, generation, shown))
            .collect(),
    }
}

fn condition(
    kind: &str,
    (holds, reason, message): (bool, &str, String),
    generation: i64,
    shown: &StreamPolicyStatus,
) -> Condition {
    let status = if holds { "True" } else { "False" };
    let before = shown.conditions.iter().find(|it| it.kind == kind);
    let since = before.filter(|it| it.status == status);
    Condition {
        kind: kind.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message,
        last_transition_time: since.map_or_else(now, |it| it.last_transition_time.clone()),
        observed_generation: generation,
    }
}

fn now() -> String {
    let unix_s = i64::try_from(clock::unix_ms() / 1000).unwrap_or(0);
    Timestamp::from_second(unix_s)
        .map(|now| now.to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_what_is_wrong_and_keeps_the_time_of_what_stays() {
        let matched = Matched {
            streams: 2,
            origins: 0,
            examples: vec!["default/live/a".to_owned()],
        };
        let first = status(1, &Ok(()), &matched, None, &StreamPolicyStatus::default());
        let by = |status: &StreamPolicyStatus, kind: &str| {
            let found = status.conditions.iter().find(|it| it.kind == kind);
            found.unwrap().clone()
        };
        assert_eq!(by(&first, "Accepted").status, "True");
        assert_eq!(by(&first, "Placeable").reason, "NoOrigin");
        assert_eq!((first.matched_streams, first.observed_generation), (2, 1));

        let mut shown = first.clone();
        shown.conditions[0].last_transition_time = "2026-01-01T00:00:00Z".to_owned();
        let again = status(2, &Ok(()), &matched, None, &shown);
        assert_eq!(
            by(&again, "Accepted").last_transition_time,
            "2026-01-01T00:00:00Z"
        );
        let shadow = Some(("a".to_owned(), "*/live/*".to_owned()));
        let shadowed = status(2, &Ok(()), &matched, shadow, &shown);
        let accepted = by(&shadowed, "Accepted");
        assert_eq!(accepted.status, "False");
        assert_ne!(accepted.last_transition_time, "2026-01-01T00:00:00Z");
        assert!(
            accepted.message.contains("StreamPolicy a"),
            "{}",
            accepted.message
        );
    }

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
