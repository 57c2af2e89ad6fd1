//! The command line's choices, as all measurements share them.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, value_parser};

use crate::address::{play_target, publish_plan};
use crate::cpu::Cores;
use crate::error::BenchError;
use crate::load::Target;
use crate::progress::progress;
use crate::publish::PublishPlan;
use crate::stream::Shape;
use crate::tls::Pair;

/// The longest measurement of one round.
const SECONDS_MAX: u64 = 600;
const ROUNDS_MAX: u32 = 50;
const VIEWERS_MAX: usize = 60_000;

/// The command line's choices.
#[derive(Clone, Debug)]
pub(crate) struct Choices {
    pub(crate) program: PathBuf,
    pub(crate) server_cores: Cores,
    pub(crate) load_cores: Cores,
    pub(crate) rounds: u32,
    pub(crate) seconds: u64,
    pub(crate) again: u32,
    pub(crate) tick: String,
    pub(crate) congestion: String,
    /// Viewers come over HTTPS, and server and floor show this.
    pub(crate) tls: Option<Pair>,
    pub(crate) edge_flags: Vec<String>,
    pub(crate) play: Option<Target>,
    pub(crate) publish: Option<PublishPlan>,
    pub(crate) pid: Option<u32>,
    pub(crate) basics: Basics,
    pub(crate) traffic_max_gb: u64,
}

