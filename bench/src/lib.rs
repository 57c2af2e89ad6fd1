//! Measuring servers of live streams: paced publishers, many viewers, and the floor beside them.
//!
//! `headwater bench` starts a Headwater of its own (or takes the addresses of any server that takes RTMP and plays
//! HTTP-FLV), loads it from a process of its own ([`load`]), and measures the [`floor`] in the same run: what sending the
//! same bytes costs when nothing else is done. Figures are ratios to the floor, for machines differ from day to day.

mod address;
mod choices;
mod churn;
pub mod clock;
mod compare;
pub mod cpu;
mod error;
mod fanout;
pub mod fleet;
pub mod floor;
mod ingest;
mod latency;
pub mod load;
pub mod measure;
mod operator;
pub mod part;
mod plot;
pub mod port;
mod progress;
pub mod publish;
mod saturate;
mod scene;
mod slow;
pub mod stats;
pub mod stream;
mod streams;
mod table;
pub mod tls;
mod witness;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgMatches, Command, value_parser};

pub use error::BenchError;

/// `headwater bench`.
pub fn command() -> Command {
    Command::new("bench")
        .about("Measure this Headwater, or another server, beside the floor")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(fanout::command())
        .subcommand(streams::command())
        .subcommand(churn::command())
        .subcommand(slow::command())
        .subcommand(latency::command())
        .subcommand(saturate::command())
        .subcommand(ingest::command())
        .subcommand(operator::command())
}

/// Parts of a measurement, which run as processes of their own.
pub fn part_command() -> Command {
    Command::new(part::COMMAND)
        .hide(true)
        .arg(Arg::new("part").required(true))
        .arg(
            Arg::new("arguments")
                .num_args(0..)
                .trailing_var_arg(true)
                .allow_hyphen_values(true)
                .value_parser(value_parser!(OsString)),
        )
}

/// Runs what `matches` of [`command`] says and returns what is to be shown; `program` is this program's file.
///
/// # Errors
/// Why there is no figure.
pub fn run(matches: &ArgMatches, program: PathBuf) -> Result<String, BenchError> {
    let Some((name, matches)) = matches.subcommand() else {
        return Err(BenchError::Value("say what is to be measured".to_owned()));
    };
    if name == "operator" {
        return operator::run(matches, program);
    }
    if name == "ingest" {
        return ingest::run(matches, &program);
    }
    let choices = choices::Choices::read(matches, program)?;
    // Publishers are threads of this process.
    choices.load_cores.pin()?;
    match name {
        "fanout" => fanout::run(matches, &choices),
        "streams" => streams::run(matches, &choices),
        "churn" => churn::run(matches, &choices),
        "slow" => slow::run(matches, &choices),
        "latency" => latency::run(matches, &choices),
        "saturate" => saturate::run(matches, &choices),
        other => Err(BenchError::Value(format!(
            "there is no measurement `{other}`"
        ))),
    }
}

/// Runs the part that `matches` of [`part_command`] names; `program` is this program's file.
///
/// # Errors
/// Why it ended.
pub fn run_part(matches: &ArgMatches, program: &Path) -> Result<(), BenchError> {
    let name = matches.get_one::<String>("part").map_or("", String::as_str);
    let arguments: Vec<OsString> = matches
        .get_many("arguments")
        .map(|all| all.cloned().collect())
        .unwrap_or_default();
    match name {
        "load" => load::run(),
        "floor" => floor::run(),
        "echo" => operator::run_echo(),
        "sink" => ingest::run_sink(),
        // Its arguments are those of a role whose end is tied to its starter's.
        part::TIED => Err(part::become_tied(program, &arguments)),
        other => Err(BenchError::Value(format!("there is no part `{other}`"))),
    }
}
