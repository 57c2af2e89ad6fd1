//! When a [`Paced`](super::Paced) connection is read: as soon as bytes come, or at a tick.
//!
//! Each wake-up costs more than reading a small packet. Who gains nothing from a packet that is here before a tick leaves
//! what comes in the kernel until then.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Sleep, sleep_until};

use super::Pace;
use crate::clock;

/// So long after its beginning a connection is read at once: what comes first is waited for.
const BEGINNING: Duration = Duration::from_millis(500);
/// A look that finds more than this shows a connection whose packets are worth a wake-up each, and which could fill the
/// kernel's buffer before the next look.
const LOOK_MAX_BYTES: usize = 24 << 10;
/// For so long it is then read at once, and longer as long as a look would still find that much.
const BUSY: Duration = Duration::from_secs(5);

/// When a connection is read.
#[derive(Debug)]
pub struct Looks {
    pace: Pace,
    every: Option<Duration>,
    /// Read at once until then.
    at_once_until: Duration,
    /// When it is looked next; `None` while it is read at once.
    next: Option<Duration>,
    alarm: Option<Pin<Box<Sleep>>>,
    /// What has come since the last look, or since it has been read at once for being busy.
    bytes: usize,
    busy: bool,
}

impl Looks {
    /// A connection that has begun at `now`; it is read at once until [`every`](Self::every) says otherwise.
    pub fn new(pace: Pace, now: Duration) -> Looks {
        Looks {
            pace,
            every: None,
            at_once_until: now.saturating_add(BEGINNING),
            next: None,
            alarm: None,
            bytes: 0,
            busy: false,
        }
    }

    /// It is read from here on only at multiples of `every` on the process's clock, or again as soon as bytes come
    /// (`None`). What comes at a high rate is read at once all the same.
    pub fn every(&mut self, every: Option<Duration>) {
        if self.every != every {
            self.every = every;
            self.hold(None);
        }
    }

    /// Whether it waits for looks.
    pub fn paced(&self) -> bool {
        self.next.is_some()
    }

    /// Decides how it is read from here on. To be called before each poll of the connection.
    pub fn arrange(&mut self) {
        let Some(every) = self.every.filter(|_| self.next.is_none()) else {
            return;
        };
        let now = clock::now();
        if now < self.at_once_until {
            return;
        }
        if self.busy && self.bytes_in(every) > LOOK_MAX_BYTES as u128 {
            self.read_at_once(now);
        } else {
            self.busy = false;
            self.wait_for(clock::next_multiple(now, every));
        }
    }

    /// How much has come in a time of `every` while it was busy.
    fn bytes_in(&self, every: Duration) -> u128 {
        (self.bytes as u128).saturating_mul(every.as_micros()) / BUSY.as_micros()
    }

    fn read_at_once(&mut self, now: Duration) {
        self.at_once_until = now.saturating_add(BUSY);
        self.busy = true;
        self.bytes = 0;
    }

    /// Notes that `bytes` have come at `now`.
    pub fn took(&mut self, bytes: usize, now: Duration) {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.next.is_some() && self.bytes > LOOK_MAX_BYTES {
            self.read_at_once(now);
            self.hold(None);
        }
    }

    /// Returns when the connection is to be polled for a look; for ever while it is read at once.
    pub async fn due(&mut self) {
        let (Some(every), Some(_), Some(alarm)) = (self.every, self.next, &mut self.alarm) else {
            return std::future::pending().await;
        };
        alarm.as_mut().await;
        self.pace.look();
        self.wait_for(clock::next_multiple(clock::now(), every));
    }

    fn wait_for(&mut self, next: Duration) {
        self.hold(Some(next));
        self.bytes = 0;
        let at = clock::instant(next);
        match &mut self.alarm {
            Some(alarm) => alarm.as_mut().reset(at),
            None => self.alarm = Some(Box::pin(sleep_until(at))),
        }
    }

    fn hold(&mut self, next: Option<Duration>) {
        self.next = next;
        self.pace.hold(next.is_some());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(40);

    fn begun() -> Looks {
        let mut looks = Looks::new(Pace::default(), clock::now());
        looks.every(Some(TICK));
        looks
    }

    #[tokio::test(start_paused = true)]
    async fn little_is_read_at_multiples_of_the_tick_once_it_has_begun() {
        let mut looks = begun();
        looks.arrange();
        assert!(!looks.paced(), "its first tags are read at once");
        tokio::time::advance(BEGINNING).await;
        for _ in 0..3 {
            looks.arrange();
            assert!(looks.paced());
            looks.due().await;
            let behind_us = clock::now().as_micros() % TICK.as_micros();
            assert!(behind_us <= 1_000, "{behind_us} µs behind the tick");
            looks.took(1_000, clock::now());
        }
        looks.every(None);
        looks.arrange();
        assert!(!looks.paced(), "somebody wants each tag at once");
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_at_a_high_rate_is_read_at_once_for_a_while() {
        let mut looks = begun();
        tokio::time::advance(BEGINNING).await;
        looks.arrange();
        looks.due().await;
        looks.took(LOOK_MAX_BYTES, clock::now());
        looks.arrange();
        assert!(looks.paced());
        looks.took(1, clock::now());
        looks.arrange();
        assert!(!looks.paced());
        let rate = LOOK_MAX_BYTES * 125;
        for (bytes, paced) in [(rate + 125, false), (rate, true)] {
            // As much as 125 looks in those 5 s would find.
            looks.took(bytes, clock::now());
            tokio::time::advance(BUSY).await;
            looks.arrange();
            assert_eq!(looks.paced(), paced, "{bytes} bytes");
        }
    }
}
