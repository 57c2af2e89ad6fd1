//! A viewer who checks each tag: what came before it, and what must not come again.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use headwater_media::flv::{FlvError, Reader, WireTag};
use headwater_media::{TagKind, payload};
use headwater_process::net::{self, TcpStream};
use headwater_rig::identity;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::clock::{instant, now_us};
use crate::publisher;
use crate::seed::Seed;
use crate::stage::{Joined, Stage};

/// A player asks again after so long without a byte: nobody tells it of a machine that has lost its power.
const PATIENCE: Duration = Duration::from_secs(6);

/// Edges agree about a stream's time but for so long: one that has shown more than its home knew of goes on from there.
const APART_MAX_MS: u64 = 1_000;

/// What a viewer does.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) viewer: usize,
    pub(crate) stream: usize,
    pub(crate) from_us: u64,
    pub(crate) until_us: u64,
    pub(crate) rtc: bool,
    pub(crate) slow: bool,
    /// No origin is ever cut off from the others, and an operator lives through it all: every home knows a stream's time.
    pub(crate) agree: bool,
    /// Addresses of edges; it begins with the one at `edge`.
    pub(crate) edges: Vec<String>,
    pub(crate) edge: usize,
    pub(crate) seed: Seed,
}

/// Plays its part: after a loss it comes back, to another edge.
pub(crate) async fn run(mut part: Part, stage: Stage) {
    sleep_until(instant(part.from_us)).await;
    stage.sight(part.viewer, |sight| {
        sight.wants = true;
        sight.since_us = now_us();
        sight.stream = part.stream;
        sight.slow = part.slow;
    });
    let until = instant(part.until_us);
    while Instant::now() < until {
        let edge = part.edge;
        let played = tokio::select! {
            biased;
            played = play(&part, &part.edges[edge], &stage) => played,
            () = sleep_until(until) => break,
        };
        let what = format!(
            "viewer-{} of {} at edge-{edge}",
            part.viewer,
            publisher::name(part.stream)
        );
        match played {
            Ok(end) => stage.timeline.note(now_us(), &format!("{what}: {end:?}")),
            Err(error) => stage.timeline.note(now_us(), &format!("{what}: {error}")),
        }
        part.edge = (edge + 1) % part.edges.len();
        sleep(Duration::from_millis(part.seed.within(100, 500))).await;
    }
    stage.sight(part.viewer, |sight| {
        sight.wants = false;
        sight.joined = None;
    });
}

async fn play(part: &Part, address: &str, stage: &Stage) -> anyhow::Result<End> {
    let mut socket = net::connect(address, Duration::from_secs(3)).await?;
    let mode = if part.rtc { "rtc" } else { "live" };
    let request = format!(
        "GET /live/{}.flv?mode={mode} HTTP/1.1\r\nHost: {address}\r\n\r\n",
        publisher::name(part.stream)
    );
    socket.write_all(request.as_bytes()).await?;
    let mut input = Vec::new();
    let head_end = loop {
        if let Some(end) = input.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        let read = timeout(PATIENCE, socket.read_buf(&mut input)).await??;
        ensure!(read > 0, "closed before an answer");
    };
    let head = String::from_utf8_lossy(&input[..head_end]).into_owned();
    let line = head.lines().next().unwrap_or_default();
    ensure!(line.contains(" 200 "), "{line}");
    input.drain(..head_end);
    let joined = stage.edge(part.edge, |house| house.clone());
    stage.sight(part.viewer, |sight| {
        sight.joined = Some(Joined {
            edge: part.edge,
            process: joined.started,
            since_us: now_us(),
        })
    });
    let end = watch(part, &mut socket, input, stage).await;
    if let Err(error) = &end {
        let text = format!(
            "viewer-{} of {} at {address}: {error}",
            part.viewer,
            publisher::name(part.stream)
        );
        stage.violation(now_us(), &text);
    }
    stage.sight(part.viewer, |sight| sight.joined = None);
    let now = stage.edge(part.edge, |house| house.clone());
    let patient = end.as_ref().is_ok_and(|end| *end != End::Bored);
    if patient && joined.serves && joined == now {
        let text = format!(
            "edge-{} ended the connection of viewer-{} to {}",
            part.edge,
            part.viewer,
            publisher::name(part.stream)
        );
        stage.violation(now_us(), &text);
    }
    end
}

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// Behind the last chunk.
    Whole,
    /// Somewhere.
    Broken(String),
    /// The viewer had waited for long enough.
    Bored,
}

