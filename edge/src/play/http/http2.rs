//! One connection of HTTP/2: many streams beside one another, each in a pipe that its viewer's writer fills.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use headwater_delivery::{Format, Viewer};
use headwater_process::accept::Permit;
use headwater_process::net::{Line, PipeBroken, PipeOutlet, pipe};
use headwater_process::tls::Received;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use super::answer::Answer;
use super::cors::Cors;
use super::head::{Head, Method};
use super::route::{Caller, Outcome};
use super::seating::join;
use crate::play::House;
use crate::play::door::Ticket;

/// Streams at once on one connection: a wall of players.
const STREAMS_MAX: u32 = 128;
/// What waits for one stream's share of the connection, and what a viewer's writer may have written ahead of that.
const WAITING_MAX_BYTES: usize = 32 << 10;
/// Requests have no body.
const INBOUND_WINDOW_BYTES: u32 = 64 << 10;
/// A peer that does not answer a ping for so long is gone.
const PING: Duration = Duration::from_secs(10);
/// How long the last words of a connection may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// Serves a connection until it is over, or idle, or the process ends.
pub(super) async fn serve(house: Arc<House>, received: Received) {
    let Received { line, peer, permit } = received;
    house.tune(&line);
    let drain = house.drain.clone();
    let limits = house.config.limits.clone();
    let caller = Arc::new(Connection {
        caller: Caller {
            house,
            peer,
            secure: line.is_tls(),
            http2: true,
        },
        _permit: permit,
    });
    let service = {
        let caller = Arc::clone(&caller);
        service_fn(move |request: Request<Incoming>| {
            let caller = Arc::clone(&caller);
            async move { Ok::<_, Infallible>(answer(caller, &request).await) }
        })
    };
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(u32::try_from(limits.head_max_bytes).unwrap_or(u32::MAX))
        .max_send_buf_size(WAITING_MAX_BYTES)
        .initial_stream_window_size(INBOUND_WINDOW_BYTES)
        .initial_connection_window_size(INBOUND_WINDOW_BYTES)
        .keep_alive_interval(Some(PING))
        .keep_alive_timeout(PING)
        .serve_connection(TokioIo::new(line), service);
    let mut connection = std::pin::pin!(connection);
    let mut told = false;
    let ended = loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => break ended,
            // The players go on; their next requests go to another edge, on a connection of its own.
            _ = drain.draining(), if !told => {
                told = true;
                connection.as_mut().graceful_shutdown();
            }
            () = async { tokio::select! {
                biased;
                () = idle(&caller, limits.head_timeout) => {}
                () = drain.ended() => {}
            } } => {
                connection.as_mut().graceful_shutdown();
                break tokio::time::timeout(GOODBYE, connection).await.unwrap_or(Ok(()));
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "HTTP/2 connection ended");
    }
}

/// What the requests of a connection share; its place among the limits is free when the last viewer is gone, too.
struct Connection {
    caller: Caller,
    _permit: Permit,
}

/// Returns when no request has been under way for `time`.
async fn idle(connection: &Arc<Connection>, time: Duration) {
    let mut quiet = false;
    loop {
        tokio::time::sleep(time / 2).await;
        // This one, and the service's.
        let now = Arc::strong_count(connection) <= 2;
        if now && quiet {
            return;
        }
        quiet = now;
    }
}

async fn answer(connection: Arc<Connection>, request: &Request<Incoming>) -> Response<StreamBody> {
    let head = head_of(request);
    // A request that is taken back is dropped with this future.
    let outcome = connection
        .caller
        .outcome(&head, std::future::pending())
        .await;
    let cors = &connection.caller.house.cors;
    match outcome {
        Outcome::Answer(answer) => text(&answer, &head, cors),
        Outcome::Exists | Outcome::Gone => stream(&head, cors, StreamBody::Text(None)),
        Outcome::Play(ticket) => {
            let body = seat(Arc::clone(&connection), ticket).await;
            stream(&head, cors, body)
        }
    }
}

fn head_of(request: &Request<Incoming>) -> Head {
    let (uri, fields) = (request.uri(), request.headers());
    let field = |name: HeaderName| fields.get(name).and_then(|value| value.to_str().ok());
    let host = uri
        .authority()
        .map(http::uri::Authority::as_str)
        .or_else(|| field(header::HOST));
    Head {
        method: match *request.method() {
            http::Method::GET => Method::Get,
            http::Method::HEAD => Method::Head,
            http::Method::OPTIONS => Method::Options,
            _ => Method::Other,
        },
        path: uri.path().to_owned(),
        query: uri.query().unwrap_or_default().to_owned(),
        host: host.unwrap_or_default().to_owned(),
        one_one: true,
        keep_alive: true,
        has_body: !request.body().is_end_stream(),
        origin: field(header::ORIGIN).map(str::to_owned),
        agent: field(header::USER_AGENT).map(super::head::agent),
        websocket: None,
    }
}

/// Hands the stream to its fan-out, which writes into a pipe.
async fn seat(connection: Arc<Connection>, ticket: Ticket) -> StreamBody {
    let (end, outlet) = pipe(WAITING_MAX_BYTES);
    let fanout = ticket.fanout();
    let viewer = Viewer {
        socket: Line::Pipe(end),
        mode: ticket.mode,
        format: Format::FlvPlain,
        head: Bytes::new(),
        tail: Bytes::new(),
        release: Bytes::new(),
        inbound: None,
        on_end: ticket.on_end(connection),
    };
    join(&fanout, viewer).await;
    StreamBody::Stream(outlet)
}

fn stream(head: &Head, cors: &Cors, body: StreamBody) -> Response<StreamBody> {
    let mut response = Response::new(body);
    let fields = response.headers_mut();
    fields.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("video/x-flv"),
    );
    shared_fields(head, cors, fields);
    response
}

fn text(answer: &Answer, head: &Head, cors: &Cors) -> Response<StreamBody> {
    let body = (answer.status != 204 && head.method != Method::Head)
        .then(|| Bytes::from(format!("{}\n", answer.text)));
    let mut response = Response::new(StreamBody::Text(body));
    *response.status_mut() =
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let fields = response.headers_mut();
    shared_fields(head, cors, fields);
    for (name, value) in answer.fields() {
        put(fields, name, &value);
    }
    response
}

fn shared_fields(head: &Head, cors: &Cors, fields: &mut HeaderMap) {
    for (name, value) in [("server", "headwater"), ("cache-control", "no-store")] {
        put(fields, name, value);
    }
    for (name, value) in cors.fields(head.origin.as_deref()) {
        put(fields, name, value);
    }
}

fn put(fields: &mut HeaderMap, name: &'static str, value: &str) {
    // Names are written in small letters here (RFC 9113, 8.2.1).
    if let (Ok(name), Ok(value)) = (
        HeaderName::from_bytes(name.as_bytes()),
        HeaderValue::from_str(value),
    ) {
        fields.insert(name, value);
    }
}

/// The body of an answer.
enum StreamBody {
    Text(Option<Bytes>),
    Stream(PipeOutlet),
}

impl Body for StreamBody {
    type Data = Bytes;
    type Error = PipeBroken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, PipeBroken>>> {
        match self.get_mut() {
            StreamBody::Text(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            StreamBody::Stream(outlet) => outlet
                .poll_take(cx)
                .map(|taken| taken.map(|taken| taken.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, StreamBody::Text(None))
    }
}
