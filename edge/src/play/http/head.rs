//! The head of a request (RFC 9112), read from bytes that strangers send.

use std::time::Duration;

use super::upgrade::Asked;

/// Header fields of one request.
const FIELDS_MAX: usize = 64;
/// Of a `User-Agent` that is kept.
const AGENT_MAX_CHARS: usize = 256;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Head,
    Options,
    /// Anything else.
    Other,
}

/// A request's head, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) method: Method,
    /// Of the target, undecoded; `*` is possible with OPTIONS.
    pub(crate) path: String,
    /// Of the target, undecoded and without `?`.
    pub(crate) query: String,
    /// From the target if it is absolute, else from `Host`; empty if neither names one.
    pub(crate) host: String,
    /// HTTP/1.1, else 1.0.
    pub(crate) one_one: bool,
    /// Whether another request may follow on the connection.
    pub(crate) keep_alive: bool,
    /// A body follows.
    pub(crate) has_body: bool,
    pub(crate) origin: Option<String>,
    pub(crate) agent: Option<String>,
    /// A WebSocket is asked for.
    pub(crate) websocket: Option<Asked>,
}

/// Why a head is refused. The connection is closed afterwards: where the next request begins is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeadError {
    #[error("the request is not HTTP")]
    Syntax,
    #[error("only HTTP/1.0 and HTTP/1.1 are spoken here")]
    Version,
    #[error(
        "the head of the request has more than {0} bytes: shorten the address or the header fields"
    )]
    TooLong(usize),
    #[error("the request has more than {FIELDS_MAX} header fields: send fewer")]
    TooMany,
    #[error("the head of the request did not come within {} s", .0.as_secs_f32())]
    Slow(Duration),
    #[error("the request names no single Host")]
    Host,
    #[error("the request's Content-Length or Transfer-Encoding is ambiguous")]
    Framing,
    #[error("the request's target is neither a path nor an http:// address")]
    Target,
}

impl HeadError {
    /// The label for metrics.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            HeadError::Syntax => "head_syntax",
            HeadError::Version => "head_version",
            HeadError::TooLong(_) => "head_too_long",
            HeadError::TooMany => "head_too_many_fields",
            HeadError::Slow(_) => "head_slow",
            HeadError::Host => "head_host",
            HeadError::Framing => "head_framing",
            HeadError::Target => "head_target",
        }
    }

    /// The status that says it.
    pub(crate) fn status(self) -> u16 {
        match self {
            HeadError::Syntax | HeadError::Host | HeadError::Framing | HeadError::Target => 400,
            HeadError::Slow(_) => 408,
            HeadError::TooLong(_) | HeadError::TooMany => 431,
            HeadError::Version => 505,
        }
    }
}

/// Reads one head from the front of `bytes`; `None` if more is to come, else the head and how many bytes it took.
///
/// # Errors
/// What is wrong with it; a head that has not ended within `max_bytes` is too long.
pub(crate) fn read(bytes: &[u8], max_bytes: usize) -> Result<Option<(Head, usize)>, HeadError> {
    // One byte more than is allowed is enough to know.
    let within = bytes.get(..max_bytes).unwrap_or(bytes);
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut request = httparse::Request::new(&mut fields);
    let used = match request.parse(within) {
        Ok(httparse::Status::Complete(used)) => used,
        Ok(httparse::Status::Partial) if bytes.len() >= max_bytes => {
            return Err(HeadError::TooLong(max_bytes));
        }
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooMany),
        Err(httparse::Error::Version) => return Err(HeadError::Version),
        Err(_) => return Err(HeadError::Syntax),
    };
    let one_one = request.version == Some(1);
    let fields = Fields::read(request.headers)?;
    let method = match request.method {
        Some("GET") => Method::Get,
        Some("HEAD") => Method::Head,
        Some("OPTIONS") => Method::Options,
        _ => Method::Other,
    };
    let target = Target::read(request.path.unwrap_or_default(), method)?;
    if one_one && fields.host.is_none() {
        return Err(HeadError::Host);
    }
    let host = target.host.or(fields.host).unwrap_or_default();
    let head = Head {
        method,
        path: target.path.to_owned(),
        query: target.query.to_owned(),
        host: host.to_owned(),
        one_one,
        keep_alive: if one_one {
            !fields.close
        } else {
            fields.keep_alive
        },
        has_body: fields.has_body,
        origin: fields.origin.map(str::to_owned),
        agent: fields.agent,
        websocket: (fields.websocket && fields.upgrade && method == Method::Get).then(|| Asked {
            key: fields.key.map(str::to_owned),
            version: fields.version,
        }),
    };
    Ok(Some((head, used)))
}

struct Target<'a> {
    host: Option<&'a str>,
    path: &'a str,
    query: &'a str,
}

