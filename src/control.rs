//! `headwater drain`, `undrain` and `rebalance`: what people ask of a cluster that runs.

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use headwater_location::proto::control_client::ControlClient;
use headwater_location::proto::{DrainRequest, RebalanceRequest, UndrainRequest};
use serde_json::json;

use crate::config::Config;
use crate::exit::Exit;
use crate::operators;
use crate::print::{json_flag, print};
use crate::table::table;

pub(crate) fn drain_command() -> Command {
    Command::new("drain")
        .about("Order a member to give its work up; it goes on running")
        .arg(member())
        .arg(
            Arg::new("reason")
                .long("reason")
                .value_name("TEXT")
                .help("Why, for its log and its /readyz")
                .default_value("asked for on the command line"),
        )
        .arg(operators::argument())
}

pub(crate) fn undrain_command() -> Command {
    Command::new("undrain")
        .about("Let a member take work again")
        .arg(member())
        .arg(operators::argument())
}

pub(crate) fn rebalance_command() -> Command {
    Command::new("rebalance")
        .about("Move live streams to where they would be placed now; viewers and publishers notice nothing")
        .arg(
            Arg::new("dry-run")
                .long("dry-run")
                .help("Only show what would move")
                .action(ArgAction::SetTrue),
        )
        .arg(operators::argument())
        .arg(json_flag())
}

fn member() -> Arg {
    Arg::new("member")
        .value_name("MEMBER")
        .help("Its id, as /members of an operator's admin port shows it")
        .required(true)
        .value_parser(value_parser!(String))
}

fn named(matches: &ArgMatches, name: &str) -> String {
    matches.get_one::<String>(name).cloned().unwrap_or_default()
}

/// Every replica that can be reached is told; one is enough.
pub(crate) fn drain(matches: &ArgMatches, config: &Config) -> Result<(), Exit> {
    let request = DrainRequest {
        member: named(matches, "member"),
        grace_ms: u64::try_from(config.drain.grace.as_millis()).unwrap_or(u64::MAX),
        reason: named(matches, "reason"),
    };
    tell(matches, config, async |channel| {
        ControlClient::new(channel)
            .drain(request.clone())
            .await
            .map(drop)
    })
}

pub(crate) fn undrain(matches: &ArgMatches, config: &Config) -> Result<(), Exit> {
    let request = UndrainRequest {
        member: named(matches, "member"),
    };
    tell(matches, config, async |channel| {
        ControlClient::new(channel)
            .undrain(request.clone())
            .await
            .map(drop)
    })
}

fn tell(
    matches: &ArgMatches,
    config: &Config,
    order: impl AsyncFn(tonic::transport::Channel) -> Result<(), tonic::Status>,
) -> Result<(), Exit> {
    let addresses = operators::addresses(matches, config);
    operators::block_on(async {
        let dialer = operators::dialer(config)?;
        let (mut told, mut failures) = (0_usize, Vec::new());
        for address in &addresses {
            match operators::ask(&dialer, address, &order).await {
                Ok(()) => told = told.saturating_add(1),
                Err(error) => failures.push(error.to_string()),
            }
        }
        if told == 0 {
            return Err(Exit::Failed(anyhow::anyhow!("{}", failures.join("; "))));
        }
        for failure in failures {
            tracing::warn!("not told: {failure}");
        }
        Ok(())
    })
}

pub(crate) fn rebalance(matches: &ArgMatches, config: &Config) -> Result<(), Exit> {
    let dry_run = matches.get_flag("dry-run");
    let addresses = operators::addresses(matches, config);
    let reply = operators::block_on(operators::first(config, &addresses, async |channel| {
        ControlClient::new(channel)
            .rebalance(RebalanceRequest { dry_run })
            .await
    }))?;
    let moves = reply.into_inner().moves;
    if matches.get_flag("json") {
        let moves: Vec<_> = moves
            .iter()
            .map(|moved| json!({"key": moved.key, "from": moved.from, "to": moved.to}))
            .collect();
        return print(&(json!({ "dry_run": dry_run, "moves": moves }).to_string() + "\n"));
    }
    if moves.is_empty() {
        return print("every stream is where it would be placed\n");
    }
    let head = ["KEY", "FROM", "TO"].map(str::to_owned);
    let rows: Vec<Vec<String>> = moves
        .into_iter()
        .map(|moved| vec![moved.key, moved.from, moved.to])
        .collect();
    print(&table(&head, &rows))
}
