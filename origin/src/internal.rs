//! The internal port: pulls of other roles over HTTP/1.1 and claims of other origins over gRPC, on one listener.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use headwater_hop::{
    Elsewhere, Found, PullRequest, Refusal, ServeSettings, refuse, serve_pull, tune,
};
use headwater_location::claim;
use headwater_media::StreamKey;
use headwater_process::accept::{Accepted, Acceptor};
use headwater_process::tls::{Received, Security};
use http::{Request, Response, Version, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tonic::body::Body;
use tonic::service::Routes;
use tower_service::Service;

use crate::shared::Shared;

const HEAD_MAX_BYTES: usize = 16 << 10;
/// From the connection's start to its first request, and from one request's first byte to its last.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Calls at once on one HTTP/2 connection.
const CALLS_MAX: u32 = 256;
/// An HTTP/2 peer that does not answer a ping for so long is gone.
const PING: Duration = Duration::from_secs(5);

/// The internal port of an origin.
pub(crate) struct Internal {
    shared: Arc<Shared>,
    security: Security,
    pulls: ServeSettings,
    claims: Routes,
}

impl Internal {
    pub(crate) fn new(shared: Arc<Shared>) -> Internal {
        let pulls = ServeSettings::new(shared.metrics.hop.clone());
        let claims = claim::routes(Arc::clone(&shared)).prepare();
        Internal {
            security: shared.dialer.security(),
            shared,
            pulls,
            claims,
        }
    }

    /// Serves the port until the process ends.
    pub(crate) async fn serve(self, mut acceptor: Acceptor) {
        let internal = Arc::new(self);
        while let Some(accepted) = acceptor.next().await {
            tokio::spawn(Arc::clone(&internal).connection(accepted));
        }
    }

    async fn connection(self: Arc<Internal>, accepted: Accepted) {
        let Some(Received { line, peer, permit }) =
            self.security.receive(accepted, HEAD_TIMEOUT).await
        else {
            return;
        };
        if let Err(error) = tune(&line) {
            tracing::debug!(%peer, %error, "the connection keeps the machine's settings");
        }
        let asked = Arc::new(AtomicBool::new(false));
        let service = {
            let (internal, asked) = (Arc::clone(&self), Arc::clone(&asked));
            service_fn(move |request| {
                asked.store(true, Ordering::Relaxed);
                let internal = Arc::clone(&internal);
                async move { Ok::<_, Infallible>(internal.answer(request).await) }
            })
        };
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(HEAD_MAX_BYTES);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(CALLS_MAX)
            .max_header_list_size(u32::try_from(HEAD_MAX_BYTES).unwrap_or(u32::MAX))
            .keep_alive_interval(PING)
            .keep_alive_timeout(PING);
        let connection = builder.serve_connection(TokioIo::new(line), service);
        tokio::select! {
            biased;
            ended = connection => {
                if let Err(error) = ended {
                    tracing::debug!(%peer, %error, "internal connection ended");
                }
            }
            // While the version of HTTP is not known yet, no other timeout holds.
            () = silent(&asked) => tracing::debug!(%peer, "internal connection asked nothing"),
            () = self.shared.drain.ended() => {}
        }
        drop(permit);
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let grpc = request
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
        if grpc && request.version() == Version::HTTP_2 {
            let answered = self.claims.clone().call(request.map(Body::new)).await;
            return answered.unwrap_or_else(|never| match never {});
        }
        let answer = match PullRequest::from_http(&request) {
            Ok(pull) => {
                let session = self.shared.sessions.newest(&pull.key);
                if let (Some(session), Some(known)) = (&session, pull.known) {
                    session.known(known.epoch, known.term);
                }
                let settings = ServeSettings {
                    moved: session.map(|session| session.successor()),
                    ..self.pulls.clone()
                };
                let words = request.into_body();
                serve_pull(self.find(&pull.key), &pull, words, &settings).await
            }
            Err(error) => refuse(&Refusal::Request(error), &self.pulls.metrics),
        };
        answer.map(Body::new)
    }

    fn find(&self, key: &StreamKey) -> Found {
        match self.shared.hub.get(key) {
            Some(stream) => Found::Here(stream),
            None => Found::Elsewhere(Elsewhere::default()),
        }
    }
}

/// Returns if nothing was asked within the time for a head.
async fn silent(asked: &AtomicBool) {
    tokio::time::sleep(HEAD_TIMEOUT).await;
    if asked.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}