/// Plays what comes behind the answer's head.
async fn watch(
    part: &Part,
    socket: &mut TcpStream,
    mut input: Vec<u8>,
    stage: &Stage,
) -> anyhow::Result<End> {
    let mut chunks = Chunks::default();
    let mut flv = Reader::new(1 << 20);
    let mut run = Run::default();
    loop {
        chunks.take(&mut input, &mut flv)?;
        while let Some(tag) = flv.next_tag()? {
            if part.agree
                && let Some((session, number)) = identity::read(&tag.payload)
            {
                let base_ms = i64::from(tag.wire_ms) - i64::try_from(publisher::stamp_ms(number))?;
                let others_ms = stage.base(part.stream, session, base_ms);
                ensure!(
                    base_ms.abs_diff(others_ms) <= APART_MAX_MS
                        || stage.is_below(part.stream, session),
                    "session {session} begins at {base_ms} ms here, and at {others_ms} ms for others"
                );
            }
            match run.tag(&tag) {
                Ok(step) => stage.sight(part.viewer, |sight| {
                    if let Some(session) = step.session {
                        sight.session = session;
                        sight.last_us = now_us();
                        sight.tags += 1;
                        sight.skipped += step.skipped;
                    }
                    if step.skipped > 0 {
                        let text = format!(
                            "viewer-{} of {}: {} tags skipped before {:?}",
                            part.viewer,
                            publisher::name(part.stream),
                            step.skipped,
                            identity::read(&tag.payload)
                        );
                        stage.timeline.note(now_us(), &text);
                    }
                }),
                Err(error) => bail!(error),
            }
        }
        if chunks.ended {
            match flv.finish() {
                // The publisher was away all the time: nothing came, and nothing was cut.
                Ok(()) | Err(FlvError::Cut { at: 0 }) => return Ok(End::Whole),
                Err(error) => bail!(error),
            }
        }
        match timeout(PATIENCE, socket.read_buf(&mut input)).await {
            Err(_) => return Ok(End::Bored),
            Ok(Ok(0)) => return Ok(End::Broken("closed without the last chunk".to_owned())),
            Ok(Err(error)) => return Ok(End::Broken(error.to_string())),
            Ok(Ok(_)) => {}
        }
    }
}

/// What a tag means for a viewer's run.
#[derive(Debug, Default)]
struct Step {
    /// The session of a tag with a number.
    session: Option<u64>,
    /// Tags of the session that are missing before it.
    skipped: u64,
}

/// The tags of one connection so far.
#[derive(Debug, Default)]
struct Run {
    /// Session and number of the last tag with a number.
    last: Option<(u64, u64)>,
    ms: Option<u32>,
    /// Video was left out: it may come back with a keyframe only.
    keyframe_due: bool,
    headers: [Option<Bytes>; 2],
    /// It has had one.
    pictures: bool,
}

impl Run {
    fn tag(&mut self, tag: &WireTag) -> Result<Step, String> {
        if tag.stream_id != 0 {
            return Err("a tag that is not for players".to_owned());
        }
        let (header, keyframe) = match tag.kind {
            TagKind::Video => {
                let traits = payload::video(&tag.payload);
                (traits.sequence_header, traits.keyframe)
            }
            TagKind::Audio => (payload::audio(&tag.payload).sequence_header, false),
            TagKind::Script => return Ok(Step::default()),
        };
        if header {
            let held = &mut self.headers[usize::from(tag.kind == TagKind::Audio)];
            if held.as_ref() == Some(&tag.payload) {
                return Err(format!(
                    "a {:?} header that is in force came again",
                    tag.kind
                ));
            }
            *held = Some(tag.payload.clone());
            return Ok(Step::default());
        }
        let (session, number) =
            identity::read(&tag.payload).ok_or_else(|| "a tag that nobody sent".to_owned())?;
        if let Some(ms) = self.ms
            && tag.wire_ms.wrapping_sub(ms) > 1 << 31
        {
            return Err(format!(
                "time goes back from {ms} to {} ms at session {session} tag {number}",
                tag.wire_ms
            ));
        }
        self.ms = Some(tag.wire_ms);
        let mut step = Step {
            session: Some(session),
            skipped: 0,
        };
        match self.last {
            None => self.keyframe_due = true,
            Some((last_session, last)) if session == last_session => {
                if number <= last {
                    return Err(format!(
                        "session {session} tag {number} came after tag {last}"
                    ));
                }
                // Before its first picture a viewer may have sound alone: that is how it joins.
                if self.pictures {
                    step.skipped = number - last - 1;
                }
                // Pictures have even numbers.
                let missing = number - last - 1;
                self.keyframe_due |= missing > 1 || (missing == 1 && last % 2 == 1);
            }
            Some((last_session, _)) if session < last_session => {
                return Err(format!(
                    "session {session} tag {number} came after session {last_session}"
                ));
            }
            Some(_) => {
                // Whoever watches when a session begins sees it from its first tag on.
                if self.pictures {
                    step.skipped = number;
                }
                self.keyframe_due = true;
            }
        }
        if tag.kind == TagKind::Video {
            if self.keyframe_due && !keyframe {
                return Err(format!(
                    "video goes on at session {session} tag {number}, which is no keyframe, {}",
                    match self.last {
                        None => "at the beginning".to_owned(),
                        Some((session, last)) => format!("after session {session} tag {last}"),
                    }
                ));
            }
            self.keyframe_due = false;
            self.pictures = true;
        }
        self.last = Some((session, number));
        Ok(step)
    }
}

/// The body of an answer, out of its chunks.
#[derive(Debug, Default)]
struct Chunks {
    /// Left of the chunk that is read, with the line end behind it.
    left: usize,
    ended: bool,
}

impl Chunks {
    fn take(&mut self, input: &mut Vec<u8>, flv: &mut Reader) -> anyhow::Result<()> {
        let mut at = 0;
        while !self.ended {
            let rest = &input[at..];
            if self.left == 0 {
                let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else {
                    break;
                };
                let size = std::str::from_utf8(&rest[..end])?;
                let size = usize::from_str_radix(size, 16)
                    .with_context(|| format!("chunk size {size:?}"))?;
                if size == 0 {
                    self.ended = true;
                }
                at += end + 2;
                self.left = size + 2;
                continue;
            }
            let here = self.left.min(rest.len());
            if here == 0 {
                break;
            }
            let data = self.left.saturating_sub(2).min(here);
            flv.feed(Bytes::copy_from_slice(&rest[..data]));
            self.left -= here;
            at += here;
        }
        input.drain(..at);
        Ok(())
    }
}
