//! Virtual time for those who play a part: their processes begin with the world.

use std::time::Duration;

use tokio::time::Instant;

/// The reading of the process's clock at its start.
fn start() -> Duration {
    // What a process that has just started reads; see `headwater_process::clock`.
    Duration::from_secs(10)
}

/// Microseconds since the beginning of the world.
pub(crate) fn now_us() -> u64 {
    let now = headwater_process::clock::now().saturating_sub(start());
    u64::try_from(now.as_micros()).unwrap()
}

/// The instant at which [`now_us`] reads `at_us`.
pub(crate) fn instant(at_us: u64) -> Instant {
    headwater_process::clock::instant(start() + Duration::from_micros(at_us))
}
