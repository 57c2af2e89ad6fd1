//! `bench slow`: what viewers that read too slowly cost the others.

use clap::{Arg, ArgMatches, Command, value_parser};
use serde::Serialize;

use crate::choices::{Choices, flags};
use crate::compare::{keep, plan};
use crate::error::BenchError;
use crate::load::{LoadPlan, Target};
use crate::measure::{Round, round};
use crate::progress::progress;
use crate::stream::Shape;
use crate::table::Table;

/// The command.
pub(crate) fn command() -> Command {
    Command::new("slow")
        .about("Some viewers read at a tenth of the rate: what the others see, what memory it costs, what the slow get")
        .arg(
            Arg::new("viewers")
                .long("viewers")
                .value_name("N")
                .help("Viewers at once")
                .default_value("2000")
                .value_parser(value_parser!(usize)),
        )
        .arg(
            Arg::new("share")
                .long("share")
                .value_name("PERCENT")
                .help("Of them, how many are slow")
                .default_value("20")
                .value_parser(value_parser!(u8).range(1..=99)),
        )
        .arg(
            Arg::new("mode")
                .long("mode")
                .value_name("MODE")
                .help("How all of them play: live or rtc")
                .default_value("live")
                .value_parser(["live", "rtc"]),
        )
        .args(flags("1", "120"))
}

#[derive(Debug, Serialize)]
struct Figures {
    viewers: usize,
    slow: usize,
    /// The healthy ones alone, in a process that has seen no slow one.
    without: Round,
    with: Round,
}

/// Measures and returns the table.
pub(crate) fn run(matches: &ArgMatches, choices: &Choices) -> Result<String, BenchError> {
    let viewers: usize = matches.get_one("viewers").copied().unwrap_or(2_000);
    let share: u8 = matches.get_one("share").copied().unwrap_or(20);
    let slow = viewers.saturating_mul(usize::from(share)) / 100;
    choices.announce(&[viewers], 2, Shape::HD)?;
    let mode = matches
        .get_one::<String>("mode")
        .map_or("live", String::as_str);
    let one = |viewers: usize, slow: usize| -> Result<Round, BenchError> {
        let server = choices.server()?;
        let publishers = server.publish(Shape::HD)?;
        let play = Target {
            path: format!(
                "{}{}mode={mode}",
                server.play.path,
                if server.play.path.contains('?') {
                    '&'
                } else {
                    '?'
                }
            ),
            ..server.play.clone()
        };
        let keeper = keep(choices, &play)?;
        let helpers = server.helpers();
        let plan = LoadPlan {
            slow_viewers: slow,
            slow_bits_per_second: Shape::HD.bits_per_second / 10,
            ..plan(std::slice::from_ref(&play), viewers, choices.seconds)
        };
        let measured = round(&choices.stage(server.pid, &helpers), &plan)?;
        drop(keeper);
        publishers.map_or(Ok(()), crate::publish::Publishers::stop)?;
        Ok(measured)
    };
    progress("  the healthy ones alone");
    let without = one(viewers - slow, 0)?;
    progress("  the same with the slow ones");
    let with = one(viewers, slow)?;
    let figures = Figures {
        viewers,
        slow,
        without,
        with,
    };
    choices.write_json(&figures)?;
    Ok(show(&figures))
}

fn show(figures: &Figures) -> String {
    let mut table = Table::new(&[
        "",
        "latency p50 ms",
        "p99 ms",
        "max ms",
        "longest gap ms",
        "stalled",
        "missing tags",
        "server's memory MiB",
        "core busy %",
    ]);
    let healthy = figures.viewers - figures.slow;
    #[expect(clippy::cast_precision_loss, reason = "MiB for people")]
    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    for (label, round) in [
        (format!("{healthy} healthy alone"), &figures.without),
        (
            format!("{healthy} healthy beside {} slow", figures.slow),
            &figures.with,
        ),
    ] {
        let load = &round.load;
        table.row(vec![
            label,
            format!("{:.1}", load.latency.p50_ms),
            format!("{:.1}", load.latency.p99_ms),
            format!("{:.1}", load.latency.max_ms),
            format!("{:.0}", load.longest_gap_ms),
            load.stalled.to_string(),
            load.missing_tags.to_string(),
            format!("{:.1}", mebibytes(round.resident_bytes)),
            format!("{:.1}", round.core_busy() * 100.0),
        ]);
    }
    let slow = &figures.with.load.slow;
    format!(
        "{}\nthe {} slow ones: {:.0} kbit/s each, {} ended; tags got {} audio and {} video, left out {}; latency p50 {:.0} ms, p99 {:.0} ms, max {:.0} ms\n",
        table.show(),
        slow.viewers,
        per_viewer_kbit(slow.bytes, slow.viewers, figures.with.load.seconds),
        slow.ended,
        slow.audio_tags,
        slow.video_tags,
        slow.missing_tags,
        slow.latency.p50_ms,
        slow.latency.p99_ms,
        slow.latency.max_ms,
    )
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn per_viewer_kbit(bytes: u64, viewers: usize, seconds: f64) -> f64 {
    bytes as f64 * 8.0 / 1_000.0 / viewers.max(1) as f64 / seconds.max(0.001)
}