fn text(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

/// The flags of every measurement, with a default for rounds and seconds.
pub(crate) fn basic_flags(rounds: &'static str, seconds: &'static str) -> Vec<Arg> {
    vec![
        text("rounds", "N", "Rounds; server and floor take turns")
            .default_value(rounds)
            .value_parser(value_parser!(u32)),
        text("seconds", "S", "Measured seconds of each round")
            .default_value(seconds)
            .value_parser(value_parser!(u64)),
        text(
            "server-cores",
            "LIST",
            "Cores of the measured process, such as 0 [default: the first]",
        ),
        text(
            "load-cores",
            "LIST",
            "Cores of everything else [default: all others]",
        ),
        text("json", "FILE", "Write all figures there as JSON"),
    ]
}

/// Those of every measurement with viewers.
pub(crate) fn flags(rounds: &'static str, seconds: &'static str) -> Vec<Arg> {
    let mut all = basic_flags(rounds, seconds);
    all.extend(vec![
        text(
            "again",
            "N",
            "Rounds of one row that are made again because other processes were at work",
        )
        .default_value("4")
        .value_parser(value_parser!(u32).range(0..=50)),
        text(
            "tick",
            "TIME",
            "The edge's tick, such as 100ms; the floor's windows are as long [default: auto; floor 100ms]",
        ),
        text(
            "congestion",
            "NAME",
            "TCP congestion control of server and floor [default: the machine's]",
        ),
        Arg::new("https")
            .long("https")
            .help("Viewers come over HTTPS; the floor encrypts, too")
            .action(ArgAction::SetTrue),
        text(
            "edge-flag",
            "FLAG",
            "One more flag for the edge, such as --edge-socket-send-buffer-bytes=64KiB",
        )
        .allow_hyphen_values(true)
        .action(ArgAction::Append),
        text(
            "play",
            "URL",
            "Measure another server: where viewers play, http://HOST:PORT/PATH",
        ),
        text(
            "publish",
            "URL",
            "Measure another server: where the stream is pushed, rtmp://HOST[:PORT]/APP/STREAM",
        ),
        text(
            "pid",
            "PID",
            "Measure another server: its process, for its own CPU time and memory",
        )
        .value_parser(value_parser!(u32)),
        Arg::new("remote")
            .long("remote")
            .help("Let the load go to another machine: ask whoever owns it and the network between")
            .action(ArgAction::SetTrue),
        text(
            "traffic-max-gb",
            "GB",
            "Refuse a measurement that would move more",
        )
        .default_value("5000")
        .value_parser(value_parser!(u64)),
    ]);
    all
}

/// What every measurement is told: where what runs, how long and how often.
#[derive(Clone, Debug)]
pub(crate) struct Basics {
    pub(crate) server_cores: Cores,
    pub(crate) load_cores: Cores,
    pub(crate) rounds: u32,
    pub(crate) seconds: u64,
    json: Option<PathBuf>,
}

impl Basics {
    pub(crate) fn read(matches: &ArgMatches) -> Result<Basics, BenchError> {
        let text = |name: &str| matches.get_one::<String>(name).map(String::as_str);
        let cores = |name: &str| text(name).map(Cores::parse).transpose();
        let (first, others) = Cores::halves()?;
        let basics = Basics {
            server_cores: cores("server-cores")?.unwrap_or(first),
            load_cores: cores("load-cores")?.unwrap_or(others),
            rounds: matches.get_one("rounds").copied().unwrap_or(1),
            seconds: matches.get_one("seconds").copied().unwrap_or(10),
            json: text("json").map(PathBuf::from),
        };
        for (name, value, max) in [
            ("seconds", basics.seconds, SECONDS_MAX),
            ("rounds", basics.rounds.into(), ROUNDS_MAX.into()),
        ] {
            if value == 0 || value > max {
                return Err(BenchError::Value(format!(
                    "`--{name}` is {value}: it can be 1 to {max}"
                )));
            }
        }
        Ok(basics)
    }

    /// Writes `figures` where `--json` says.
    pub(crate) fn write_json(&self, figures: &impl serde::Serialize) -> Result<(), BenchError> {
        let Some(path) = &self.json else {
            return Ok(());
        };
        let text = serde_json::to_string_pretty(figures)
            .map_err(|e| BenchError::part(format!("writing JSON: {e}")))?;
        std::fs::write(path, text + "\n")
            .map_err(|e| BenchError::io(format!("writing {}", path.display()), e))
    }
}

impl Choices {
    pub(crate) fn read(matches: &ArgMatches, program: PathBuf) -> Result<Choices, BenchError> {
        let text = |name: &str| matches.get_one::<String>(name).map(String::as_str);
        let basics = Basics::read(matches)?;
        let remote = matches.get_flag("remote");
        let mut choices = Choices {
            program,
            server_cores: basics.server_cores.clone(),
            load_cores: basics.load_cores.clone(),
            rounds: basics.rounds,
            seconds: basics.seconds,
            basics,
            again: matches.get_one("again").copied().unwrap_or(0),
            tick: text("tick").unwrap_or_default().to_owned(),
            congestion: text("congestion").unwrap_or_default().to_owned(),
            tls: matches.get_flag("https").then(Pair::new).transpose()?,
            edge_flags: matches
                .get_many::<String>("edge-flag")
                .map(|flags| flags.cloned().collect())
                .unwrap_or_default(),
            play: text("play")
                .map(|url| play_target(url, remote))
                .transpose()?,
            publish: text("publish")
                .map(|url| publish_plan(url, remote))
                .transpose()?,
            pid: matches.get_one("pid").copied(),
            traffic_max_gb: matches.get_one("traffic-max-gb").copied().unwrap_or(0),
        };
        match (choices.play.as_ref().map(|play| play.tls), &choices.tls) {
            // The floor beside a server of HTTPS encrypts, too.
            (Some(true), None) => choices.tls = Some(Pair::new()?),
            (Some(false), Some(_)) => {
                return Err(BenchError::Value(
                    "`--https` and an address with http:// contradict each other".to_owned(),
                ));
            }
            _ => {}
        }
        if choices.publish.is_some() && choices.play.is_none() {
            return Err(BenchError::Value(
                "`--publish` needs `--play`: where is the stream to be played?".to_owned(),
            ));
        }
        Ok(choices)
    }

    /// Refuses a plan that would move too much, and tells what it will take.
    pub(crate) fn announce(
        &self,
        viewers: &[usize],
        sides: u64,
        shape: Shape,
    ) -> Result<(), BenchError> {
        if let Some(viewers) = viewers.iter().find(|v| **v == 0 || **v > VIEWERS_MAX) {
            return Err(BenchError::Value(format!(
                "{viewers} viewers: it can be 1 to {VIEWERS_MAX}"
            )));
        }
        let rounds = u64::from(self.rounds).saturating_mul(sides);
        // Joining and warming up take some seconds of each round.
        let seconds = self.seconds.saturating_add(5).saturating_mul(rounds);
        let total: u64 = viewers.iter().map(|v| *v as u64).sum();
        let bytes = total
            .saturating_mul(seconds)
            .saturating_mul(u64::from(shape.bits_per_second) / 8);
        let gigabytes = bytes / 1_000_000_000;
        let minutes = seconds.saturating_mul(viewers.len() as u64).div_ceil(60);
        if gigabytes > self.traffic_max_gb {
            return Err(BenchError::Value(format!(
                "this would move about {gigabytes} GB, more than `--traffic-max-gb` {}: measure less, or allow more",
                self.traffic_max_gb
            )));
        }
        progress(&format!(
            "about {minutes} min and {gigabytes} GB; server on core {}, load on core {}",
            self.server_cores.show(),
            self.load_cores.show()
        ));
        Ok(())
    }

    /// The floor's tick where the edge's is `tick`.
    pub(crate) fn tick_ms(&self) -> Result<u64, BenchError> {
        if self.tick.is_empty() || self.tick == "auto" {
            return Ok(100);
        }
        self.tick
            .strip_suffix("ms")
            .and_then(|number| number.parse().ok())
            .ok_or_else(|| {
                BenchError::Value(format!(
                    "`--tick` is `{}`: write milliseconds, such as 100ms",
                    self.tick
                ))
            })
    }

    /// Writes `figures` where `--json` says.
    pub(crate) fn write_json(&self, figures: &impl serde::Serialize) -> Result<(), BenchError> {
        self.basics.write_json(figures)
    }
}
