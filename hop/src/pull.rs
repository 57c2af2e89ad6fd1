//! The receiving end's shell: one pull over an HTTP/1.1 connection of its own.

mod error;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use headwater_media::flv::TAG_PAYLOAD_MAX_BYTES;
use headwater_process::clock;
use headwater_process::net::{Looks, Pace};
use headwater_process::tls::{self, Dialer};
use http::{Response, StatusCode};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, Sleep};

pub use self::error::PullError;
use crate::head::PullHead;
use crate::metrics::{HopMetrics, Side};
use crate::patience::Patience;
use crate::receiver::{Event, Receiver};
use crate::refusal::Refusal;
use crate::request::PullRequest;
use crate::words::{Say, Saying, words};

/// The bounds of a pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PullLimits {
    /// How long connecting may take, name lookup included.
    pub connect: Duration,
    /// How long the head of the answer may take. A sender may wait 2 s for a tag that has not come.
    pub head: Duration,
    /// After this time without a byte the sender is suspect; it sends something every 100 ms. On a line that loses packets
    /// it has 300 ms more.
    pub silence: Duration,
    /// Payload bytes of a tag, at most.
    pub tag_max_bytes: usize,
}

impl Default for PullLimits {
    fn default() -> PullLimits {
        PullLimits {
            connect: Duration::from_secs(1),
            head: Duration::from_secs(3),
            silence: Duration::from_millis(400),
            tag_max_bytes: TAG_PAYLOAD_MAX_BYTES,
        }
    }
}

/// What [`Pull::next`] has heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// An event.
    Event(Event),
    /// Nothing for this long: the sender is suspect. Said once a silence.
    Suspect(Duration),
    /// Bytes came again after a silence.
    Alive,
}

/// What a connection reads at once. The first burst would let a buffer grow to ten times this, which is then kept.
const READ_BYTES: usize = 8 << 10;

type Connection = http1::Connection<TokioIo<tls::Wire>, Saying>;

/// An answered pull. Dropping it closes the connection.
#[derive(Debug)]
pub struct Pull {
    head: PullHead,
    receiver: Receiver,
    wire: Wire,
    patience: Patience,
    /// Moved on only when it rings: bytes come far more often than silence does.
    alarm: Pin<Box<Sleep>>,
    heard: Instant,
    suspect: bool,
    looks: Looks,
    say: Say,
    /// Why it has ended.
    end: Option<&'static str>,
    metrics: HopMetrics,
}

/// The connection and the body it carries, driven together: no task between the socket and the receiver.
#[derive(Debug)]
struct Wire {
    body: Incoming,
    connection: Option<Pin<Box<Connection>>>,
}

/// Asks `address` (`host:port` of an internal port) for a pull.
///
/// # Errors
/// If there is no connection, no answer in time, a refusal, or a head that does not answer the request.
pub async fn connect(
    address: &str,
    request: &PullRequest,
    limits: &PullLimits,
    metrics: &HopMetrics,
) -> Result<Pull, PullError> {
    connect_by(&Dialer::default(), address, request, limits, metrics).await
}

/// As [`connect`], over a connection that `dialer` opens.
///
/// # Errors
/// As [`connect`].
pub async fn connect_by(
    dialer: &Dialer,
    address: &str,
    request: &PullRequest,
    limits: &PullLimits,
    metrics: &HopMetrics,
) -> Result<Pull, PullError> {
    let answered = ask(dialer, address, request, limits).await;
    if let Err(error) = &answered {
        metrics.refused(Side::Pulling, error.reason());
    }
    let (head, wire, pace, say) = answered?;
    let now = Instant::now();
    metrics.pulling.inc();
    metrics.gap(Side::Pulling, head.gap);
    Ok(Pull {
        receiver: Receiver::new(&head, limits.tag_max_bytes),
        head,
        wire,
        patience: Patience::new(limits.silence),
        alarm: Box::pin(tokio::time::sleep_until(now + limits.silence)),
        heard: now,
        suspect: false,
        looks: Looks::new(pace, clock::at(now)),
        say,
        end: None,
        metrics: metrics.clone(),
    })
}

async fn ask(
    dialer: &Dialer,
    address: &str,
    request: &PullRequest,
    limits: &PullLimits,
) -> Result<(PullHead, Wire, Pace, Say), PullError> {
    let socket = dialer.connect(address, limits.connect).await?;
    // A connection that refuses the option still carries the pull, later.
    drop(socket.set_nodelay(true));
    let (say, saying) = words();
    let asked = request.to_http(address, saying)?;
    let pace = socket.pace();
    let (mut send, connection) = http1::Builder::new()
        .read_buf_exact_size(Some(READ_BYTES))
        .handshake(TokioIo::new(socket))
        .await
        .map_err(PullError::of_connection)?;
    let mut connection = Some(Box::pin(connection));
    let answer = async {
        let mut answer = std::pin::pin!(send.send_request(asked));
        poll_fn(|cx| {
            // The connection first: it is what makes the answer.
            let broken = drive(&mut connection, cx);
            match (answer.as_mut().poll(cx), broken) {
                (Poll::Ready(answered), _) => Poll::Ready(answered),
                (Poll::Pending, Some(error)) => Poll::Ready(Err(error)),
                (Poll::Pending, None) => Poll::Pending,
            }
        })
        .await
    };
    let answer: Response<Incoming> = tokio::time::timeout(limits.head, answer)
        .await
        .map_err(|_| PullError::NoAnswer(limits.head))?
        .map_err(PullError::of_connection)?;
    if answer.status() != StatusCode::OK {
        let refusal = Refusal::read(answer.status(), answer.headers());
        return Err(refusal.map_or(PullError::Status(answer.status()), PullError::Refused));
    }
    let head = PullHead::read(answer.headers())?;
    head.check(request.start)?;
    Ok((
        head,
        Wire {
            body: answer.into_body(),
            connection,
        },
        pace,
        say,
    ))
}

