//! A publisher: it comes, sends what carries its session and number, loses its connection, comes back, and ends.

use std::time::Duration;

use anyhow::{bail, ensure};
use bytes::Bytes;
use headwater_media::rtmp::{ClientConfig, ClientEvent, ClientSession, PublishingType};
use headwater_media::{StreamKey, TagKind};
use headwater_process::net::{self, TcpStream};
use headwater_rig::identity;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::clock::now_us;
use crate::seed::Seed;
use crate::stage::Stage;

/// From picture to picture.
const STEP: Duration = Duration::from_millis(100);
/// Pictures from keyframe to keyframe.
const GOP: u64 = 10;
const PICTURE_BYTES: usize = 300;
const SOUND_BYTES: usize = 80;
/// Encoders give up a connection that takes no more for so long.
const PATIENCE: Duration = Duration::from_secs(4);

/// When a publisher is on.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) stream: usize,
    /// From and until when, in order.
    pub(crate) periods: Vec<(u64, u64)>,
    /// When it loses its line and comes over another one, in order: nobody tells the server.
    pub(crate) moves: Vec<u64>,
    /// Addresses of origins, any of which it may reach.
    pub(crate) origins: Vec<String>,
    pub(crate) seed: Seed,
}

pub(crate) fn name(stream: usize) -> String {
    format!("room-{stream}")
}

pub(crate) fn key(stream: usize) -> StreamKey {
    format!("default/live/{}", name(stream)).parse().unwrap()
}

/// The stamp of tag `number` of a session.
pub(crate) fn stamp_ms(number: u64) -> u64 {
    number / 2 * 100 + number % 2 * 10
}

/// Plays its part.
pub(crate) async fn run(mut part: Part, stage: Stage) {
    let mut session = 0;
    // Open until the end: a line that is lost closes nothing.
    let mut lost = Vec::new();
    // Attempts that were given up before they were granted: an origin that has been stopped may still grant one, and it
    // takes the name from its successor then, once.
    let mut given_up = 0_u32;
    for (from_us, until_us) in part.periods.clone() {
        sleep_until(crate::clock::instant(from_us)).await;
        want(&stage, part.stream, true);
        let until = crate::clock::instant(until_us);
        while Instant::now() < until {
            session += 1;
            let origin = part.seed.index(part.origins.len());
            let address = part.origins[origin].clone();
            part.moves.retain(|at_us| *at_us > now_us());
            let moves = part
                .moves
                .first()
                .map_or(until, |at_us| crate::clock::instant(*at_us));
            let turn = Turn {
                origin,
                stream: part.stream,
                number: session,
                until,
                moves,
            };
            let was = stage.origin(origin, |house| house.clone());
            let end = match net::connect(&address, PATIENCE).await {
                Ok(mut socket) => {
                    let end = publish(&mut socket, &address, turn, &stage).await;
                    if let Ok(End::Moved) = end {
                        lost.push(socket);
                    }
                    end
                }
                Err(error) => Err(error.into()),
            };
            let was_on = off(&stage, part.stream);
            if let Err(error) = &end
                && error.is::<NotGranted>()
            {
                given_up += 1;
            }
            if let Err(error) = &end
                && was_on
                && !stage.is_below(part.stream, session)
                && was.serves
                && was == stage.origin(origin, |house| house.clone())
            {
                if given_up > 0 {
                    given_up -= 1;
                } else {
                    let text = format!(
                        "origin-{origin} ended session {session} of {}: {error}",
                        name(part.stream)
                    );
                    stage.violation(now_us(), &text);
                }
            }
            let text = match end {
                Ok(End::Done) => "ended as it wished".to_owned(),
                Ok(End::Moved) => "lost its line".to_owned(),
                Err(error) => format!("lost: {error}"),
            };
            let line = format!(
                "publisher of {} session {session} {text}",
                name(part.stream)
            );
            stage.timeline.note(now_us(), &line);
            if Instant::now() < until {
                sleep(Duration::from_millis(part.seed.within(200, 800))).await;
            }
        }
        want(&stage, part.stream, false);
    }
}

