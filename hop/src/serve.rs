//! The sending end's shell: from a request for a stream to the answer of an HTTP/1.1 server.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headwater_hub::{AtOnce, Progress, Stream};
use headwater_process::clock;
use headwater_process::net::{Line, SocketOptions};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};

use crate::body::Pieces;
use crate::metrics::{HopMetrics, Side};
use crate::refusal::{Elsewhere, Refusal};
use crate::request::PullRequest;
use crate::sender::{Sender, TooSlow};
use crate::start::{Begin, Start, decide};
use crate::words::Hear;

/// Pulls that have passed more roles than this go in a circle.
const HOPS_MAX: u32 = 3;
/// How long sent bytes may stay unread by the receiver's kernel: the longest time that a ring holds.
const UNREAD_MAX: Duration = Duration::from_secs(10);

/// The body of an answer: FLV, or a refusal's sentence.
pub type PullBody = UnsyncBoxBody<Bytes, TooSlow>;

/// What the server knows of the stream that is asked for.
#[derive(Clone, Debug)]
pub enum Found {
    /// It is here.
    Here(Arc<Stream>),
    /// It is not, but it may be there.
    Elsewhere(Elsewhere),
}

/// How pulls are served.
#[derive(Clone, Debug)]
pub struct ServeSettings {
    /// Where they are counted.
    pub metrics: HopMetrics,
    /// How long a request for what has not come yet waits, at most.
    pub wait: Duration,
    /// After this time without a tag a heartbeat is sent.
    pub heartbeat: Duration,
    /// Where receivers are to go on, once that is set (`host:port` of the internal port there); they are told, and served
    /// until they leave.
    pub moved: Option<watch::Receiver<Option<String>>>,
}

impl ServeSettings {
    /// The times of the contract, and nothing that moves.
    pub fn new(metrics: HopMetrics) -> ServeSettings {
        ServeSettings {
            metrics,
            wait: Duration::from_secs(2),
            heartbeat: Duration::from_millis(100),
            moved: None,
        }
    }
}

/// Prepares an accepted connection for pulls: small writes go at once, and a receiver that has stopped reading is dropped.
///
/// # Errors
/// What the socket reports.
pub fn tune(connection: &Line) -> io::Result<()> {
    connection.tune(&SocketOptions {
        user_timeout: Some(UNREAD_MAX),
        ..SocketOptions::default()
    })
}

/// Answers `request` for what was `found` under its key; `words` is the request's body.
///
/// The body ends with the stream, when the receiver leaves (it is dropped then; no task is left), or with an error, which
/// makes the server break the connection off, if the receiver reads nothing for too long.
pub async fn serve_pull(
    found: Found,
    request: &PullRequest,
    words: Incoming,
    settings: &ServeSettings,
) -> Response<PullBody> {
    match begin(found, request, settings).await {
        Ok((stream, progress, begin)) => stream_answer(stream, progress, &begin, words, settings),
        Err(refusal) => refuse(&refusal, &settings.metrics),
    }
}

/// The answer that says `refusal`.
pub fn refuse(refusal: &Refusal, metrics: &HopMetrics) -> Response<PullBody> {
    metrics.refused(Side::Serving, refusal.reason());
    let text = Full::from(format!("{refusal}\n"))
        .map_err(|never| match never {})
        .boxed_unsync();
    let mut answer = Response::new(text);
    *answer.status_mut() = refusal.status();
    answer.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    refusal.write(answer.headers_mut());
    answer
}

async fn begin(
    found: Found,
    request: &PullRequest,
    settings: &ServeSettings,
) -> Result<(Arc<Stream>, watch::Receiver<Progress>, Begin), Refusal> {
    if request.hops > HOPS_MAX {
        return Err(Refusal::Loop);
    }
    let stream = match found {
        Found::Here(stream) => stream,
        Found::Elsewhere(elsewhere) => return Err(Refusal::NotHere(elsewhere)),
    };
    let mut progress = stream.subscribe();
    let deadline = Instant::now() + settings.wait;
    loop {
        let seen = *progress.borrow_and_update();
        let next_sequence = stream.next_sequence();
        match stream.with_ring(|ring| decide(ring, seen, next_sequence, request.start)) {
            Start::At(begin) => return Ok((stream, progress, begin)),
            Start::Refused(refusal) => return Err(refusal),
            Start::Wait => {}
        }
        match tokio::time::timeout_at(deadline, progress.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return Err(Refusal::NotYet),
        }
    }
}

