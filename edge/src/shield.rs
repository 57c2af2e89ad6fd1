//! The internal port: this edge as the source of others, so that one pull serves a region.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use headwater_hop::{
    Elsewhere, Found, PullBody, PullRequest, Refusal, ServeSettings, refuse, serve_pull, tune,
};
use headwater_process::accept::{Accepted, Acceptor};
use headwater_process::drain::Drain;
use headwater_process::tls::{Received, Security};
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};

use crate::pull::{EnterError, Pulls};

const HEAD_MAX_BYTES: usize = 16 << 10;
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// What serves pulls.
pub(crate) struct Shield {
    pub(crate) pulls: Pulls,
    pub(crate) settings: ServeSettings,
    pub(crate) security: Security,
    pub(crate) drain: Drain,
}

impl Shield {
    /// Serves the port until the process ends.
    pub(crate) async fn serve(self: Arc<Shield>, mut acceptor: Acceptor) {
        while let Some(accepted) = acceptor.next().await {
            tokio::spawn(Arc::clone(&self).connection(accepted));
        }
    }

    async fn connection(self: Arc<Shield>, accepted: Accepted) {
        let Some(Received { line, peer, permit }) =
            self.security.receive(accepted, HEAD_TIMEOUT).await
        else {
            return;
        };
        if let Err(error) = tune(&line) {
            tracing::debug!(%peer, %error, "the connection keeps the machine's settings");
        }
        let shield = Arc::clone(&self);
        let service = service_fn(move |request: Request<Incoming>| {
            let shield = Arc::clone(&shield);
            async move { Ok::<_, Infallible>(shield.answer(request).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(HEAD_MAX_BYTES)
            .serve_connection(TokioIo::new(line), service);
        tokio::select! {
            biased;
            ended = connection => {
                if let Err(error) = ended {
                    tracing::debug!(%peer, %error, "internal connection ended");
                }
            }
            () = self.drain.ended() => {}
        }
        drop(permit);
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<PullBody> {
        let asked = PullRequest::from_http(&request);
        let words = request.into_body();
        let request = match asked {
            Ok(request) => request,
            Err(error) => return refuse(&Refusal::Request(error), &self.settings.metrics),
        };
        // The pull that would be made for it: refused here already if it went in a circle.
        let hops = request.hops.saturating_add(1);
        if request.hops > HOPS_MAX {
            return refuse(&Refusal::Loop, &self.settings.metrics);
        }
        match self.pulls.enter(&request.key, Duration::ZERO, hops).await {
            Ok(interest) => {
                let found = Found::Here(Arc::clone(interest.pull().stream()));
                let answer = serve_pull(found, &request, words, &self.settings).await;
                // The stream is wanted for as long as its body is sent.
                answer.map(|body| {
                    body.map_frame(move |frame| {
                        let _ = &interest;
                        frame
                    })
                    .boxed_unsync()
                })
            }
            Err(EnterError::Circle) => refuse(&Refusal::Loop, &self.settings.metrics),
            Err(_) => {
                serve_pull(
                    Found::Elsewhere(Elsewhere::default()),
                    &request,
                    words,
                    &self.settings,
                )
                .await
            }
        }
    }
}

/// As the contract says: more is a circle.
const HOPS_MAX: u32 = 3;
