//! One connection: requests until one of them plays.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headwater_delivery::{EndReason, Format, Inbound as _, Reaction, Viewer};
use headwater_process::accept::Permit;
use headwater_process::clock;
use headwater_process::net::Line;
use headwater_process::tls::Received;
use tokio::time::timeout_at;

use super::answer::{Answer, stream_head};
use super::head::{self, Head, HeadError};
use super::http2;
use super::route::{Caller, Outcome};
use super::seating::{dismiss, join};
use super::websocket::Frames;
use crate::play::door::Ticket;
use crate::play::{House, read_some, send};

/// Requests that one connection may make before it plays.
const REQUESTS_MAX: usize = 100;
/// How long, and how much, is read of a peer that goes on sending after its last answer: a reset would overtake that.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_MAX_BYTES: usize = 64 << 10;

/// Serves a connection until it is over or its viewer is seated.
pub(crate) async fn serve(house: Arc<House>, mut received: Received) {
    if received.line.is_http2() {
        return Box::pin(http2::serve(house, received)).await;
    }
    let limit = house.config.limits.head_timeout;
    if received.speaks(limit).await {
        Box::pin(Connection::new(house, received).run()).await;
    }
}

struct Connection {
    caller: Caller,
    socket: Line,
    permit: Permit,
    buffer: Vec<u8>,
}

/// Why no head has come.
enum NoHead {
    /// The connection is over; nobody is there to be told.
    Over,
    Bad(HeadError),
}

impl Connection {
    fn new(house: Arc<House>, received: Received) -> Connection {
        let Received { line, peer, permit } = received;
        Connection {
            caller: Caller {
                house,
                peer,
                secure: line.is_tls(),
                http2: false,
            },
            socket: line,
            permit,
            buffer: Vec::new(),
        }
    }

    async fn run(mut self) {
        for request in 1..=REQUESTS_MAX {
            let head = match self.head().await {
                Ok(head) => head,
                Err(NoHead::Over) => return,
                Err(NoHead::Bad(error)) => {
                    let protocol = self.caller.protocol(false);
                    self.caller.house.metrics.refused(protocol, error.reason());
                    let answer = Answer::new(error.status(), error.to_string());
                    let bytes = answer.encode(None, &self.caller.house.cors, false);
                    return self.say_goodbye(&bytes).await;
                }
            };
            let outcome = self.caller.outcome(&head, self.socket.gone()).await;
            let kept = head.keep_alive
                && !head.has_body
                && request < REQUESTS_MAX
                && self.caller.house.drain.is_serving();
            let bytes = match outcome {
                Outcome::Play(ticket) => return self.seat(&head, ticket).await,
                Outcome::Gone => return,
                Outcome::Exists => stream_head(&head, &self.caller.house.cors, kept),
                Outcome::Answer(answer) => {
                    answer.encode(Some(&head), &self.caller.house.cors, kept)
                }
            };
            if !kept {
                return self.say_goodbye(&bytes).await;
            }
            if send(
                &mut self.socket,
                &bytes,
                self.caller.house.config.limits.head_timeout,
            )
            .await
            .is_err()
            {
                return;
            }
        }
    }

    /// The next request's head, which must come whole in time.
    async fn head(&mut self) -> Result<Head, NoHead> {
        let limits = &self.caller.house.config.limits;
        let deadline = clock::instant(clock::now() + limits.head_timeout);
        loop {
            // Empty lines before a request are from clients that end bodies with one (RFC 9112, 2.2).
            let lines = self
                .buffer
                .iter()
                .take_while(|byte| matches!(byte, b'\r' | b'\n'))
                .count();
            self.buffer.drain(..lines);
            match head::read(&self.buffer, limits.head_max_bytes) {
                Ok(Some((head, used))) => {
                    self.buffer.drain(..used);
                    return Ok(head);
                }
                Ok(None) => {}
                Err(error) => return Err(NoHead::Bad(error)),
            }
            match timeout_at(deadline, self.socket.readable()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(NoHead::Over),
                // Whoever has said nothing since the last answer just kept the connection open.
                Err(_) if self.buffer.is_empty() => return Err(NoHead::Over),
                Err(_) => return Err(NoHead::Bad(HeadError::Slow(limits.head_timeout))),
            }
            match read_some(&mut self.socket, &mut self.buffer) {
                Ok(0) => return Err(NoHead::Over),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Err(NoHead::Over),
            }
        }
    }

    /// Hands the connection to the stream's fan-out. Bytes that follow the request are not a request any more.
    async fn seat(self, head: &Head, ticket: Ticket) {
        self.caller.house.tune(&self.socket);
        let fanout = ticket.fanout();
        let format = match (&head.websocket, head.one_one) {
            (Some(_), _) => Format::FlvWebSocket,
            (None, true) => Format::FlvChunked,
            (None, false) => Format::FlvPlain,
        };
        let mut viewer = Viewer {
            socket: self.socket,
            mode: ticket.mode,
            format,
            head: stream_head(head, &self.caller.house.cors, false),
            tail: Bytes::new(),
            release: Bytes::new(),
            inbound: None,
            on_end: ticket.on_end(self.permit),
        };
        if let Some(asked) = &head.websocket {
            let mut frames = Box::new(Frames::default());
            let early = frames.received(&self.buffer);
            viewer.head = match early {
                Reaction::Reply(reply) => Bytes::from([asked.accepted(), reply].concat()),
                Reaction::Continue => asked.accepted(),
                Reaction::End(_) | Reaction::Close(_) => return dismiss(viewer, EndReason::Left),
            };
            viewer.inbound = Some(frames);
        }
        join(&fanout, viewer).await;
    }

    /// Sends the last answer and closes, so that the answer is read whatever else the peer has sent.
    async fn say_goodbye(mut self, bytes: &[u8]) {
        use tokio::io::AsyncWriteExt as _;
        let limit = self.caller.house.config.limits.head_timeout;
        if send(&mut self.socket, bytes, limit).await.is_err()
            || self.socket.shutdown().await.is_err()
        {
            return;
        }
        let deadline = clock::instant(clock::now() + LINGER);
        let mut read = 0;
        while read < LINGER_MAX_BYTES {
            if !matches!(
                timeout_at(deadline, self.socket.readable()).await,
                Ok(Ok(()))
            ) {
                return;
            }
            self.buffer.clear();
            match read_some(&mut self.socket, &mut self.buffer) {
                Ok(0) => return,
                Ok(bytes) => read = read.saturating_add(bytes),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }
}
