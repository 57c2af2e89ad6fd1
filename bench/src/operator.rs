//! `bench operator`: what an operator's look-ups cost beside a bare server of the same answers, and what it holds.

mod calls;
mod crowd;
mod echo;
mod member;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Arg, ArgMatches, Command, value_parser};
use prost::Message as _;
use serde::Serialize;

use self::calls::{Calls, Paced};
use self::crowd::{Crowd, CrowdPlan};
use self::echo::EchoPlan;
use crate::choices::{Basics, basic_flags};
use crate::clock::now_ns;
use crate::cpu;
use crate::error::BenchError;
use crate::fleet::{Member, flag, free_addresses, log_directory};
use crate::floor::FloorState;
use crate::part::{Kind, Part};
use crate::progress::progress;
use crate::stats::Spread;
use crate::table::Table;

pub(crate) use self::echo::run as run_echo;

/// The most of anything: what one operator takes of one member.
const COUNT_MAX: usize = 20_000;
/// More calls a second than a paced load of one core can be asked for.
const RATE_MAX: u64 = 200_000;

/// The command.
pub(crate) fn command() -> Command {
    let count = |name: &'static str, default: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("N")
            .help(help)
            .default_value(default)
            .value_parser(value_parser!(usize))
    };
    Command::new("operator")
        .about("An operator with many streams: its memory, and its look-ups beside a bare server of the same answers")
        .arg(count("streams", "10000", "Live streams"))
        .arg(count("origins", "20", "Origins that they are spread over"))
        .arg(count("edges", "100", "Edges"))
        .arg(count("watches", "500", "Streams that each edge watches and carries"))
        .arg(
            Arg::new("rate")
                .long("rate")
                .value_name("N")
                .help("Look-ups a second for the quantiles, whether or not earlier ones were answered")
                .default_value("10000")
                .value_parser(value_parser!(u64)),
        )
        .arg(
            Arg::new("report-ms")
                .long("report-ms")
                .value_name("MS")
                .help("How often members report what is new of the streams that they have; 0: once")
                .default_value("1000")
                .value_parser(value_parser!(u64)),
        )
        .arg(
            Arg::new("changes")
                .long("changes")
                .value_name("PERCENT")
                .help("Streams of an edge that have gained or lost viewers whenever it reports")
                .default_value("10")
                .value_parser(value_parser!(u8).range(0..=100)),
        )
        .args(basic_flags("3", "10"))
}

#[derive(Debug, Serialize)]
struct Figures {
    streams: usize,
    edges: usize,
    watches: usize,
    /// Of each edge's streams, that have other viewers whenever it reports.
    changes_percent: usize,
    rate_per_second: u64,
    /// The operator's resident memory before any member came, and with all of them after the last round.
    empty_bytes: u64,
    resident_bytes: u64,
    echo: Vec<Round>,
    operator: Vec<Round>,
}

/// One server's turn.
#[derive(Clone, Copy, Debug, Serialize)]
struct Round {
    /// As many as went.
    calls_per_second: f64,
    /// Time of the server's process, for each call.
    core_us_per_call: f64,
    /// Share of the load's cores that was used meanwhile.
    load_busy: f64,
    /// At the paced rate.
    at_rate: Paced,
    /// Share of the load's cores that was used at the paced rate.
    load_busy_at_rate: f64,
}

