//! What a receiver asks for: a stream, from where on, and over how many hops.

use headwater_media::{NameError, Query, QueryError, StreamKey};
use http::header::{HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Request, Uri};

/// What the paths of internal pulls begin with.
pub const INTERNAL_PATH: &str = "/internal/v1/";

/// The request header that counts the roles which a pull passes.
const HOPS: &str = "headwater-hops";

/// The request header with the highest term that a receiver has heard of: `EPOCH.TERM`.
const KNOWN: &str = "headwater-known";

/// A term, and the session whose home has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The session.
    pub epoch: u64,
    /// Its home's term.
    pub term: u64,
}

/// From which tag on a receiver wants a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// The one behind tag number `sequence` of session `epoch`, the last one that the receiver has.
    After {
        /// The session that it follows.
        epoch: u64,
        /// The last tag that it has.
        sequence: u64,
    },
    /// The oldest tag of the current session: what a home asks of the ingress.
    Oldest,
    /// The newest GOP: what an edge asks for its first viewer.
    Live,
}

/// `GET /internal/v1/{key}?epoch=E&after=S`, or `?from=oldest|live` without a tag to go on from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRequest {
    /// The stream.
    pub key: StreamKey,
    /// From where on.
    pub start: StartAt,
    /// The number of this hop: 1 for a pull for one's own viewers, one more than the highest asked by others.
    pub hops: u32,
    /// The highest term that the receiver has heard of: it takes nothing of a lower one. A newer session that does not
    /// know of it raises its own.
    pub known: Option<Known>,
}

/// Why a request is not a pull; it is answered with 400, 404 or 405.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Not GET.
    #[error("an internal pull is a GET")]
    Method,
    /// Another path.
    #[error("the path of an internal pull is {INTERNAL_PATH}vhost/app[/instance]/stream")]
    Path,
    /// The path names no stream.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The query cannot be read.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// A number is none, or does not fit.
    #[error("`{parameter}` is not a number of 64 bits")]
    Number {
        /// The parameter or header.
        parameter: &'static str,
    },
    /// `epoch` without `after`, or the other way round.
    #[error("`epoch` and `after` go together")]
    Half,
    /// `from` says something else.
    #[error("`from` is `oldest` or `live`")]
    From,
}

impl RequestError {
    /// The label for logs and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            RequestError::Method => "method",
            RequestError::Path => "path",
            RequestError::Name(_) => "name",
            RequestError::Query(_) => "query",
            RequestError::Number { .. } => "number",
            RequestError::Half => "half",
            RequestError::From => "from",
        }
    }
}

impl PullRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// What makes it no pull; see [`RequestError`].
    pub fn from_http<B>(request: &Request<B>) -> Result<PullRequest, RequestError> {
        if request.method() != Method::GET {
            return Err(RequestError::Method);
        }
        PullRequest::from_parts(request.uri(), request.headers())
    }

    fn from_parts(uri: &Uri, headers: &HeaderMap) -> Result<PullRequest, RequestError> {
        let path = uri
            .path()
            .strip_prefix(INTERNAL_PATH)
            .ok_or(RequestError::Path)?;
        let key = StreamKey::from_internal_path(path)?;
        let query = Query::parse(uri.query().unwrap_or(""))?;
        let epoch = number("epoch", query.get("epoch"))?;
        let after = number("after", query.get("after"))?;
        let start = match (epoch, after, query.get("from")) {
            (Some(epoch), Some(sequence), _) => StartAt::After { epoch, sequence },
            (None, None, None | Some("live")) => StartAt::Live,
            (None, None, Some("oldest")) => StartAt::Oldest,
            (None, None, Some(_)) => return Err(RequestError::From),
            (Some(_), None, _) | (None, Some(_), _) => return Err(RequestError::Half),
        };
        let hops = match headers.get(HOPS) {
            None => 1,
            Some(value) => value
                .to_str()
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or(RequestError::Number { parameter: HOPS })?,
        };
        let known = headers.get(KNOWN).map(|value| {
            value
                .to_str()
                .ok()
                .and_then(|text| text.split_once('.'))
                .and_then(|(epoch, term)| Some((epoch.parse().ok()?, term.parse().ok()?)))
                .map(|(epoch, term)| Known { epoch, term })
                .ok_or(RequestError::Number { parameter: KNOWN })
        });
        Ok(PullRequest {
            key,
            start,
            hops,
            known: known.transpose()?,
        })
    }

    /// The request's target: path and query.
    pub fn target(&self) -> String {
        let path = self.key.path();
        match self.start {
            StartAt::After { epoch, sequence } => {
                format!("{INTERNAL_PATH}{path}?epoch={epoch}&after={sequence}")
            }
            StartAt::Oldest => format!("{INTERNAL_PATH}{path}?from=oldest"),
            StartAt::Live => format!("{INTERNAL_PATH}{path}?from=live"),
        }
    }

    /// The request for `host` (the `host:port` that is connected to), with `body`.
    ///
    /// # Errors
    /// If `host` cannot stand in a header.
    pub fn to_http<B>(&self, host: &str, body: B) -> Result<Request<B>, http::Error> {
        let mut request = Request::builder()
            .method(Method::GET)
            .uri(self.target())
            .header(http::header::HOST, host)
            .header(HOPS, HeaderValue::from(self.hops));
        if let Some(Known { epoch, term }) = self.known {
            request = request.header(KNOWN, format!("{epoch}.{term}"));
        }
        request
            // The body goes on as long as the answer.
            .header(TRANSFER_ENCODING, HeaderValue::from_static("chunked"))
            .body(body)
    }
}

