//! What a request leads to, the same for every version of HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use headwater_media::{NameError, StreamKey};

use super::answer::Answer;
use super::head::{Head, Method};
use super::page;
use crate::metrics::Protocol;
use crate::play::House;
use crate::play::door::{Denied, Guest, Ticket};

/// Who asks, and on what kind of connection.
pub(super) struct Caller {
    pub(super) house: Arc<House>,
    pub(super) peer: SocketAddr,
    /// In TLS.
    pub(super) secure: bool,
    pub(super) http2: bool,
}

/// What a request leads to.
pub(super) enum Outcome {
    Answer(Answer),
    /// The head of the stream, to a HEAD.
    Exists,
    Play(Ticket),
    /// The peer has gone.
    Gone,
}

impl Caller {
    pub(super) fn protocol(&self, websocket: bool) -> Protocol {
        match (websocket, self.secure, self.http2) {
            (true, false, _) => Protocol::WsFlv,
            (true, true, _) => Protocol::WssFlv,
            (false, _, true) => Protocol::Http2Flv,
            (false, false, false) => Protocol::HttpFlv,
            (false, true, false) => Protocol::HttpsFlv,
        }
    }

    /// Decides about a request; `gone` returns if the peer leaves meanwhile.
    pub(super) async fn outcome(&self, head: &Head, gone: impl Future<Output = ()>) -> Outcome {
        let protocol = self.protocol(head.websocket.is_some());
        let refuse = |reason| self.house.metrics.refused(protocol, reason);
        if head.has_body {
            refuse("body");
            let text = "requests here have no body: send it without one";
            return Outcome::Answer(Answer::new(400, text));
        }
        match head.method {
            Method::Options => Outcome::Answer(Answer::new(204, "")),
            Method::Other => {
                refuse("method");
                let text = "streams are played with GET; publish over RTMP";
                Outcome::Answer(Answer::new(405, text))
            }
            Method::Get | Method::Head if head.path == "/" => {
                Outcome::Answer(Answer::new(200, page::WELCOME))
            }
            Method::Get | Method::Head => {
                if let Some(asked) = &head.websocket
                    && let Err(error) = asked.check(head, &self.house.cors)
                {
                    refuse(error.reason());
                    return Outcome::Answer(Answer::new(error.status(), error.to_string()));
                }
                self.play(head, protocol, gone).await
            }
        }
    }

    async fn play(
        &self,
        head: &Head,
        protocol: Protocol,
        gone: impl Future<Output = ()>,
    ) -> Outcome {
        let house = &self.house;
        let parsed =
            StreamKey::from_play_path(&head.path, &head.query, "flv", &head.host, &house.hosts);
        let (key, query) = match parsed {
            Ok(parsed) => parsed,
            Err(error) => {
                house.metrics.refused(protocol, error.reason());
                let status = if matches!(error, NameError::Extension { .. }) {
                    404
                } else {
                    400
                };
                return Outcome::Answer(Answer::new(status, error.to_string()));
            }
        };
        let guest = Guest {
            key: &key,
            query: &query,
            peer: self.peer,
            agent: head.agent.as_deref(),
            protocol,
        };
        if head.method == Method::Head {
            return match house.check(&guest).await {
                Err(denied) => self.denied(&denied, protocol),
                Ok(_) if house.pulls.knows(&key).await => Outcome::Exists,
                Ok(_) => {
                    let why = crate::pull::EnterError::Missing;
                    self.denied(&Denied::Stream { key, why }, protocol)
                }
            };
        }
        tokio::select! {
            biased;
            entered = house.enter(guest) => match entered {
                Ok(ticket) => Outcome::Play(ticket),
                Err(denied) => self.denied(&denied, protocol),
            },
            () = gone => Outcome::Gone,
        }
    }

    fn denied(&self, denied: &Denied, protocol: Protocol) -> Outcome {
        self.house.metrics.refused(protocol, denied.reason());
        tracing::debug!(peer = %self.peer, reason = denied.reason(), "play refused");
        let answer = Answer::new(denied.status(), denied.to_string());
        Outcome::Answer(if answer.status == 503 {
            answer.retry_after(1)
        } else {
            answer
        })
    }
}
