//! The admin port: what this process says of itself to people, probes and Prometheus.
//!
//! GET or HEAD of `/metrics`, `/healthz`, `/readyz` and whatever JSON the roles add. Never on the public port.

mod readiness;
mod routes;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

pub use readiness::Condition;

use crate::accept::{Accepted, Acceptor, Closes, Limits, PortMetrics};
use crate::documented;
use crate::drain::{Drain, Phase};
use crate::metrics::Registry;
use crate::net::TcpListener;
use readiness::Readiness;
use routes::Routes;

const HEAD_MAX_BYTES: usize = 16 * 1024;
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
// A scraper's connection is renewed now and then, so one that is stuck cannot keep its place for ever.
const CONNECTION_MAX: Duration = Duration::from_secs(300);
const LIMITS: Limits = Limits {
    total: 256,
    per_address: 64,
};

documented! {
    /// Where the admin port is.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct AdminConfig {
        /// The address of `/metrics`, `/healthz`, `/readyz` and `/streams`: keep it off the public network.
        pub listen: String,
    }
}

impl Default for AdminConfig {
    fn default() -> Self {
        AdminConfig {
            listen: "127.0.0.1:9190".to_owned(),
        }
    }
}

/// What the admin port shows; cheap to clone, and roles may add to it while it serves.
#[derive(Clone, Debug)]
pub struct Admin {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    metrics: Registry,
    drain: Drain,
    readiness: Readiness,
    routes: RwLock<Routes>,
}

impl Admin {
    /// An admin port that shows `metrics` and is ready as long as `drain` serves, without notice of its end, and every condition holds.
    pub fn new(metrics: Registry, drain: Drain) -> Self {
        Admin {
            inner: Arc::new(Inner {
                metrics,
                drain,
                readiness: Readiness::default(),
                routes: RwLock::default(),
            }),
        }
    }

    /// Something that must hold before `/readyz` answers 200; it starts as "starting".
    pub fn condition(&self, name: &'static str) -> Condition {
        self.inner.readiness.condition(name)
    }

    /// What keeps this process from being ready, as `name: reason`; empty if it is.
    pub fn unready(&self) -> Vec<String> {
        let mut reasons = self.inner.readiness.reasons();
        if self.inner.drain.phase() != Phase::Serving {
            reasons.insert(0, "process: draining".to_owned());
        }
        reasons
    }

    /// Adds the member `part` to the JSON object at `path`, made by `answer` for each request:
    /// the origin's streams are `origin` in `/streams`. A second answer of one part replaces the first.
    pub fn json<F, A>(&self, path: &'static str, part: &'static str, answer: F)
    where
        F: Fn() -> A + Send + Sync + 'static,
        A: Future<Output = serde_json::Value> + Send + 'static,
    {
        self.inner.routes.write().add(path, part, answer);
    }

    /// Answers on `listener` until the process ends: longer than it drains, so that the drain can be watched.
    pub async fn serve(self, listener: TcpListener, metrics: PortMetrics) {
        let drain = self.inner.drain.clone();
        let mut acceptor = Acceptor::new(listener, LIMITS, metrics, drain, Closes::WhenEnded);
        while let Some(accepted) = acceptor.next().await {
            tokio::spawn(self.clone().connection(accepted));
        }
    }

    async fn connection(self, accepted: Accepted) {
        let drain = self.inner.drain.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let admin = self.clone();
            async move { Ok::<_, Infallible>(admin.respond(&request).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(HEAD_MAX_BYTES)
            .serve_connection(TokioIo::new(accepted.stream), service);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(peer = %accepted.peer, %error, "admin connection");
                }
                return;
            }
            () = tokio::time::sleep(CONNECTION_MAX) => {}
            () = drain.ended() => {}
        }
        connection.as_mut().graceful_shutdown();
        // What is being sent may still be finished; a peer that does not read loses it.
        let _ = tokio::time::timeout(HEAD_TIMEOUT, connection).await;
    }

    async fn respond<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
            response
                .headers_mut()
                .insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match request.uri().path() {
            "/metrics" => typed(
                StatusCode::OK,
                "text/plain; version=0.0.4; charset=utf-8",
                self.inner.metrics.encode(),
            ),
            "/healthz" => text(StatusCode::OK, "alive\n"),
            "/readyz" => {
                let reasons = self.unready();
                if reasons.is_empty() {
                    text(StatusCode::OK, "ready\n")
                } else {
                    let reasons = reasons.join("\n") + "\n";
                    text(StatusCode::SERVICE_UNAVAILABLE, reasons)
                }
            }
            path => {
                let answer = self.inner.routes.read().answer(path);
                match answer {
                    Some(answer) => typed(
                        StatusCode::OK,
                        "application/json",
                        answer.await.to_string() + "\n",
                    ),
                    None => self.not_found(),
                }
            }
        }
    }

    fn not_found(&self) -> Response<Full<Bytes>> {
        let mut there = vec!["/metrics", "/healthz", "/readyz"];
        there.extend(self.inner.routes.read().paths());
        text(
            StatusCode::NOT_FOUND,
            format!("not here; there is:\n{}\n", there.join("\n")),
        )
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    typed(status, "text/plain; charset=utf-8", body)
}

fn typed(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests;