/// Measures and returns the table.
pub(crate) fn run(matches: &ArgMatches, program: PathBuf) -> Result<String, BenchError> {
    let basics = Basics::read(matches)?;
    let count = |name: &str| -> Result<usize, BenchError> {
        let value = matches.get_one(name).copied().unwrap_or(0);
        if value == 0 || value > COUNT_MAX {
            return Err(BenchError::Value(format!(
                "`--{name}` is {value}: it can be 1 to {COUNT_MAX}"
            )));
        }
        Ok(value)
    };
    let rate: u64 = matches.get_one("rate").copied().unwrap_or(0);
    if !(1_000..=RATE_MAX).contains(&rate) {
        return Err(BenchError::Value(format!(
            "`--rate` is {rate}: it can be 1000 to {RATE_MAX}"
        )));
    }
    let plan = CrowdPlan {
        streams: count("streams")?,
        origins: count("origins")?,
        edges: count("edges")?,
        watches: count("watches")?,
        report_every: Duration::from_millis(matches.get_one("report-ms").copied().unwrap_or(0)),
        changes_percent: matches
            .get_one::<u8>("changes")
            .copied()
            .unwrap_or(0)
            .into(),
    };
    basics.load_cores.pin()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| BenchError::io("starting the load", e))?;
    let figures = runtime.block_on(measure(&basics, &program, plan, rate))?;
    basics.write_json(&figures)?;
    Ok(show(&figures))
}

