//! Cores and processes: pinning, and what they have used.

use std::fs;
use std::time::Duration;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::error::BenchError;

/// `/proc/stat` counts in hundredths of a second, whatever the kernel's own tick is.
const TICK: Duration = Duration::from_millis(10);

/// Some cores of this machine, by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cores(Vec<usize>);

impl Cores {
    /// `0`, `0,2` or `0-3`.
    ///
    /// # Errors
    /// If that is no list of cores that this process may use.
    pub fn parse(text: &str) -> Result<Cores, BenchError> {
        let wrong = || BenchError::Cores(text.to_owned());
        let mut cores = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let first: usize = first.trim().parse().map_err(|_| wrong())?;
            let last: usize = last.trim().parse().map_err(|_| wrong())?;
            cores.extend(first..=last.min(first.saturating_add(CpuSet::MAX_CPU)));
        }
        let mine = Cores::allowed()?;
        if cores.is_empty() || !cores.iter().all(|core| mine.0.contains(core)) {
            return Err(wrong());
        }
        Ok(Cores(cores))
    }

    /// Those that this process may use.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn allowed() -> Result<Cores, BenchError> {
        let set = sched_getaffinity(None)
            .map_err(|e| BenchError::io("reading the allowed cores", e.into()))?;
        Ok(Cores(
            (0..CpuSet::MAX_CPU)
                .filter(|core| set.is_set(*core))
                .collect(),
        ))
    }

    /// The first of the allowed cores for a server, the others for its load; all for both where there is one only.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn halves() -> Result<(Cores, Cores), BenchError> {
        let Cores(all) = Cores::allowed()?;
        match all.split_first() {
            Some((first, rest)) if !rest.is_empty() => {
                Ok((Cores(vec![*first]), Cores(rest.to_vec())))
            }
            _ => Ok((Cores(all.clone()), Cores(all))),
        }
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Each of them alone.
    pub fn each(&self) -> impl Iterator<Item = Cores> {
        self.0.iter().map(|core| Cores(vec![*core]))
    }

    /// As a list for people.
    pub fn show(&self) -> String {
        let numbers: Vec<String> = self.0.iter().map(usize::to_string).collect();
        numbers.join(",")
    }

    /// Pins the calling thread, and the threads and processes that it starts from now on.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn pin(&self) -> Result<(), BenchError> {
        let mut set = CpuSet::new();
        self.0.iter().for_each(|core| set.set(*core));
        sched_setaffinity(None, &set).map_err(|e| BenchError::io("pinning to cores", e.into()))
    }

    /// Seconds that these cores have not been idle since the machine started, interrupts included, and seconds of which
    /// a hypervisor took them away.
    pub fn used(&self) -> CoreTime {
        let text = fs::read_to_string("/proc/stat").unwrap_or_default();
        let mut time = CoreTime::default();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            let core = words.next().and_then(|name| name.strip_prefix("cpu"));
            let Some(Ok(core)) = core.map(str::parse::<usize>) else {
                continue;
            };
            if !self.0.contains(&core) {
                continue;
            }
            let ticks: Vec<u32> = words.map(|word| word.parse().unwrap_or(0)).collect();
            let seconds =
                |n: usize| TICK.as_secs_f64() * f64::from(ticks.get(n).copied().unwrap_or(0));
            time.idle_s += seconds(3) + seconds(4);
            time.softirq_s += seconds(5) + seconds(6);
            time.stolen_s += seconds(7);
        }
        time
    }
}

/// What cores have done since the machine started, in seconds of all of them together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CoreTime {
    /// Idle.
    pub idle_s: f64,
    /// In interrupts.
    pub softirq_s: f64,
    /// Taken by a hypervisor.
    pub stolen_s: f64,
}

/// Seconds that all threads of process `pid` have run.
pub fn process_s(pid: u32) -> f64 {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return 0.0;
    };
    threads
        .filter_map(Result::ok)
        .filter_map(|thread| fs::read_to_string(thread.path().join("schedstat")).ok())
        .filter_map(|text| text.split_ascii_whitespace().next()?.parse::<f64>().ok())
        .map(|ns| ns / 1e9)
        .sum()
}

/// Resident memory of process `pid`, in bytes.
pub fn resident_bytes(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| {
            rest.trim()
                .trim_end_matches("kB")
                .trim()
                .parse::<u64>()
                .ok()
        })
        .unwrap_or(0)
        .saturating_mul(1024)
}

/// Seconds of user time on all cores, but that of `mine`, since they started: who else is at work. Compilers and encoders
/// show here; what the kernel does for `mine` does not.
pub fn others_s(mine: &[u32]) -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let all = stat
        .lines()
        .next()
        .map_or(0.0, |line| ticks_s(line, &[1, 2]));
    let of_mine: f64 = mine
        .iter()
        .filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/stat")).ok())
        .filter_map(|text| {
            text.rsplit_once(')')
                .map(|(_, fields)| ticks_s(fields, &[11]))
        })
        .sum();
    all - of_mine
}

/// The sum of the `fields` of `line`, ticks, in seconds.
fn ticks_s(line: &str, fields: &[usize]) -> f64 {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let ticks = fields
        .iter()
        .filter_map(|n| words.get(*n)?.parse::<u32>().ok());
    ticks
        .map(|ticks| TICK.as_secs_f64() * f64::from(ticks))
        .sum()
}

/// This process.
pub fn own_pid() -> u32 {
    rustix::process::getpid()
        .as_raw_nonzero()
        .get()
        .unsigned_abs()
}

/// Cores of the machine that are on.
pub(crate) fn machine_cores() -> usize {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let is_core = |line: &&str| line.starts_with("cpu") && !line.starts_with("cpu ");
    text.lines().filter(is_core).count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cores_are_read() {
        let Cores(mine) = Cores::allowed().unwrap();
        let first = mine[0];
        assert_eq!(
            Cores::parse(&first.to_string()).unwrap(),
            Cores(vec![first])
        );
        for wrong in ["", "x", "0,", "100000", "1-x"] {
            assert!(Cores::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_process_that_works_is_seen_to_work() {
        let before = process_s(own_pid());
        let mut sum = 0_u64;
        while process_s(own_pid()) <= before {
            sum = (0..100_000).fold(sum, |a, b| a.wrapping_mul(31).wrapping_add(b));
        }
        assert!(resident_bytes(own_pid()) > 0, "{sum}");
    }
}
