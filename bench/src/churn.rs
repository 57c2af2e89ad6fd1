//! `bench churn`: how soon those who join have a picture.

use clap::{Arg, ArgMatches, Command, value_parser};
use serde::Serialize;

use crate::choices::{Choices, flags};
use crate::compare::{keep, plan};
use crate::error::BenchError;
use crate::load::LoadPlan;
use crate::measure::{Round, round};
use crate::progress::progress;
use crate::stats::Spread;
use crate::stream::Shape;
use crate::table::Table;

/// The command.
pub(crate) fn command() -> Command {
    Command::new("churn")
        .about("Viewers that come and go: time from connecting to the whole first keyframe")
        .arg(
            Arg::new("joins")
                .long("joins")
                .value_name("N")
                .help("Viewers that join in a second, spread evenly; each stays for a second after its picture")
                .default_value("200")
                .value_parser(value_parser!(u32)),
        )
        .arg(
            Arg::new("burst")
                .long("burst")
                .value_name("N")
                .help("In place of that: so many that join within 100 ms, and stay")
                .value_parser(value_parser!(usize)),
        )
        .arg(
            Arg::new("cold")
                .long("cold")
                .value_name("STREAMS")
                .help("In place of that: one viewer for each of so many streams that the edge has yet to pull, 10 a second")
                .value_parser(value_parser!(usize)),
        )
        .args(flags("3", "10"))
}

#[derive(Debug, Serialize)]
struct Figures {
    what: String,
    rounds: Vec<Round>,
}

/// Measures and returns the table.
pub(crate) fn run(matches: &ArgMatches, choices: &Choices) -> Result<String, BenchError> {
    let rate: u32 = matches.get_one("joins").copied().unwrap_or(200);
    if rate == 0 || rate > 20_000 {
        return Err(BenchError::Value(format!(
            "`--joins` is {rate}: it can be 1 to 20000"
        )));
    }
    let joins =
        usize::try_from(u64::from(rate).saturating_mul(choices.seconds)).unwrap_or(usize::MAX);
    let burst = matches.get_one::<usize>("burst").copied();
    let cold = matches.get_one::<usize>("cold").copied();
    let (what, viewers) = match (cold, burst) {
        (Some(streams), _) => (format!("{streams} streams that have to be pulled"), streams),
        (None, Some(burst)) => (format!("{burst} viewers in 100 ms"), burst),
        (None, None) => (format!("{rate} joins a second"), joins),
    };
    choices.announce(&[viewers.min(60_000)], 1, Shape::HD)?;
    let mut rounds = Vec::new();
    for number in 1..=choices.rounds {
        let measured = match cold {
            Some(streams) => pulled(choices, streams)?,
            None => joined(choices, viewers, rate, burst.is_some())?,
        };
        let picture = &measured.load.first_picture;
        progress(&format!(
            "  {what}, round {number}: first picture p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms of {}; {} refused; {}",
            picture.p50_ms,
            picture.p99_ms,
            picture.max_ms,
            picture.count,
            measured.load.refused,
            measured.disturbance()
        ));
        rounds.push(measured);
    }
    let figures = Figures { what, rounds };
    choices.write_json(&figures)?;
    Ok(show(&figures))
}

fn joined(choices: &Choices, viewers: usize, rate: u32, burst: bool) -> Result<Round, BenchError> {
    let server = choices.server()?;
    let publishers = server.publish(Shape::HD)?;
    let keeper = keep(choices, &server.play)?;
    let helpers = server.helpers();
    let plan = LoadPlan {
        joins_per_second: if burst {
            u32::try_from(viewers)
                .unwrap_or(u32::MAX)
                .saturating_mul(10)
        } else {
            rate
        },
        stay_ms: if burst { 0 } else { 1_000 },
        ..plan(std::slice::from_ref(&server.play), viewers, 1)
    };
    let measured = round(&choices.stage(server.pid, &helpers), &plan)?;
    drop(keeper);
    publishers.map_or(Ok(()), crate::publish::Publishers::stop)?;
    Ok(measured)
}

fn pulled(choices: &Choices, streams: usize) -> Result<Round, BenchError> {
    let server = choices.server()?;
    let (publishers, targets) = server.publish_many(Shape::SMALL, streams)?;
    // Until each stream has a GOP to start with.
    std::thread::sleep(std::time::Duration::from_secs(3));
    let helpers = server.helpers();
    let plan = LoadPlan {
        joins_per_second: 10,
        ..plan(&targets, streams, 1)
    };
    let measured = round(&choices.stage(server.pid, &helpers), &plan)?;
    publishers.stop()?;
    Ok(measured)
}

fn show(figures: &Figures) -> String {
    let mut table = Table::new(&[
        "",
        "first picture p50 ms",
        "p99 ms",
        "max ms",
        "joins",
        "without a picture",
    ]);
    let spread = |of: fn(&Round) -> f64| {
        Spread::of(figures.rounds.iter().map(of)).map_or_else(String::new, |s| s.show(1))
    };
    table.row(vec![
        figures.what.clone(),
        spread(|r| r.load.first_picture.p50_ms),
        spread(|r| r.load.first_picture.p99_ms),
        spread(|r| r.load.first_picture.max_ms),
        figures
            .rounds
            .iter()
            .map(|r| r.load.first_picture.count)
            .sum::<usize>()
            .to_string(),
        figures
            .rounds
            .iter()
            .map(|r| r.load.refused + r.load.ended)
            .sum::<usize>()
            .to_string(),
    ]);
    table.show()
}
