//! A publisher over RTMP that knows what it sent.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use headwater_media::rtmp::{ClientConfig, ClientEvent, ClientSession, PublishingType};
use headwater_media::{Tag, TagKind};
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::{Record, SOON, identity};

/// Where a stream is pushed to: `rtmp://host[:port]/app[/instance]/stream[?query]`.
#[derive(Clone, Debug)]
pub struct Target {
    address: String,
    app: String,
    stream: String,
    kind: PublishingType,
    patience: Option<Duration>,
    unrecorded: bool,
}

impl Target {
    /// What is said in `connect` and in `publish`, as it is.
    pub fn exact(address: &str, app: &str, stream: &str) -> Target {
        Target {
            address: address.to_owned(),
            app: app.to_owned(),
            stream: stream.to_owned(),
            kind: PublishingType::Live,
            patience: None,
            unrecorded: false,
        }
    }

    /// The same, given up when nothing is acknowledged for so long: a machine that lost its power closes no connection.
    #[must_use]
    pub fn given_up_after(mut self, patience: Duration) -> Target {
        self.patience = Some(patience);
        self
    }

    /// The same, without a record of what was sent: for those who publish for very long.
    #[must_use]
    pub fn unrecorded(mut self) -> Target {
        self.unrecorded = true;
        self
    }

    /// The same, published as `kind`.
    #[must_use]
    pub fn publishing(mut self, kind: PublishingType) -> Target {
        self.kind = kind;
        self
    }

    /// Reads an address.
    ///
    /// # Errors
    /// If it is not of that shape.
    pub fn parse(url: &str) -> anyhow::Result<Target> {
        let rest = url
            .strip_prefix("rtmp://")
            .context("only rtmp:// is pushed to")?;
        let (host, path) = rest.split_once('/').context("an address without an app")?;
        let (path, query) = path
            .split_once('?')
            .map_or((path, None), |(path, query)| (path, Some(query)));
        let (app, stream) = path
            .rsplit_once('/')
            .context("an address without a stream")?;
        Ok(Target {
            address: if host.contains(':') {
                host.to_owned()
            } else {
                format!("{host}:1935")
            },
            app: app.to_owned(),
            stream: query.map_or_else(|| stream.to_owned(), |query| format!("{stream}?{query}")),
            kind: PublishingType::Live,
            patience: None,
            unrecorded: false,
        })
    }
}

/// What a publisher has to say of itself.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// What was sent, in order.
    pub sent: Vec<Record>,
    /// The server granted the publish.
    pub started: bool,
    /// Why it is over.
    pub end: Option<Result<(), String>>,
}

/// A publisher in the background. Dropping it cuts the connection.
#[derive(Debug)]
pub struct Publisher {
    progress: watch::Receiver<Progress>,
    control: watch::Sender<Control>,
    task: JoinHandle<()>,
}

/// What a test does to a publisher while it publishes.
#[derive(Clone, Copy, Debug, Default)]
struct Control {
    stopped: bool,
    /// What its clock is ahead of the one that the tags were made by.
    clock_ms: i64,
}

/// The stream that [`Publisher::start`] makes.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    /// What each body says of who sent it.
    pub session: u64,
    /// Pictures a second.
    pub fps: u32,
    /// Pictures from keyframe to keyframe.
    pub gop: u64,
    /// Bytes of a picture.
    pub picture_bytes: usize,
}

impl Default for Made {
    fn default() -> Made {
        Made {
            session: 1,
            fps: 25,
            gop: 25,
            picture_bytes: 2_000,
        }
    }
}

impl Made {
    /// Headers, then picture and sound in turns; each with the next number of the session.
    pub fn tags(self) -> impl Iterator<Item = Tag> + Send {
        let head = [
            (TagKind::Video, identity::video_header(1)),
            (TagKind::Audio, identity::audio_header()),
        ];
        let head = head
            .into_iter()
            .map(|(kind, payload)| tag(kind, 0, payload));
        let step_ms = f64::from(1_000) / f64::from(self.fps.max(1));
        let rest = (0_u64..).flat_map(move |n| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_precision_loss,
                reason = "a test does not last for centuries"
            )]
            let ms = (n as f64 * step_ms) as i64;
            let keyframe = n.is_multiple_of(self.gop.max(1));
            [
                tag(
                    TagKind::Video,
                    ms,
                    identity::video(keyframe, self.session, 2 * n, self.picture_bytes),
                ),
                tag(
                    TagKind::Audio,
                    ms,
                    identity::audio(self.session, 2 * n + 1, 200),
                ),
            ]
        });
        head.chain(rest)
    }
}

fn tag(kind: TagKind, ms: i64, payload: Bytes) -> Tag {
    Tag {
        kind,
        dts: headwater_media::Dts(ms),
        payload,
    }
}

impl Publisher {
    /// Pushes `tags` in real time to `target`; stamps of records count from `epoch`.
    pub fn start(
        target: &Target,
        tags: impl Iterator<Item = Tag> + Send + 'static,
        epoch: Instant,
    ) -> Publisher {
        let (sender, progress) = watch::channel(Progress::default());
        let control = watch::Sender::new(Control::default());
        let (target, controlled) = (target.clone(), control.subscribe());
        let task = tokio::spawn(async move {
            let end = publish(&target, tags, epoch, &sender, controlled)
                .await
                .map_err(|error| format!("{error:#}"));
            sender.send_modify(|progress| progress.end = Some(end));
        });
        Publisher {
            progress,
            control,
            task,
        }
    }

