//! One connection, from the handshake until its stream begins.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use headwater_delivery::{EndReason, Format, Viewer, ViewerEnd};
use headwater_media::StreamKey;
use headwater_media::rtmp::{Limits, ServerConfig, ServerEvent, ServerSession, code};
use headwater_process::accept::Permit;
use headwater_process::clock;
use headwater_process::net::Line;
use headwater_process::tls::Received;
use tokio::time::timeout_at;

use super::farewell;
use super::inbound::PlayInbound;
use crate::metrics::Protocol;
use crate::play::door::{Denied, Guest, Ticket};
use crate::play::{House, read_some, send};
use crate::pull::EnterError;

/// Viewers send commands, never media.
const LIMITS: Limits = Limits {
    max_message_bytes: 64 << 10,
    max_buffered_bytes: 128 << 10,
    max_chunk_streams: 16,
    max_output_bytes: 64 << 10,
};

/// Serves a connection until it is over or its viewer is seated.
pub(crate) async fn serve(house: Arc<House>, mut received: Received) {
    let limit = house.config.limits.head_timeout;
    if received.speaks(limit).await {
        Box::pin(Connection::new(house, received).run()).await;
    }
}

struct Connection {
    house: Arc<House>,
    socket: Line,
    peer: SocketAddr,
    permit: Permit,
    session: ServerSession,
    app: String,
    tc_url: String,
    agent: Option<String>,
    /// The client follows a request to connect again.
    reconnects: bool,
}

/// What is to be done with the connection.
enum Next {
    Read,
    Seat(Ticket),
    Close,
}

impl Connection {
    fn new(house: Arc<House>, received: Received) -> Connection {
        let Received { line, peer, permit } = received;
        let time = house.config.limits.head_timeout;
        let config = ServerConfig {
            limits: LIMITS,
            handshake_time: time,
            command_time: time,
            ..ServerConfig::default()
        };
        let session = ServerSession::new(config, clock::now());
        Connection {
            house,
            socket: line,
            peer,
            permit,
            session,
            app: String::new(),
            tc_url: String::new(),
            agent: None,
            reconnects: false,
        }
    }

    async fn run(mut self) {
        let mut buffer = Vec::new();
        loop {
            let read = match self.read(&mut buffer).await {
                Ok(true) => self.session.input(&buffer, clock::now()),
                Ok(false) => self.session.on_timeout(clock::now()),
                Err(_) => return,
            };
            let next = self.act().await;
            // Answers from before a mistake are sent, too.
            if let Next::Seat(ticket) = next {
                return self.seat(ticket).await;
            }
            if self.flush().await.is_err() || matches!(next, Next::Close) {
                return;
            }
            if let Err(error) = read {
                self.house.metrics.refused(Protocol::Rtmp, "rtmp");
                tracing::debug!(peer = %self.peer, %error, "connection ended");
                return;
            }
        }
    }

    /// Reads what has come into `buffer`; false at the session's timeout.
    async fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<bool> {
        buffer.clear();
        loop {
            let due = self
                .session
                .next_timeout()
                .unwrap_or_else(|| clock::now() + Duration::from_secs(60));
            if timeout_at(clock::instant(due), self.socket.readable())
                .await
                .is_err()
            {
                return Ok(false);
            }
            match read_some(&mut self.socket, buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        let limit = self.house.config.limits.head_timeout;
        while let Some(output) = self.session.take_output() {
            send(&mut self.socket, &output, limit).await?;
        }
        Ok(())
    }

    async fn act(&mut self) -> Next {
        while let Some(event) = self.session.next_event() {
            match event {
                ServerEvent::Connected {
                    app,
                    tc_url,
                    flash_ver,
                    capabilities,
                } => {
                    self.app = app;
                    self.tc_url = tc_url.unwrap_or_default();
                    self.agent = flash_ver;
                    self.reconnects = capabilities.reconnect();
                }
                ServerEvent::Publish { .. } => {
                    self.house.metrics.refused(Protocol::Rtmp, "publish");
                    let text = self.publish_elsewhere();
                    self.session
                        .refuse_publish(code::PUBLISH_BAD_NAME, &text, clock::now());
                }
                ServerEvent::Play { name, .. } => match self.play(&name).await {
                    Next::Read => {}
                    next @ (Next::Seat(_) | Next::Close) => return next,
                },
                ServerEvent::Media { .. }
                | ServerEvent::Unpublish
                | ServerEvent::StopPlay
                | ServerEvent::Pause(_) => {}
            }
        }
        Next::Read
    }

    fn publish_elsewhere(&self) -> String {
        let url = &self.house.config.publish_url;
        if url.is_empty() {
            "this port only plays: publish to an origin (port 1935)".to_owned()
        } else {
            format!("this port only plays: publish to {url}")
        }
    }

    async fn play(&mut self, name: &str) -> Next {
        // Who connects and asks in one go must hear the first answers while it waits for the stream.
        if self.flush().await.is_err() {
            return Next::Close;
        }
        let parsed = StreamKey::from_rtmp(&self.app, &self.tc_url, name, &self.house.hosts);
        let (key, query) = match parsed {
            Ok(parsed) => parsed,
            Err(error) => {
                self.house.metrics.refused(Protocol::Rtmp, error.reason());
                self.session
                    .refuse_play(code::PLAY_FAILED, &error.to_string(), clock::now());
                return Next::Read;
            }
        };
        let guest = Guest {
            key: &key,
            query: &query,
            peer: self.peer,
            agent: self.agent.as_deref(),
            protocol: Protocol::Rtmp,
        };
        let entered = tokio::select! {
            biased;
            entered = self.house.enter(guest) => entered,
            () = self.socket.gone() => return Next::Close,
        };
        match entered {
            Ok(ticket) => Next::Seat(ticket),
            Err(denied) => {
                self.house.metrics.refused(Protocol::Rtmp, denied.reason());
                tracing::debug!(peer = %self.peer, reason = denied.reason(), "play refused");
                let missing = matches!(
                    denied,
                    Denied::Stream {
                        why: EnterError::Missing | EnterError::Left,
                        ..
                    }
                );
                let code = if missing {
                    code::PLAY_STREAM_NOT_FOUND
                } else {
                    code::PLAY_FAILED
                };
                self.session
                    .refuse_play(code, &denied.to_string(), clock::now());
                Next::Read
            }
        }
    }

    /// Hands the connection to the stream's fan-out.
    async fn seat(mut self, ticket: Ticket) {
        self.house.tune(&self.socket);
        self.session.accept_play();
        let head = self.session.take_output().unwrap_or_default();
        let fanout = ticket.fanout();
        let viewer = Viewer {
            socket: self.socket,
            mode: ticket.mode,
            format: Format::Rtmp,
            head,
            tail: farewell::stream_over(),
            release: farewell::released(self.reconnects),
            inbound: Some(Box::new(PlayInbound::new(self.session))),
            on_end: ticket.on_end(self.permit),
        };
        if let Err(refused) = fanout.join(viewer).await {
            (refused.on_end)(ViewerEnd {
                reason: EndReason::StreamEnded,
                bytes: 0,
                duration: Duration::ZERO,
                startup: None,
                dropped: headwater_hub::Dropped::default(),
            });
        }
    }
}
