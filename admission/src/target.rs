//! Where the callback is.

use http::Uri;

/// Where a callback's URL leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// What to connect to.
    pub(crate) host_port: String,
    /// The `Host` header.
    pub(crate) authority: String,
    /// The request's path and query.
    pub(crate) path: String,
}

impl Target {
    /// Reads a callback's URL; the error says what is wrong with it.
    pub(crate) fn parse(url: &str) -> Result<Target, &'static str> {
        let uri: Uri = url
            .parse()
            .map_err(|_| "this is not a URL; write http://host:port/path")?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => {
                return Err(
                    "https is not supported here; put the callback on http inside the cluster",
                );
            }
            _ => return Err("a callback's URL begins with http://"),
        }
        let authority = uri.authority().ok_or("the URL names no host")?;
        if authority.as_str().contains('@') {
            return Err("a user name or password in the URL is not supported; remove it");
        }
        let host = authority.host();
        if host.is_empty() || host == "[]" {
            return Err("the URL names no host");
        }
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            None if authority.as_str().ends_with(':') || authority.as_str().len() != host.len() => {
                return Err("the URL's port is not a number from 1 to 65535");
            }
            None => 80,
        };
        if port == 0 {
            return Err("the URL's port is not a number from 1 to 65535");
        }
        Ok(Target {
            host_port: format!("{host}:{port}"),
            authority: authority.as_str().to_owned(),
            path: uri
                .path_and_query()
                .map_or("/", http::uri::PathAndQuery::as_str)
                .to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_url_leads_somewhere_or_says_what_is_wrong() {
        let good = |host_port: &str, authority: &str, path: &str| {
            Ok(Target {
                host_port: host_port.into(),
                authority: authority.into(),
                path: path.into(),
            })
        };
        for (url, leads) in [
            (
                "http://auth:8000/may",
                good("auth:8000", "auth:8000", "/may"),
            ),
            ("http://auth", good("auth:80", "auth", "/")),
            (
                "http://[::1]:90/a?b=c",
                good("[::1]:90", "[::1]:90", "/a?b=c"),
            ),
            ("HTTP://auth/", good("auth:80", "auth", "/")),
            ("https://auth/", Err("https")),
            ("ftp://auth/", Err("begins with http://")),
            ("auth:8000", Err("begins with http://")),
            ("/may", Err("begins with http://")),
            ("http://", Err("not a URL")),
            ("http://u:p@auth/", Err("user name")),
            ("http://auth:0/", Err("port")),
            ("http://auth:99999/", Err("port")),
            ("http://auth:/", Err("port")),
            ("http://a b/", Err("not a URL")),
        ] {
            match (Target::parse(url), leads) {
                (Ok(got), Ok(leads)) => assert_eq!(got, leads, "{url}"),
                (Err(got), Err(says)) => assert!(got.contains(says), "{url}: {got}"),
                (got, _) => panic!("{url}: {got:?}"),
            }
        }
    }
}
