//! What a locator counts.

use headwater_process::metrics::{MetricsError, Registry};
use prometheus::{IntCounter, IntCounterVec, IntGauge};

#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    pub(crate) connected: IntGauge,
    pub(crate) members: IntGauge,
    answers: IntCounterVec,
    pub(crate) shared: IntCounter,
    lost: IntCounterVec,
}

/// Who answered a Place or Locate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    Operator,
    Exception,
    Ring,
    Nobody,
}

impl Answered {
    fn label(self) -> &'static str {
        match self {
            Answered::Operator => "operator",
            Answered::Exception => "exception",
            Answered::Ring => "ring",
            Answered::Nobody => "nobody",
        }
    }
}

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> Result<Metrics, MetricsError> {
        Ok(Metrics {
            connected: registry.gauge(
                "headwater_location_replicas",
                "Operator replicas with which this member has a session.",
            )?,
            members: registry.gauge(
                "headwater_location_members",
                "Members that this member knows of.",
            )?,
            answers: registry.counters(
                "headwater_location_answers_total",
                "Homes and streams looked up, by call and by who answered.",
                &["call", "by"],
            )?,
            shared: registry.counter(
                "headwater_location_shared_lookups_total",
                "Lookups that joined one under way for the same stream.",
            )?,
            lost: registry.counters(
                "headwater_location_lost_sessions_total",
                "Sessions with operator replicas that ended, by why.",
                &["reason"],
            )?,
        })
    }

    pub(crate) fn answered(&self, call: &'static str, by: Answered) {
        self.answers.with_label_values(&[call, by.label()]).inc();
    }

    pub(crate) fn lost(&self, reason: &'static str) {
        self.lost.with_label_values(&[reason]).inc();
    }
}
