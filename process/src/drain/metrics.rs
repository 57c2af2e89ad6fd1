//! How long a drain still has, and what for, as metrics.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, IntGaugeVec, Opts};

use super::Drain;
use crate::metrics::{MetricsError, Registry};

/// What a drain shows of itself.
struct DrainMetrics {
    drain: Drain,
    remaining: Gauge,
    held: IntGaugeVec,
}

impl Drain {
    /// Shows in `registry` what is held, and while the process drains how long it still has.
    ///
    /// # Errors
    /// If metrics of these names are there already.
    pub fn register(&self, registry: &Registry) -> Result<(), MetricsError> {
        let metrics = DrainMetrics {
            drain: self.clone(),
            remaining: MetricsError::of(
                "headwater_drain_remaining_seconds",
                Gauge::new(
                    "headwater_drain_remaining_seconds",
                    "Seconds until a drain ends whatever is left; only there while the process drains.",
                ),
            )?,
            held: MetricsError::of(
                "headwater_drain_held",
                IntGaugeVec::new(
                    Opts::new(
                        "headwater_drain_held",
                        "What a drain waits for, or would wait for, by kind.",
                    ),
                    &["what"],
                ),
            )?,
        };
        registry.register("headwater_drain", metrics)
    }
}

impl Collector for DrainMetrics {
    fn desc(&self) -> Vec<&Desc> {
        [self.remaining.desc(), self.held.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = Vec::new();
        if let Some(remaining) = self.drain.remaining() {
            self.remaining.set(remaining.as_secs_f64());
            families.extend(self.remaining.collect());
        }
        for (what, count) in self.drain.shared.holds.counts() {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.held.with_label_values(&[what]).set(count);
        }
        families.extend(self.held.collect());
        families
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_drain_shows_what_it_waits_for_and_how_long() {
        let registry = Registry::new().unwrap();
        let drain = Drain::new(Duration::from_secs(30));
        drain.register(&registry).unwrap();
        let shows = |line: &str| {
            let text = String::from_utf8(registry.encode()).unwrap();
            text.lines().any(|shown| shown.starts_with(line))
        };
        let _viewer = drain.hold("viewers");
        assert!(shows("headwater_drain_held{what=\"viewers\"} 1"));
        assert!(!shows("headwater_drain_remaining_seconds"));
        drain.begin();
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(shows("headwater_drain_remaining_seconds 20"));
    }
}
