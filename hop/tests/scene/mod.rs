//! What the tests of this room share: streams with tags in them, and an HTTP server that serves them.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "each test file uses a part, and fails by it"
)]

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headwater_hop::{
    Found, HopMetrics, PullRequest, ServeSettings, StartAt, refuse, serve_pull, tune,
};
use headwater_hub::{HubMetrics, Opening, RingLimits, Stream};
use headwater_media::{Dts, StreamKey, Tag, TagKind};
use headwater_process::net::{self, Line};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use prometheus::Registry;

pub(crate) fn key() -> StreamKey {
    "default/live/room".parse().unwrap()
}

pub(crate) fn stream_of(limits: RingLimits) -> Arc<Stream> {
    let metrics = Arc::new(HubMetrics::register(&Registry::new()).unwrap());
    Arc::new(Stream::new(key(), limits, metrics))
}

pub(crate) fn stream() -> Arc<Stream> {
    stream_of(RingLimits::default())
}

pub(crate) fn opening(epoch: u64) -> Opening {
    Opening {
        epoch,
        term: epoch,
        dts_offset: Dts(1000),
        first_sequence: 0,
    }
}

pub(crate) fn metrics() -> HopMetrics {
    HopMetrics::register(&Registry::new()).unwrap()
}

pub(crate) fn ask(start: StartAt) -> PullRequest {
    PullRequest {
        key: key(),
        start,
        hops: 1,
        known: None,
    }
}

/// AVC sequence header, AAC sequence header, then a keyframe every 10 tags with audio between: 10 ms a tag.
pub(crate) fn tag(sequence: u64) -> Tag {
    let dts = Dts(i64::try_from(sequence).unwrap() * 10);
    let (kind, payload) = match sequence {
        0 => (TagKind::Video, vec![0x17, 0, 0, 0, 0, 1, 2, 3]),
        1 => (TagKind::Audio, vec![0xAF, 0, 0x12, 0x10]),
        n if n % 10 == 2 => (TagKind::Video, body(0x17, n)),
        n if n % 2 == 0 => (TagKind::Video, body(0x27, n)),
        n => (TagKind::Audio, body(0xAF, n)),
    };
    Tag {
        kind,
        dts,
        payload: Bytes::from(payload),
    }
}

fn body(first: u8, n: u64) -> Vec<u8> {
    let mut body = vec![first, 1, 0, 0, 0];
    body.extend(n.to_be_bytes());
    body
}

pub(crate) fn push(stream: &Stream, sequences: std::ops::Range<u64>) {
    let epoch = stream.progress().epoch;
    for n in sequences {
        stream
            .push(epoch, n, tag(n), Duration::from_millis(n * 10))
            .unwrap();
    }
}

/// What `stream`'s ring holds: (epoch, sequence, tag).
pub(crate) fn held(stream: &Stream) -> Vec<(u64, u64, Tag)> {
    stream.with_ring(|ring| {
        ring.entries()
            .map(|e| (e.span().epoch, e.sequence, e.tag.clone()))
            .collect()
    })
}

/// Serves `stream` on a port of its own; gives the address. It ends with the runtime.
pub(crate) async fn serve(stream: &Arc<Stream>, settings: ServeSettings) -> String {
    let listener = net::listen("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let stream = Arc::clone(stream);
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let socket = Line::from(socket);
            tune(&socket).unwrap();
            let (stream, settings) = (Arc::clone(&stream), settings.clone());
            let service = service_fn(move |request: hyper::Request<Incoming>| {
                let (stream, settings) = (Arc::clone(&stream), settings.clone());
                async move {
                    Ok::<_, Infallible>(match PullRequest::from_http(&request) {
                        Ok(pull) => {
                            let words = request.into_body();
                            serve_pull(Found::Here(stream), &pull, words, &settings).await
                        }
                        Err(error) => refuse(&error.into(), &settings.metrics),
                    })
                }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), service));
        }
    });
    address
}
