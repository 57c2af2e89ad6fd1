//! The hub's metrics; one set for all streams of a role.

use headwater_media::TagKind;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::late::{DropReason, Dropped};

/// Counters and gauges over all streams.
#[derive(Debug)]
pub struct HubMetrics {
    received_bytes: IntCounter,
    received_audio: IntCounter,
    received_video: IntCounter,
    received_script: IntCounter,
    dropped: Vec<(DropReason, IntCounter)>,
    /// Tags that an upstream no longer held.
    pub gap_tags: IntCounter,
    ring_bytes: IntGauge,
    /// Streams held.
    pub streams: IntGauge,
}

impl HubMetrics {
    /// Registers them.
    ///
    /// # Errors
    /// If `registry` has metrics of these names already.
    pub fn register(registry: &Registry) -> Result<HubMetrics, prometheus::Error> {
        let received_tags = IntCounterVec::new(
            Opts::new(
                "headwater_hub_received_tags_total",
                "Tags received from publishers or upstreams.",
            ),
            &["kind"],
        )?;
        let dropped = IntCounterVec::new(
            Opts::new(
                "headwater_hub_dropped_tags_total",
                "Tags that a viewer was not sent, by reason.",
            ),
            &["reason"],
        )?;
        let metrics = HubMetrics {
            received_bytes: IntCounter::new(
                "headwater_hub_received_bytes_total",
                "Payload bytes received from publishers or upstreams.",
            )?,
            received_audio: received_tags.with_label_values(&["audio"]),
            received_video: received_tags.with_label_values(&["video"]),
            received_script: received_tags.with_label_values(&["script"]),
            dropped: DropReason::ALL
                .iter()
                .map(|r| (*r, dropped.with_label_values(&[r.as_str()])))
                .collect(),
            gap_tags: IntCounter::new(
                "headwater_hub_gap_tags_total",
                "Tags that were lost between roles because the upstream no longer held them.",
            )?,
            ring_bytes: IntGauge::new(
                "headwater_hub_ring_bytes",
                "Memory of rings: payloads and the tables of tags that hold them.",
            )?,
            streams: IntGauge::new("headwater_hub_streams", "Streams held.")?,
        };
        registry.register(Box::new(received_tags))?;
        registry.register(Box::new(dropped))?;
        registry.register(Box::new(metrics.received_bytes.clone()))?;
        registry.register(Box::new(metrics.gap_tags.clone()))?;
        registry.register(Box::new(metrics.ring_bytes.clone()))?;
        registry.register(Box::new(metrics.streams.clone()))?;
        Ok(metrics)
    }

    pub(crate) fn received(&self, kind: TagKind, size: usize) {
        self.received_bytes.inc_by(size as u64);
        match kind {
            TagKind::Audio => self.received_audio.inc(),
            TagKind::Video => self.received_video.inc(),
            TagKind::Script => self.received_script.inc(),
        }
    }

    pub(crate) fn ring_bytes_changed(&self, held: &mut usize, now: usize) {
        let change = |bytes: usize| i64::try_from(bytes).unwrap_or(i64::MAX);
        self.ring_bytes
            .add(change(now).saturating_sub(change(*held)));
        *held = now;
    }

    /// What all rings take, in bytes.
    pub fn ring_bytes(&self) -> usize {
        usize::try_from(self.ring_bytes.get()).unwrap_or(0)
    }

    /// Adds what a viewer lost since `before`.
    pub fn dropped(&self, before: &Dropped, after: &Dropped) {
        for (reason, counter) in &self.dropped {
            counter.inc_by(u64::from(
                after.get(*reason).saturating_sub(before.get(*reason)),
            ));
        }
    }
}
