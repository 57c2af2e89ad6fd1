//! `headwater locate`: where a stream can be pulled from, as an operator tells it.

use anyhow::anyhow;
use clap::{ArgMatches, Command};
use headwater_location::proto::location_client::LocationClient;
use headwater_location::{LocateReply, LocateRequest, Site, StreamKey};
use serde_json::json;
use tonic::Status;

use crate::config::Config;
use crate::exit::Exit;
use crate::operators;
use crate::print::{json_flag, print};
use crate::sign::{key_argument, stream_key};
use crate::table::table;

pub(crate) fn command() -> Command {
    Command::new("locate")
        .about("Show where a live stream can be pulled from; ends with 1 if it is not live")
        .arg(key_argument())
        .arg(operators::argument())
        .arg(json_flag())
}

pub(crate) fn run(matches: &ArgMatches, config: &Config) -> Result<(), Exit> {
    let key = matches.get_one::<String>("key").map_or("", String::as_str);
    let key = stream_key(key)?;
    let request = LocateRequest {
        key: key.clone(),
        // Nobody's: who looks does not become a member.
        member: "".into(),
        site: Site {
            region: config.location.region.clone(),
            zone: config.location.zone.clone(),
        },
    };
    let addresses = operators::addresses(matches, config);
    let reply = operators::block_on(operators::first(config, &addresses, async |channel| {
        let asked = headwater_location::proto::LocateRequest::from(&request);
        let reply = LocationClient::new(channel).locate(asked).await?;
        LocateReply::try_from(reply.into_inner()).map_err(Status::from)
    }))?;
    let found = !reply.sources.sources.is_empty();
    if matches.get_flag("json") {
        print(&(as_json(&key, &reply).to_string() + "\n"))?;
    } else if found {
        print(&shown(&reply))?;
    }
    if found {
        Ok(())
    } else {
        Err(Exit::Failed(anyhow!("{key} is not live")))
    }
}

fn as_json(key: &StreamKey, reply: &LocateReply) -> serde_json::Value {
    json!({
        "key": key.to_string(),
        "epoch": reply.sources.epoch,
        "term": reply.sources.term,
        "sources": reply.sources.sources,
        "settled": reply.settled,
    })
}

fn shown(reply: &LocateReply) -> String {
    let head = ["PART", "MEMBER", "ADDRESS", "REGION", "ZONE"].map(str::to_owned);
    let rows: Vec<Vec<String>> = reply
        .sources
        .sources
        .iter()
        .map(|source| {
            let part = serde_json::to_value(source.part).unwrap_or_default();
            let or_none = |text: &str| if text.is_empty() { "-" } else { text }.to_owned();
            vec![
                or_none(part.as_str().unwrap_or_default()),
                source.member.to_string(),
                source.address.clone(),
                or_none(&source.site.region),
                or_none(&source.site.zone),
            ]
        })
        .collect();
    table(&head, &rows)
}

#[cfg(test)]
mod tests {
    use headwater_location::{Part, Role, Source, Sources};

    use super::*;

    #[test]
    fn sources_are_shown_in_the_order_to_try() {
        let source = |member: &str, part| Source {
            member: member.into(),
            role: Role::Origin,
            part,
            address: format!("{member}:7000"),
            site: Site {
                region: "north".to_owned(),
                zone: String::new(),
            },
        };
        let reply = LocateReply {
            sources: Sources {
                epoch: 7,
                term: 8,
                sources: vec![source("b", Part::Home), source("a", Part::Ingress)],
            },
            ..LocateReply::default()
        };
        assert_eq!(
            shown(&reply),
            "PART     MEMBER  ADDRESS  REGION  ZONE\n\
             home     b       b:7000   north   -\n\
             ingress  a       a:7000   north   -\n"
        );
        let key = "default/live/room".parse().unwrap();
        let json = as_json(&key, &reply);
        assert_eq!(json["sources"][0]["part"], "home");
        assert_eq!(json["term"], 8);
    }
}
