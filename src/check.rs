//! `headwater check`: pushes a test picture and plays it at every place that is named, as `helm test` does.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use clap::{Arg, ArgAction, ArgMatches, Command};
use headwater_admission::{AdmissionConfig, Kind, sign};
use headwater_media::{StreamKey, TagKind, flv, payload};
use headwater_process::config::time;
use headwater_process::drain::Drain;
use headwater_process::{clock, net};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::config::Config;
use crate::demo;
use crate::exit::Exit;
use crate::print::print;
use crate::sign::stream_key;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const AGAIN_AFTER: Duration = Duration::from_millis(250);
/// The signature is for this check alone.
const VALID_S: u64 = 600;
/// The longest body that is taken: the picture is small.
const PAYLOAD_MAX_BYTES: usize = 1 << 20;
const HEAD_MAX_BYTES: usize = 16 << 10;

pub(crate) fn command() -> Command {
    Command::new("check")
        .about("Push a test picture and play it: whether streams get through, for scripts")
        .arg(
            Arg::new("to")
                .long("to")
                .value_name("HOST:PORT")
                .help("The RTMP port to publish at")
                .default_value("localhost:1935"),
        )
        .arg(
            Arg::new("play")
                .long("play")
                .value_name("URL")
                .help("Where to play, without a path; may be given several times")
                .action(ArgAction::Append)
                .default_value("http://localhost:8080"),
        )
        .arg(
            Arg::new("within")
                .long("within")
                .value_name("DURATION")
                .help("How long the picture may take")
                .default_value("30s")
                .value_parser(|text: &str| {
                    time::parse(text).ok_or("write a duration with its unit, such as 30s")
                }),
        )
}

pub(crate) fn run(matches: &ArgMatches, config: &Config) -> Result<(), Exit> {
    headwater_process::log::init(&config.log).map_err(Exit::usage)?;
    let to = matches.get_one::<String>("to").cloned().unwrap_or_default();
    let places: Vec<String> = matches
        .get_many::<String>("play")
        .into_iter()
        .flatten()
        .cloned()
        .collect();
    let within = matches
        .get_one::<Duration>("within")
        .copied()
        .unwrap_or_default();
    // A name of its own, so that nobody's stream is replaced.
    let key = stream_key(&format!("live/check-{:x}", clock::unix_ms()))?;
    let addresses = places
        .iter()
        .map(|place| address(place, &key, &config.admission))
        .collect::<Result<Vec<_>, _>>()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Exit::failed)?;
    runtime.block_on(async {
        let publishing = demo::publish(
            to.clone(),
            key,
            config.admission.clone(),
            Drain::new(Duration::ZERO),
        );
        let watching = async {
            for (place, address) in places.iter().zip(&addresses) {
                let took = first_picture(address, within)
                    .await
                    .map_err(|error| Exit::failed(anyhow!("{to} to {place}: {error:#}")))?;
                print(&format!(
                    "{place}: a picture after {} ms\n",
                    took.as_millis()
                ))?;
            }
            Ok(())
        };
        tokio::select! {
            () = publishing => Err(Exit::failed(anyhow!("the test picture ended"))),
            watched = watching => watched,
        }
    })
}

/// Where `key` is played at `place`, signed where that is needed.
fn address(place: &str, key: &StreamKey, admission: &AdmissionConfig) -> Result<String, Exit> {
    let expires_unix_s = (clock::unix_ms() / 1000).saturating_add(VALID_S);
    let place = place.trim_end_matches('/');
    sign::url(admission, None, Kind::Play, key, place, expires_unix_s).map_err(Exit::usage)
}

/// Asks again and again until a picture comes; gives the time that it took, or the last reason why none came.
async fn first_picture(address: &str, within: Duration) -> anyhow::Result<Duration> {
    let began = clock::now();
    let deadline = clock::instant(began.saturating_add(within));
    let mut why = anyhow!("nothing came");
    let asking = async {
        loop {
            match play(address).await {
                Ok(()) => return,
                Err(error) => why = error,
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    };
    match tokio::time::timeout_at(deadline, asking).await {
        Ok(()) => Ok(clock::now().saturating_sub(began)),
        Err(_) => Err(why.context(format!("no picture within {}", time::format(within)))),
    }
}

/// Returns with the first keyframe.
async fn play(address: &str) -> anyhow::Result<()> {
    let rest = address
        .strip_prefix("http://")
        .context("only http:// is played")?;
    let (host, path) = rest.split_once('/').context("an address without a path")?;
    let port = if host.contains(':') { "" } else { ":80" };
    let mut socket = net::connect(&format!("{host}{port}"), CONNECT_TIMEOUT).await?;
    // 1.0, so that the answer is not cut into chunks.
    let request = format!("GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n");
    socket.write_all(request.as_bytes()).await?;
    let mut input = bytes::BytesMut::new();
    let head = loop {
        if let Some(end) = input.windows(4).position(|four| four == b"\r\n\r\n") {
            break input.split_to(end.saturating_add(4));
        }
        ensure!(
            input.len() < HEAD_MAX_BYTES,
            "an answer without an end of its head"
        );
        ensure!(
            socket.read_buf(&mut input).await? > 0,
            "closed before an answer"
        );
    };
    let head = String::from_utf8_lossy(&head);
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        // The answer says why in a sentence.
        while input.len() < HEAD_MAX_BYTES && socket.read_buf(&mut input).await? > 0 {}
        bail!("{status}: {}", String::from_utf8_lossy(&input).trim());
    }
    let mut tags = flv::Reader::new(PAYLOAD_MAX_BYTES);
    loop {
        tags.feed(input.split().freeze());
        while let Some(tag) = tags.next_tag()? {
            let keyframe = || {
                let video = payload::video(&tag.payload);
                video.keyframe && !video.sequence_header
            };
            if tag.kind == TagKind::Video && keyframe() {
                return Ok(());
            }
        }
        ensure!(
            socket.read_buf(&mut input).await? > 0,
            "closed before a picture came"
        );
    }
}
