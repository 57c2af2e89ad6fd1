//! What is delivered to viewers, over all streams of a role.

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

use crate::viewer::EndReason;

/// Counters of the fan-outs.
#[derive(Debug)]
pub struct DeliveryMetrics {
    sent_bytes: IntCounter,
    sent_by_thread: IntCounterVec,
    ended: Vec<(EndReason, IntCounter)>,
}

impl DeliveryMetrics {
    /// Registers them.
    ///
    /// # Errors
    /// If `registry` has metrics of these names already.
    pub fn register(registry: &Registry) -> Result<DeliveryMetrics, prometheus::Error> {
        let sent_bytes = IntCounter::new(
            "headwater_delivery_sent_bytes_total",
            "Bytes written to viewers' sockets, heads included.",
        )?;
        let sent_by_thread = IntCounterVec::new(
            Opts::new(
                "headwater_delivery_thread_sent_bytes_total",
                "Bytes written to viewers' sockets by each writer thread.",
            ),
            &["thread"],
        )?;
        let ended = IntCounterVec::new(
            Opts::new(
                "headwater_delivery_viewers_ended_total",
                "Viewers whose connection is over, by reason.",
            ),
            &["reason"],
        )?;
        registry.register(Box::new(sent_bytes.clone()))?;
        registry.register(Box::new(sent_by_thread.clone()))?;
        registry.register(Box::new(ended.clone()))?;
        let ended = EndReason::ALL
            .iter()
            .map(|r| (*r, ended.with_label_values(&[r.as_str()])))
            .collect();
        Ok(DeliveryMetrics {
            sent_bytes,
            sent_by_thread,
            ended,
        })
    }

    pub(crate) fn sent_by_thread(&self, number: usize) -> IntCounter {
        self.sent_by_thread.with_label_values(&[number.to_string()])
    }

    pub(crate) fn sent(&self, bytes: u64) {
        self.sent_bytes.inc_by(bytes);
    }

    pub(crate) fn ended(&self, reason: EndReason) {
        if let Some((_, counter)) = self.ended.iter().find(|(r, _)| *r == reason) {
            counter.inc();
        }
    }
}
