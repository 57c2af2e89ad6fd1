//! What arrival times say of a publisher's uplink.

use std::time::Duration;

use super::millis;

/// A silence this long is a gap.
const GAP: Duration = Duration::from_millis(500);
/// Encoders fill their look-ahead, and bursts settle, before the distance of the clocks says something.
const WARM_UP: Duration = Duration::from_secs(5);

/// How well a publisher's messages arrive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UplinkHealth {
    /// How far the media's clock is behind the wall clock, compared with the session's best moment, in
    /// milliseconds; 0 in the first 5 s. It grows while the uplink cannot carry the stream, and while nothing comes.
    pub late_ms: u64,
    /// Silences of 500 ms and more between two messages.
    pub gaps: u64,
    /// Jumps of the publisher's clock.
    pub jumps: u64,
}

/// The figures behind [`UplinkHealth`].
#[derive(Clone, Debug, Default)]
pub(super) struct Watch {
    first_at: Option<Duration>,
    heard_at: Duration,
    /// The smallest lag since the warm-up.
    best_lag_ms: Option<i64>,
    gaps: u64,
    jumps: u64,
}

impl Watch {
    /// A message of any kind came.
    pub(super) fn heard(&mut self, now: Duration) {
        if self.first_at.is_none() {
            self.first_at = Some(now);
        } else if now.saturating_sub(self.heard_at) >= GAP {
            self.gaps = self.gaps.saturating_add(1);
        }
        self.heard_at = now;
    }

    /// The media's time is `dts_ms` by now.
    pub(super) fn placed(&mut self, dts_ms: i64, now: Duration) {
        if let Some(lag_ms) = self.lag_ms(dts_ms, now) {
            self.best_lag_ms = Some(self.best_lag_ms.map_or(lag_ms, |best| best.min(lag_ms)));
        }
    }

    pub(super) fn jumped(&mut self) {
        self.jumps = self.jumps.saturating_add(1);
    }

    pub(super) fn health(&self, dts_ms: i64, now: Duration) -> UplinkHealth {
        let late_ms = match (self.lag_ms(dts_ms, now), self.best_lag_ms) {
            (Some(lag_ms), Some(best_ms)) => lag_ms.saturating_sub(best_ms),
            _ => 0,
        };
        UplinkHealth {
            late_ms: u64::try_from(late_ms).unwrap_or(0),
            gaps: self.gaps,
            jumps: self.jumps,
        }
    }

    /// Wall time since the first message less media time; `None` during the warm-up.
    fn lag_ms(&self, dts_ms: i64, now: Duration) -> Option<i64> {
        let wall = now.saturating_sub(self.first_at?);
        (wall >= WARM_UP).then(|| millis(wall).saturating_sub(dts_ms))
    }
}
