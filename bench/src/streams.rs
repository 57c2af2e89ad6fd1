//! `bench streams`: many small streams with a few viewers each.

use clap::{Arg, ArgMatches, Command, value_parser};
use serde::Serialize;

use crate::choices::{Choices, flags};
use crate::compare::plan;
use crate::error::BenchError;
use crate::fleet::{FleetMemory, Memory};
use crate::load::LoadPlan;
use crate::measure::{Round, round};
use crate::progress::progress;
use crate::stats::Spread;
use crate::stream::Shape;
use crate::table::Table;

/// The command.
pub(crate) fn command() -> Command {
    Command::new("streams")
        .about("Many streams of 0.5 Mbit/s that start together, with a few viewers each: cores, and whether all play")
        .arg(
            Arg::new("streams")
                .long("streams")
                .value_name("N")
                .help("Streams at once")
                .default_value("200")
                .value_parser(value_parser!(usize)),
        )
        .arg(
            Arg::new("each")
                .long("each")
                .value_name("N")
                .help("Viewers of each stream")
                .default_value("2")
                .value_parser(value_parser!(usize)),
        )
        .args(flags("3", "10"))
}

#[derive(Debug, Serialize)]
struct Figures {
    streams: usize,
    viewers: usize,
    rounds: Vec<Round>,
    /// What a stream takes beside its ring, of each round: at the edge with its viewers, and at the origin.
    beside_ring_bytes: Vec<BesideRing>,
}

/// Measures and returns the table.
pub(crate) fn run(matches: &ArgMatches, choices: &Choices) -> Result<String, BenchError> {
    let streams: usize = matches.get_one("streams").copied().unwrap_or(200);
    let each: usize = matches.get_one("each").copied().unwrap_or(2);
    if streams == 0 || streams > 900 {
        return Err(BenchError::Value(format!(
            "`--streams` is {streams}: it can be 1 to 900"
        )));
    }
    let viewers = streams.saturating_mul(each);
    choices.announce(&[viewers], 1, Shape::SMALL)?;
    let mut rounds = Vec::new();
    let mut beside_ring_bytes = Vec::new();
    for number in 1..=choices.rounds {
        let server = choices.server()?;
        let before = server.memory()?;
        let (publishers, targets) = server.publish_many(Shape::SMALL, streams)?;
        let helpers = server.helpers();
        let plan = LoadPlan {
            witnesses: viewers,
            ..plan(&targets, viewers, choices.seconds)
        };
        let measured = round(&choices.stage(server.pid, &helpers), &plan)?;
        let after = server.memory()?;
        publishers.stop()?;
        beside_ring_bytes.push(BesideRing::of(before, after, streams));
        progress(&format!(
            "  round {number}: {} of {viewers} play; edge {:.3} cores ({:.3} in its process), origin and operator {:.3}; p50 {:.1} ms; {}",
            measured.load.playing,
            measured.core_busy(),
            measured.process_busy(),
            measured.helpers_s / measured.load.seconds.max(0.001),
            measured.load.latency.p50_ms,
            measured.disturbance(),
        ));
        rounds.push(measured);
    }
    let figures = Figures {
        streams,
        viewers,
        rounds,
        beside_ring_bytes,
    };
    choices.write_json(&figures)?;
    Ok(show(&figures))
}

/// Bytes a stream by which edge and origin grew, their rings left out.
#[derive(Debug, Serialize)]
struct BesideRing {
    edge: f64,
    origin: f64,
}

impl BesideRing {
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    fn of(before: FleetMemory, after: FleetMemory, streams: usize) -> BesideRing {
        let share = |before: Memory, after: Memory| {
            (after.beside_rings() - before.beside_rings()) / streams.max(1) as f64
        };
        BesideRing {
            edge: share(before.edge, after.edge),
            origin: share(before.origin, after.origin),
        }
    }
}

fn show(figures: &Figures) -> String {
    let mut table = Table::new(&[
        "streams",
        "viewers",
        "playing",
        "edge: cores",
        "its process",
        "origin, operator",
        "latency p50 ms",
        "p99 ms",
        "stalled",
        "missing tags",
        "edge: KiB a stream beside its ring",
        "origin",
    ]);
    let spread = |of: fn(&Round) -> f64, decimals| {
        Spread::of(figures.rounds.iter().map(of)).map_or_else(String::new, |s| s.show(decimals))
    };
    let kib = |of: fn(&BesideRing) -> f64| {
        Spread::of(figures.beside_ring_bytes.iter().map(|b| of(b) / 1024.0))
            .map_or_else(String::new, |s| s.show(0))
    };
    table.row(vec![
        figures.streams.to_string(),
        figures.viewers.to_string(),
        figures
            .rounds
            .iter()
            .map(|r| r.load.playing)
            .min()
            .unwrap_or(0)
            .to_string(),
        spread(Round::core_busy, 3),
        spread(Round::process_busy, 3),
        spread(|r| r.helpers_s / r.load.seconds.max(0.001), 3),
        spread(|r| r.load.latency.p50_ms, 1),
        spread(|r| r.load.latency.p99_ms, 1),
        figures
            .rounds
            .iter()
            .map(|r| r.load.stalled)
            .max()
            .unwrap_or(0)
            .to_string(),
        figures
            .rounds
            .iter()
            .map(|r| r.load.missing_tags)
            .sum::<u64>()
            .to_string(),
        kib(|b| b.edge),
        kib(|b| b.origin),
    ]);
    table.show()
}
