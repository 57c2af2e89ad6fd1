//! One RTMP connection: the socket, the machine that speaks RTMP, and the publish that it carries.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use headwater_media::rtmp::{ServerEvent, ServerSession, code};
use headwater_process::accept::Permit;
use headwater_process::clock;
use headwater_process::net::{Line, Looks, SocketOptions};
use headwater_process::tls::Received;
use tokio::time::{Instant, timeout};

use super::error::End;
use super::publish::{Connected, Publish};
use super::publisher::Order;
use super::wire::{Reads, Taken, discard, send};
use crate::shared::Shared;

/// How long a peer may leave answers unread.
const UNREAD_MAX: Duration = Duration::from_secs(10);
/// How long the last words may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// Serves a connection until it is over.
pub(crate) async fn serve(shared: Arc<Shared>, mut received: Received) {
    let began = clock::now();
    // A connection that says nothing is a socket and this small future.
    tokio::select! {
        biased;
        spoken = timeout(shared.config.handshake_timeout, received.line.readable()) => {
            if spoken.is_err() {
                shared.metrics.connection_ended("handshake_timeout");
                return;
            }
        }
        () = shared.drain.ended() => return,
    }
    let _spoken = shared.spoken();
    Box::pin(Connection::new(shared, received, began).run()).await;
}

struct Connection {
    shared: Arc<Shared>,
    socket: Line,
    reads: Reads,
    /// When it is read; `None` where that cannot be chosen.
    looks: Option<Looks>,
    peer: SocketAddr,
    rtmp: ServerSession,
    connected: Connected,
    publish: Option<Publish>,
    published: bool,
    /// Its turn to be cut, as the process drains and the publisher stays.
    stays_until: Option<Duration>,
    _permit: Permit,
}

/// What a connection wakes up for.
enum Wake {
    /// It is time to read what is there.
    Look,
    Read(io::Result<Taken>),
    Order(Option<Order>),
    Timeout,
    Stopping,
}

impl Connection {
    fn new(shared: Arc<Shared>, received: Received, began: Duration) -> Connection {
        let Received {
            line: socket,
            peer,
            permit,
        } = received;
        if let Err(error) = socket.tune(&SocketOptions::default()) {
            tracing::debug!(%peer, %error, "the connection keeps the machine's settings");
        }
        let rtmp = ServerSession::new(shared.config.rtmp(), began);
        let (socket, pace) = socket.paced();
        Connection {
            shared,
            socket,
            reads: Reads::default(),
            looks: pace.map(|pace| Looks::new(pace, began)),
            peer,
            rtmp,
            connected: Connected::default(),
            publish: None,
            published: false,
            stays_until: None,
            _permit: permit,
        }
    }

    async fn run(mut self) {
        let Err(end) = self.work().await;
        if let Some(publish) = self.publish.take() {
            publish.end(&end);
        } else if !self.published {
            tracing::debug!(peer = %self.peer, reason = end.reason(), %end, "connection ended without publishing");
            self.shared.metrics.connection_ended(end.reason());
        }
        self.part(&end).await;
    }

    async fn work(&mut self) -> Result<std::convert::Infallible, End> {
        let drain = self.shared.drain.clone();
        let mut stopping = std::pin::pin!(drain.ended());
        let mut alarm = std::pin::pin!(tokio::time::sleep_until(self.deadline()));
        loop {
            let Connection {
                socket,
                reads,
                looks,
                publish,
                rtmp,
                ..
            } = &mut *self;
            if let Some(looks) = looks {
                looks.every(publish.as_ref().and_then(Publish::tick));
                looks.arrange();
            }
            let wake = tokio::select! {
                biased;
                () = stopping.as_mut() => Wake::Stopping,
                order = next_order(publish) => Wake::Order(order),
                () = alarm.as_mut() => Wake::Timeout,
                read = poll_fn(|cx| reads.poll(socket, rtmp, cx)) => Wake::Read(read),
                () = due(looks) => Wake::Look,
            };
            match wake {
                Wake::Look => continue,
                Wake::Stopping => return Err(End::Stopping),
                Wake::Order(Some(Order::End { code, text })) => {
                    return Err(End::Released { code, text });
                }
                Wake::Order(Some(Order::StandBy { code, text })) => {
                    if !self.publish.as_mut().is_some_and(Publish::stand_by) {
                        return Err(End::Released { code, text });
                    }
                }
                Wake::Order(Some(Order::GoOn(cue))) => {
                    if let Some(publish) = &mut self.publish {
                        publish.go_on(cue)?;
                    }
                }
                Wake::Order(Some(Order::Reconnect { stays_until })) => {
                    self.ask_to_reconnect();
                    // Asked again, for another reason, it keeps the turn that it has.
                    self.stays_until = self.stays_until.or(stays_until);
                    alarm.as_mut().reset(self.deadline());
                }
                // The sender lives as long as the session.
                Wake::Order(None) => return Err(End::Stopping),
                Wake::Timeout => {
                    // Media puts its deadline off with every message; the alarm is moved only when it rings.
                    let now = clock::now();
                    if self.stays_until.is_some_and(|at| at <= now) {
                        return Err(End::Stopping);
                    }
                    if self.rtmp.next_timeout().is_some_and(|at| at <= now) {
                        self.rtmp.on_timeout(now)?;
                    }
                    alarm.as_mut().reset(self.deadline());
                }
                Wake::Read(read) => {
                    let taken = read.map_err(End::Socket)?;
                    let was_publishing = self.publish.is_some();
                    self.count(&taken)?;
                    let acted = self.events().await;
                    if let Some(publish) = &self.publish {
                        publish.show();
                    }
                    acted?;
                    taken.broken?;
                    if was_publishing != self.publish.is_some() || !self.published {
                        alarm.as_mut().reset(self.deadline());
                    }
                    // A peer that sends without a pause leaves room for the others.
                    tokio::task::coop::consume_budget().await;
                }
            }
            self.flush(UNREAD_MAX).await?;
        }
    }

