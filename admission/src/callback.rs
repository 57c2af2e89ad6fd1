//! What the callback is asked, and what its answer means.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::Semaphore;

use crate::client::{BodyError, Client, ClientError, Reply};
use crate::config::{CallbackEvent, OnError};
use crate::{Kind, Reason, Refusal, Settings};

const TEXT_MAX_CHARS: usize = 256;

/// The JSON of every event; what an event does not have is left out.
#[derive(Debug, Serialize)]
pub(crate) struct Event<'a> {
    pub(crate) event: CallbackEvent,
    /// `vhost/app[/instance]/stream`
    pub(crate) key: &'a str,
    pub(crate) vhost: &'a str,
    pub(crate) app: &'a str,
    pub(crate) stream: &'a str,
    pub(crate) peer: SocketAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) agent: Option<&'a str>,
    /// The address's parameters without the signatures, the first value of each name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) query: Option<BTreeMap<&'a str, &'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) duration_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<&'a str>,
}

impl Event<'_> {
    pub(crate) fn to_json(&self) -> Result<Bytes, serde_json::Error> {
        serde_json::to_vec(self).map(Bytes::from)
    }
}

/// Neither a yes nor a no.
#[derive(Debug, Error)]
pub(crate) enum CallbackError {
    #[error("{0} questions wait already")]
    Busy(usize),
    #[error("the question could not be written: {0}")]
    Question(#[from] serde_json::Error),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("it answered with status {0}, which is neither 2xx nor 4xx")]
    Status(StatusCode),
    #[error("it answered 2xx and {0}")]
    Body(BodyError),
    #[error("it answered 2xx and its body is neither empty nor an object of settings: {0}")]
    Settings(serde_json::Error),
}

impl CallbackError {
    fn reason(&self) -> Reason {
        match self {
            CallbackError::Busy(_) => Reason::CallbackBusy,
            CallbackError::Client(ClientError::Timeout(_)) => Reason::CallbackTimeout,
            CallbackError::Client(
                ClientError::Connect(_) | ClientError::Http(_) | ClientError::Request(_),
            )
            | CallbackError::Question(_) => Reason::CallbackUnreachable,
            CallbackError::Status(_) | CallbackError::Body(_) | CallbackError::Settings(_) => {
                Reason::CallbackAnswer
            }
        }
    }
}

/// A yes, and whose.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Yes {
    Answered(Settings),
    /// The callback failed, and the configuration lets everybody in then.
    FailedOpen,
}

/// The callback's question side.
pub(crate) struct Callback {
    client: Arc<Client>,
    on_error: OnError,
    max_in_flight: usize,
    permits: Semaphore,
    fails: AtomicBool,
}

impl Callback {
    pub(crate) fn new(client: Arc<Client>, on_error: OnError, max_in_flight: usize) -> Self {
        Callback {
            client,
            on_error,
            max_in_flight,
            permits: Semaphore::new(max_in_flight),
            fails: AtomicBool::new(false),
        }
    }

    /// Asks whether `event` may be.
    pub(crate) async fn ask(&self, kind: Kind, event: &Event<'_>) -> Result<Yes, Refusal> {
        let answer = match self.answer(event).await {
            Ok(answer) => answer,
            Err(error) => return self.failed(kind, &error),
        };
        // Once a change, not once a viewer.
        if self.fails.swap(false, Ordering::Relaxed) {
            tracing::info!(
                url = self.client.shown(),
                "the admission callback answers again"
            );
        }
        match answer {
            Answer::Yes(settings) => Ok(Yes::Answered(settings)),
            Answer::No(Some(text)) => Err(Refusal::new(Reason::CallbackRefused, text)),
            Answer::No(None) => Err(Refusal::new(
                Reason::CallbackRefused,
                format!("you may not {kind} this stream: ask whoever gave you the address"),
            )),
        }
    }

    async fn answer(&self, event: &Event<'_>) -> Result<Answer, CallbackError> {
        let deadline = self.client.deadline();
        let busy = || CallbackError::Busy(self.max_in_flight);
        let _permit = tokio::time::timeout_at(deadline, self.permits.acquire())
            .await
            .map_err(|_| busy())?
            .map_err(|_| busy())?;
        read(self.client.post(event.to_json()?, deadline).await?)
    }

