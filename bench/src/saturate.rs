//! `bench saturate`: how many viewers the server's cores hold without a stall.

use clap::{Arg, ArgMatches, Command, value_parser};
use serde::Serialize;

use crate::choices::{Choices, flags};
use crate::compare::{keep, plan};
use crate::error::BenchError;
use crate::load::Target;
use crate::measure::{Round, Stage, round};
use crate::progress::progress;
use crate::stream::Shape;
use crate::table::Table;

/// The command.
pub(crate) fn command() -> Command {
    Command::new("saturate")
        .about("More and more viewers of one stream, until one stalls or is turned away")
        .arg(
            Arg::new("viewers")
                .long("viewers")
                .value_name("N,N")
                .help("The steps")
                .default_value("2000,4000,6000,8000,10000,12000")
                .value_delimiter(',')
                .value_parser(value_parser!(usize)),
        )
        .arg(
            Arg::new("floor")
                .long("floor")
                .help("Saturate the floor in place of the server")
                .action(clap::ArgAction::SetTrue),
        )
        .args(flags("1", "60"))
}

#[derive(Debug, Serialize)]
struct Step {
    viewers: usize,
    held: bool,
    round: Round,
}

/// Measures and returns the table.
pub(crate) fn run(matches: &ArgMatches, choices: &Choices) -> Result<String, BenchError> {
    let counts: Vec<usize> = matches
        .get_many("viewers")
        .map(|v| v.copied().collect())
        .unwrap_or_default();
    choices.announce(&counts, 1, Shape::HD)?;
    if matches.get_flag("floor") {
        let floor = choices.floor(Shape::HD, choices.tick_ms()?)?;
        let stage = choices.stage(Some(floor.part.pid()), &[]);
        return climb(choices, &stage, &floor.play, &counts);
    }
    let server = choices.server()?;
    let publishers = server.publish(Shape::HD)?;
    let keeper = keep(choices, &server.play)?;
    let helpers = server.helpers();
    let shown = climb(
        choices,
        &choices.stage(server.pid, &helpers),
        &server.play,
        &counts,
    )?;
    drop(keeper);
    publishers.map_or(Ok(()), crate::publish::Publishers::stop)?;
    Ok(shown)
}

fn climb(
    choices: &Choices,
    stage: &Stage<'_>,
    play: &Target,
    counts: &[usize],
) -> Result<String, BenchError> {
    let mut steps = Vec::new();
    for viewers in counts {
        let measured = round(
            stage,
            &plan(std::slice::from_ref(play), *viewers, choices.seconds),
        )?;
        let load = &measured.load;
        let held = load.playing == *viewers
            && load.stalled == 0
            && load.ended == 0
            && load.refused == 0
            && load.missing_tags == 0;
        progress(&format!(
            "  {viewers} viewers: {} playing, {} stalled, {} ended, longest gap {:.0} ms, core {:.0} % busy, load {:.0} %",
            load.playing,
            load.stalled,
            load.ended,
            load.longest_gap_ms,
            measured.core_busy() * 100.0,
            measured.load_busy * 100.0
        ));
        steps.push(Step {
            viewers: *viewers,
            held,
            round: measured,
        });
        if !held {
            break;
        }
    }
    choices.write_json(&steps)?;
    Ok(show(&steps))
}

fn show(steps: &[Step]) -> String {
    let mut table = Table::new(&[
        "viewers",
        "held",
        "Gbit/s",
        "core-s/GB",
        "core busy %",
        "p50 ms",
        "p99 ms",
        "longest gap ms",
        "stalled",
        "ended",
        "missing tags",
        "load busy %",
    ]);
    for Step {
        viewers,
        held,
        round,
    } in steps
    {
        let load = &round.load;
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let gigabits = load.bytes as f64 * 8.0 / 1e9 / load.seconds.max(0.001);
        table.row(vec![
            viewers.to_string(),
            if *held { "yes" } else { "no" }.to_owned(),
            format!("{gigabits:.1}"),
            format!("{:.3}", round.cost()),
            format!("{:.0}", round.core_busy() * 100.0),
            format!("{:.1}", load.latency.p50_ms),
            format!("{:.1}", load.latency.p99_ms),
            format!("{:.0}", load.longest_gap_ms),
            load.stalled.to_string(),
            load.ended.to_string(),
            load.missing_tags.to_string(),
            format!("{:.0}", round.load_busy * 100.0),
        ]);
    }
    let most = steps.iter().filter(|s| s.held).map(|s| s.viewers).max();
    let mut text = table.show();
    match (most, steps.last()) {
        (Some(most), _) => text.push_str(&format!("\n{most} viewers were held without a stall\n")),
        (None, Some(step)) => {
            text.push_str(&format!("\nfewer than {} viewers are held\n", step.viewers))
        }
        (None, None) => {}
    }
    if let Some(step) = steps
        .last()
        .filter(|s| !s.held && s.round.load_was_the_limit())
    {
        text.push_str(&format!(
            "at {} the load, not the server, was the limit\n",
            step.viewers
        ));
    }
    text
}
