//! Answers: their heads as bytes, and the short texts of refusals.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};

use super::cors::Cors;
use super::head::{Head, Method};

const METHODS: &str = "GET, HEAD, OPTIONS";

/// An answer with a short text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) retry_after_s: Option<u32>,
}

impl Answer {
    pub(crate) fn new(status: u16, text: impl Into<String>) -> Answer {
        Answer {
            status,
            text: text.into(),
            retry_after_s: None,
        }
    }

    /// Come back in so many seconds.
    pub(crate) fn retry_after(mut self, seconds: u32) -> Answer {
        self.retry_after_s = Some(seconds);
        self
    }

    /// The header fields of this answer alone.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&'static str, Cow<'static, str>)> {
        let own: &[(&str, &str)] = match self.status {
            204 => &[
                ("Allow", METHODS),
                ("Access-Control-Allow-Methods", METHODS),
                ("Access-Control-Allow-Headers", "*"),
                ("Access-Control-Max-Age", "86400"),
            ],
            401 => &[("WWW-Authenticate", "Signature")],
            405 => &[("Allow", METHODS)],
            426 => &[("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")],
            _ => &[],
        };
        // 204 has no body.
        let body: &[(&str, &str)] = if self.status == 204 {
            &[]
        } else {
            &[
                ("Content-Type", "text/plain; charset=utf-8"),
                ("X-Content-Type-Options", "nosniff"),
            ]
        };
        let retry = self
            .retry_after_s
            .map(|seconds| ("Retry-After", Cow::Owned(seconds.to_string())));
        let fixed = own.iter().chain(body);
        fixed
            .map(|(name, value)| (*name, Cow::Borrowed(*value)))
            .chain(retry)
    }

    /// The answer's bytes; `head` is `None` where the request could not be read.
    pub(crate) fn encode(&self, head: Option<&Head>, cors: &Cors, keep_alive: bool) -> Bytes {
        let mut out = BytesMut::with_capacity(320 + self.text.len());
        status_line(self.status, &mut out);
        for (name, value) in cors.fields(head.and_then(|head| head.origin.as_deref())) {
            field(name, value, &mut out);
        }
        for (name, value) in self.fields() {
            field(name, &value, &mut out);
        }
        out.put_slice(b"Cache-Control: no-store\r\n");
        connection(head.is_some_and(|head| head.one_one), keep_alive, &mut out);
        // 204 has no body and no length (RFC 9110, 8.6).
        if self.status == 204 {
            out.put_slice(b"\r\n");
            return out.freeze();
        }
        let body = format!("{}\n", self.text);
        out.put_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
        if head.is_none_or(|head| head.method != Method::Head) {
            out.put_slice(body.as_bytes());
        }
        out.freeze()
    }
}

/// The head of a stream: chunked for HTTP/1.1, until the close for 1.0. `keep_alive` only after a HEAD.
pub(crate) fn stream_head(head: &Head, cors: &Cors, keep_alive: bool) -> Bytes {
    let mut out = BytesMut::with_capacity(256);
    status_line(200, &mut out);
    out.put_slice(
        b"Content-Type: video/x-flv\r\nCache-Control: no-store\r\nX-Accel-Buffering: no\r\n",
    );
    for (name, value) in cors.fields(head.origin.as_deref()) {
        field(name, value, &mut out);
    }
    if head.one_one {
        out.put_slice(b"Transfer-Encoding: chunked\r\n");
    }
    connection(head.one_one, keep_alive, &mut out);
    out.put_slice(b"\r\n");
    out.freeze()
}

fn field(name: &str, value: &str, out: &mut BytesMut) {
    for part in [name, ": ", value, "\r\n"] {
        out.put_slice(part.as_bytes());
    }
}

fn status_line(status: u16, out: &mut BytesMut) {
    let reason = http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("");
    out.put_slice(format!("HTTP/1.1 {status} {reason}\r\nServer: headwater\r\n").as_bytes());
}

fn connection(one_one: bool, keep_alive: bool, out: &mut BytesMut) {
    match (one_one, keep_alive) {
        (true, true) => {}
        (false, true) => out.put_slice(b"Connection: keep-alive\r\n"),
        (_, false) => out.put_slice(b"Connection: close\r\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(method: &str, fields: &str) -> Head {
        let text = format!("{method} / HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
        super::super::head::read(text.as_bytes(), 1_024)
            .unwrap()
            .unwrap()
            .0
    }

    fn text(bytes: &Bytes) -> String {
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn a_page_is_let_in_as_configured() {
        for (origins, origin, allowed) in [
            (vec!["*"], "", Some("*")),
            (vec!["*"], "Origin: http://a\r\n", Some("*")),
            (vec!["http://a"], "Origin: http://a\r\n", Some("http://a")),
            (vec!["http://a"], "Origin: http://b\r\n", None),
            (vec!["http://a"], "", None),
            (vec![], "Origin: http://a\r\n", None),
        ] {
            let cors = Cors::new(&origins.iter().map(|o| (*o).to_owned()).collect::<Vec<_>>());
            let shown = text(&stream_head(&head("GET", origin), &cors, false));
            let field = shown
                .lines()
                .find_map(|line| line.strip_prefix("Access-Control-Allow-Origin: "));
            assert_eq!(field, allowed, "{origins:?} {origin}");
        }
    }

    #[test]
    fn answers_to_head_have_the_length_and_no_body() {
        let cors = Cors::new(&["*".to_owned()]);
        let answer = Answer::new(404, "nothing here");
        let get = text(&answer.encode(Some(&head("GET", "")), &cors, true));
        let to_head = text(&answer.encode(Some(&head("HEAD", "")), &cors, true));
        assert_eq!(get.strip_suffix("nothing here\n"), Some(to_head.as_str()));
        assert!(to_head.contains("Content-Length: 13\r\n"), "{to_head}");
    }

    #[test]
    fn a_preflight_says_what_is_allowed() {
        let cors = Cors::new(&["*".to_owned()]);
        let shown = text(&Answer::new(204, "").encode(Some(&head("OPTIONS", "")), &cors, true));
        assert!(shown.starts_with("HTTP/1.1 204 No Content\r\n"), "{shown}");
        assert!(
            shown.contains("Access-Control-Allow-Methods: GET, HEAD, OPTIONS\r\n"),
            "{shown}"
        );
        assert!(!shown.contains("Content-Length"), "{shown}");
        assert!(shown.ends_with("\r\n\r\n"), "{shown}");
    }
}
