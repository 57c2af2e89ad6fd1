//! A callback's server on loopback, for tests.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use headwater_process::net;
use http::{HeaderMap, Response};
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::sync::mpsc;

/// What the server does with one request.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Answers with this status and body.
    Answer(u16, Vec<u8>),
    /// Answers, and closes the connection without saying so before.
    AnswerAndClose(u16),
    /// Never answers.
    Hang,
}

pub(crate) fn answer(status: u16, body: &str) -> Act {
    Act::Answer(status, body.as_bytes().to_vec())
}

pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) connections: Arc<AtomicUsize>,
    pub(crate) asked: mpsc::Receiver<(HeaderMap, Value)>,
}

/// Serves `acts` one request each, the last one for ever.
pub(crate) async fn serve(acts: Vec<Act>) -> Server {
    let listener = net::listen("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/may?hook=1", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let (saw, asked) = mpsc::channel(1024);
    let acts = Arc::new(Mutex::new(VecDeque::from(acts)));
    let count = connections.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            let (acts, saw) = (acts.clone(), saw.clone());
            let (close, mut closed) = mpsc::channel::<()>(1);
            let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let (acts, saw, close) = (acts.clone(), saw.clone(), close.clone());
                async move {
                    assert_eq!(request.method(), "POST");
                    assert_eq!(request.uri(), "/may?hook=1");
                    let head = request.headers().clone();
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    saw.send((head, serde_json::from_slice(&body).unwrap()))
                        .await
                        .unwrap();
                    let act = {
                        let mut acts = acts.lock().unwrap();
                        if acts.len() > 1 {
                            acts.pop_front()
                        } else {
                            acts.front().cloned()
                        }
                    };
                    let (status, body) = match act.unwrap() {
                        Act::Answer(status, body) => (status, body),
                        Act::AnswerAndClose(status) => {
                            close.send(()).await.unwrap();
                            (status, Vec::new())
                        }
                        Act::Hang => std::future::pending().await,
                    };
                    let response = Response::builder().status(status);
                    Ok::<_, Infallible>(response.body(Full::new(Bytes::from(body))).unwrap())
                }
            });
            tokio::spawn(async move {
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                let mut connection = std::pin::pin!(connection);
                tokio::select! {
                    _ = connection.as_mut() => {}
                    Some(()) = closed.recv() => {
                        connection.as_mut().graceful_shutdown();
                        connection.await.ok();
                    }
                }
            });
        }
    });
    Server {
        url,
        connections,
        asked,
    }
}