fn stream_answer(
    stream: Arc<Stream>,
    progress: watch::Receiver<Progress>,
    begin: &Begin,
    words: Incoming,
    settings: &ServeSettings,
) -> Response<PullBody> {
    let now = Instant::now();
    let (sender, first) = Sender::begin(begin, clock::at(now));
    settings.metrics.serving.inc();
    settings.metrics.gap(Side::Serving, begin.head.gap);
    let serving = Serving {
        at_once: Some(stream.pacing().at_once()),
        words: Hear::new(words),
        stream,
        progress,
        sender,
        first: Some(first),
        moved: settings.moved.clone(),
        moved_seen: false,
        heartbeat: settings.heartbeat,
        alarm: Box::pin(tokio::time::sleep_until(now + settings.heartbeat)),
        sent: now,
        end: None,
        metrics: settings.metrics.clone(),
    };
    let pieces = Pieces::new(serving, |mut serving: Serving| async move {
        let piece = serving.next().await;
        (piece, serving)
    });
    let mut answer = Response::new(pieces.boxed_unsync());
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("video/x-flv"));
    answer
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    begin.head.write(answer.headers_mut());
    answer
}

/// One pull that is served.
#[derive(Debug)]
struct Serving {
    stream: Arc<Stream>,
    progress: watch::Receiver<Progress>,
    sender: Sender,
    first: Option<Bytes>,
    moved: Option<watch::Receiver<Option<String>>>,
    moved_seen: bool,
    heartbeat: Duration,
    /// Moved on only when it rings: tags come far more often than silence does.
    alarm: Pin<Box<Sleep>>,
    sent: Instant,
    /// Why it has ended.
    end: Option<&'static str>,
    metrics: HopMetrics,
    /// What the receiver says of it.
    words: Hear,
    at_once: Option<AtOnce>,
}

enum Woken {
    Progress,
    Gone,
    Alarm,
}

impl Serving {
    async fn next(&mut self) -> Option<Result<Bytes, TooSlow>> {
        if let Some(first) = self.first.take() {
            return Some(Ok(self.sending(first)));
        }
        while self.end.is_none() {
            self.look_for_move();
            let seen = *self.progress.borrow_and_update();
            let now = clock::now();
            let (stream, sender) = (&self.stream, &mut self.sender);
            let batch = match stream.with_ring(|ring| sender.collect(ring, seen, now)) {
                Ok(batch) => batch,
                Err(slow) => {
                    self.end = Some("too_slow");
                    return Some(Err(slow));
                }
            };
            self.end = batch.end.map(|reason| reason.as_str());
            if !batch.is_empty() {
                self.metrics.sent_tags.inc_by(batch.tags);
                self.metrics.gap(Side::Serving, batch.gap_tags);
                return Some(Ok(self.sending(batch.encode())));
            }
            match self.wait().await {
                Woken::Progress => {}
                Woken::Gone => self.end = Some("closed"),
                // It would say that tags come from here as soon as there are any.
                Woken::Alarm if self.stream.source_silent() => {}
                Woken::Alarm => {
                    let heartbeat = self.sender.heartbeat(clock::now());
                    return Some(Ok(self.sending(heartbeat)));
                }
            }
        }
        None
    }

    fn sending(&mut self, bytes: Bytes) -> Bytes {
        self.sent = Instant::now();
        self.metrics.sent_bytes.inc_by(bytes.len() as u64);
        bytes
    }

    async fn wait(&mut self) -> Woken {
        loop {
            let moved = self.moved.as_mut().filter(|_| !self.moved_seen);
            tokio::select! {
                biased;
                changed = self.progress.changed() => {
                    return if changed.is_ok() { Woken::Progress } else { Woken::Gone };
                }
                () = changed(moved) => return Woken::Progress,
                at_once = self.words.at_once() => {
                    self.at_once = at_once.then(|| self.stream.pacing().at_once());
                }
                () = self.alarm.as_mut() => {
                    let due = self.sent + self.heartbeat;
                    let rung = Instant::now() >= due;
                    self.alarm.as_mut().reset(if rung { Instant::now() + self.heartbeat } else { due });
                    if rung {
                        return Woken::Alarm;
                    }
                }
            }
        }
    }

    fn look_for_move(&mut self) {
        let Some(moved) = self.moved.as_mut().filter(|_| !self.moved_seen) else {
            return;
        };
        if let Some(to) = moved.borrow_and_update().clone() {
            self.moved_seen = true;
            self.sender.moved(to);
        }
    }
}

/// Waits for a change; for ever where none can come.
async fn changed(moved: Option<&mut watch::Receiver<Option<String>>>) {
    let known = match moved {
        Some(moved) => moved.changed().await.is_ok(),
        None => false,
    };
    if !known {
        std::future::pending::<()>().await;
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.metrics.serving.dec();
        self.metrics
            .ended(Side::Serving, self.end.unwrap_or("receiver_left"));
    }
}
