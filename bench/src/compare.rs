//! Server and floor in turn, round by round, and the table of both.

use serde::Serialize;

use crate::choices::Choices;
use crate::cpu::resident_bytes;
use crate::error::BenchError;
use crate::load::{LoadPlan, LoadState, Target};
use crate::measure::{Round, Stage, round};
use crate::part::{Kind, Part};
use crate::progress::progress;
use crate::scene::{FloorServer, Server};
use crate::stats::Spread;
use crate::table::Table;

/// After the last viewer has joined.
const WARM_MS: u64 = 2_500;
/// Viewers that read every tag.
const WITNESSES: usize = 50;

/// The rounds of one row.
#[derive(Debug, Serialize)]
pub(crate) struct Compared {
    /// What sets it apart, such as `1000 viewers`.
    pub(crate) label: String,
    pub(crate) viewers: usize,
    /// Resident memory of the server before they came, the stream being there.
    pub(crate) resident_before_bytes: u64,
    pub(crate) server: Vec<Round>,
    pub(crate) floor: Vec<Round>,
}

impl Compared {
    /// Server's cost over the floor's, round by round.
    pub(crate) fn ratio(&self) -> Option<Spread> {
        Spread::of(
            self.server
                .iter()
                .zip(&self.floor)
                .map(|(s, f)| s.cost() / f.cost()),
        )
    }
}

/// A plan of `viewers` that all stay.
pub(crate) fn plan(targets: &[Target], viewers: usize, seconds: u64) -> LoadPlan {
    LoadPlan {
        targets: targets.to_vec(),
        viewers,
        witnesses: WITNESSES.min(viewers),
        joins_per_second: 0,
        stay_ms: 0,
        slow_viewers: 0,
        slow_bits_per_second: 0,
        warm_ms: WARM_MS,
        measure_ms: seconds.saturating_mul(1_000),
        stall_ms: 1_000,
    }
}

/// One viewer, until dropped: the stream stays pulled, and its ring is no other viewer's memory.
pub(crate) fn keep(choices: &Choices, play: &Target) -> Result<Part, BenchError> {
    let plan = LoadPlan {
        // The ring is full when it holds its five seconds and a GOP.
        warm_ms: 7_500,
        measure_ms: 1,
        ..plan(std::slice::from_ref(play), 1, 0)
    };
    let mut part = Part::start(&choices.program, Kind::Load, &choices.load_cores, &plan)?;
    loop {
        match part.hear()? {
            LoadState::Measured(_) => return Ok(part),
            LoadState::Failed { why } => return Err(BenchError::Part(why)),
            LoadState::Joined { .. } | LoadState::Measuring => {}
        }
    }
}

/// The rounds with `viewers` who play `play` at `server`, and the floor's beside them.
pub(crate) fn compare(
    choices: &Choices,
    label: String,
    server: &Server,
    play: &Target,
    floor: Option<&FloorServer>,
    viewers: usize,
) -> Result<Compared, BenchError> {
    let helpers = server.helpers();
    let ours = choices.stage(server.pid, &helpers);
    let mut again = 0;
    let mut compared = Compared {
        label,
        viewers,
        resident_before_bytes: server.pid.map_or(0, resident_bytes),
        server: Vec::new(),
        floor: Vec::new(),
    };
    while compared.server.len() < usize::try_from(choices.rounds).unwrap_or(0) {
        let label = &compared.label;
        let of_floor = floor
            .map(|floor| {
                let stage = choices.stage(Some(floor.part.pid()), &[]);
                one(
                    &format!("{label}, floor "),
                    &stage,
                    &floor.play,
                    viewers,
                    choices.seconds,
                )
            })
            .transpose()?;
        let of_server = one(
            &format!("{label}, server"),
            &ours,
            play,
            viewers,
            choices.seconds,
        )?;
        let noisy = of_server.is_noisy() || of_floor.as_ref().is_some_and(Round::is_noisy);
        if noisy && again < choices.again {
            again += 1;
            progress("  noisy: other processes were at work; once more");
            continue;
        }
        compared.server.push(of_server);
        compared.floor.extend(of_floor);
    }
    Ok(compared)
}

