//! `bench ingest`: what publishers cost an origin, beside a bare loop that reads the same sockets; with `--hop` each stream
//! is pulled by an edge as well, and the loop writes what it reads to another socket.

mod sink;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde::Serialize;

use crate::choices::{Basics, basic_flags};
use crate::compare::plan;
use crate::error::BenchError;
use crate::fleet::{Fleet, FleetPlan, Measured, flag};
use crate::load::Target;
use crate::measure::{Round, Stage, round, while_published};
use crate::part::{Kind, Part};
use crate::progress::progress;
use crate::publish::{PublishPlan, Publishers};
use crate::stats::Spread;
use crate::stream::Shape;
use crate::table::Table;

pub(crate) use sink::run as run_sink;
use sink::{SinkPlan, SinkState};

const APP: &str = "live";
const HOST: &str = "127.0.0.1";
/// As fast as publishers can is faster than they may be; an origin can be told to take so much at most.
const BITRATE_MAX_BPS: u64 = 100_000_000_000;
/// Before the measurement begins.
const WARM_S: u64 = 2;

/// The command.
pub(crate) fn command() -> Command {
    Command::new("ingest")
        .about("Publishers of 0.5 Mbit/s at an origin: cores and core-seconds for a gigabyte, beside a loop that only reads")
        .arg(
            Arg::new("publishers")
                .long("publishers")
                .value_name("N")
                .help("Publishers at once, each of a stream of its own")
                .default_value("200")
                .value_parser(value_parser!(usize)),
        )
        .arg(
            Arg::new("saturate")
                .long("saturate")
                .help("They send as fast as they can, 2.16 Mbit/s of stream time")
                .action(ArgAction::SetTrue),
        )
        .arg(
            Arg::new("hop")
                .long("hop")
                .help("An edge pulls each stream for one viewer; the loop sends on what it reads")
                .action(ArgAction::SetTrue),
        )
        .args(basic_flags("3", "10"))
}

#[derive(Debug, Serialize)]
struct Figures {
    publishers: usize,
    saturate: bool,
    hop: bool,
    origin: Vec<Round>,
    floor: Vec<Round>,
}

/// What is asked for.
struct Asked<'a> {
    program: &'a std::path::Path,
    basics: &'a Basics,
    publishers: usize,
    saturate: bool,
    hop: bool,
}

/// Measures and returns the table.
pub(crate) fn run(matches: &ArgMatches, program: &std::path::Path) -> Result<String, BenchError> {
    let basics = Basics::read(matches)?;
    // Publishers are threads of this process.
    basics.load_cores.pin()?;
    let asked = Asked {
        program,
        basics: &basics,
        publishers: matches.get_one("publishers").copied().unwrap_or(200),
        saturate: matches.get_flag("saturate"),
        hop: matches.get_flag("hop"),
    };
    if asked.publishers == 0 || asked.publishers > 900 {
        return Err(BenchError::Value(format!(
            "`--publishers` is {}: it can be 1 to 900",
            asked.publishers
        )));
    }
    let (mut origin, mut floor) = (Vec::new(), Vec::new());
    for number in 1..=basics.rounds {
        let of_floor = asked.floor()?;
        show_round(number, "floor ", &of_floor);
        let of_origin = asked.origin()?;
        show_round(number, "origin", &of_origin);
        floor.push(of_floor);
        origin.push(of_origin);
    }
    let figures = Figures {
        publishers: asked.publishers,
        saturate: asked.saturate,
        hop: asked.hop,
        origin,
        floor,
    };
    basics.write_json(&figures)?;
    Ok(show(&figures))
}

fn show_round(number: u32, side: &str, round: &Round) {
    progress(&format!(
        "  round {number}, {side}: {:.3} cores ({:.3} in its process), {:.1} MB/s; load {:.0} % busy, {}",
        round.core_busy(),
        round.process_busy(),
        round.load.megabytes_a_second(),
        round.load_busy * 100.0,
        round.disturbance(),
    ));
}

