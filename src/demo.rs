//! A publisher of a clip that is made on the way, so that a first picture needs no encoder: `headwater demo`, and
//! `headwater up --demo`.

mod bits;
mod clip;
mod picture;
mod sound;
mod video;

use std::time::Duration;

use anyhow::{bail, ensure};
use clap::{Arg, ArgMatches, Command};
use headwater_admission::{AdmissionConfig, Kind, sign};
use headwater_media::rtmp::{ClientConfig, ClientEvent, ClientSession, PublishingType};
use headwater_media::{StreamKey, Tag};
use headwater_process::drain::Drain;
use headwater_process::{clock, net};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::config::Config;
use crate::exit::Exit;
use crate::sign::stream_key;
use clip::Clip;

/// Where the demonstration is published unless another stream is named.
const KEY: &str = "live/demo";

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const AGAIN_AFTER: Duration = Duration::from_secs(2);
const VALID_S: u64 = 7 * 24 * 3600;

pub(crate) fn command() -> Command {
    Command::new("demo")
        .about("Publish a moving test picture until Ctrl-C")
        .arg(
            Arg::new("key")
                .value_name("KEY")
                .help("The stream: `app/stream`, or `vhost/app[/instance]/stream`")
                .default_value(KEY),
        )
        .arg(
            Arg::new("to")
                .long("to")
                .value_name("HOST:PORT")
                .help("The RTMP port to publish at")
                .default_value("localhost:1935"),
        )
}