async fn measure(
    basics: &Basics,
    program: &Path,
    plan: CrowdPlan,
    rate: u64,
) -> Result<Figures, BenchError> {
    let operator = Measured::start(basics, program)?;
    let empty_bytes = cpu::resident_bytes(operator.member.pid());
    progress(&format!(
        "{} streams of {} origins, {} edges that watch {} each; operator on core {}, load on core {}",
        plan.streams,
        plan.origins,
        plan.edges,
        plan.watches,
        basics.server_cores.show(),
        basics.load_cores.show()
    ));
    let crowd = Crowd::gather(operator.address, plan).await?;
    let keys = crowd.keys();
    let ours = Calls::open(operator.address, Arc::clone(&keys)).await?;
    let reply = ours.one().await?;
    let echo = EchoPlan {
        reply: reply.encode_to_vec(),
    };
    let mut part = Part::start(program, Kind::Echo, &basics.server_cores, &echo)?;
    let floor = match part.hear::<FloorState>()? {
        FloorState::Listening { address } => Calls::open(address, keys).await?,
        FloorState::Failed { why } => return Err(BenchError::Part(why)),
    };
    let mut figures = Figures {
        streams: plan.streams,
        edges: plan.edges,
        watches: plan.watches,
        changes_percent: plan.changes_percent,
        rate_per_second: rate,
        empty_bytes,
        resident_bytes: 0,
        echo: Vec::new(),
        operator: Vec::new(),
    };
    for number in 1..=basics.rounds {
        let of_echo = round(basics, &floor, part.pid(), rate).await?;
        let of_operator = round(basics, &ours, operator.member.pid(), rate).await?;
        crowd.check()?;
        for (name, round) in [("echo", &of_echo), ("operator", &of_operator)] {
            progress(&format!(
                "  round {number}, {name}: {:.0} calls/s, {:.1} µs of its process each, load {:.0} % busy; at {rate}/s p50 {:.2} ms, p99 {:.2} ms ({:.2} while the machine was steady, {:.0} % of the time slow), load {:.0} % busy",
                round.calls_per_second,
                round.core_us_per_call,
                round.load_busy * 100.0,
                round.at_rate.all.p50_ms,
                round.at_rate.all.p99_ms,
                round.at_rate.steady.p99_ms,
                round.at_rate.slow_share * 100.0,
                round.load_busy_at_rate * 100.0,
            ));
        }
        figures.echo.push(of_echo);
        figures.operator.push(of_operator);
    }
    figures.resident_bytes = cpu::resident_bytes(operator.member.pid());
    Ok(figures)
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
async fn round(basics: &Basics, calls: &Calls, pid: u32, rate: u64) -> Result<Round, BenchError> {
    let (began, before_s) = (LoadTime::now(basics), cpu::process_s(pid));
    let done = calls.saturate(basics.seconds).await?;
    let ended = LoadTime::now(basics);
    let used_s = cpu::process_s(pid) - before_s;
    let cores = [&basics.server_cores, &basics.load_cores];
    let at_rate = calls.at_rate(rate, basics.seconds, &cores).await?;
    Ok(Round {
        calls_per_second: done as f64 / began.until_s(ended),
        core_us_per_call: used_s * 1e6 / done.max(1) as f64,
        load_busy: began.busy(ended, basics),
        at_rate,
        load_busy_at_rate: ended.busy(LoadTime::now(basics), basics),
    })
}

/// A moment, and what the load's cores had idled by then.
#[derive(Clone, Copy, Debug)]
struct LoadTime {
    at_ns: u64,
    idle_s: f64,
}

impl LoadTime {
    fn now(basics: &Basics) -> LoadTime {
        LoadTime {
            at_ns: now_ns(),
            idle_s: basics.load_cores.used().idle_s,
        }
    }

    fn until_s(self, later: LoadTime) -> f64 {
        Duration::from_nanos(later.at_ns.saturating_sub(self.at_ns)).as_secs_f64()
    }

    /// Share of the load's cores that was used until `later`.
    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    fn busy(self, later: LoadTime, basics: &Basics) -> f64 {
        let all_s = self.until_s(later) * basics.load_cores.count() as f64;
        (1.0 - (later.idle_s - self.idle_s) / all_s).max(0.0)
    }
}

/// The operator as a process.
#[derive(Debug)]
struct Measured {
    member: Member,
    address: SocketAddr,
    logs: PathBuf,
}

impl Measured {
    fn start(basics: &Basics, program: &Path) -> Result<Measured, BenchError> {
        let [address, admin] = free_addresses()?;
        let logs = log_directory()?;
        let flags = [
            flag("operator-listen", &address),
            flag("admin-listen", &admin),
            // All members come from this machine.
            flag("operator-max-connections-per-address", &COUNT_MAX),
        ];
        let started = Member::start(
            program,
            "operator",
            &basics.server_cores,
            admin,
            &flags,
            &logs,
        );
        let mut measured = Measured {
            member: started?,
            address,
            logs,
        };
        measured.member.ready()?;
        Ok(measured)
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        // The log is for whoever asks why a start failed; the error has said it by now.
        let _ = std::fs::remove_dir_all(&self.logs);
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn show(figures: &Figures) -> String {
    let mut table = Table::new(&[
        "side",
        "look-ups/s",
        "µs of its process each",
        "p50 ms at the rate",
        "p99 ms",
        "while the machine was steady",
        "slow % of the time",
        "load busy %",
        "at the rate %",
    ]);
    for (side, rounds) in [("echo", &figures.echo), ("operator", &figures.operator)] {
        let spread = |of: fn(&Round) -> f64, decimals| {
            Spread::of(rounds.iter().map(of)).map_or_else(String::new, |s| s.show(decimals))
        };
        table.row(vec![
            side.to_owned(),
            spread(|r| r.calls_per_second, 0),
            spread(|r| r.core_us_per_call, 1),
            spread(|r| r.at_rate.all.p50_ms, 2),
            spread(|r| r.at_rate.all.p99_ms, 2),
            spread(|r| r.at_rate.steady.p99_ms, 2),
            spread(|r| r.at_rate.slow_share * 100.0, 0),
            spread(|r| r.load_busy * 100.0, 0),
            spread(|r| r.load_busy_at_rate * 100.0, 0),
        ]);
    }
    let ratio = |of: fn(&Round, &Round) -> f64| {
        let pairs = figures.operator.iter().zip(&figures.echo);
        Spread::of(pairs.map(|(ours, floor)| of(ours, floor)))
            .map_or_else(String::new, |s| s.show(2))
    };
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    format!(
        "{}\nrate, operator over echo: {}; by the time of the process: {}\n\
         paced rate: {}/s; memory of the operator: {:.0} MiB with {} streams and {} edges that watch {} each, {:.0} MiB empty\n",
        table.show(),
        ratio(|ours, floor| ours.calls_per_second / floor.calls_per_second),
        ratio(|ours, floor| floor.core_us_per_call / ours.core_us_per_call),
        figures.rate_per_second,
        mib(figures.resident_bytes),
        figures.streams,
        figures.edges,
        figures.watches,
        mib(figures.empty_bytes),
    )
}