fn want(stage: &Stage, stream: usize, wanted: bool) {
    stage.show(stream, |show| {
        show.wanted = wanted;
        show.wanted_since_us = now_us();
    });
}

/// Notes that the publisher is not on any more; says whether it was.
fn off(stage: &Stage, stream: usize) -> bool {
    stage.show(stream, |show| {
        let was = std::mem::replace(&mut show.on, false);
        if was {
            show.since_us = now_us();
        }
        was
    })
}

/// One session.
#[derive(Clone, Copy, Debug)]
struct Turn {
    origin: usize,
    stream: usize,
    number: u64,
    until: Instant,
    moves: Instant,
}

/// The origin took too long to say that the publisher is on.
#[derive(Clone, Copy, Debug)]
struct NotGranted;

impl std::fmt::Display for NotGranted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not granted in time")
    }
}

impl std::error::Error for NotGranted {}

/// How it ended, if nothing went wrong.
#[derive(Clone, Copy, Debug)]
enum End {
    Done,
    Moved,
}

async fn publish(
    socket: &mut TcpStream,
    address: &str,
    turn: Turn,
    stage: &Stage,
) -> anyhow::Result<End> {
    let Turn {
        origin,
        stream,
        number,
        until,
        moves,
    } = turn;
    let mut session = ClientSession::publish(
        ClientConfig::new(address, "live", &name(stream)),
        PublishingType::Live,
    )?;
    let mut buffer = vec![0; 16 << 10];
    let mut started: Option<Instant> = None;
    let asked = Instant::now();
    let mut next = 0_u64;
    loop {
        while let Some(event) = session.next_event() {
            match event {
                ClientEvent::Started => {
                    started = Some(Instant::now());
                    stage.show(stream, |show| {
                        show.session = number;
                        show.origin = origin;
                        show.on = true;
                        show.since_us = now_us();
                    });
                    let line = format!(
                        "publisher of {} session {number} on {address}",
                        name(stream)
                    );
                    stage.timeline.note(now_us(), &line);
                    session.send(TagKind::Video, 0, &identity::video_header(1))?;
                    session.send(TagKind::Audio, 0, &identity::audio_header())?;
                }
                ClientEvent::Refused { code, description }
                | ClientEvent::Ended { code, description } => bail!("{code}: {description}"),
                ClientEvent::Reconnect { .. } => bail!("asked to connect again"),
                ClientEvent::Connected(_)
                | ClientEvent::Media { .. }
                | ClientEvent::Status { .. } => {}
            }
        }
        if started.is_some() && Instant::now() >= until {
            session.close();
            flush(socket, &mut session).await?;
            socket.shutdown().await?;
            return Ok(End::Done);
        }
        if started.is_some() && Instant::now() >= moves {
            return Ok(End::Moved);
        }
        while let Some(began) = started
            && began + STEP * u32::try_from(next)? <= Instant::now()
        {
            let stamp = |number| u32::try_from(stamp_ms(number));
            let picture =
                identity::video(next.is_multiple_of(GOP), number, 2 * next, PICTURE_BYTES);
            session.send(TagKind::Video, stamp(2 * next)?, &picture)?;
            let sound: Bytes = identity::audio(number, 2 * next + 1, SOUND_BYTES);
            session.send(TagKind::Audio, stamp(2 * next + 1)?, &sound)?;
            next += 1;
        }
        flush(socket, &mut session).await?;
        let due = match started {
            Some(began) => began + STEP * u32::try_from(next)?,
            None => asked + PATIENCE,
        };
        tokio::select! {
            biased;
            read = socket.read(&mut buffer) => {
                let read = read?;
                ensure!(read > 0, "the server closed the connection");
                session.input(&buffer[..read], Duration::ZERO)?;
            }
            () = sleep_until(due) => if started.is_none() {
                return Err(NotGranted.into());
            },
        }
    }
}

async fn flush(socket: &mut TcpStream, session: &mut ClientSession) -> anyhow::Result<()> {
    while let Some(bytes) = session.take_output() {
        timeout(PATIENCE, socket.write_all(&bytes)).await??;
    }
    Ok(())
}
