//! `headwater sign`: addresses that the configured keys open.

use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, Command, value_parser};
use headwater_admission::Kind;
use headwater_admission::sign::{Scheme, url};
use headwater_media::StreamKey;
use headwater_process::{clock, config::time};
use serde_json::json;

use crate::config::Config;
use crate::exit::Exit;
use crate::print::{json_flag, print};

pub(crate) fn command() -> Command {
    Command::new("sign")
        .about("Print addresses for publishing and playing a stream, signed with the configured keys")
        .arg(key_argument())
        .arg(
            Arg::new("for")
                .long("for")
                .value_name("PURPOSE")
                .help("Only the address for this purpose")
                .value_parser(PossibleValuesParser::new(["publish", "play"])),
        )
        .arg(
            Arg::new("valid")
                .long("valid")
                .value_name("DURATION")
                .help("How long the address is good from now on")
                .default_value("24h")
                .value_parser(|text: &str| {
                    time::parse(text).ok_or("write a duration with its unit, such as 30m or 24h")
                }),
        )
        .arg(
            Arg::new("scheme")
                .long("scheme")
                .value_name("SCHEME")
                .help("`tx` (txSecret, MD5) or `hmac` (hwSign, HMAC-SHA-256) [default: the stronger one that is taken]")
                .value_parser(PossibleValuesParser::new(["tx", "hmac"])),
        )
        .arg(
            Arg::new("publish-base")
                .long("publish-base")
                .value_name("URL")
                .help("Where publishers connect")
                .default_value("rtmp://localhost:1935"),
        )
        .arg(
            Arg::new("play-base")
                .long("play-base")
                .value_name("URL")
                .help("Where players connect")
                .default_value("http://localhost:8080"),
        )
        .arg(json_flag())
}

pub(crate) fn run(matches: &ArgMatches, config: &Config) -> Result<(), Exit> {
    let text = |name: &str| matches.get_one::<String>(name).map_or("", String::as_str);
    let key = stream_key(text("key"))?;
    let valid = matches
        .get_one::<Duration>("valid")
        .copied()
        .unwrap_or_default();
    let expires_unix_s = (clock::unix_ms() / 1000).saturating_add(valid.as_secs());
    let scheme = match text("scheme") {
        "tx" => Some(Scheme::Tx),
        "hmac" => Some(Scheme::Hmac),
        _ => None,
    };
    let mut made = Vec::new();
    for (purpose, kind, base) in [
        ("publish", Kind::Publish, text("publish-base")),
        ("play", Kind::Play, text("play-base")),
    ] {
        if matches.contains_id("for") && text("for") != purpose {
            continue;
        }
        let address = url(&config.admission, scheme, kind, &key, base, expires_unix_s)
            .map_err(Exit::usage)?;
        made.push((purpose.to_owned(), address));
    }
    if matches.get_flag("json") {
        let mut object: serde_json::Map<_, _> = made
            .into_iter()
            .map(|(purpose, address)| (purpose, json!(address)))
            .collect();
        object.insert("expires_unix_s".to_owned(), json!(expires_unix_s));
        return print(&(serde_json::Value::Object(object).to_string() + "\n"));
    }
    let lines: String = made
        .iter()
        .map(|(_, address)| format!("{address}\n"))
        .collect();
    print(&lines)
}

/// The argument KEY: a stream.
pub(crate) fn key_argument() -> Arg {
    Arg::new("key")
        .value_name("KEY")
        .help("The stream: `app/stream`, such as live/room, or `vhost/app[/instance]/stream`")
        .required(true)
        .value_parser(value_parser!(String))
}

/// A stream as people name it: two parts lie on the default virtual host.
pub(crate) fn stream_key(text: &str) -> Result<StreamKey, Exit> {
    let key = match text.split('/').count() {
        2 => format!("default/{text}").parse(),
        _ => text.parse(),
    };
    key.map_err(|error| {
        Exit::usage(anyhow::anyhow!(
            "`{text}` names no stream: {error}; write app/stream, such as live/room"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_parts_lie_on_the_default_host() {
        for (text, key) in [
            ("live/room", Some("default/live/room")),
            ("tv/live/room", Some("tv/live/room")),
            ("tv/live/instance/room", Some("tv/live/instance/room")),
            ("room", None),
            ("live/", None),
            ("../room", None),
        ] {
            let got = stream_key(text).ok().map(|key| key.to_string());
            assert_eq!(got.as_deref(), key, "{text}");
        }
    }
}
