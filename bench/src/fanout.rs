//! `bench fanout`: what it costs to send one stream to many.

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::choices::{Choices, flags};
use crate::compare::{compare, keep, show};
use crate::error::BenchError;
use crate::stream::Shape;

/// The command.
pub(crate) fn command() -> Command {
    Command::new("fanout")
        .about("One stream to many viewers: core-seconds for a gigabyte, added latency, memory a viewer")
        .arg(
            Arg::new("viewers")
                .long("viewers")
                .value_name("N,N")
                .help("Viewers at once; each count is measured by itself")
                .default_value("1000")
                .value_delimiter(',')
                .value_parser(value_parser!(usize)),
        )
        .arg(
            Arg::new("no-floor")
                .long("no-floor")
                .help("Measure the server alone")
                .action(ArgAction::SetTrue),
        )
        .args(flags("3", "10"))
}

/// Measures and returns the table.
pub(crate) fn run(matches: &ArgMatches, choices: &Choices) -> Result<String, BenchError> {
    let counts: Vec<usize> = matches
        .get_many("viewers")
        .map(|v| v.copied().collect())
        .unwrap_or_default();
    let with_floor = !matches.get_flag("no-floor");
    choices.announce(&counts, if with_floor { 2 } else { 1 }, Shape::HD)?;
    let server = choices.server()?;
    let publishers = server.publish(Shape::HD)?;
    let floor = with_floor
        .then(|| choices.floor(Shape::HD, choices.tick_ms()?))
        .transpose()?;
    let keeper = keep(choices, &server.play)?;
    let mut rows = Vec::new();
    for viewers in counts {
        let label = format!("{viewers} viewers");
        rows.push(compare(
            choices,
            label,
            &server,
            &server.play,
            floor.as_ref(),
            viewers,
        )?);
    }
    drop(keeper);
    publishers.map_or(Ok(()), crate::publish::Publishers::stop)?;
    choices.write_json(&rows)?;
    Ok(show(&rows))
}