impl Asked<'_> {
    fn shape(&self) -> Shape {
        if self.saturate {
            Shape::HD
        } else {
            Shape::SMALL
        }
    }

    fn publish(&self, to: std::net::SocketAddr) -> Result<Publishers, BenchError> {
        Publishers::start(&PublishPlan {
            to,
            host: HOST.to_owned(),
            app: APP.to_owned(),
            streams: (0..self.publishers).map(name).collect(),
            shape: self.shape(),
            paced: !self.saturate,
        })
    }

    fn stage<'a>(&'a self, pid: u32, helpers: &'a [u32]) -> Stage<'a> {
        Stage {
            program: self.program,
            server_cores: &self.basics.server_cores,
            load_cores: &self.basics.load_cores,
            pid: Some(pid),
            helpers,
        }
    }

    fn floor(&self) -> Result<Round, BenchError> {
        let drain = self.hop.then(sink::Drain::start).transpose()?;
        let plan = SinkPlan {
            onward: drain.as_ref().map(sink::Drain::address),
        };
        let cores = &self.basics.server_cores;
        let mut part = Part::start(self.program, Kind::Sink, cores, &plan)?;
        let address = match part.hear()? {
            SinkState::Listening { address } => address,
        };
        let publishers = self.publish(address)?;
        let stage = self.stage(part.pid(), &[]);
        let measured = while_published(&stage, WARM_S, self.basics.seconds, &publishers)?;
        publishers.stop()?;
        Ok(measured)
    }

    fn origin(&self) -> Result<Round, BenchError> {
        let plan = FleetPlan {
            measured: Measured::Origin,
            origin_flags: vec![flag("origin-max-bitrate-bps", &BITRATE_MAX_BPS)],
            ..FleetPlan::default()
        };
        let Basics {
            server_cores,
            load_cores,
            ..
        } = self.basics;
        let fleet = Fleet::start(self.program, server_cores, load_cores, &plan)?;
        let publishers = self.publish(fleet.rtmp)?;
        let [edge, origin, operator] = fleet.pids();
        let helpers = [edge, operator];
        let stage = self.stage(origin, &helpers);
        let measured = if self.hop {
            let targets: Vec<Target> = (0..self.publishers)
                .map(|number| Target {
                    address: fleet.http,
                    tls: false,
                    host: HOST.to_owned(),
                    path: format!("/{APP}/{}.flv?wait=20", name(number)),
                })
                .collect();
            round(&stage, &plan_of(&targets, self.basics.seconds))?
        } else {
            while_published(&stage, WARM_S, self.basics.seconds, &publishers)?
        };
        publishers.stop()?;
        Ok(measured)
    }
}

/// One viewer of each target.
fn plan_of(targets: &[Target], seconds: u64) -> crate::load::LoadPlan {
    plan(targets, targets.len(), seconds)
}

fn name(number: usize) -> String {
    format!("bench{number}")
}

fn show(figures: &Figures) -> String {
    let mut table = Table::new(&[
        "side",
        "publishers",
        "MB/s",
        "cores",
        "its process",
        "core-s/GB",
        "its process",
        "load busy %",
    ]);
    for (side, rounds) in [("floor", &figures.floor), ("origin", &figures.origin)] {
        let spread = |of: fn(&Round) -> f64, decimals| {
            Spread::of(rounds.iter().map(of)).map_or_else(String::new, |s| s.show(decimals))
        };
        table.row(vec![
            side.to_owned(),
            figures.publishers.to_string(),
            spread(|r| r.load.megabytes_a_second(), 1),
            spread(Round::core_busy, 3),
            spread(Round::process_busy, 3),
            spread(Round::cost, 3),
            spread(Round::process_cost, 3),
            spread(|r| r.load_busy * 100.0, 0),
        ]);
    }
    let ratio = Spread::of(
        figures
            .origin
            .iter()
            .zip(&figures.floor)
            .map(|(origin, floor)| origin.cost() / floor.cost()),
    );
    let ratio = ratio.map_or_else(String::new, |ratio| ratio.show(3));
    format!("{}\norigin / floor, core-s/GB: {ratio}\n", table.show())
}