fn one(
    name: &str,
    stage: &Stage<'_>,
    play: &Target,
    viewers: usize,
    seconds: u64,
) -> Result<Round, BenchError> {
    let measured = round(stage, &plan(std::slice::from_ref(play), viewers, seconds))?;
    progress(&format!(
        "  {name}: {:.3} core-s/GB ({:.3} in its process), p50 {:.1} ms, p99 {:.1} ms, {} playing, {} stalled; load {:.0} % busy, {}",
        measured.cost(),
        measured.process_cost(),
        measured.load.latency.p50_ms,
        measured.load.latency.p99_ms,
        measured.load.playing,
        measured.load.stalled,
        measured.load_busy * 100.0,
        measured.disturbance(),
    ));
    Ok(measured)
}

/// The table of `rows`, the ratios, and what has to be known of the rounds.
pub(crate) fn show(rows: &[Compared]) -> String {
    let mut table = Table::new(&[
        "",
        "side",
        "core-s/GB",
        "its process",
        "with origin, operator",
        "latency p50 ms",
        "p99 ms",
        "KiB a viewer",
        "stalled",
        "missing tags",
        "core busy %",
        "load busy %",
    ]);
    let mut notes = String::new();
    for row in rows {
        for (side, rounds) in [("floor", &row.floor), ("server", &row.server)] {
            if rounds.is_empty() {
                continue;
            }
            let spread = |of: fn(&Round) -> f64, decimals| {
                Spread::of(rounds.iter().map(of)).map_or_else(String::new, |s| s.show(decimals))
            };
            table.row(vec![
                row.label.clone(),
                side.to_owned(),
                spread(Round::cost, 3),
                spread(Round::process_cost, 3),
                spread(Round::whole_cost, 3),
                spread(|r| r.load.latency.p50_ms, 1),
                spread(|r| r.load.latency.p99_ms, 1),
                if side == "server" {
                    memory_kib(row)
                } else {
                    String::new()
                },
                rounds
                    .iter()
                    .map(|r| r.load.stalled)
                    .max()
                    .unwrap_or(0)
                    .to_string(),
                rounds
                    .iter()
                    .map(|r| r.load.missing_tags)
                    .sum::<u64>()
                    .to_string(),
                spread(|r| r.core_busy() * 100.0, 0),
                spread(|r| r.load_busy * 100.0, 0),
            ]);
            notes.push_str(&remarks(&row.label, side, rounds));
        }
        if let Some(ratio) = row.ratio() {
            notes.push_str(&format!(
                "{}: server / floor {}\n",
                row.label,
                ratio.show(3)
            ));
        }
    }
    format!("{}\n{notes}", table.show())
}

#[expect(clippy::cast_precision_loss, reason = "KiB for people")]
fn memory_kib(row: &Compared) -> String {
    let most = row
        .server
        .iter()
        .map(|r| r.resident_bytes)
        .max()
        .unwrap_or(0);
    let more = most.saturating_sub(row.resident_before_bytes);
    format!("{:.1}", more as f64 / 1024.0 / row.viewers.max(1) as f64)
}

fn remarks(label: &str, side: &str, rounds: &[Round]) -> String {
    let mut text = String::new();
    let mut say = |what: &str, is: fn(&Round) -> bool| {
        let count = rounds.iter().filter(|r| is(r)).count();
        if count > 0 {
            text.push_str(&format!(
                "{label}, {side}: {what} in {count} of {} rounds\n",
                rounds.len()
            ));
        }
    };
    say(
        "the load, not the server, was the limit",
        Round::load_was_the_limit,
    );
    say("other processes were at work", Round::is_noisy);
    say("viewers were refused", |r| r.load.refused > 0);
    say("connections ended", |r| r.load.ended > 0);
    text
}
