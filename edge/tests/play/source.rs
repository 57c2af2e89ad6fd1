//! An origin as far as edges see it: the internal pull over a hub's streams.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use headwater_hop::{
    Elsewhere, Found, HopMetrics, PullRequest, Refusal, ServeSettings, refuse, serve_pull,
};
use headwater_hub::Stream;
use headwater_media::StreamKey;
use headwater_process::net::listen;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::task::{AbortHandle, JoinSet};

/// A source on a port of its own.
pub(crate) struct Source {
    pub(crate) address: String,
    /// Pulls that were asked of it.
    pub(crate) asked: Arc<AtomicUsize>,
    streams: Arc<Mutex<HashMap<StreamKey, Arc<Stream>>>>,
    task: AbortHandle,
}

impl Source {
    pub(crate) async fn start() -> Source {
        let listener = listen("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let streams: Arc<Mutex<HashMap<StreamKey, Arc<Stream>>>> = Arc::default();
        let asked = Arc::new(AtomicUsize::new(0));
        let settings =
            ServeSettings::new(HopMetrics::register(&prometheus::Registry::new()).unwrap());
        let (held, count) = (Arc::clone(&streams), Arc::clone(&asked));
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let (held, count, settings) =
                    (Arc::clone(&held), Arc::clone(&count), settings.clone());
                let service = service_fn(move |request| {
                    let (held, count, settings) =
                        (Arc::clone(&held), Arc::clone(&count), settings.clone());
                    async move {
                        count.fetch_add(1, Ordering::Relaxed);
                        let answer = match PullRequest::from_http(&request) {
                            Ok(asked) => {
                                let stream = held.lock().get(&asked.key).cloned();
                                let found = stream
                                    .map_or(Found::Elsewhere(Elsewhere::default()), Found::Here);
                                serve_pull(found, &asked, request.into_body(), &settings).await
                            }
                            Err(error) => refuse(&Refusal::Request(error), &settings.metrics),
                        };
                        Ok::<_, Infallible>(answer)
                    }
                });
                connections.spawn(async move {
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(socket), service)
                        .await;
                });
            }
        });
        Source {
            address,
            asked,
            streams,
            task: task.abort_handle(),
        }
    }

    /// A source that has `stream`.
    pub(crate) async fn of(stream: &Arc<Stream>) -> Source {
        let source = Source::start().await;
        source.hold(stream);
        source
    }

    pub(crate) fn hold(&self, stream: &Arc<Stream>) {
        self.streams
            .lock()
            .insert(stream.key().clone(), Arc::clone(stream));
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// Dies: the port and all connections are gone.
    pub(crate) fn kill(&self) {
        self.task.abort();
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.kill();
    }
}
