//! `headwater up`: all roles in one process on one machine, without Kubernetes.

use clap::{Arg, ArgAction, ArgMatches, Command};
use headwater_process::net;

use crate::config::Config;
use crate::exit::Exit;
use crate::print::print;
use crate::role::Role;
use crate::roles;
use crate::welcome::{Places, welcome};

/// What differs from roles that have a machine of their own: only what publishers and players need is open to others.
pub(crate) const PRESET: &[(&str, &str)] = &[
    ("operator.listen", "127.0.0.1:7100"),
    ("origin.internal_listen", "127.0.0.1:7000"),
    ("edge.internal_listen", "127.0.0.1:7001"),
    ("drain.grace", "2s"),
];

pub(crate) fn command() -> Command {
    Command::new("up")
        .about("Run everything on this machine: operator, origin and edge")
        .arg(
            Arg::new("demo")
                .long("demo")
                .help("Publish a moving test picture as live/demo")
                .action(ArgAction::SetTrue),
        )
}

pub(crate) fn run(matches: &ArgMatches, config: Config) -> Result<(), Exit> {
    let mut roles = vec![Role::Operator, Role::Origin, Role::Edge];
    let demo = matches.get_flag("demo");
    if demo {
        roles.push(Role::Demo);
    }
    roles::run(config, &roles, |config| {
        print(&welcome(&places(config, demo)?))
    })
}

fn places(config: &Config, demo: bool) -> Result<Places, Exit> {
    let rtmp_play = &config.edge.rtmp_listen;
    Ok(Places {
        rtmp: config.origin.listen.parse().map_err(Exit::failed)?,
        http: config.edge.http_listen.parse().map_err(Exit::failed)?,
        rtmp_play: rtmp_play.parse().ok(),
        admin: config.admin.listen.parse().map_err(Exit::failed)?,
        machine: net::own_address(),
        open: config.admission.keys.is_empty() && config.admission.callback.url.is_empty(),
        demo,
    })
}
