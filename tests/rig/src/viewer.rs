//! A strict viewer over HTTP-FLV: it writes down each tag that comes, and how the connection ended.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use bytes::Bytes;
use headwater_media::flv::{Reader, WireTag};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::{Record, SOON};

/// The longest body that is taken.
const PAYLOAD_MAX_BYTES: usize = 16 << 20;

/// What a viewer has seen so far.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The tags, in the order in which they came.
    pub tags: Vec<Record>,
    /// How the connection ended; `Ok` is the clean end of a stream.
    pub end: Option<Result<(), String>>,
}

/// A viewer in the background. Dropping it closes the connection.
#[derive(Debug)]
pub struct Viewer {
    seen: watch::Receiver<Seen>,
    task: JoinHandle<()>,
}

impl Viewer {
    /// Plays `url` (`http://host:port/app/stream.flv?query`); stamps count from `epoch`.
    pub fn start(url: &str, epoch: Instant) -> Viewer {
        let (sender, seen) = watch::channel(Seen::default());
        let url = url.to_owned();
        let task = tokio::spawn(async move {
            let take = |tags: Vec<WireTag>| {
                let at_us = u64::try_from(epoch.elapsed().as_micros()).unwrap_or(u64::MAX);
                let records = tags
                    .iter()
                    .map(|tag| Record::of(tag.kind, tag.wire_ms, &tag.payload, at_us));
                sender.send_modify(|seen| seen.tags.extend(records));
            };
            let end = play(&url, take).await.map_err(|error| format!("{error:#}"));
            sender.send_modify(|seen| seen.end = Some(end));
        });
        Viewer { seen, task }
    }

    /// All that has come so far.
    pub fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// What `look` finds in all that has come so far.
    pub fn with<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.seen.borrow())
    }

    /// Waits until what has come satisfies `enough`, at most `within`.
    ///
    /// # Errors
    /// If it does not come to that; says how far it came.
    pub async fn until(
        &mut self,
        within: Duration,
        mut enough: impl FnMut(&Seen) -> bool,
    ) -> anyhow::Result<Seen> {
        let waited = tokio::time::timeout(
            within,
            self.seen
                .wait_for(|seen| enough(seen) || seen.end.is_some()),
        )
        .await;
        if let Ok(Ok(seen)) = &waited
            && enough(seen)
        {
            return Ok(Seen::clone(seen));
        }
        drop(waited);
        let seen = self.seen();
        Err(anyhow!(
            "{} tags came, end: {:?}",
            seen.tags.len(),
            seen.end
        ))
    }

    /// Waits for `more` media tags beyond those that are there.
    ///
    /// # Errors
    /// As [`Viewer::until`].
    pub async fn goes_on(&mut self, more: usize) -> anyhow::Result<Seen> {
        let media = |seen: &Seen| seen.tags.iter().filter(|tag| tag.is_media()).count();
        let before = media(&self.seen.borrow());
        self.until(SOON, |seen| media(seen) >= before + more).await
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Plays `url` until the stream's clean end; `take` gets the tags as they come.
///
/// # Errors
/// If there is no such stream, the connection breaks, or what comes is not FLV.
pub async fn play(url: &str, mut take: impl FnMut(Vec<WireTag>)) -> anyhow::Result<()> {
    let rest = url
        .strip_prefix("http://")
        .context("only http:// is played")?;
    let (host, path) = rest.split_once('/').context("a URL without a path")?;
    let address = if host.contains(':') {
        host.to_owned()
    } else {
        format!("{host}:80")
    };
    let mut socket = TcpStream::connect(&address)
        .await
        .with_context(|| address.clone())?;
    let request =
        format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: headwater-rig\r\n\r\n");
    socket.write_all(request.as_bytes()).await?;
    let mut input = Vec::new();
    let head_end = loop {
        if let Some(end) = input.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        ensure!(
            socket.read_buf(&mut input).await? > 0,
            "closed before an answer"
        );
    };
    let head = String::from_utf8_lossy(input.get(..head_end).unwrap_or_default()).into_owned();
    let status = head.split(' ').nth(1).unwrap_or_default();
    ensure!(
        status == "200",
        "{}",
        head.lines().next().unwrap_or_default()
    );
    let mut body = Chunks::new(
        head.to_ascii_lowercase()
            .contains("transfer-encoding: chunked"),
    );
    input.drain(..head_end);
    let mut flv = Reader::new(PAYLOAD_MAX_BYTES);
    loop {
        body.take(&mut input, |piece| flv.feed(piece))?;
        let mut tags = Vec::new();
        while let Some(tag) = flv.next_tag()? {
            ensure!(tag.stream_id == 0, "a tag that is not for players");
            tags.push(tag);
        }
        if !tags.is_empty() {
            take(tags);
        }
        if body.ended {
            return Ok(flv.finish()?);
        }
        if socket.read_buf(&mut input).await? == 0 {
            ensure!(!body.chunked, "closed without the last chunk");
            return Ok(flv.finish()?);
        }
    }
}

/// The body of an answer, out of its chunks.
struct Chunks {
    chunked: bool,
    /// Left of the chunk that is read, with the line end behind it.
    left: usize,
    ended: bool,
}

impl Chunks {
    fn new(chunked: bool) -> Chunks {
        Chunks {
            chunked,
            left: 0,
            ended: false,
        }
    }

    /// Takes what is whole out of `input`.
    fn take(&mut self, input: &mut Vec<u8>, mut piece: impl FnMut(Bytes)) -> anyhow::Result<()> {
        if !self.chunked {
            piece(Bytes::from(std::mem::take(input)));
            return Ok(());
        }
        let mut at = 0;
        while !self.ended {
            let rest = input.get(at..).unwrap_or_default();
            if self.left == 0 {
                let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else {
                    break;
                };
                let size = std::str::from_utf8(rest.get(..end).unwrap_or_default())?;
                let size = usize::from_str_radix(size, 16)
                    .with_context(|| format!("chunk size {size:?}"))?;
                if size == 0 {
                    if rest.len() < end + 4 {
                        break;
                    }
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
            piece(Bytes::copy_from_slice(rest.get(..data).unwrap_or_default()));
            self.left -= here;
            at += here;
        }
        if at > input.len() {
            bail!("a chunk is longer than what came");
        }
        input.drain(..at);
        Ok(())
    }
}
