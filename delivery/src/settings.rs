//! What holds for every fan-out of a role.

use std::sync::Arc;
use std::time::Duration;

use headwater_hub::{HubMetrics, LatePolicy};

use crate::cadence::Cadence;
use crate::metrics::DeliveryMetrics;
use crate::release::Releases;
use crate::threads::WriterThreads;

/// What all fan-outs of a role share.
#[derive(Debug)]
pub struct FanoutSettings {
    /// The process-wide tick.
    pub cadence: Arc<Cadence>,
    /// The late-viewer policy.
    pub policy: LatePolicy,
    /// A viewer whose socket takes nothing for this long is ended.
    pub stuck_max: Duration,
    /// Counts what viewers lose.
    pub hub_metrics: Arc<HubMetrics>,
    /// Counts what is delivered.
    pub metrics: Arc<DeliveryMetrics>,
    /// Says when viewers are to go.
    pub releases: Releases,
    /// The threads that write.
    pub threads: WriterThreads,
}
