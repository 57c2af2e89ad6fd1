//! `headwater streams`: what is live, as an admin port tells it.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::Value;

use crate::config::Config;
use crate::exit::Exit;
use crate::http::{self, reachable};
use crate::print::{json_flag, print};
use crate::table::table;

const WATCH_PERIOD: Duration = Duration::from_secs(2);

/// The columns that a screen has room for, in this order; `--wide` has all. A name without its parts stands for all of
/// them.
const NARROW: [&str; 18] = [
    "key",
    "state",
    "role",
    "video",
    "audio",
    "size",
    "fps",
    "bitrate",
    "gop_ms",
    "viewers",
    "upstream",
    "publisher",
    "ingress",
    "home",
    "homes",
    "uplink.late_ms",
    "uplink.gaps",
    "gap_tags",
];

pub(crate) fn command() -> Command {
    Command::new("streams")
        .about("Show what is live")
        .arg(
            Arg::new("admin")
                .long("admin")
                .value_name("HOST:PORT")
                .help("The admin port to ask [default: the setting admin.listen]"),
        )
        .arg(
            Arg::new("watch")
                .long("watch")
                .short('w')
                .help("Show it again every 2 seconds")
                .action(ArgAction::SetTrue),
        )
        .arg(
            Arg::new("wide")
                .long("wide")
                .help("Show every column")
                .action(ArgAction::SetTrue),
        )
        .arg(json_flag())
}

pub(crate) fn run(matches: &ArgMatches, config: &Config) -> Result<(), Exit> {
    let admin = matches
        .get_one::<String>("admin")
        .cloned()
        .unwrap_or_else(|| reachable(&config.admin.listen));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Exit::failed)?;
    let (watch, wide) = (matches.get_flag("watch"), matches.get_flag("wide"));
    loop {
        let streams = runtime
            .block_on(http::json(&admin, "/streams"))
            .map_err(Exit::failed)?;
        let text = if matches.get_flag("json") {
            streams.to_string() + "\n"
        } else if watch {
            // Cursor home, then clear what was there.
            format!("\x1b[H\x1b[J{}", shown(&streams, wide))
        } else {
            shown(&streams, wide)
        };
        print(&text)?;
        if !watch {
            return Ok(());
        }
        runtime.block_on(async { tokio::time::sleep(WATCH_PERIOD).await });
    }
}

/// A table for each role.
fn shown(parts: &Value, wide: bool) -> String {
    let mut text = String::new();
    for (role, streams) in parts.as_object().into_iter().flatten() {
        let rows: Vec<Vec<(String, String)>> = streams
            .as_array()
            .into_iter()
            .flatten()
            .map(|stream| {
                let mut cells = Vec::new();
                flatten("", stream, &mut cells);
                cells
            })
            .collect();
        if !text.is_empty() {
            text.push('\n');
        }
        let count = match rows.len() {
            0 => "no streams".to_owned(),
            1 => "1 stream".to_owned(),
            count => format!("{count} streams"),
        };
        text.push_str(&format!("{role}: {count}\n"));
        if !rows.is_empty() {
            text.push_str(&columns(&rows, wide));
        }
    }
    if text.is_empty() {
        text.push_str("no streams\n");
    }
    text
}

fn columns(rows: &[Vec<(String, String)>], wide: bool) -> String {
    let place = |name: &str| {
        let top = name.split('.').next().unwrap_or(name);
        NARROW
            .iter()
            .position(|known| *known == name || *known == top)
    };
    let names: BTreeSet<&str> = rows
        .iter()
        .flatten()
        .map(|(name, _)| name.as_str())
        .filter(|name| wide || place(name).is_some())
        .collect();
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_by_key(|name| (place(name).unwrap_or(NARROW.len()), *name));
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            names
                .iter()
                .map(|name| {
                    let cell = row.iter().find(|(known, _)| known == name);
                    cell.map_or_else(|| "-".to_owned(), |(_, value)| value.clone())
                })
                .collect()
        })
        .collect();
    let head: Vec<String> = names
        .iter()
        .map(|name| name.replace(['.', '_'], " ").to_uppercase())
        .collect();
    table(&head, &cells)
}

fn flatten(path: &str, value: &Value, cells: &mut Vec<(String, String)>) {
    let shown = match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                flatten(&path, value, cells);
            }
            return;
        }
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items
            .iter()
            .map(|item| {
                item.as_str()
                    .map_or_else(|| item.to_string(), str::to_owned)
            })
            .collect::<Vec<_>>()
            .join(","),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    };
    cells.push((path.to_owned(), shown));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_role_has_its_table_with_the_key_first() {
        let parts = json!({
            "edge": [],
            "origin": [
                {"viewers": 3, "key": "default/live/a", "uplink": {"late_ms": 0, "x": 1}, "audio": null},
                {"viewers": 12, "key": "default/live/b", "extra": [1, "x"]},
            ],
        });
        assert_eq!(
            shown(&parts, false),
            "edge: no streams\n\
             \n\
             origin: 2 streams\n\
             KEY             AUDIO  VIEWERS  UPLINK LATE MS\n\
             default/live/a  -            3               0\n\
             default/live/b  -           12               -\n"
        );
        assert_eq!(
            shown(&parts, true),
            "edge: no streams\n\
             \n\
             origin: 2 streams\n\
             KEY             AUDIO  VIEWERS  UPLINK LATE MS  EXTRA  UPLINK X\n\
             default/live/a  -            3               0  -             1\n\
             default/live/b  -           12               -  1,x           -\n"
        );
        assert_eq!(shown(&json!({}), false), "no streams\n");
    }
}