    /// Cuts its connection, as the end of its process does.
    pub fn kill(&self) {
        self.task.abort();
    }

    /// Sends nothing from now on, on a connection that stays: as a process that is stopped (SIGSTOP).
    pub fn stop(&self) {
        self.control.send_modify(|control| control.stopped = true);
    }

    /// Sends again, first all that is due by now.
    pub fn cont(&self) {
        self.control.send_modify(|control| control.stopped = false);
    }

    /// Its clock jumps by `step_ms`: the stamps of all that follows are that much higher.
    pub fn step_clock(&self, step_ms: i64) {
        self.control
            .send_modify(|control| control.clock_ms += step_ms);
    }

    /// As it stands.
    pub fn progress(&self) -> Progress {
        self.progress.borrow().clone()
    }

    /// Waits until the server has granted the publish.
    ///
    /// # Errors
    /// If it refuses.
    pub async fn started(&mut self) -> anyhow::Result<()> {
        let progress = tokio::time::timeout(
            SOON,
            self.progress.wait_for(|it| it.started || it.end.is_some()),
        )
        .await??;
        ensure!(progress.started, "{:?}", progress.end);
        Ok(())
    }

    /// Waits until it is over, for `within` at most: `None` if it still goes on.
    pub async fn ended(&mut self, within: Duration) -> Option<Result<(), String>> {
        let ended =
            tokio::time::timeout(within, self.progress.wait_for(|it| it.end.is_some())).await;
        ended.ok()?.ok()?.end.clone()
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn publish(
    target: &Target,
    tags: impl Iterator<Item = Tag>,
    epoch: Instant,
    progress: &watch::Sender<Progress>,
    mut control: watch::Receiver<Control>,
) -> anyhow::Result<()> {
    let config = ClientConfig::new(&target.address, &target.app, &target.stream);
    let mut session = ClientSession::publish(config, target.kind)?;
    let patience = target.patience.unwrap_or(SOON);
    let connecting = tokio::time::timeout(patience, TcpStream::connect(&target.address));
    let mut socket = connecting
        .await
        .context("nobody answers")
        .and_then(|connected| Ok(connected?))
        .with_context(|| target.address.clone())?;
    socket.set_nodelay(true)?;
    SockRef::from(&socket).set_tcp_user_timeout(target.patience)?;
    let mut tags = tags.peekable();
    let mut started: Option<Instant> = None;
    let mut buffer = vec![0; 16 << 10];
    loop {
        while let Some(event) = session.next_event() {
            match event {
                ClientEvent::Started => {
                    started = Some(Instant::now());
                    progress.send_modify(|it| it.started = true);
                }
                ClientEvent::Refused { code, description }
                | ClientEvent::Ended { code, description } => {
                    bail!("{code}: {description}")
                }
                ClientEvent::Reconnect { .. } => bail!("asked to connect again"),
                ClientEvent::Connected(_)
                | ClientEvent::Media { .. }
                | ClientEvent::Status { .. } => {}
            }
        }
        while let Some(began) = started
            && !control.borrow_and_update().stopped
            && let Some(tag) = tags.next_if(|tag| due(tag) <= began.elapsed())
        {
            let stamp = headwater_media::Dts(tag.dts.0 + control.borrow().clock_ms);
            session.send(tag.kind, stamp.wire_ms(), &tag.payload)?;
            write(&mut socket, &mut session).await?;
            if !target.unrecorded {
                let at_us = u64::try_from(epoch.elapsed().as_micros()).unwrap_or(u64::MAX);
                let record = Record::of(tag.kind, stamp.wire_ms(), &tag.payload, at_us);
                progress.send_modify(|it| it.sent.push(record));
            }
        }
        write(&mut socket, &mut session).await?;
        if started.is_some() && tags.peek().is_none() {
            session.close();
            write(&mut socket, &mut session).await?;
            return Ok(socket.shutdown().await?);
        }
        let next = started
            .filter(|_| !control.borrow().stopped)
            .zip(tags.peek())
            .map(|(began, tag)| began + due(tag));
        tokio::select! {
            read = socket.read(&mut buffer) => {
                let read = read?;
                ensure!(read > 0, "the server closed the connection");
                session.input(buffer.get(..read).unwrap_or_default(), Duration::ZERO)?;
            }
            () = tokio::time::sleep_until(next.unwrap_or(epoch)), if next.is_some() => {}
            Ok(()) = control.changed() => {}
        }
    }
}

async fn write(socket: &mut TcpStream, session: &mut ClientSession) -> std::io::Result<()> {
    while let Some(bytes) = session.take_output() {
        socket.write_all(&bytes).await?;
    }
    Ok(())
}

fn due(tag: &Tag) -> Duration {
    Duration::from_millis(u64::try_from(tag.dts.0).unwrap_or(0))
}
