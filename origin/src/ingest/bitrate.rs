//! How much a publisher may send.

use std::time::Duration;

/// A publisher may send so many seconds of its bitrate at once: keyframes, and what an encoder had to hold back.
const BURST_S: u64 = 4;

/// A bucket that fills with what is sent and drains at the allowed bitrate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bitrate {
    bits_per_second: u64,
    /// Bits in the bucket, times 10^9: so that short steps of time lose nothing.
    level: u128,
    at: Duration,
}

impl Bitrate {
    pub(super) fn new(bits_per_second: u64, now: Duration) -> Bitrate {
        Bitrate {
            bits_per_second,
            level: 0,
            at: now,
        }
    }

    /// The limit in bits per second.
    pub(super) fn bits_per_second(&self) -> u64 {
        self.bits_per_second
    }

    /// Counts `bytes` that came by `now`. Returns whether they are within the limit.
    pub(super) fn take(&mut self, bytes: usize, now: Duration) -> bool {
        let rate = u128::from(self.bits_per_second);
        let drained = rate.saturating_mul(now.saturating_sub(self.at).as_nanos());
        self.at = now;
        let came = u128::try_from(bytes)
            .unwrap_or(u128::MAX)
            .saturating_mul(8_000_000_000);
        self.level = self.level.saturating_sub(drained).saturating_add(came);
        self.level
            <= rate
                .saturating_mul(u128::from(BURST_S))
                .saturating_mul(1_000_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends at `bits_per_second` in steps of 10 ms; gives the second in which the limit of 1 Mbit/s is passed.
    fn passed_after(bits_per_second: u64) -> Option<f64> {
        let mut limit = Bitrate::new(1_000_000, Duration::ZERO);
        let step = usize::try_from(bits_per_second / 800).unwrap();
        (1..6_000_u64)
            .map(|n| Duration::from_millis(10 * n))
            .find(|now| !limit.take(step, *now))
            .map(|now| now.as_secs_f64())
    }

    #[test]
    fn a_bitrate_over_the_limit_is_found_within_seconds_and_one_below_never() {
        for (bits_per_second, at_least, at_most) in [
            (10_000_000, 0.3, 0.5),
            (2_000_000, 3.9, 4.1),
            (1_100_000, 30.0, 50.0),
        ] {
            let second = passed_after(bits_per_second).unwrap();
            assert!(
                (at_least..at_most).contains(&second),
                "{bits_per_second}: {second} s"
            );
        }
        assert_eq!(passed_after(1_000_000), None);
        assert_eq!(passed_after(990_000), None);
    }

    #[test]
    fn a_burst_of_four_seconds_is_fine() {
        let mut limit = Bitrate::new(8_000, Duration::ZERO);
        assert!(limit.take(4_000, Duration::ZERO));
        assert!(!limit.take(1, Duration::ZERO));
        assert!(limit.take(999, Duration::from_secs(1)));
    }
}