pub(crate) fn run(matches: &ArgMatches, config: &Config) -> Result<(), Exit> {
    headwater_process::log::init(&config.log).map_err(Exit::usage)?;
    let text = |name: &str| matches.get_one::<String>(name).map_or("", String::as_str);
    let key = stream_key(text("key"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Exit::failed)?;
    runtime.block_on(async {
        let drain = Drain::new(Duration::ZERO);
        let publishing = publish(
            text("to").to_owned(),
            key,
            config.admission.clone(),
            drain.clone(),
        );
        let (supervised, ()) = tokio::join!(drain.supervise(), publishing);
        supervised.map_err(Exit::failed)
    })
}

/// The stream of `up --demo`.
pub(crate) fn key() -> Result<StreamKey, Exit> {
    stream_key(KEY)
}

/// Publishes the clip as `key` at the RTMP port `to` until the process drains; connects again when it has to.
pub(crate) async fn publish(to: String, key: StreamKey, admission: AdmissionConfig, drain: Drain) {
    let publishing = async {
        loop {
            if let Err(error) = session(&to, &key, &admission).await {
                tracing::warn!("the demonstration ended: {error:#}; trying again");
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    };
    tokio::select! {
        () = publishing => {}
        _ = drain.draining() => {}
    }
}

async fn session(to: &str, key: &StreamKey, admission: &AdmissionConfig) -> anyhow::Result<()> {
    let stream = stream_and_query(key, admission)?;
    let mut session = ClientSession::publish(
        ClientConfig::new(to, key.app(), &stream),
        PublishingType::Live,
    )?;
    let mut socket = net::connect(to, CONNECT_TIMEOUT).await?;
    socket.set_nodelay(true)?;
    let mut clip = Clip::default().peekable();
    let mut started = None;
    let mut buffer = vec![0; 16 * 1024];
    loop {
        while let Some(event) = session.next_event() {
            match event {
                ClientEvent::Started => {
                    tracing::info!(%key, to, "the demonstration is on");
                    started = Some(clock::now());
                }
                ClientEvent::Refused { code, description }
                | ClientEvent::Ended { code, description } => bail!("{code}: {description}"),
                ClientEvent::Connected(_)
                | ClientEvent::Media { .. }
                | ClientEvent::Reconnect { .. }
                | ClientEvent::Status { .. } => {}
            }
        }
        if let Some(started) = started {
            let elapsed = clock::now().saturating_sub(started);
            while let Some(Tag { kind, dts, payload }) = clip.next_if(|tag| due(tag) <= elapsed) {
                session.send(kind, dts.wire_ms(), &payload)?;
                // One tag at a time, so that a slow connection does not fill the session's output.
                write(&mut socket, &mut session).await?;
            }
        }
        write(&mut socket, &mut session).await?;
        let wake = match (started, clip.peek()) {
            (Some(started), Some(tag)) => clock::instant(started.saturating_add(due(tag))),
            _ => clock::instant(clock::now().saturating_add(AGAIN_AFTER)),
        };
        tokio::select! {
            read = socket.read(&mut buffer) => {
                let read = read?;
                ensure!(read > 0, "the origin closed the connection");
                session.input(buffer.get(..read).unwrap_or_default(), clock::now())?;
            }
            () = tokio::time::sleep_until(wake) => {}
        }
    }
}

async fn write(socket: &mut net::TcpStream, session: &mut ClientSession) -> std::io::Result<()> {
    while let Some(bytes) = session.take_output() {
        socket.write_all(&bytes).await?;
    }
    Ok(())
}

fn due(tag: &Tag) -> Duration {
    Duration::from_millis(u64::try_from(tag.dts.0).unwrap_or(0))
}

/// The stream's name, with its virtual host and a signature where they are needed.
fn stream_and_query(key: &StreamKey, admission: &AdmissionConfig) -> anyhow::Result<String> {
    let expires_unix_s = (clock::unix_ms() / 1000).saturating_add(VALID_S);
    let address = sign::url(
        admission,
        None,
        Kind::Publish,
        key,
        "rtmp://localhost",
        expires_unix_s,
    )?;
    let stream = address.rsplit_once('/').map_or("", |(_, stream)| stream);
    Ok(stream.to_owned())
}

#[cfg(test)]
mod tests {
    use headwater_admission::{KeyPair, KeyRule};
    use headwater_media::TagKind;
    use headwater_media::rtmp::{ServerConfig, ServerEvent, ServerSession};
    use headwater_process::config::Secret;

    use super::*;

    #[test]
    fn the_demonstration_signs_itself_where_keys_are_set() {
        let open = AdmissionConfig::default();
        for (key, name) in [
            ("live/demo", "demo"),
            ("tv/live/demo", "demo?vhost=tv"),
            ("live/a b", "a%20b"),
        ] {
            let key = stream_key(key).unwrap();
            assert_eq!(stream_and_query(&key, &open).unwrap(), name);
        }
        let admission = AdmissionConfig {
            keys: vec![KeyRule {
                pattern: "*".to_owned(),
                publish: KeyPair {
                    main: Some(Secret::new("key".to_owned())),
                    backup: None,
                },
                ..KeyRule::default()
            }],
            ..AdmissionConfig::default()
        };
        let signed = stream_and_query(&stream_key(KEY).unwrap(), &admission).unwrap();
        assert!(signed.starts_with("demo?hwExpires="), "{signed}");
    }

    #[tokio::test]
    async fn a_server_gets_metadata_both_configurations_and_a_keyframe() {
        let listener = net::listen("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap().to_string();
        let drain = Drain::new(Duration::ZERO);
        let publishing = tokio::spawn(publish(
            to,
            stream_key(KEY).unwrap(),
            AdmissionConfig::default(),
            drain.clone(),
        ));
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut session = ServerSession::new(ServerConfig::default(), clock::now());
        let mut buffer = vec![0; 64 * 1024];
        let mut got = Vec::new();
        while got.len() < 4 {
            let read = socket.read(&mut buffer).await.unwrap();
            assert!(read > 0);
            session.input(&buffer[..read], clock::now()).unwrap();
            while let Some(event) = session.next_event() {
                match event {
                    ServerEvent::Publish { name, .. } => {
                        assert_eq!(name, "demo");
                        session.accept_publish(clock::now());
                    }
                    ServerEvent::Media { kind, payload, .. } => {
                        got.push((kind, payload.get(..2).unwrap().to_vec()));
                    }
                    ServerEvent::Connected { .. }
                    | ServerEvent::Play { .. }
                    | ServerEvent::Unpublish
                    | ServerEvent::StopPlay
                    | ServerEvent::Pause(_) => {}
                }
            }
            while let Some(bytes) = session.take_output() {
                socket.write_all(&bytes).await.unwrap();
            }
        }
        got.truncate(4);
        assert_eq!(got[0].0, TagKind::Script);
        assert_eq!(got[1], (TagKind::Video, vec![0x17, 0]));
        assert_eq!(got[2], (TagKind::Audio, vec![0xAF, 0]));
        assert_eq!(got[3], (TagKind::Video, vec![0x17, 1]));
        drain.begin();
        publishing.await.unwrap();
    }
}
