//! How long a silence makes a sender suspect: longer on a line that loses packets.
//!
//! A sender says something every 100 ms. Where a packet is lost with none behind it that would tell, TCP sends it again
//! after 200 ms, and after 400 ms more if that is lost too (RFC 6298, with the least time-out that Linux has): a line that
//! loses some packets in a hundred is silent for so long now and then, and nobody is dead.

use std::time::Duration;

/// A silence of which a lost packet is the likely reason.
const PAUSE: Duration = Duration::from_millis(180);
/// So long one is remembered.
const MEMORY: Duration = Duration::from_secs(60);
/// On a line with two such pauses in that time a silence may last so much longer: past the second time that a packet is
/// sent again, and short enough that another path is there within a second.
const MORE: Duration = Duration::from_millis(300);

/// The patience with one sender.
#[derive(Debug)]
pub(crate) struct Patience {
    silence: Duration,
    /// When the last two pauses ended, the later one first.
    pauses: [Option<Duration>; 2],
}

impl Patience {
    /// With a sender that is suspect after `silence`, on a line of which nothing is known.
    pub(crate) fn new(silence: Duration) -> Patience {
        Patience {
            silence,
            pauses: [None; 2],
        }
    }

    /// Something was heard at `now`, for the first time in `silent`.
    pub(crate) fn heard(&mut self, silent: Duration, now: Duration) {
        if silent >= PAUSE {
            let [last, _] = self.pauses;
            self.pauses = [Some(now), last];
        }
    }

    /// After which silence the sender is suspect.
    pub(crate) fn silence(&self, now: Duration) -> Duration {
        match self.pauses {
            [Some(_), Some(earlier)] if now.saturating_sub(earlier) < MEMORY => {
                self.silence.saturating_add(MORE)
            }
            _ => self.silence,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENCE: Duration = Duration::from_millis(400);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_line_with_two_pauses_in_a_minute_gets_more_time_until_they_are_forgotten() {
        let mut patience = Patience::new(SILENCE);
        patience.heard(ms(110), ms(1_000));
        patience.heard(ms(220), ms(2_000));
        assert_eq!(patience.silence(ms(2_000)), SILENCE, "one may be chance");
        patience.heard(ms(40), ms(3_000));
        patience.heard(ms(600), ms(30_000));
        assert_eq!(patience.silence(ms(30_000)), ms(700));
        assert_eq!(patience.silence(ms(61_999)), ms(700));
        assert_eq!(patience.silence(ms(62_000)), SILENCE);
        patience.heard(ms(200), ms(70_000));
        assert_eq!(patience.silence(ms(70_000)), ms(700), "30 s and 70 s");
    }

    #[test]
    fn an_even_line_keeps_the_short_silence() {
        let mut patience = Patience::new(SILENCE);
        for n in 0..1_000 {
            patience.heard(ms(100 + n % 80), ms(n * 150));
        }
        assert_eq!(patience.silence(ms(150_000)), SILENCE);
    }
}
