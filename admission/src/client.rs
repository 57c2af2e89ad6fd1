//! POSTs of JSON to the callback's server, over connections that are kept for a while.

use std::time::Duration;

use bytes::Bytes;
use headwater_process::net::{self, ConnectError};
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use thiserror::Error;
use tokio::time::Instant;

use crate::target::Target;

const BODY_MAX_BYTES: usize = 64 * 1024;
const HEAD_MAX_BYTES: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;
const IDLE_MAX: usize = 16;
// Shorter than the idle times that servers and address translation commonly grant.
const IDLE_MAX_AGE: Duration = Duration::from_secs(15);

/// Why there is no answer.
#[derive(Debug, Error)]
pub(crate) enum ClientError {
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    #[error(transparent)]
    Connect(ConnectError),
    #[error("the exchange broke: {0}")]
    Http(#[from] hyper::Error),
    #[error("the request could not be made: {0}")]
    Request(#[from] http::Error),
}

/// Why an answer's body is not there.
#[derive(Debug, Error)]
pub(crate) enum BodyError {
    #[error("its body is longer than {BODY_MAX_BYTES} bytes")]
    TooLong,
    #[error("its body broke off")]
    Broken,
}

/// An answer. Its status is there even if the body is not.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) body: Result<Bytes, BodyError>,
}

struct Idle {
    sender: SendRequest<Full<Bytes>>,
    since: Instant,
}

/// The client of one URL.
pub(crate) struct Client {
    target: Target,
    timeout: Duration,
    idle: Mutex<Vec<Idle>>,
}

impl Client {
    pub(crate) fn new(target: Target, timeout: Duration) -> Self {
        Client {
            target,
            timeout,
            idle: Mutex::new(Vec::new()),
        }
    }

    /// The URL without its query, which may hold a password.
    pub(crate) fn shown(&self) -> String {
        let path = self.target.path.split('?').next().unwrap_or_default();
        format!("http://{}{path}", self.target.authority)
    }

    /// Sends `body` and reads the answer, all of it before `deadline`.
    ///
    /// The server may get the same body twice: a kept connection can break just as it is used, and then a new one is
    /// tried.
    pub(crate) async fn post(&self, body: Bytes, deadline: Instant) -> Result<Reply, ClientError> {
        match tokio::time::timeout_at(deadline, self.exchange(body)).await {
            Ok(Err(ClientError::Connect(ConnectError::Timeout { .. }))) | Err(_) => {
                Err(ClientError::Timeout(self.timeout))
            }
            Ok(result) => result,
        }
    }

    /// The instant at which a question that begins now has lasted too long.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    async fn exchange(&self, body: Bytes) -> Result<Reply, ClientError> {
        if let Some(mut sender) = self.kept() {
            let request = self.request(body.clone())?;
            if sender.ready().await.is_ok()
                && let Ok(response) = sender.send_request(request).await
            {
                return Ok(self.finish(sender, response).await);
            }
            // The server closed it; the others are as old.
            self.idle.lock().clear();
        }
        let stream = net::connect(&self.target.host_port, self.timeout)
            .await
            .map_err(ClientError::Connect)?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_MAX_BYTES)
            .max_headers(HEADERS_MAX)
            .handshake(TokioIo::new(stream))
            .await?;
        // It ends with its sender; its errors reach whoever sends.
        tokio::spawn(connection);
        let response = sender.send_request(self.request(body)?).await?;
        Ok(self.finish(sender, response).await)
    }

    fn request(&self, body: Bytes) -> Result<Request<Full<Bytes>>, http::Error> {
        Request::post(&self.target.path)
            .header(header::HOST, &self.target.authority)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, "headwater")
            .body(Full::new(body))
    }

    async fn finish(
        &self,
        sender: SendRequest<Full<Bytes>>,
        response: http::Response<Incoming>,
    ) -> Reply {
        let status = response.status();
        let limited = Limited::new(response.into_body(), BODY_MAX_BYTES);
        let body = match limited.collect().await {
            Ok(body) => {
                self.keep(sender);
                Ok(body.to_bytes())
            }
            Err(error) if error.is::<LengthLimitError>() => Err(BodyError::TooLong),
            Err(_) => Err(BodyError::Broken),
        };
        Reply { status, body }
    }

    fn keep(&self, sender: SendRequest<Full<Bytes>>) {
        let mut idle = self.idle.lock();
        if idle.len() < IDLE_MAX && !sender.is_closed() {
            let since = Instant::now();
            idle.push(Idle { sender, since });
        }
    }

    /// The connection that was used last, if it is still good.
    fn kept(&self) -> Option<SendRequest<Full<Bytes>>> {
        let mut idle = self.idle.lock();
        idle.retain(|kept| kept.since.elapsed() < IDLE_MAX_AGE && !kept.sender.is_closed());
        idle.pop().map(|kept| kept.sender)
    }
}