impl<'a> Target<'a> {
    fn read(text: &'a str, method: Method) -> Result<Target<'a>, HeadError> {
        // A proxy's client sends the whole address (RFC 9112, 3.2.2); the fragment stays at home.
        let lower = |text: &str, scheme: &str| {
            text.get(..scheme.len())
                .is_some_and(|t| t.eq_ignore_ascii_case(scheme))
        };
        let scheme = ["http://", "https://"]
            .into_iter()
            .find(|scheme| lower(text, scheme));
        let (host, rest) = match scheme {
            Some(scheme) => {
                let rest = text.get(scheme.len()..).unwrap_or_default();
                let end = rest.find(['/', '?']).unwrap_or(rest.len());
                let (authority, rest) = rest.split_at_checked(end).unwrap_or((rest, ""));
                let host = authority
                    .rsplit_once('@')
                    .map_or(authority, |(_, host)| host);
                if host.is_empty() {
                    return Err(HeadError::Target);
                }
                (Some(host), if rest.is_empty() { "/" } else { rest })
            }
            None => (None, text),
        };
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let is_path = path.starts_with('/') || (path.is_empty() && host.is_some());
        let is_all = path == "*" && method == Method::Options;
        // CONNECT and the like name a host: that is answered with 405, not with an error of the target.
        if is_path || is_all || method == Method::Other {
            Ok(Target {
                host,
                path: if path.is_empty() { "/" } else { path },
                query,
            })
        } else {
            Err(HeadError::Target)
        }
    }
}

#[derive(Default)]
struct Fields<'a> {
    host: Option<&'a str>,
    close: bool,
    keep_alive: bool,
    has_body: bool,
    origin: Option<&'a str>,
    agent: Option<String>,
    upgrade: bool,
    websocket: bool,
    key: Option<&'a str>,
    version: bool,
}

/// As much of a `User-Agent` as is kept.
pub(crate) fn agent(text: &str) -> String {
    text.chars().take(AGENT_MAX_CHARS).collect()
}

