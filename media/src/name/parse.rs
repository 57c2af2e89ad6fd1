//! Names as publishers, players and our own hops write them.

use std::borrow::Cow;

use super::{NameError, NamePart, StreamKey, VirtualHosts, check_part};
use crate::percent::{self, DecodeError};
use crate::query::Query;

impl StreamKey {
    /// Reads the name of an RTMP `publish` or `play`: `app` and `tc_url` from `connect`, and the stream name.
    ///
    /// Encoders differ in where they cut an address, so slashes at either end of `app` and `stream_name` are
    /// dropped, `app` and `stream_name` may have a query each, and their parts are taken together as
    /// app/stream or app/instance/stream: `live` and `inst/room` is `live/inst` and `room`. From `tc_url` comes
    /// the host, the app if `app` is empty, and the query if `app` has none. The vhost is what
    /// `?vhost=` says, else what `hosts` says for the host. In the returned query the stream's parameters come
    /// first, then the app's.
    ///
    /// # Errors
    /// If a part or the query is refused (see [`NameError`]), or there are not two or three parts.
    pub fn from_rtmp(
        app: &str,
        tc_url: &str,
        stream_name: &str,
        hosts: &VirtualHosts,
    ) -> Result<(StreamKey, Query), NameError> {
        let url = TcUrl::parse(tc_url);
        let (mut app_path, mut app_query) = cut_query(app);
        app_path = app_path.trim_matches('/');
        if app_path.is_empty() {
            app_path = url.path.trim_matches('/');
        }
        if app_query.is_empty() {
            app_query = url.query;
        }
        let (stream_path, stream_query) = cut_query(stream_name);
        let stream_path = stream_path.trim_matches('/');
        if stream_path.is_empty() {
            return Err(NameError::Empty {
                part: NamePart::Stream,
            });
        }
        let query = Query::parse(stream_query)?.then(Query::parse(app_query)?)?;
        let vhost = query.get("vhost").unwrap_or_else(|| hosts.vhost(url.host));
        let app_parts = app_path.split('/').filter(|_| !app_path.is_empty());
        let key = from_encoded(vhost, app_parts.chain(stream_path.split('/')))?;
        Ok((key, query))
    }

    /// Reads the target of an HTTP play request: the path `/app[/instance]/stream.{extension}`, its query (without
    /// the `?`), and the `Host`.
    ///
    /// The vhost is what `?vhost=` says, else what `hosts` says for the host.
    ///
    /// # Errors
    /// If the path does not end with `extension`, or a part or the query is refused (see [`NameError`]).
    pub fn from_play_path(
        path: &str,
        query: &str,
        extension: &'static str,
        host: &str,
        hosts: &VirtualHosts,
    ) -> Result<(StreamKey, Query), NameError> {
        let parts = path
            .strip_prefix('/')
            .and_then(|path| path.strip_suffix(extension)?.strip_suffix('.'))
            .ok_or(NameError::Extension { extension })?;
        let query = Query::parse(query)?;
        let vhost = query.get("vhost").unwrap_or_else(|| hosts.vhost(host));
        let key = from_encoded(vhost, parts.split('/'))?;
        Ok((key, query))
    }

    /// Reads what [`StreamKey::path`] writes: `vhost/app[/instance]/stream`, percent-encoded.
    ///
    /// # Errors
    /// If a part is refused (see [`NameError`]), or there are not three or four parts.
    pub fn from_internal_path(path: &str) -> Result<StreamKey, NameError> {
        let (vhost, parts) = path.split_once('/').unwrap_or((path, ""));
        let vhost = decode_part(NamePart::Vhost, vhost)?;
        from_encoded(&vhost, parts.split('/'))
    }
}

/// Makes a key of a decoded `vhost` and encoded parts: app, perhaps an instance, and stream.
fn from_encoded<'a>(
    vhost: &str,
    mut parts: impl Iterator<Item = &'a str>,
) -> Result<StreamKey, NameError> {
    let first = parts.next().unwrap_or_default();
    let (app, instance, stream) = match (parts.next(), parts.next(), parts.next()) {
        (_, _, Some(_)) => return Err(NameError::TooManyParts),
        (Some(instance), Some(stream), None) => (first, Some(instance), stream),
        (Some(stream), None, None) => (first, None, stream),
        // A single part is a stream without an app; of no part at all, too, the app is what is missing first.
        (None, ..) => {
            return Err(NameError::Empty {
                part: NamePart::App,
            });
        }
    };
    let instance = instance
        .map(|part| decode_part(NamePart::Instance, part))
        .transpose()?;
    let app = decode_part(NamePart::App, app)?;
    let stream = decode_part(NamePart::Stream, stream)?;
    StreamKey::of_parts(vhost, &app, instance.as_deref(), &stream)
}

fn decode_part(part: NamePart, text: &str) -> Result<Cow<'_, str>, NameError> {
    let decoded = percent::decode(text).map_err(|error| match error {
        DecodeError::Escape => NameError::Escape { part },
        DecodeError::Utf8 => NameError::Utf8 { part },
    })?;
    check_part(part, &decoded)?;
    Ok(decoded)
}

/// Cuts `text` at its first `?`.
fn cut_query(text: &str) -> (&str, &str) {
    text.split_once('?').unwrap_or((text, ""))
}

/// What we use of a `tcUrl`, which many clients fill badly; what cannot be read is empty.
struct TcUrl<'a> {
    host: &'a str,
    path: &'a str,
    query: &'a str,
}

impl<'a> TcUrl<'a> {
    fn parse(text: &'a str) -> TcUrl<'a> {
        let Some((_scheme, rest)) = text.split_once("://") else {
            return TcUrl {
                host: "",
                path: "",
                query: "",
            };
        };
        let (before, query) = cut_query(rest);
        let (authority, path) = before.split_once('/').unwrap_or((before, ""));
        let host = authority
            .rsplit_once('@')
            .map_or(authority, |(_user, host)| host);
        TcUrl { host, path, query }
    }
}