    fn deadline(&self) -> Instant {
        let next = self.rtmp.next_timeout().unwrap_or(Duration::MAX);
        clock::instant(next.min(self.stays_until.unwrap_or(Duration::MAX)))
    }

    fn count(&mut self, taken: &Taken) -> Result<(), End> {
        if taken.bytes == 0 {
            return Err(End::Closed);
        }
        if let Some(looks) = &mut self.looks {
            looks.took(taken.bytes, taken.at);
        }
        self.shared
            .metrics
            .received_bytes
            .inc_by(u64::try_from(taken.bytes).unwrap_or(0));
        if let Some(publish) = &mut self.publish
            && !publish.bitrate.take(taken.bytes, taken.at)
        {
            return Err(End::Bitrate(publish.bitrate.bits_per_second()));
        }
        Ok(())
    }

    async fn events(&mut self) -> Result<(), End> {
        while let Some(event) = self.rtmp.next_event() {
            match event {
                ServerEvent::Media {
                    kind,
                    wire_ms,
                    payload,
                } => {
                    if let Some(publish) = &mut self.publish {
                        publish.media(kind, wire_ms, payload)?;
                    }
                }
                ServerEvent::Connected {
                    app,
                    tc_url,
                    flash_ver,
                    capabilities,
                } => {
                    self.connected = Connected {
                        app,
                        tc_url: tc_url.unwrap_or_default(),
                        agent: flash_ver,
                        reconnects: capabilities.reconnect(),
                    };
                }
                ServerEvent::Publish { name, .. } => {
                    self.flush(UNREAD_MAX).await?;
                    self.begin(&name).await;
                }
                ServerEvent::Unpublish => {
                    if let Some(publish) = self.publish.take() {
                        publish.end(&End::Unpublished);
                    }
                }
                ServerEvent::Play { name, .. } => {
                    let text = self.where_to_play(&name);
                    self.rtmp
                        .refuse_play(code::PLAY_FAILED, &text, clock::now());
                }
                ServerEvent::StopPlay | ServerEvent::Pause(_) => {}
            }
        }
        Ok(())
    }

    /// Decides about a `publish`. Nothing is read meanwhile, so what the publisher sends ahead of its answer waits in
    /// the kernel and is not lost.
    async fn begin(&mut self, name: &str) {
        let begun = Box::pin(Publish::begin(
            &self.shared,
            &self.connected,
            name,
            self.peer,
        ))
        .await;
        match begun {
            Ok(publish) => {
                self.shared.metrics.publish("accepted");
                self.publish = Some(publish);
                self.published = true;
                self.rtmp.accept_publish(clock::now());
            }
            Err(refused) => {
                self.shared.metrics.publish(refused.reason);
                tracing::info!(
                    peer = %self.peer, app = self.connected.app, stream = shown(name), why = refused.reason,
                    detail = refused.text, "publish refused"
                );
                self.rtmp
                    .refuse_publish(refused.code, &refused.text, clock::now());
            }
        }
    }

    fn where_to_play(&self, name: &str) -> String {
        let config = &self.shared.config;
        let key = headwater_media::StreamKey::from_rtmp(
            &self.connected.app,
            &self.connected.tc_url,
            name,
            &self.shared.hosts,
        );
        match key {
            Ok((key, _)) if !config.play_url.is_empty() => {
                let base = config.play_url.trim_end_matches('/');
                let path = key.path();
                let path = path.split_once('/').map_or("", |(_, path)| path);
                format!("this server takes publishers only: play {base}/{path}.flv")
            }
            _ => "this server takes publishers only: play from an edge".to_owned(),
        }
    }

    fn ask_to_reconnect(&mut self) {
        if self.connected.reconnects {
            self.rtmp
                .request_reconnect(None, "this server stops: connect again");
        }
    }

    /// Sends what waits; the peer has `within` to take it.
    async fn flush(&mut self, within: Duration) -> Result<(), End> {
        while let Some(output) = self.rtmp.take_output() {
            send(&mut self.socket, &output, within).await?;
        }
        Ok(())
    }

    /// The last words. A peer that cannot hear them any more has not earned an error.
    async fn part(&mut self, end: &End) {
        let now = clock::now();
        if let Some((code, text)) = end.farewell() {
            // Whichever of the two it is that the peer waits for or does.
            self.rtmp.end_publish(code, &text, now);
            self.rtmp.refuse_publish(code, &text, now);
        }
        if matches!(end, End::Closed | End::Socket(_) | End::Unread(_)) {
            return;
        }
        if self.flush(FAREWELL).await.is_ok() {
            // Best effort: the words are out, and a socket that is full now is not waited for.
            let _ = self.socket.try_finish();
            discard(&mut self.socket).await;
        }
    }
}

async fn due(looks: &mut Option<Looks>) {
    match looks {
        Some(looks) => looks.due().await,
        None => std::future::pending().await,
    }
}

async fn next_order(publish: &mut Option<Publish>) -> Option<Order> {
    match publish {
        Some(publish) => publish.orders.recv().await,
        None => std::future::pending().await,
    }
}

/// A name from the wire for a log line.
fn shown(name: &str) -> String {
    name.split('?')
        .next()
        .unwrap_or_default()
        .chars()
        .take(80)
        .flat_map(char::escape_default)
        .collect()
}
