//! Which replica writes to Kubernetes: whoever holds the Lease. Nothing else depends on it.

use std::time::Duration;

use headwater_process::clock;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::sync::watch;

use super::rights::Troubles;

/// A lease that nobody renewed for so long may be taken.
const HELD: Duration = Duration::from_secs(10);
/// How often the holder renews it and the others look.
const EVERY: Duration = Duration::from_secs(2);

/// What a replica does about the lease now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It holds it and says so again.
    Renew,
    /// Nobody holds it any more.
    Take,
    /// Another one holds it.
    Wait,
}

/// One replica's view of the lease. Other machines' clocks do not count: a holder is gone when the lease has not changed
/// for [`HELD`] by this machine's clock.
#[derive(Debug)]
struct Candidate {
    me: String,
    /// The version of the lease that was seen last, and since when it is so.
    seen: Option<(String, Duration)>,
}

impl Candidate {
    fn step(&mut self, lease: &Lease, now: Duration) -> Step {
        let version = lease.metadata.resource_version.clone().unwrap_or_default();
        let since = match &self.seen {
            Some((seen, since)) if *seen == version => *since,
            Some(_) | None => {
                self.seen = Some((version, now));
                now
            }
        };
        let spec = lease.spec.as_ref();
        match spec.and_then(|spec| spec.holder_identity.as_deref()) {
            Some(holder) if *holder == self.me => Step::Renew,
            Some("") | None => Step::Take,
            Some(_) if now.saturating_sub(since) > HELD => Step::Take,
            Some(_) => Step::Wait,
        }
    }
}

/// Keeps or seeks the lease `name` as `me` for ever; says in `leads` whether it is held.
pub(super) async fn seek(
    client: Client,
    namespace: &str,
    name: &str,
    me: &str,
    leads: watch::Sender<bool>,
    troubles: &Troubles,
) {
    let leases: Api<Lease> = Api::namespaced(client, namespace);
    let mut candidate = Candidate {
        me: me.to_owned(),
        seen: None,
    };
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut renewed = clock::now();
    loop {
        ticks.tick().await;
        let held = tokio::time::timeout(HELD / 2, attempt(&leases, name, &mut candidate)).await;
        match held {
            Ok(Ok(held)) => {
                troubles.well("lease");
                if held {
                    renewed = clock::now();
                }
                set(&leads, held);
            }
            Ok(Err(error)) => troubles.failed("lease", "take or renew the lease", &error),
            Err(_) => tracing::debug!("the API server does not answer about the lease"),
        }
        // Another replica takes it a moment later.
        if clock::now().saturating_sub(renewed) > HELD {
            set(&leads, false);
        }
    }
}

/// Gives the lease up, so that another replica need not wait.
pub(super) async fn release(client: Client, namespace: &str, name: &str, me: &str) {
    let leases: Api<Lease> = Api::namespaced(client, namespace);
    let released = async {
        let mut lease = leases.get(name).await?;
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() == Some(me) {
            spec.holder_identity = Some(String::new());
            leases.replace(name, &PostParams::default(), &lease).await?;
        }
        Ok::<_, kube::Error>(())
    };
    if let Ok(Err(error)) = tokio::time::timeout(Duration::from_secs(1), released).await {
        tracing::debug!(%error, "the lease was not given up");
    }
}

fn set(leads: &watch::Sender<bool>, now: bool) {
    leads.send_if_modified(|before| {
        let changed = *before != now;
        if changed {
            tracing::info!(
                leads = now,
                "this replica {}",
                if now {
                    "writes to Kubernetes"
                } else {
                    "does not write to Kubernetes any more"
                }
            );
        }
        *before = now;
        changed
    });
}

/// Says whether the lease is held.
async fn attempt(
    leases: &Api<Lease>,
    name: &str,
    candidate: &mut Candidate,
) -> Result<bool, kube::Error> {
    let Some(mut lease) = leases.get_opt(name).await? else {
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                ..ObjectMeta::default()
            },
            spec: Some(claimed(LeaseSpec::default(), &candidate.me)),
        };
        return lost_race(leases.create(&PostParams::default(), &lease).await);
    };
    match candidate.step(&lease, clock::now()) {
        Step::Wait => Ok(false),
        Step::Take | Step::Renew => {
            // The version goes along: of two that write, one fails.
            lease.spec = Some(claimed(lease.spec.unwrap_or_default(), &candidate.me));
            lost_race(leases.replace(name, &PostParams::default(), &lease).await)
        }
    }
}

fn lost_race(written: Result<Lease, kube::Error>) -> Result<bool, kube::Error> {
    match written {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => Err(error),
    }
}

fn claimed(spec: LeaseSpec, me: &str) -> LeaseSpec {
    let unix_ms = i64::try_from(clock::unix_ms()).unwrap_or(0);
    let now = Timestamp::from_millisecond(unix_ms).ok().map(MicroTime);
    let mine = spec.holder_identity.as_deref() == Some(me);
    LeaseSpec {
        holder_identity: Some(me.to_owned()),
        lease_duration_seconds: i32::try_from(HELD.as_secs()).ok(),
        acquire_time: if mine {
            spec.acquire_time.clone()
        } else {
            now.clone()
        },
        renew_time: now,
        lease_transitions: if mine {
            spec.lease_transitions
        } else {
            Some(spec.lease_transitions.unwrap_or(0).saturating_add(1))
        },
        ..spec
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(holder: &str, version: &str) -> Lease {
        Lease {
            metadata: ObjectMeta {
                resource_version: Some(version.to_owned()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(holder.to_owned()),
                ..LeaseSpec::default()
            }),
        }
    }

    #[test]
    fn a_lease_is_taken_only_from_a_holder_that_stopped_renewing() {
        let mut me = Candidate {
            me: "me".to_owned(),
            seen: None,
        };
        let mut at = |s, holder, version| me.step(&lease(holder, version), Duration::from_secs(s));
        assert_eq!(at(0, "other", "1"), Step::Wait);
        assert_eq!(at(9, "other", "1"), Step::Wait);
        assert_eq!(at(10, "other", "2"), Step::Wait, "renewed");
        assert_eq!(at(20, "other", "2"), Step::Wait);
        assert_eq!(
            at(21, "other", "2"),
            Step::Take,
            "silent for longer than it may be"
        );
        assert_eq!(at(22, "me", "3"), Step::Renew);
        assert_eq!(at(23, "", "4"), Step::Take, "given up");
    }
}
