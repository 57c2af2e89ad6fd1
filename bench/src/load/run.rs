//! The loop of a load process.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustls::ClientConfig;

use super::plan::{LoadPlan, LoadReport, LoadState, SlowReport};
use super::viewer::{Gone, Measured, Viewer};
use crate::clock::{now_ns, timespec};
use crate::error::BenchError;
use crate::part::say;
use crate::stats::Quantiles;

/// Bytes that one read takes at most.
const READ_BYTES: usize = 1 << 20;
/// Viewers that connect before those that are there have a turn.
const JOINS_PER_TURN: usize = 16;
/// Slow viewers read so often.
const SLOW_PERIOD_NS: u64 = 100_000_000;
/// A viewer without a picture after this long is counted as it is.
const PICTURE_PATIENCE_NS: u64 = 20_000_000_000;

/// A load process: reads its plan from standard input, writes [`LoadState`]s to standard output, and ends when its
/// standard input does.
///
/// # Errors
/// If the plan cannot be read or the kernel refuses what is needed.
pub fn run() -> Result<(), BenchError> {
    let mut line = String::new();
    std::io::stdin()
        .read_line(&mut line)
        .map_err(|e| BenchError::io("reading the load's plan", e))?;
    let plan: LoadPlan = serde_json::from_str(&line)
        .map_err(|e| BenchError::part(format!("reading the load's plan: {e}")))?;
    crate::part::end_with_input();
    let mut load = Load::new(plan)?;
    load.serve()
}

/// Where the load stands; times are [`now_ns`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Joining,
    /// All have joined; some wait for their picture.
    Waiting(u64),
    /// All have a picture; the measurement begins then.
    Warming(u64),
    /// Measures until then.
    Measuring(u64),
    Done,
}

struct Load {
    plan: LoadPlan,
    client: Arc<ClientConfig>,
    epoll: OwnedFd,
    viewers: Vec<Option<Viewer>>,
    joined: usize,
    began_ns: u64,
    next_slow_ns: u64,
    phase: Phase,
    measured: Measured,
    pictures_us: Vec<u32>,
    playing: usize,
    refused: usize,
    refusal: Option<String>,
    ended: usize,
    slow_ended: usize,
    left_bytes: u64,
    longest_turn_ns: u64,
}