impl<'a> Fields<'a> {
    fn read(headers: &[httparse::Header<'a>]) -> Result<Fields<'a>, HeadError> {
        let mut fields = Fields::default();
        let (mut length, mut coded) = (false, false);
        for header in headers {
            let name = header.name.to_ascii_lowercase();
            let text = std::str::from_utf8(header.value).ok().map(str::trim);
            match name.as_str() {
                "host" => {
                    let host = text
                        .filter(|host| !host.contains([',', ' ', '/', '@']))
                        .ok_or(HeadError::Host)?;
                    if fields.host.replace(host).is_some() {
                        return Err(HeadError::Host);
                    }
                }
                "connection" => {
                    for token in text.unwrap_or_default().split(',').map(str::trim) {
                        fields.close |= token.eq_ignore_ascii_case("close");
                        fields.keep_alive |= token.eq_ignore_ascii_case("keep-alive");
                        fields.upgrade |= token.eq_ignore_ascii_case("upgrade");
                    }
                }
                // Lengths that differ, or a length beside a coding, are how requests are smuggled (RFC 9112, 6.3).
                "content-length" => {
                    let digits =
                        text.filter(|t| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit()));
                    let bytes: u64 = digits
                        .and_then(|t| t.parse().ok())
                        .ok_or(HeadError::Framing)?;
                    if std::mem::replace(&mut length, true) {
                        return Err(HeadError::Framing);
                    }
                    fields.has_body |= bytes > 0;
                }
                "transfer-encoding" => {
                    coded = true;
                    fields.has_body = true;
                }
                "upgrade" => {
                    fields.websocket |= text.is_some_and(|t| t.eq_ignore_ascii_case("websocket"));
                }
                "sec-websocket-key" => fields.key = text,
                "sec-websocket-version" => fields.version = text == Some("13"),
                "origin" => fields.origin = text,
                "user-agent" => {
                    fields.agent = text.map(agent);
                }
                _ => {}
            }
        }
        if length && coded {
            return Err(HeadError::Framing);
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: usize = 8 << 10;

    fn get(target: &str, fields: &str) -> Result<Head, HeadError> {
        let text = format!("GET {target} HTTP/1.1\r\n{fields}\r\n");
        read(text.as_bytes(), MAX).map(|found| found.expect("a whole head").0)
    }

    #[test]
    fn heads_are_read() {
        let text = b"GET /live/room.flv?mode=rtc HTTP/1.1\r\nHost: a:8080\r\nuser-agent: VLC\r\norigin: http://b\r\n\r\nrest";
        let (head, used) = read(text, MAX).unwrap().unwrap();
        let expected = Head {
            method: Method::Get,
            path: "/live/room.flv".to_owned(),
            query: "mode=rtc".to_owned(),
            host: "a:8080".to_owned(),
            one_one: true,
            keep_alive: true,
            has_body: false,
            origin: Some("http://b".to_owned()),
            agent: Some("VLC".to_owned()),
            websocket: None,
        };
        assert_eq!(head, expected);
        assert_eq!(&text[used..], b"rest");
    }

    #[test]
    fn absolute_targets_name_the_host() {
        for (target, host, path, query) in [
            ("/a", "h", "/a", ""),
            ("http://x:1/a/b?c", "x:1", "/a/b", "c"),
            ("HTTP://user@x/a", "x", "/a", ""),
            ("http://x", "x", "/", ""),
            ("http://x?c=d", "x", "/", "c=d"),
        ] {
            let head = get(target, "Host: h\r\n").unwrap();
            assert_eq!(
                (head.host.as_str(), head.path.as_str(), head.query.as_str()),
                (host, path, query),
                "{target}"
            );
        }
    }

    #[test]
    fn connections_are_kept_as_the_version_says() {
        for (version, field, kept) in [
            ("1.1", "", true),
            ("1.1", "Connection: close\r\n", false),
            ("1.1", "Connection: TE, Close\r\n", false),
            ("1.0", "", false),
            ("1.0", "connection: Keep-Alive\r\n", true),
        ] {
            let text = format!("HEAD / HTTP/{version}\r\nHost: h\r\n{field}\r\n");
            let (head, _) = read(text.as_bytes(), MAX).unwrap().unwrap();
            assert_eq!(
                (head.keep_alive, head.one_one),
                (kept, version == "1.1"),
                "{version} {field}"
            );
        }
    }

    #[test]
    fn bad_heads_are_named() {
        let long = format!("/{}", "a".repeat(MAX));
        let many = "X: y\r\n".repeat(FIELDS_MAX + 1);
        for (name, text, error) in [
            ("not HTTP", "\x16\x03\x01\x02\r\n\r\n".to_owned(), HeadError::Syntax),
            ("RTMP", "\x03\0\0\0\0".to_owned(), HeadError::Syntax),
            ("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), HeadError::Version),
            ("HTTP/0.9", "GET /\r\n\r\n".to_owned(), HeadError::Syntax),
            ("too long", format!("GET {long} HTTP/1.1\r\nHost: h\r\n\r\n"), HeadError::TooLong(MAX)),
            ("too many", format!("GET / HTTP/1.1\r\n{many}\r\n"), HeadError::TooMany),
            ("no host", "GET / HTTP/1.1\r\n\r\n".to_owned(), HeadError::Host),
            ("two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(), HeadError::Host),
            ("odd host", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n".to_owned(), HeadError::Host),
            (
                "two lengths",
                "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n".to_owned(),
                HeadError::Framing,
            ),
            (
                "length and coding",
                "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
                HeadError::Framing,
            ),
            (
                "no length",
                "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n".to_owned(),
                HeadError::Framing,
            ),
            ("no target", "GET live HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), HeadError::Target),
            ("no authority", "GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), HeadError::Target),
            ("star", "GET * HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), HeadError::Target),
        ] {
            assert_eq!(read(text.as_bytes(), MAX).err(), Some(error), "{name}");
        }
    }

    #[test]
    fn a_websocket_is_asked_for_by_both_fields() {
        let asked = |version, key: Option<&str>| {
            Some(Asked {
                key: key.map(str::to_owned),
                version,
            })
        };
        let both = "Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n";
        for (fields, websocket) in [
            (both.to_owned(), asked(false, None)),
            (
                format!("{both}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: abc\r\n"),
                asked(true, Some("abc")),
            ),
            ("Upgrade: websocket\r\n".to_owned(), None),
            ("Connection: upgrade\r\nUpgrade: h2c\r\n".to_owned(), None),
        ] {
            let head = get("/", &format!("Host: a\r\n{fields}")).unwrap();
            assert_eq!(head.websocket, websocket, "{fields}");
        }
    }

    #[test]
    fn a_body_is_noticed() {
        for (fields, has_body) in [
            ("", false),
            ("Content-Length: 0\r\n", false),
            ("Content-Length: 5\r\n", true),
            ("Transfer-Encoding: chunked\r\n", true),
        ] {
            let head = get("/", &format!("Host: a\r\n{fields}")).unwrap();
            assert_eq!(head.has_body, has_body, "{fields}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_head_or_more_to_come_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            drop(read(&bytes, 256));
        }

        #[test]
        fn any_split_gives_the_same_head(
            path in "/[a-z%?&=/.]{0,40}", field in "[A-Za-z-]{1,10}", value in "[ -~]{0,20}",
        ) {
            let text = format!("GET {path} HTTP/1.1\r\nHost: h\r\n{field}: {value}\r\n\r\n");
            let whole = read(text.as_bytes(), MAX);
            let first = (1..text.len()).find_map(|end| match read(&text.as_bytes()[..end], MAX) {
                Ok(None) => None,
                other => Some((end, other)),
            });
            if whole.is_ok() {
                prop_assert!(first.is_none(), "{first:?}");
            }
        }
    }
}
