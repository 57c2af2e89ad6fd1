//! The command line: which command, with which configuration.

use std::ffi::OsString;

use clap::{Arg, ArgAction, ArgMatches, Command};
use headwater_process::config::show;

use crate::config::{Config, FILE_VARIABLE};
use crate::exit::Exit;
use crate::print::print;
use crate::role::Role;
use crate::{bench, check, control, demo, locate, roles, sign, streams, up};

const SETTINGS_HELP: &str = "\
Every setting is a flag (`--help` lists them), a variable and a key of the YAML file:
`--log-level debug` = `HEADWATER_LOG_LEVEL=debug` = `log: {level: debug}`. A flag beats the
environment, which beats the file, which beats the default.";

/// The whole command line, with a flag for each setting.
pub(crate) fn command() -> Result<Command, Exit> {
    let schema = Config::schema().map_err(Exit::failed)?;
    Ok(Command::new("headwater")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A live-streaming CDN: push RTMP anywhere, play HTTP-FLV from the nearest edge")
        .after_help(SETTINGS_HELP)
        .subcommand(up::command())
        .subcommand(Command::new("origin").about("Run an origin: it takes publishers"))
        .subcommand(Command::new("edge").about("Run an edge: it plays streams to viewers"))
        .subcommand(
            Command::new("operator")
                .about("Run an operator: it places streams and tells where they are"),
        )
        .subcommand(headwater_bench::command())
        .subcommand(headwater_bench::part_command())
        .subcommand(check::command())
        .subcommand(demo::command())
        .subcommand(locate::command())
        .subcommand(sign::command())
        .subcommand(streams::command())
        .subcommand(
            Command::new("crds").about(
                "Print the Kubernetes custom resource definitions, as the chart installs them",
            ),
        )
        .subcommand(control::drain_command())
        .subcommand(control::undrain_command())
        .subcommand(control::rebalance_command())
        .arg(
            Arg::new("config")
                .long("config")
                .value_name("FILE")
                .help(format!(
                    "The YAML file with settings [env: {FILE_VARIABLE}]"
                ))
                .global(true),
        )
        .arg(
            Arg::new("print-config")
                .long("print-config")
                .help("Print the settings in force as YAML, secrets masked, and end")
                .action(ArgAction::SetTrue)
                .global(true),
        )
        .args(schema.flags(&Config::described())))
}

/// Does what the command line says.
pub(crate) fn run(
    args: impl IntoIterator<Item = OsString>,
    env: Vec<(String, String)>,
) -> Result<(), Exit> {
    let mut command = command()?;
    let matches = match command.try_get_matches_from_mut(args) {
        Ok(matches) => matches,
        // Help and version are no failures; clap knows where each goes and with which code.
        Err(error) => error.exit(),
    };
    let (name, matches) = matches
        .subcommand()
        .map_or((None, &matches), |(name, matches)| (Some(name), matches));
    let preset = if name == Some("up") { up::PRESET } else { &[] };
    let config = configure(preset, matches, env)?;
    if matches.get_flag("print-config") {
        return print(&show(&config).map_err(Exit::failed)?);
    }
    match name {
        Some("up") => up::run(matches, config),
        Some("origin") => roles::run(config, &[Role::Origin], |_| Ok(())),
        Some("edge") => roles::run(config, &[Role::Edge], |_| Ok(())),
        Some("operator") => roles::run(config, &[Role::Operator], |_| Ok(())),
        Some("bench") => bench::run(matches),
        Some(headwater_bench::part::COMMAND) => bench::run_part(matches),
        Some("check") => check::run(matches, &config),
        Some("demo") => demo::run(matches, &config),
        Some("locate") => locate::run(matches, &config),
        Some("sign") => sign::run(matches, &config),
        Some("streams") => streams::run(matches, &config),
        Some("crds") => print(&headwater_operator::kube::definitions().map_err(Exit::failed)?),
        Some("drain") => control::drain(matches, &config),
        Some("undrain") => control::undrain(matches, &config),
        Some("rebalance") => control::rebalance(matches, &config),
        _ => {
            print(&command.render_help().to_string())?;
            Err(Exit::usage(anyhow::anyhow!("say which command")))
        }
    }
}

fn configure(
    preset: &'static [(&'static str, &'static str)],
    matches: &ArgMatches,
    env: Vec<(String, String)>,
) -> Result<Config, Exit> {
    let schema = Config::schema().map_err(Exit::failed)?;
    let file = matches.get_one::<String>("config").cloned().or_else(|| {
        env.iter()
            .find(|(name, _)| name == FILE_VARIABLE)
            .map(|(_, file)| file.clone())
    });
    Config::load(preset, file.as_deref(), env, schema.given(matches))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(line: &str) -> Result<Config, Exit> {
        let words = line.split_whitespace();
        let matches = command().unwrap().try_get_matches_from(words).unwrap();
        let matches = matches
            .subcommand()
            .map_or(&matches, |(_, matches)| matches);
        configure(&[], matches, vec![])
    }

    #[test]
    fn flags_are_distinct_and_complete() {
        command().unwrap().debug_assert();
    }

    #[test]
    fn settings_are_taken_on_both_sides_of_the_command() {
        for line in [
            "headwater --log-level debug streams",
            "headwater streams --log-level debug",
        ] {
            assert_eq!(loaded(line).unwrap().log.level, "debug", "{line}");
        }
    }

    #[test]
    fn an_unreadable_file_is_a_usage_error_that_names_it() {
        let Err(exit) = loaded("headwater --config /no/such.yaml streams") else {
            panic!("read");
        };
        assert!(matches!(exit, Exit::Usage(_)));
        assert!(exit.to_string().contains("/no/such.yaml"), "{exit}");
    }
}