fn number(parameter: &'static str, value: Option<&str>) -> Result<Option<u64>, RequestError> {
    value
        .map(|text| text.parse().map_err(|_| RequestError::Number { parameter }))
        .transpose()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(target: &str, hops: Option<&str>) -> Result<PullRequest, RequestError> {
        let mut request = Request::get(target);
        if let Some(hops) = hops {
            request = request.header(HOPS, hops);
        }
        PullRequest::from_http(&request.body(()).unwrap())
    }

    #[test]
    fn a_request_says_where_to_start() {
        let key: StreamKey = "default/live/room".parse().unwrap();
        for (target, hops, start, count) in [
            ("/internal/v1/default/live/room", None, StartAt::Live, 1),
            (
                "/internal/v1/default/live/room?from=live",
                Some("2"),
                StartAt::Live,
                2,
            ),
            (
                "/internal/v1/default/live/room?from=oldest",
                Some("1"),
                StartAt::Oldest,
                1,
            ),
            (
                "/internal/v1/default/live/room?epoch=18446744073709551615&after=0",
                Some("3"),
                StartAt::After {
                    epoch: u64::MAX,
                    sequence: 0,
                },
                3,
            ),
        ] {
            let expected = PullRequest {
                key: key.clone(),
                start,
                hops: count,
                known: None,
            };
            assert_eq!(read(target, hops), Ok(expected), "{target}");
        }
    }

    #[test]
    fn what_is_no_pull_is_refused_with_a_reason() {
        for (target, hops, reason) in [
            ("/live/room.flv", None, "path"),
            ("/internal/v2/default/live/room", None, "path"),
            ("/internal/v1/", None, "name"),
            ("/internal/v1/default/live", None, "name"),
            ("/internal/v1/default/live/..", None, "name"),
            ("/internal/v1/default/live/%zz", None, "name"),
            ("/internal/v1/default/live/room?epoch=%zz", None, "query"),
            ("/internal/v1/default/live/room?epoch=1", None, "half"),
            ("/internal/v1/default/live/room?after=1", None, "half"),
            (
                "/internal/v1/default/live/room?epoch=1&after=-1",
                None,
                "number",
            ),
            (
                "/internal/v1/default/live/room?epoch=18446744073709551616&after=1",
                None,
                "number",
            ),
            (
                "/internal/v1/default/live/room?from=yesterday",
                None,
                "from",
            ),
            ("/internal/v1/default/live/room", Some("many"), "number"),
        ] {
            let error = read(target, hops).expect_err(target);
            assert_eq!(error.reason(), reason, "{target}: {error}");
        }
        for known in [
            "",
            "1",
            "1.",
            ".1",
            "1.2.3",
            "1.-2",
            "18446744073709551616.1",
        ] {
            let request = Request::get("/internal/v1/default/live/room").header(KNOWN, known);
            let error = PullRequest::from_http(&request.body(()).unwrap()).expect_err(known);
            assert_eq!(error.reason(), "number", "{known}");
        }
        let post = Request::post("/internal/v1/default/live/room")
            .body(())
            .unwrap();
        assert_eq!(PullRequest::from_http(&post), Err(RequestError::Method));
    }

    proptest! {
        #[test]
        fn a_request_is_read_as_it_was_written(
            name in "[^/\\p{Cc}]{1,40}", epoch: u64, sequence: u64, way in 0..3, hops: u32,
            known: Option<(u64, u64)>,
        ) {
            let Ok(key) = StreamKey::new("default", "live/instance", &name) else { return Ok(()) };
            let start = match way {
                0 => StartAt::Live,
                1 => StartAt::Oldest,
                _ => StartAt::After { epoch, sequence },
            };
            let known = known.map(|(epoch, term)| Known { epoch, term });
            let request = PullRequest { key, start, hops, known };
            let http = request.to_http("origin-0:7000", ()).unwrap();
            prop_assert_eq!(PullRequest::from_http(&http), Ok(request));
        }

        #[test]
        fn any_target_is_a_request_or_an_error(target in "/internal/v1/[ -~]{0,60}") {
            if let Ok(uri) = target.parse::<Uri>() {
                drop(PullRequest::from_parts(&uri, &HeaderMap::new()));
            }
        }
    }
}
