//! What an operator counts.

use headwater_location::{LocateReply, PlaceReply, Role};
use headwater_process::metrics::{MetricsError, Registry};
use prometheus::{IntCounterVec, IntGauge, IntGaugeVec};

use crate::index::{CloseReason, Index};

/// The counts of one replica.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    members: IntGaugeVec,
    streams: IntGauge,
    places: IntCounterVec,
    locates: IntCounterVec,
    ended_sessions: IntCounterVec,
    refused_messages: IntCounterVec,
    kubernetes_errors: IntCounterVec,
}

/// What a question for a home is answered.
const NOWHERE: &str = "nowhere";
const LIVE: &str = "live";
const NEW: &str = "new";

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> Result<Metrics, MetricsError> {
        let metrics = Metrics {
            members: registry.gauges(
                "headwater_operator_members",
                "Members with a session, by what they do.",
                &["kind"],
            )?,
            streams: registry.gauge("headwater_operator_streams", "Streams in the ledger.")?,
            places: registry.counters(
                "headwater_operator_places_total",
                "Homes asked for, by what was answered.",
                &["answer"],
            )?,
            locates: registry.counters(
                "headwater_operator_locates_total",
                "Streams asked for, by what was answered.",
                &["answer"],
            )?,
            ended_sessions: registry.counters(
                "headwater_operator_ended_sessions_total",
                "Sessions that this replica ended, by why.",
                &["reason"],
            )?,
            refused_messages: registry.counters(
                "headwater_operator_refused_messages_total",
                "Messages that are not what the contract says, by what is wrong.",
                &["reason"],
            )?,
            kubernetes_errors: registry.counters(
                "headwater_operator_kubernetes_errors_total",
                "What the Kubernetes API did not do, by what was asked and why.",
                &["part", "reason"],
            )?,
        };
        // There from the start: an increase shows only between two samples, and the first time may be the only one.
        for answer in [NOWHERE, LIVE, NEW] {
            metrics.places.with_label_values(&[answer]);
        }
        Ok(metrics)
    }

    /// Counts what the Kubernetes API did not do, by part and reason.
    pub(crate) fn kubernetes_errors(&self) -> IntCounterVec {
        self.kubernetes_errors.clone()
    }

    pub(crate) fn levels(&self, index: &Index) {
        for role in [Role::Origin, Role::Edge] {
            let count = index
                .members()
                .iter()
                .filter(|member| member.role == role)
                .count();
            self.members
                .with_label_values(&[role.label()])
                .set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        self.streams
            .set(i64::try_from(index.streams()).unwrap_or(i64::MAX));
    }

    pub(crate) fn placed(&self, reply: &PlaceReply) {
        let answer = if reply.candidates.is_empty() {
            NOWHERE
        } else if reply.existing.is_some() {
            LIVE
        } else {
            NEW
        };
        self.places.with_label_values(&[answer]).inc();
    }

    pub(crate) fn located(&self, reply: &LocateReply) {
        let answer = if reply.sources.sources.is_empty() {
            "missing"
        } else {
            "found"
        };
        self.locates.with_label_values(&[answer]).inc();
    }

    pub(crate) fn ended(&self, reason: CloseReason) {
        self.ended_sessions
            .with_label_values(&[reason.reason()])
            .inc();
    }

    pub(crate) fn refused(&self, reason: &'static str) {
        self.refused_messages.with_label_values(&[reason]).inc();
    }
}