/// Lets the connection work; gives its error when it has ended with one.
fn drive(
    connection: &mut Option<Pin<Box<Connection>>>,
    cx: &mut Context<'_>,
) -> Option<hyper::Error> {
    let Poll::Ready(ended) = connection.as_mut()?.as_mut().poll(cx) else {
        return None;
    };
    *connection = None;
    ended.err()
}

impl Wire {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if frame.is_ready() || self.connection.is_none() {
            return frame;
        }
        let broken = drive(&mut self.connection, cx);
        match (Pin::new(&mut self.body).poll_frame(cx), broken) {
            (Poll::Pending, Some(error)) => Poll::Ready(Some(Err(error))),
            (frame, _) => frame,
        }
    }
}

impl Pull {
    /// What the sender has answered.
    pub fn head(&self) -> &PullHead {
        &self.head
    }

    /// The number of the tag that is next.
    pub fn next_sequence(&self) -> u64 {
        self.receiver.next_sequence()
    }

    /// Reads from here on only at multiples of `every` on the process's clock, or again as soon as bytes come (`None`).
    ///
    /// What comes at a high rate, or right after the pull has begun, is read at once all the same.
    pub fn read_every(&mut self, every: Option<Duration>) {
        self.looks.every(every);
    }

    /// Tells the sender whether somebody here passes each tag on at once; at first it takes it so. It need not hurry
    /// otherwise.
    pub fn want_at_once(&mut self, at_once: bool) {
        self.say.at_once(at_once);
    }

    /// Whether what [`next`](Self::next) gave last was read at a multiple of what [`read_every`](Self::read_every) said.
    pub fn is_paced(&self) -> bool {
        self.looks.paced()
    }

    /// Waits for what comes next. It may be dropped and called again: nothing is lost.
    ///
    /// # Errors
    /// If the connection is dead or brings what is wrong. Do not call it again then, nor after [`Event::Ended`].
    pub async fn next(&mut self) -> Result<Heard, PullError> {
        let heard = self.listen().await;
        self.count(&heard);
        heard
    }

    /// What has come with what [`next`](Self::next) gave last.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub fn ready(&mut self) -> Result<Option<Heard>, PullError> {
        let event = self.receiver.next_event().map_err(PullError::from);
        let heard = event.map(|event| event.map(Heard::Event)).transpose();
        if let Some(heard) = &heard {
            self.count(heard);
        }
        heard.transpose()
    }

    /// When something was heard last, on the process's clock: what [`next`](Self::next) and [`ready`](Self::ready) give came
    /// then.
    pub fn heard_at(&self) -> Duration {
        clock::at(self.heard)
    }

    fn count(&mut self, heard: &Result<Heard, PullError>) {
        match heard {
            Ok(Heard::Event(Event::Tag { .. })) => self.metrics.received_tags.inc(),
            Ok(Heard::Event(Event::Gap { tags, .. })) => self.metrics.gap(Side::Pulling, *tags),
            Ok(Heard::Event(Event::Ended(reason))) => self.end = Some(reason.as_str()),
            Ok(_) => {}
            Err(error) => self.end = Some(error.reason()),
        }
    }

    async fn listen(&mut self) -> Result<Heard, PullError> {
        loop {
            if let Some(event) = self.receiver.next_event()? {
                return Ok(Heard::Event(event));
            }
            match self.wait().await {
                None => return Ok(Heard::Suspect(self.heard.elapsed())),
                Some(Some(frame)) => {
                    let frame = frame.map_err(PullError::of_connection)?;
                    // Trailers say nothing here.
                    let bytes = frame.into_data().unwrap_or_default();
                    self.metrics.received_bytes.inc_by(bytes.len() as u64);
                    let bytes_taken = bytes.len();
                    self.receiver.feed(bytes);
                    let (before, now) = (self.heard, Instant::now());
                    self.heard = now;
                    self.looks.took(bytes_taken, clock::at(now));
                    let silent = now.saturating_duration_since(before);
                    self.patience.heard(silent, clock::at(now));
                    if std::mem::take(&mut self.suspect) {
                        let silence = self.patience.silence(clock::at(now));
                        self.alarm.as_mut().reset(now + silence);
                        return Ok(Heard::Alive);
                    }
                }
                Some(None) => {
                    self.receiver.finish()?;
                    // Behind the end; only a caller who goes on after it gets here.
                    return std::future::pending().await;
                }
            }
        }
    }

    /// The next frame (`Some(None)`: the body has ended), or `None` at the end of a silence.
    async fn wait(&mut self) -> Option<Option<Result<Frame<Bytes>, hyper::Error>>> {
        loop {
            self.looks.arrange();
            let (wire, looks) = (&mut self.wire, &mut self.looks);
            tokio::select! {
                biased;
                frame = poll_fn(|cx| wire.poll_frame(cx)) => return Some(frame),
                // Polled again, it reads what is there.
                () = looks.due() => {}
                () = self.alarm.as_mut(), if !self.suspect => {
                    let now = Instant::now();
                    let due = self.heard + self.patience.silence(clock::at(now));
                    if now >= due {
                        self.suspect = true;
                        return None;
                    }
                    self.alarm.as_mut().reset(due);
                }
            }
        }
    }
}

impl Drop for Pull {
    fn drop(&mut self) {
        self.metrics.pulling.dec();
        self.metrics
            .ended(Side::Pulling, self.end.unwrap_or("dropped"));
    }
}