    fn failed(&self, kind: Kind, error: &CallbackError) -> Result<Yes, Refusal> {
        let reason = error.reason();
        if !self.fails.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                url = self.client.shown(),
                reason = reason.label(),
                on_error = ?self.on_error,
                "the admission callback fails: {error}"
            );
        }
        match self.on_error {
            OnError::Allow => Ok(Yes::FailedOpen),
            OnError::Deny => Err(Refusal::new(
                reason,
                format!(
                    "whether you may {kind} this stream cannot be found out now: try again in a moment"
                ),
            )),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Yes(Settings),
    No(Option<String>),
}

/// 2xx with an empty body or settings is a yes, 4xx a no whatever its body is.
fn read(reply: Reply) -> Result<Answer, CallbackError> {
    if reply.status.is_success() {
        let body = reply.body.map_err(CallbackError::Body)?;
        if body.trim_ascii().is_empty() {
            return Ok(Answer::Yes(Settings::default()));
        }
        return serde_json::from_slice(&body)
            .map(Answer::Yes)
            .map_err(CallbackError::Settings);
    }
    if reply.status.is_client_error() {
        return Ok(Answer::No(reply.body.ok().as_deref().and_then(reason_text)));
    }
    Err(CallbackError::Status(reply.status))
}

/// The `reason` of a refusal's JSON as one bounded line.
fn reason_text(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct No {
        reason: String,
    }
    let no: No = serde_json::from_slice(body).ok()?;
    let line: String = no
        .reason
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(TEXT_MAX_CHARS)
        .collect();
    let line = line.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use std::time::Duration;

    use super::*;
    use crate::Mode;
    use crate::target::Target;

    fn reply(status: u16, body: &[u8]) -> Reply {
        Reply {
            status: StatusCode::from_u16(status).unwrap(),
            body: Ok(Bytes::copy_from_slice(body)),
        }
    }

    #[test]
    fn an_answer_is_a_yes_a_no_or_an_error() {
        let yes = |mode| {
            Some(Answer::Yes(Settings {
                mode,
                ..Settings::default()
            }))
        };
        let no = |text: &str| Some(Answer::No((!text.is_empty()).then(|| text.to_owned())));
        for (status, body, answer) in [
            (200, "", yes(None)),
            (204, " \r\n", yes(None)),
            (200, "{}", yes(None)),
            (200, r#"{"mode": "rtc"}"#, yes(Some(Mode::Rtc))),
            (200, r#"{"mode": null}"#, yes(None)),
            (200, r#"{"mode": "fast"}"#, None),
            (200, r#"{"max_bitrate_bps": 0}"#, None),
            (200, r#"{"max_bitrate_bps": -1}"#, None),
            (200, r#"{"code": 1}"#, None),
            (200, "OK", None),
            (200, "[]x", None),
            (302, "", None),
            (500, r#"{"reason": "x"}"#, None),
            (
                403,
                r#"{"reason": "banned until Monday"}"#,
                no("banned until Monday"),
            ),
            (
                403,
                r#"{"reason": " two\r\nlines\u0000 "}"#,
                no("two  lines"),
            ),
            (401, r#"{"reason": 5}"#, no("")),
            (404, "<html>", no("")),
            (429, "", no("")),
        ] {
            assert_eq!(
                read(reply(status, body.as_bytes())).ok(),
                answer,
                "{status} {body}"
            );
        }
    }

    #[test]
    fn a_long_reason_is_cut_at_a_character() {
        let body = serde_json::json!({ "reason": "ж".repeat(1000) }).to_string();
        assert_eq!(reason_text(body.as_bytes()).unwrap(), "ж".repeat(256));
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_beyond_the_bound_waits_and_gives_up_in_time() {
        let target = Target::parse("http://127.0.0.1:9/").unwrap();
        let client = Arc::new(Client::new(target, Duration::from_secs(2)));
        let callback = Callback::new(client, OnError::Deny, 1);
        let _other = callback.permits.acquire().await.unwrap();
        let event = Event {
            event: CallbackEvent::Play,
            key: "default/live/room",
            vhost: "default",
            app: "live",
            stream: "room",
            peer: "192.0.2.7:40000".parse().unwrap(),
            agent: None,
            query: None,
            duration_ms: None,
            bytes: None,
            why: None,
        };
        let refusal = callback.ask(Kind::Play, &event).await.unwrap_err();
        assert_eq!(refusal.reason, Reason::CallbackBusy);
    }

    proptest! {
        #[test]
        fn any_body_is_an_answer_or_an_error(status in 200u16..600, body in any::<Vec<u8>>()) {
            let answer = read(reply(status, &body));
            prop_assert_eq!(matches!(answer, Ok(Answer::No(_))), (400..500).contains(&status));
        }
    }
}
