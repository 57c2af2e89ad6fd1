//! What is counted over all pulls of a role.

use prometheus::core::Collector;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// Counters and gauges of both ends.
#[derive(Clone, Debug)]
pub struct HopMetrics {
    /// Pulls that are served.
    pub(crate) serving: IntGauge,
    /// Pulls that are received.
    pub(crate) pulling: IntGauge,
    pub(crate) sent_bytes: IntCounter,
    pub(crate) sent_tags: IntCounter,
    pub(crate) received_bytes: IntCounter,
    pub(crate) received_tags: IntCounter,
    gap_tags: IntCounterVec,
    ended: IntCounterVec,
    refused: IntCounterVec,
}

/// The end of a pull that counts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Side {
    Serving,
    Pulling,
}

impl Side {
    fn as_str(self) -> &'static str {
        match self {
            Side::Serving => "serving",
            Side::Pulling => "pulling",
        }
    }
}

impl HopMetrics {
    /// Registers them.
    ///
    /// # Errors
    /// If `registry` has metrics of these names already.
    pub fn register(registry: &Registry) -> Result<HopMetrics, prometheus::Error> {
        Ok(HopMetrics {
            serving: made(
                registry,
                IntGauge::new("headwater_hop_serving", "Internal pulls that are served."),
            )?,
            pulling: made(
                registry,
                IntGauge::new("headwater_hop_pulling", "Internal pulls that are received."),
            )?,
            sent_bytes: made(
                registry,
                IntCounter::new(
                    "headwater_hop_sent_bytes_total",
                    "Bytes of FLV handed to internal pulls.",
                ),
            )?,
            sent_tags: made(
                registry,
                IntCounter::new(
                    "headwater_hop_sent_tags_total",
                    "Tags handed to internal pulls.",
                ),
            )?,
            received_bytes: made(
                registry,
                IntCounter::new(
                    "headwater_hop_received_bytes_total",
                    "Bytes of FLV received by internal pulls.",
                ),
            )?,
            received_tags: made(
                registry,
                IntCounter::new(
                    "headwater_hop_received_tags_total",
                    "Tags received by internal pulls.",
                ),
            )?,
            gap_tags: labelled(
                registry,
                "headwater_hop_gap_tags_total",
                "Tags that an internal pull lost because the sender no longer held them.",
                &["side"],
            )?,
            ended: labelled(
                registry,
                "headwater_hop_ended_total",
                "Internal pulls that have ended, by side and reason.",
                &["side", "reason"],
            )?,
            refused: labelled(
                registry,
                "headwater_hop_refused_total",
                "Internal pulls that were refused, by side and reason.",
                &["side", "reason"],
            )?,
        })
    }

    pub(crate) fn gap(&self, side: Side, tags: u64) {
        if tags > 0 {
            self.gap_tags
                .with_label_values(&[side.as_str()])
                .inc_by(tags);
        }
    }

    pub(crate) fn ended(&self, side: Side, reason: &'static str) {
        self.ended.with_label_values(&[side.as_str(), reason]).inc();
    }

    pub(crate) fn refused(&self, side: Side, reason: &'static str) {
        self.refused
            .with_label_values(&[side.as_str(), reason])
            .inc();
    }
}

fn made<C: Collector + Clone + 'static>(
    registry: &Registry,
    metric: Result<C, prometheus::Error>,
) -> Result<C, prometheus::Error> {
    let metric = metric?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn labelled(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<IntCounterVec, prometheus::Error> {
    made(registry, IntCounterVec::new(Opts::new(name, help), labels))
}
