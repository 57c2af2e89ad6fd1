//! One round: some viewers at one server, and what the machine did meanwhile.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::now_ns;
use crate::cpu::{self, CoreTime, Cores};
use crate::error::BenchError;
use crate::load::{LoadPlan, LoadReport, LoadState};
use crate::part::{Kind, Part};
use crate::publish::Publishers;
use crate::witness::{Steadiness, Witness};

/// A load whose cores are busier than this was the limit itself.
const LOAD_BUSY_MAX: f64 = 0.95;
/// A round in which other processes used more than this share of the machine is noisy.
const NOISE_MAX: f64 = 0.03;

/// Who is at work in a round, and where.
#[derive(Clone, Debug)]
pub struct Stage<'a> {
    /// This program.
    pub program: &'a Path,
    /// Where the measured process runs.
    pub server_cores: &'a Cores,
    /// Where the load runs.
    pub load_cores: &'a Cores,
    /// The measured process; `None` if it is not known.
    pub pid: Option<u32>,
    /// Other processes that serve it.
    pub helpers: &'a [u32],
}

/// What a round showed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Round {
    /// What the viewers saw.
    pub load: LoadReport,
    /// Seconds that the server's cores were busy, interrupts included.
    pub core_s: f64,
    /// Of them, in interrupts (sampled by the kernel's tick).
    pub softirq_s: f64,
    /// Seconds that the server's process ran.
    pub process_s: f64,
    /// Seconds that the processes ran that serve it.
    pub helpers_s: f64,
    /// The server's resident memory at the end.
    pub resident_bytes: u64,
    /// Share of the load's cores that was used.
    pub load_busy: f64,
    /// Share of the machine that other processes used.
    pub noise: f64,
    /// Share of the server's cores that a hypervisor took.
    pub stolen: f64,
    /// Share of the time in which the load's cores ran below half of their speed, as a host can make them without a word.
    pub slow: f64,
}

impl Round {
    /// How many of the server's cores were busy.
    pub fn core_busy(&self) -> f64 {
        self.core_s / self.load.seconds.max(0.001)
    }

    /// The same of the server's process alone.
    pub fn process_busy(&self) -> f64 {
        self.process_s / self.load.seconds.max(0.001)
    }

    /// Core-seconds for a gigabyte.
    pub fn cost(&self) -> f64 {
        per_gigabyte(self.core_s, self.load.bytes)
    }

    /// The same of the server's process alone.
    pub fn process_cost(&self) -> f64 {
        per_gigabyte(self.process_s, self.load.bytes)
    }

    /// The same of all processes that serve.
    pub fn whole_cost(&self) -> f64 {
        per_gigabyte(self.core_s + self.helpers_s, self.load.bytes)
    }

    /// Whether the load, not the server, was the limit.
    pub fn load_was_the_limit(&self) -> bool {
        self.load_busy > LOAD_BUSY_MAX
    }

    /// What else went on, for people.
    pub fn disturbance(&self) -> String {
        format!(
            "noise {:.1} %, machine slow {:.0} %",
            self.noise * 100.0,
            self.slow * 100.0
        )
    }

    /// Whether too much else went on.
    pub fn is_noisy(&self) -> bool {
        self.noise > NOISE_MAX
    }
}

#[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
fn per_gigabyte(seconds: f64, bytes: u64) -> f64 {
    seconds / (bytes.max(1) as f64 / 1e9)
}

struct Sample {
    at_ns: u64,
    server: CoreTime,
    load: CoreTime,
    process_s: f64,
    helpers_s: f64,
    others_s: f64,
}

impl Sample {
    fn take(stage: &Stage<'_>, load_pid: Option<u32>) -> Sample {
        let mut mine = vec![cpu::own_pid()];
        mine.extend(load_pid);
        mine.extend(stage.pid);
        mine.extend(stage.helpers);
        Sample {
            at_ns: now_ns(),
            server: stage.server_cores.used(),
            load: stage.load_cores.used(),
            process_s: stage.pid.map_or(0.0, cpu::process_s),
            helpers_s: stage.helpers.iter().copied().map(cpu::process_s).sum(),
            others_s: cpu::others_s(&mine),
        }
    }
}

/// Lets viewers join as `plan` says, measures, and lets them go.
///
/// # Errors
/// If the load cannot be made.
pub fn round(stage: &Stage<'_>, plan: &LoadPlan) -> Result<Round, BenchError> {
    let mut load = Part::start(stage.program, Kind::Load, stage.load_cores, plan)?;
    let mut before = None;
    loop {
        match load.hear::<LoadState>()? {
            LoadState::Joined { .. } => {}
            LoadState::Measuring => {
                let witness = Witness::start(&[stage.load_cores]);
                before = Some((Sample::take(stage, Some(load.pid())), witness));
            }
            LoadState::Measured(report) => {
                let Some((before, witness)) = before else {
                    return Err(BenchError::part("the load measured before it began"));
                };
                let after = Sample::take(stage, Some(load.pid()));
                let machine = witness.ask()?;
                return Ok(compare(stage, *report, &before, &after, &machine));
            }
            LoadState::Failed { why } => return Err(BenchError::Part(why)),
        }
    }
}

/// Measures for some seconds while `publishers` send; what they send is the load.
///
/// # Errors
/// If a publisher has ended.
pub fn while_published(
    stage: &Stage<'_>,
    warm_s: u64,
    seconds: u64,
    publishers: &Publishers,
) -> Result<Round, BenchError> {
    std::thread::sleep(Duration::from_secs(warm_s));
    let witness = Witness::start(&[stage.load_cores]);
    let (before, sent_before) = (Sample::take(stage, None), publishers.sent_bytes());
    std::thread::sleep(Duration::from_secs(seconds));
    let (after, sent) = (Sample::take(stage, None), publishers.sent_bytes());
    let machine = witness.ask()?;
    if !publishers.running() {
        return Err(BenchError::part("a publisher ended during the measurement"));
    }
    let wall = Duration::from_nanos(after.at_ns.saturating_sub(before.at_ns));
    let load = LoadReport {
        seconds: wall.as_secs_f64(),
        bytes: sent.saturating_sub(sent_before),
        ..LoadReport::default()
    };
    Ok(compare(stage, load, &before, &after, &machine))
}

fn compare(
    stage: &Stage<'_>,
    load: LoadReport,
    before: &Sample,
    after: &Sample,
    machine: &Steadiness,
) -> Round {
    let wall_s = Duration::from_nanos(after.at_ns.saturating_sub(before.at_ns)).as_secs_f64();
    let busy = |cores: &Cores, before: &CoreTime, after: &CoreTime| {
        (wall_s * count(cores) - (after.idle_s - before.idle_s)).max(0.0)
    };
    let machine_s = wall_s * f64::from(u32::try_from(cpu::machine_cores()).unwrap_or(1));
    Round {
        load,
        core_s: busy(stage.server_cores, &before.server, &after.server),
        softirq_s: after.server.softirq_s - before.server.softirq_s,
        process_s: after.process_s - before.process_s,
        helpers_s: after.helpers_s - before.helpers_s,
        resident_bytes: stage.pid.map_or(0, cpu::resident_bytes),
        load_busy: busy(stage.load_cores, &before.load, &after.load)
            / (wall_s * count(stage.load_cores)),
        noise: (after.others_s - before.others_s).max(0.0) / machine_s,
        stolen: (after.server.stolen_s - before.server.stolen_s)
            / (wall_s * count(stage.server_cores)),
        slow: machine.slow_share(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a few cores")]
fn count(cores: &Cores) -> f64 {
    cores.count() as f64
}
