//! What an origin counts. Labels are of closed sets.

use std::sync::Arc;

use headwater_hop::HopMetrics;
use headwater_hub::HubMetrics;
use headwater_process::accept::AcceptMetrics;
use headwater_process::metrics::Registry;
use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge};

use crate::error::StartError;

/// The counts of an origin and of the rooms that it builds on.
#[derive(Clone, Debug)]
pub(crate) struct OriginMetrics {
    pub(crate) hub: Arc<HubMetrics>,
    pub(crate) hop: HopMetrics,
    pub(crate) accept: AcceptMetrics,
    /// Publishers that are on.
    pub(crate) publishers: IntGauge,
    publishes: IntCounterVec,
    ends: IntCounterVec,
    rejected: IntCounterVec,
    /// From `publish` to its acceptance.
    pub(crate) start_seconds: Histogram,
    /// Streams of which this origin is the home.
    pub(crate) homes: IntGauge,
    claims: IntCounterVec,
    releases: IntCounterVec,
    switches: IntCounterVec,
    /// Publishers that stand by.
    pub(crate) backups: IntGauge,
    /// Bytes read from publishers.
    pub(crate) received_bytes: IntCounter,
    /// Publishers whose media is late.
    pub(crate) late_uplinks: IntGauge,
    uplink_gaps: IntCounter,
    uplink_jumps: IntCounter,
}

impl OriginMetrics {
    /// # Errors
    /// If `registry` has an origin's metrics already.
    pub(crate) fn register(registry: &Registry) -> Result<OriginMetrics, StartError> {
        let rooms = prometheus::Registry::new();
        let hub = Arc::new(HubMetrics::register(&rooms)?);
        let hop = HopMetrics::register(&rooms)?;
        registry.nest("hub and hop", rooms)?;
        Ok(OriginMetrics {
            hub,
            hop,
            accept: AcceptMetrics::register(registry)?,
            publishers: registry.gauge("headwater_origin_publishers", "Publishers that are on.")?,
            publishes: registry.counters(
                "headwater_origin_publishes_total",
                "Publishes that were asked for, by result: `accepted` or why not.",
                &["result"],
            )?,
            ends: registry.counters(
                "headwater_origin_publish_ends_total",
                "Accepted publishes that have ended, by reason.",
                &["reason"],
            )?,
            rejected: registry.counters(
                "headwater_origin_connection_ends_total",
                "RTMP connections that ended without publishing, by reason.",
                &["reason"],
            )?,
            start_seconds: registry.histogram(
                "headwater_origin_publish_start_seconds",
                "Time from a publish command to its acceptance.",
                &[0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0],
            )?,
            homes: registry.gauge(
                "headwater_origin_homes",
                "Streams of which this origin is the home.",
            )?,
            claims: registry.counters(
                "headwater_origin_claims_total",
                "Claims to be a stream's home that came, by verdict.",
                &["verdict"],
            )?,
            releases: registry.counters(
                "headwater_origin_releases_total",
                "Older sessions that were told of their end, by result.",
                &["result"],
            )?,
            switches: registry.counters(
                "headwater_origin_backup_switches_total",
                "Streams that went on with their backup (`on_duplicate: backup`), by what became of the publisher before: \
                 `gone`, or `silent` for 500 ms.",
                &["why"],
            )?,
            backups: registry.gauge(
                "headwater_origin_backups",
                "Publishers that stand by for the one that is on.",
            )?,
            late_uplinks: registry.gauge(
                "headwater_origin_late_uplinks",
                "Publishers whose media is 1 s or more behind its best moment: their lines do not carry it, or \
                 nothing comes.",
            )?,
            uplink_gaps: registry.counter(
                "headwater_origin_uplink_gaps_total",
                "Silences of 500 ms and more between two messages of a publisher.",
            )?,
            uplink_jumps: registry.counter(
                "headwater_origin_uplink_jumps_total",
                "Jumps of publishers' clocks.",
            )?,
            received_bytes: registry.counter(
                "headwater_origin_received_bytes_total",
                "Bytes read from RTMP connections.",
            )?,
        })
    }

    pub(crate) fn publish(&self, result: &'static str) {
        self.publishes.with_label_values(&[result]).inc();
    }

    pub(crate) fn publish_ended(&self, reason: &'static str) {
        self.ends.with_label_values(&[reason]).inc();
    }

    pub(crate) fn connection_ended(&self, reason: &'static str) {
        self.rejected.with_label_values(&[reason]).inc();
    }

    pub(crate) fn claim(&self, verdict: &'static str) {
        self.claims.with_label_values(&[verdict]).inc();
    }

    /// Counts gaps and jumps of a publisher.
    pub(crate) fn uplink_mishaps(&self, (gaps, jumps): (u64, u64)) {
        self.uplink_gaps.inc_by(gaps);
        self.uplink_jumps.inc_by(jumps);
    }

    pub(crate) fn switched(&self, was_on: bool) {
        self.switches
            .with_label_values(&[if was_on { "silent" } else { "gone" }])
            .inc();
    }

    pub(crate) fn released(&self, told: bool) {
        self.releases
            .with_label_values(&[if told { "told" } else { "unreachable" }])
            .inc();
    }
}
