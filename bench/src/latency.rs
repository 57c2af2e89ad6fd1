//! `bench latency`: what less delay costs, from rtc viewers to long ticks.

use clap::{Arg, ArgMatches, Command, value_parser};

use crate::choices::{Choices, flags};
use crate::compare::{Compared, compare, keep, show};
use crate::error::BenchError;
use crate::load::Target;
use crate::plot::{Point, Series, plot};
use crate::stream::Shape;

/// The command.
pub(crate) fn command() -> Command {
    Command::new("latency")
        .about("What less delay costs: rtc viewers (tick 0), then live viewers at each tick")
        .arg(
            Arg::new("viewers")
                .long("viewers")
                .value_name("N")
                .help("Viewers at once")
                .default_value("100")
                .value_parser(value_parser!(usize)),
        )
        .arg(
            Arg::new("ticks")
                .long("ticks")
                .value_name("MS,MS")
                .help("Milliseconds between writes; 0 is a write for each tag: `?mode=rtc`")
                .default_value("0")
                .value_delimiter(',')
                .value_parser(value_parser!(u64)),
        )
        .arg(
            Arg::new("svg")
                .long("svg")
                .value_name("FILE")
                .help("Draw cost against latency there"),
        )
        .args(flags("3", "10"))
}

/// Measures and returns the table.
pub(crate) fn run(matches: &ArgMatches, choices: &Choices) -> Result<String, BenchError> {
    let viewers = matches.get_one("viewers").copied().unwrap_or(100);
    let ticks: Vec<u64> = matches
        .get_many("ticks")
        .map(|v| v.copied().collect())
        .unwrap_or_default();
    choices.announce(&vec![viewers; ticks.len()], 2, Shape::HD)?;
    let mut rows = Vec::new();
    for tick_ms in ticks {
        rows.push(at_tick(choices, viewers, tick_ms)?);
    }
    choices.write_json(&rows)?;
    if let Some(path) = matches.get_one::<String>("svg") {
        let title = format!("{viewers} viewers of a 2.16 Mbit/s stream");
        let svg = plot(&title, &[series("floor", &rows), series("server", &rows)]);
        std::fs::write(path, svg).map_err(|e| BenchError::io(format!("writing {path}"), e))?;
    }
    Ok(show(&rows))
}

fn at_tick(choices: &Choices, viewers: usize, tick_ms: u64) -> Result<Compared, BenchError> {
    let choices = Choices {
        tick: format!("{}ms", tick_ms.max(1)),
        ..choices.clone()
    };
    let server = choices.server()?;
    let publishers = server.publish(Shape::HD)?;
    let floor = choices.floor(Shape::HD, tick_ms)?;
    let mut play = server.play.clone();
    if tick_ms == 0 {
        play = Target {
            path: format!(
                "{}{}mode=rtc",
                play.path,
                if play.path.contains('?') { '&' } else { '?' }
            ),
            ..play
        };
    }
    let keeper = keep(&choices, &play)?;
    let label = if tick_ms == 0 {
        "rtc".to_owned()
    } else {
        format!("tick {tick_ms} ms")
    };
    let row = compare(&choices, label, &server, &play, Some(&floor), viewers)?;
    drop(keeper);
    publishers.map_or(Ok(()), crate::publish::Publishers::stop)?;
    Ok(row)
}

fn series(side: &'static str, rows: &[Compared]) -> Series {
    let points = rows.iter().filter_map(|row| {
        let rounds = if side == "floor" {
            &row.floor
        } else {
            &row.server
        };
        Some(Point {
            label: row.label.clone(),
            x: crate::stats::Spread::of(rounds.iter().map(|r| r.load.latency.p50_ms))?.median,
            y: crate::stats::Spread::of(rounds.iter().map(crate::measure::Round::cost))?.median,
        })
    });
    Series {
        name: side,
        points: points.collect(),
    }
}
