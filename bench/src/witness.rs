//! A witness of the machine itself: how fast a fixed piece of arithmetic runs on each core, moment by moment.
//!
//! A virtual machine's cores can fall to a tenth of their speed for a hundred milliseconds and say nothing of it: no time
//! counts as stolen, and a thread that looks for gaps in the clock finds none. Latencies that are measured then are the
//! host's. The witness knows neither the server nor its load, so that what it calls slow can be left out without a choice
//! by outcome.

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::clock::now_ns;
use crate::cpu::Cores;
use crate::error::BenchError;

/// How often it looks.
const EVERY: Duration = Duration::from_millis(2);
/// Steps of arithmetic in each look: some 10 µs, half a per cent of the core.
const STEPS: u32 = 5_000;
/// A look is slow that took so many times the median.
const SLOW: f64 = 2.0;
/// Looks are judged by moments of this length.
const MOMENT_NS: u64 = 100_000_000;
/// Of the looks of a steady moment, at most one in so many is slow: an interrupt may fall into it.
const ODD_ONES: usize = 10;

/// When a look was, and the nanoseconds of its thread that it took.
type Look = (u64, u64);

/// One thread on each core, until it is asked.
#[derive(Debug)]
pub(crate) struct Witness {
    end: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<Vec<Look>, BenchError>>>,
}

impl Witness {
    /// Begins to look at all of `cores`.
    pub(crate) fn start(cores: &[&Cores]) -> Witness {
        let end = Arc::new(AtomicBool::new(false));
        let each = cores.iter().flat_map(|cores| cores.each());
        let threads = each.map(|core| {
            let end = Arc::clone(&end);
            std::thread::spawn(move || watch(&core, &end))
        });
        Witness {
            threads: threads.collect(),
            end,
        }
    }

    /// What was seen.
    ///
    /// # Errors
    /// If a core could not be looked at.
    pub(crate) fn ask(self) -> Result<Steadiness, BenchError> {
        self.end.store(true, Ordering::Relaxed);
        let mut seen = Steadiness::default();
        for thread in self.threads {
            let looks = thread
                .join()
                .map_err(|_| BenchError::part("the witness of the machine fell"))?;
            seen.add(&looks?);
        }
        Ok(seen)
    }
}

fn watch(core: &Cores, end: &AtomicBool) -> Result<Vec<Look>, BenchError> {
    core.pin()?;
    let mut looks = Vec::new();
    loop {
        let (at_ns, before_ns) = (now_ns(), thread_ns());
        let mut x = black_box(1_u32);
        for _ in 0..STEPS {
            x = black_box(x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
        }
        looks.push((at_ns, thread_ns().saturating_sub(before_ns)));
        if end.load(Ordering::Relaxed) {
            return Ok(looks);
        }
        std::thread::sleep(EVERY);
    }
}

/// What this thread has run, so that it does not count when others have the core.
fn thread_ns() -> u64 {
    let ran = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(ran.tv_sec).unwrap_or(0);
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::try_from(ran.tv_nsec).unwrap_or(0))
}

/// Which moments the machine ran at its own speed in.
#[derive(Debug, Default)]
pub(crate) struct Steadiness {
    all: BTreeSet<u64>,
    slow: BTreeSet<u64>,
}

impl Steadiness {
    /// The looks at one core; a moment in which one core is slow is slow.
    #[expect(clippy::cast_precision_loss, reason = "a ratio of times")]
    fn add(&mut self, looks: &[Look]) {
        let mut times: Vec<u64> = looks.iter().map(|(_, took_ns)| *took_ns).collect();
        times.sort_unstable();
        let median_ns = times.get(times.len() / 2).copied().unwrap_or(0) as f64;
        let mut moments: BTreeMap<u64, (usize, usize)> = BTreeMap::new();
        for (at_ns, took_ns) in looks {
            let (all, slow) = moments.entry(at_ns / MOMENT_NS).or_default();
            *all += 1;
            *slow += usize::from(*took_ns as f64 > median_ns * SLOW);
        }
        for (moment, (all, slow)) in moments {
            self.all.insert(moment);
            if slow > all / ODD_ONES {
                self.slow.insert(moment);
            }
        }
    }

    /// Whether the machine was steady in the moment of `at_ns`, in the one before it, whose work may be left, and in the
    /// one behind it.
    pub(crate) fn at(&self, at_ns: u64) -> bool {
        let moment = at_ns / MOMENT_NS;
        let around = moment.saturating_sub(1)..=moment.saturating_add(1);
        self.slow.range(around).next().is_none()
    }

    /// Share of the moments that were slow.
    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    pub(crate) fn slow_share(&self) -> f64 {
        self.slow.len() as f64 / self.all.len().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// A look each 2 ms for a second, `took_ns` at each.
    fn looks(took_ns: impl Fn(u64) -> u64) -> Vec<Look> {
        (0..500).map(|n| (n * 2 * MS, took_ns(n * 2))).collect()
    }

    #[test]
    fn a_moment_at_a_quarter_of_the_speed_is_slow_and_so_are_its_neighbours() {
        let mut seen = Steadiness::default();
        seen.add(&looks(|ms| {
            if (430..450).contains(&ms) {
                30_000
            } else {
                10_000
            }
        }));
        assert_eq!(seen.slow_share(), 0.1);
        for (at_ms, steady) in [
            (250, true),
            (299, true),
            (300, false),
            (440, false),
            (599, false),
            (600, true),
        ] {
            assert_eq!(seen.at(at_ms * MS), steady, "at {at_ms} ms");
        }
    }

    #[test]
    fn one_look_that_an_interrupt_held_up_makes_no_moment_slow() {
        let mut seen = Steadiness::default();
        seen.add(&looks(|ms| if ms % 100 == 0 { 90_000 } else { 10_000 }));
        assert_eq!(seen.slow_share(), 0.0);
    }

    #[test]
    fn a_moment_is_slow_in_which_one_of_two_cores_is() {
        let mut seen = Steadiness::default();
        seen.add(&looks(|_| 10_000));
        seen.add(&looks(|ms| if ms < 100 { 21_000 } else { 10_000 }));
        assert_eq!(seen.slow_share(), 0.1);
        assert!(!seen.at(0));
    }

    #[test]
    fn the_time_of_a_thread_is_looked_at_on_every_core() {
        let cores = Cores::allowed().unwrap();
        let witness = Witness::start(&[&cores]);
        assert_eq!(witness.threads.len(), cores.count());
        let seen = witness.ask().unwrap();
        assert!(!seen.all.is_empty());
    }
}