impl Load {
    fn new(plan: LoadPlan) -> Result<Load, BenchError> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)
            .map_err(|e| BenchError::io("opening an epoll", e.into()))?;
        Ok(Load {
            viewers: Vec::with_capacity(plan.viewers),
            plan,
            client: crate::tls::client()?,
            epoll,
            joined: 0,
            began_ns: now_ns(),
            next_slow_ns: 0,
            phase: Phase::Joining,
            measured: Measured::default(),
            pictures_us: Vec::new(),
            playing: 0,
            refused: 0,
            refusal: None,
            ended: 0,
            slow_ended: 0,
            left_bytes: 0,
            longest_turn_ns: 0,
        })
    }

    fn serve(&mut self) -> Result<(), BenchError> {
        let mut buffer = vec![0; READ_BYTES];
        let mut events = Vec::with_capacity(1_024);
        loop {
            let turn_ns = now_ns();
            self.join_some(turn_ns);
            self.advance(turn_ns)?;
            events.clear();
            let wait = timespec(self.rest(turn_ns));
            let waited = epoll::wait(
                &self.epoll,
                rustix::buffer::spare_capacity(&mut events),
                Some(&wait),
            );
            if let Err(error) = waited
                && error != rustix::io::Errno::INTR
            {
                return Err(BenchError::io("waiting for viewers", error.into()));
            }
            let woken_ns = now_ns();
            for event in &events {
                let data = event.data;
                if let Ok(number) = usize::try_from(data.u64()) {
                    self.read(number, &mut buffer);
                }
            }
            self.read_slow(woken_ns, &mut buffer);
            let turn_ns = now_ns().saturating_sub(woken_ns);
            self.longest_turn_ns = self.longest_turn_ns.max(turn_ns);
        }
    }

    fn rest(&self, now: u64) -> Duration {
        let until_ns = match self.phase {
            Phase::Joining => now.saturating_add(if self.plan.joins_per_second > 0 {
                1_000_000
            } else {
                0
            }),
            Phase::Waiting(_) => now.saturating_add(20_000_000),
            Phase::Warming(until) | Phase::Measuring(until) => until,
            Phase::Done => now.saturating_add(100_000_000),
        };
        let slow_ns = if self.plan.slow_viewers > 0 {
            self.next_slow_ns
        } else {
            u64::MAX
        };
        let stay_ns = if self.plan.stay_ms > 0 {
            now.saturating_add(20_000_000)
        } else {
            u64::MAX
        };
        Duration::from_nanos(
            until_ns
                .min(slow_ns)
                .min(stay_ns)
                .saturating_sub(now)
                .min(1_000_000_000),
        )
    }

    fn join_some(&mut self, now: u64) {
        let due = match u64::from(self.plan.joins_per_second) {
            0 => self.plan.viewers,
            rate => {
                let elapsed_ns = u128::from(now.saturating_sub(self.began_ns));
                let due = elapsed_ns * u128::from(rate) / 1_000_000_000;
                usize::try_from(due).unwrap_or(usize::MAX).saturating_add(1)
            }
        };
        let until = due
            .min(self.plan.viewers)
            .min(self.joined.saturating_add(JOINS_PER_TURN));
        while self.joined < until {
            let number = self.joined;
            self.joined += 1;
            let viewer = self.join(number);
            self.viewers.push(viewer);
        }
    }

    fn join(&mut self, number: usize) -> Option<Viewer> {
        let which = number.checked_rem(self.plan.targets.len())?;
        let target = self.plan.targets.get(which)?;
        let mut viewer = match Viewer::join(target, number, &self.client) {
            Ok(viewer) => viewer,
            Err(error) => {
                self.refused += 1;
                self.refusal.get_or_insert(error.to_string());
                return None;
            }
        };
        // Witnesses and slow viewers are spread over all that join.
        viewer.slow = spread(number, self.plan.slow_viewers, self.plan.viewers);
        viewer.witness = !viewer.slow
            && spread(
                number.saturating_add(1),
                self.plan.witnesses,
                self.plan.viewers,
            );
        viewer.target = which;
        if !viewer.slow {
            let data = EventData::new_u64(number as u64);
            let added = epoll::add(&self.epoll, &viewer.socket, data, EventFlags::IN);
            if let Err(error) = added {
                self.refused += 1;
                self.refusal.get_or_insert(error.to_string());
                return None;
            }
        }
        Some(viewer)
    }

    fn read(&mut self, number: usize, buffer: &mut [u8]) {
        let Some(Some(viewer)) = self.viewers.get_mut(number) else {
            return;
        };
        let before = viewer.first_picture_us;
        match viewer.read(buffer, &mut self.measured) {
            Ok(_) => {
                if let (None, Some(us)) = (before, viewer.first_picture_us) {
                    self.pictures_us.push(us);
                    self.playing += 1;
                }
            }
            Err(gone) => self.gone(number, gone),
        }
    }

    fn gone(&mut self, number: usize, gone: Gone) {
        let Some(viewer) = self.viewers.get_mut(number).and_then(Option::take) else {
            return;
        };
        self.left_bytes = self.left_bytes.saturating_add(viewer.bytes);
        match gone {
            Gone::Refused(why) => {
                self.refused += 1;
                self.refusal.get_or_insert(why);
            }
            Gone::Ended if viewer.slow => self.slow_ended += 1,
            Gone::Ended => self.ended += 1,
        }
    }

    fn read_slow(&mut self, now: u64, buffer: &mut [u8]) {
        if self.plan.slow_viewers == 0 || now < self.next_slow_ns {
            return;
        }
        self.next_slow_ns = now.saturating_add(SLOW_PERIOD_NS);
        let per_period =
            u64::from(self.plan.slow_bits_per_second) / 8 * SLOW_PERIOD_NS / 1_000_000_000;
        let bytes = usize::try_from(per_period)
            .unwrap_or(0)
            .clamp(1, buffer.len());
        let Some(part) = buffer.get_mut(..bytes) else {
            return;
        };
        for number in 0..self.viewers.len() {
            if matches!(self.viewers.get(number), Some(Some(viewer)) if viewer.slow) {
                self.read(number, part);
            }
        }
    }

    /// Moves on to the next phase where it is time.
    fn advance(&mut self, now: u64) -> Result<(), BenchError> {
        if self.plan.stay_ms > 0 {
            self.leave(now);
        }
        match self.phase {
            Phase::Joining if self.plan.stay_ms > 0 && self.measured.since_ns == 0 => {
                self.begin(now)?
            }
            Phase::Joining if self.plan.stay_ms == 0 && self.joined >= self.plan.viewers => {
                self.phase = Phase::Waiting(now.saturating_add(PICTURE_PATIENCE_NS));
            }
            Phase::Waiting(patience) => {
                if self.refused >= self.plan.viewers {
                    let why = self.refusal.clone().unwrap_or_default();
                    return Err(BenchError::part(format!("no viewer was let in: {why}")));
                }
                let waiting = self
                    .viewers
                    .iter()
                    .flatten()
                    .any(|viewer| !viewer.slow && viewer.first_picture_us.is_none());
                if waiting && now < patience {
                    return Ok(());
                }
                say(&LoadState::Joined {
                    viewers: self.playing,
                })?;
                self.phase =
                    Phase::Warming(now.saturating_add(self.plan.warm_ms.saturating_mul(1_000_000)));
            }
            Phase::Warming(until) if now >= until => self.begin(now)?,
            Phase::Measuring(until) if now >= until => {
                let report = self.report(now);
                self.phase = Phase::Done;
                say(&LoadState::Measured(Box::new(report)))?;
            }
            Phase::Joining | Phase::Warming(_) | Phase::Measuring(_) | Phase::Done => {}
        }
        Ok(())
    }

    fn begin(&mut self, now: u64) -> Result<(), BenchError> {
        for viewer in self.viewers.iter_mut().flatten() {
            viewer.begin(now);
        }
        self.left_bytes = 0;
        self.longest_turn_ns = 0;
        self.measured.since_ns = now;
        if self.plan.stay_ms == 0 {
            self.phase = Phase::Measuring(
                now.saturating_add(self.plan.measure_ms.saturating_mul(1_000_000)),
            );
        }
        say(&LoadState::Measuring)
    }

    /// Lets viewers go that have stayed long enough; the measurement of those who come and go ends with the last one.
    fn leave(&mut self, now: u64) {
        let stay_ns = self.plan.stay_ms.saturating_mul(1_000_000);
        let mut left = 0;
        for place in &mut self.viewers {
            let over = place.as_ref().is_some_and(|viewer| {
                let until_ns = viewer.picture_ns.saturating_add(stay_ns);
                viewer.first_picture_us.is_some() && now >= until_ns
                    || now >= viewer.joined_ns().saturating_add(PICTURE_PATIENCE_NS)
            });
            if over && let Some(viewer) = place.take() {
                self.left_bytes = self.left_bytes.saturating_add(viewer.bytes);
            }
            left += usize::from(place.is_some());
        }
        if self.joined >= self.plan.viewers && left == 0 && self.phase == Phase::Joining {
            self.phase = Phase::Measuring(now);
        }
    }

    fn report(&mut self, now: u64) -> LoadReport {
        let mut report = LoadReport {
            seconds: Duration::from_nanos(now.saturating_sub(self.measured.since_ns)).as_secs_f64(),
            playing: self.playing,
            refused: self.refused,
            ended: self.ended,
            bytes: self.left_bytes,
            latency: Quantiles::of(&mut self.measured.latency_us),
            first_picture: Quantiles::of(&mut self.pictures_us),
            longest_turn_ms: ms(self.longest_turn_ns),
            slow: SlowReport {
                viewers: self.plan.slow_viewers,
                latency: Quantiles::of(&mut self.measured.slow_latency_us),
                ended: self.slow_ended,
                ..SlowReport::default()
            },
            ..LoadReport::default()
        };
        let mut longest_ns = 0;
        for viewer in self.viewers.iter().flatten() {
            let [audio, video] = viewer.tags;
            if viewer.slow {
                report.slow.bytes = report.slow.bytes.saturating_add(viewer.bytes);
                report.slow.missing_tags = report.slow.missing_tags.saturating_add(viewer.missing);
                report.slow.audio_tags = report.slow.audio_tags.saturating_add(audio);
                report.slow.video_tags = report.slow.video_tags.saturating_add(video);
                continue;
            }
            report.bytes = report.bytes.saturating_add(viewer.bytes);
            report.missing_tags = report.missing_tags.saturating_add(viewer.missing);
            report.tags = report.tags.saturating_add(audio).saturating_add(video);
            let gap_ns = viewer.gap_ns(now);
            longest_ns = longest_ns.max(gap_ns);
            report.stalled += usize::from(gap_ns > self.plan.stall_ms.saturating_mul(1_000_000));
        }
        report.longest_gap_ms = ms(longest_ns);
        report
    }
}

/// Whether number `number` is one of `share` that are spread evenly over `all`.
fn spread(number: usize, share: usize, all: usize) -> bool {
    let all = all.max(1) as u128;
    let upto = |n: usize| n as u128 * share as u128 / all;
    upto(number.saturating_add(1)) > upto(number)
}

fn ms(ns: u64) -> f64 {
    Duration::from_nanos(ns).as_secs_f64() * 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_spread_evenly_and_is_complete() {
        for (share, all) in [(0, 10), (3, 10), (10, 10), (200, 2_000), (1, 3)] {
            let chosen = (0..all).filter(|n| spread(*n, share, all)).count();
            assert_eq!(chosen, share, "{share} of {all}");
        }
    }
}
