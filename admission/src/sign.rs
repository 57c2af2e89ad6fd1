//! Making signed addresses.

use headwater_media::StreamKey;
use http::Uri;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Kind;
use crate::config::{AdmissionConfig, ConfigError, TakenSchemes};
use crate::keyring::{Keyring, Lock};
use crate::signature::{self, HW_EXPIRES, HW_SIGN, Subject, TX_SECRET, TX_TIME, to_hex};

/// How an address is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// `txTime` and `txSecret`: MD5 over key, stream name and end, as hosted CDNs spell it.
    Tx,
    /// `hwExpires` and `hwSign`: HMAC-SHA-256 over purpose, whole stream key and end.
    Hmac,
}

/// Why no address could be made.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum SignError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Keys are configured, and none is for this app.
    #[error(
        "no pattern of admission.keys covers {app}, so nobody may {kind} there: add a rule, or set admission.unmatched to allow"
    )]
    Unmatched {
        /// `vhost/app[/instance]`
        app: String,
        /// What was to be signed.
        kind: Kind,
    },
    /// The app takes the other scheme only.
    #[error("{app} takes only {taken} signatures")]
    NotTaken {
        /// `vhost/app[/instance]`
        app: String,
        /// The scheme that it takes.
        taken: &'static str,
    },
    /// The base is not the beginning of a URL.
    #[error(
        "`{0}` is not scheme://host or scheme://host:port, for example rtmp://media.example:1935"
    )]
    Base(String),
    /// The end does not fit the scheme's digits.
    #[error("the end, {0} s after 1970, is too far away for this scheme")]
    TooFar(u64),
}

// The most that twelve decimal digits hold.
const HMAC_END_MAX_S: u64 = 999_999_999_999;

/// `(txTime, txSecret)` of a stream name, good up to and with `expires_unix_s`.
///
/// `txTime` is 8 upper-case hex digits, `txSecret` the 32 lower-case hex digits of MD5(key + stream + txTime).
pub fn tx(key: &str, stream: &str, expires_unix_s: u32) -> (String, String) {
    let time = format!("{expires_unix_s:08X}");
    let secret = to_hex(&signature::tx::digest(key, stream, &time));
    (time, secret)
}

/// `(hwExpires, hwSign)` of a stream, good for one purpose up to and with `expires_unix_s`.
///
/// `hwExpires` is decimal, `hwSign` the 64 lower-case hex digits of HMAC-SHA-256(key, `publish` or `play` LF
/// `vhost/app[/instance]/stream` LF hwExpires).
pub fn hmac(
    key: &str,
    kind: Kind,
    stream_key: &StreamKey,
    expires_unix_s: u64,
) -> (String, String) {
    let sign = signature::hmac::digest(key, subject(kind, stream_key), expires_unix_s);
    (expires_unix_s.to_string(), to_hex(&sign))
}

/// The address at which `stream_key` may be published or played until `expires_unix_s`, signed with the main key of
/// the most specific rule that covers it.
///
/// `base_url` is `scheme://host[:port]`, such as `rtmp://media.example` or `http://media.example:8080`; playing over
/// HTTP gets the ending `.flv`. A vhost other than `default` becomes the parameter `vhost`. Without a `scheme` it is
/// the stronger one that the rule takes. Where no signature is needed there is none.
///
/// # Errors
/// If the configuration or the base is wrong, nobody may at that app, or scheme and end do not fit.
pub fn url(
    config: &AdmissionConfig,
    scheme: Option<Scheme>,
    kind: Kind,
    stream_key: &StreamKey,
    base_url: &str,
    expires_unix_s: u64,
) -> Result<String, SignError> {
    let keyring = Keyring::new(config)?;
    let (base, http) = base(base_url).ok_or_else(|| SignError::Base(base_url.to_owned()))?;
    let path = stream_key.path();
    let (vhost, path) = path.split_once('/').unwrap_or(("", &path));
    let mut pairs = Vec::new();
    if stream_key.vhost() != "default" {
        pairs.push(("vhost", vhost.to_owned()));
    }

    let app = || format!("{}/{}", stream_key.vhost(), stream_key.app());
    match keyring.lock(kind, stream_key.vhost(), stream_key.app(), None) {
        Lock::Open => {}
        Lock::Unmatched | Lock::Unread => return Err(SignError::Unmatched { app: app(), kind }),
        Lock::Keys(keys, taken) => {
            let scheme = match (taken, scheme) {
                (TakenSchemes::Any, scheme) => scheme.unwrap_or(Scheme::Hmac),
                (TakenSchemes::Tx, None | Some(Scheme::Tx)) => Scheme::Tx,
                (TakenSchemes::Hmac, None | Some(Scheme::Hmac)) => Scheme::Hmac,
                (TakenSchemes::Tx, Some(Scheme::Hmac)) => {
                    return Err(SignError::NotTaken {
                        app: app(),
                        taken: "tx",
                    });
                }
                (TakenSchemes::Hmac, Some(Scheme::Tx)) => {
                    return Err(SignError::NotTaken {
                        app: app(),
                        taken: "hmac",
                    });
                }
            };
            let key = keys.in_force().next().unwrap_or_default();
            match scheme {
                Scheme::Tx => {
                    let end = u32::try_from(expires_unix_s)
                        .map_err(|_| SignError::TooFar(expires_unix_s))?;
                    let (time, secret) = tx(key, stream_key.stream(), end);
                    pairs.extend([(TX_SECRET, secret), (TX_TIME, time)]);
                }
                Scheme::Hmac => {
                    if expires_unix_s > HMAC_END_MAX_S {
                        return Err(SignError::TooFar(expires_unix_s));
                    }
                    let (expires, sign) = hmac(key, kind, stream_key, expires_unix_s);
                    pairs.extend([(HW_EXPIRES, expires), (HW_SIGN, sign)]);
                }
            }
        }
    }

    let ending = if http && kind == Kind::Play {
        ".flv"
    } else {
        ""
    };
    let pairs: Vec<String> = pairs
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let question = if pairs.is_empty() { "" } else { "?" };
    Ok(format!(
        "{base}/{path}{ending}{question}{}",
        pairs.join("&")
    ))
}

pub(crate) fn subject(kind: Kind, key: &StreamKey) -> Subject<'_> {
    Subject {
        kind,
        key: key.as_str(),
        stream: key.stream(),
    }
}

/// The base without its last slash, and whether it is HTTP.
fn base(text: &str) -> Option<(&str, bool)> {
    let uri: Uri = text.parse().ok()?;
    let scheme = uri.scheme_str()?;
    let plain = matches!(uri.path(), "" | "/") && uri.query().is_none();
    if uri.host()?.is_empty() || !plain || text.ends_with('?') {
        return None;
    }
    let http = ["http", "https"]
        .iter()
        .any(|name| scheme.eq_ignore_ascii_case(name));
    Some((text.trim_end_matches('/'), http))
}

#[cfg(test)]
mod tests {
    use headwater_media::Query;
    use proptest::prelude::*;

    use super::*;
    use crate::Reason;
    use crate::config::{KeyPair, KeyRule, Unmatched};
    use crate::signature::Presented;
    use headwater_process::config::Secret;

    const KEY: &str = "e12c46f2612d5106e2034781ab261ca3";

    fn key(text: &str) -> StreamKey {
        text.parse().unwrap()
    }

    fn config(scheme: TakenSchemes) -> AdmissionConfig {
        let pair = |main: &str| KeyPair {
            main: Some(Secret::new(main.to_owned())),
            backup: None,
        };
        AdmissionConfig {
            keys: vec![KeyRule {
                pattern: "*/live".into(),
                scheme,
                publish: pair(KEY),
                play: pair("another"),
            }],
            unmatched: Unmatched::Deny,
            ..AdmissionConfig::default()
        }
    }

    #[test]
    fn the_published_vector_is_made() {
        assert_eq!(
            tx(KEY, "test", 0x5C27_1099),
            ("5C271099".into(), "f85a2ab363fe4deaffef9754d79da6fe".into())
        );
    }

    #[test]
    fn the_documented_vector_is_made() {
        let (expires, sign) = hmac(KEY, Kind::Publish, &key("default/live/test"), 1_893_456_000);
        assert_eq!(expires, "1893456000");
        assert_eq!(
            sign,
            "23a8cb6595bc650647c1c1d1ea1511eeb18f736f659c734b95a5245ff7646ea3"
        );
    }

    #[test]
    fn addresses_are_whole() {
        let any = config(TakenSchemes::Any);
        let open = AdmissionConfig::default();
        let tx = Some(Scheme::Tx);
        for (config, scheme, kind, name, base, address) in [
            (
                &any,
                tx,
                Kind::Publish,
                "default/live/test",
                "rtmp://h:1935",
                "rtmp://h:1935/live/test?txSecret=f85a2ab363fe4deaffef9754d79da6fe&txTime=5C271099",
            ),
            (
                &any,
                tx,
                Kind::Publish,
                "a.b/live/eu/test",
                "rtmp://h/",
                "rtmp://h/live/eu/test?vhost=a.b&txSecret=f85a2ab363fe4deaffef9754d79da6fe&txTime=5C271099",
            ),
            (
                &open,
                None,
                Kind::Play,
                "default/live/é&",
                "http://h:8080/",
                "http://h:8080/live/%C3%A9%26.flv",
            ),
            (
                &open,
                None,
                Kind::Play,
                "default/live/a",
                "rtmp://[::1]:1936",
                "rtmp://[::1]:1936/live/a",
            ),
            (
                &open,
                None,
                Kind::Play,
                "v/live/a",
                "https://h",
                "https://h/live/a.flv?vhost=v",
            ),
        ] {
            let got = url(config, scheme, kind, &key(name), base, 0x5C27_1099);
            assert_eq!(got.as_deref(), Ok(address));
        }
        let strong = url(
            &any,
            None,
            Kind::Play,
            &key("default/live/a"),
            "http://h",
            5,
        )
        .unwrap();
        assert!(
            strong.starts_with("http://h/live/a.flv?hwExpires=5&hwSign="),
            "{strong}"
        );
    }

    #[test]
    fn what_cannot_be_signed_says_why() {
        let a = key("default/live/a");
        let make = |taken, scheme, key: &StreamKey, base: &str, end| {
            url(&config(taken), scheme, Kind::Publish, key, base, end)
                .unwrap_err()
                .to_string()
        };
        let far = u64::MAX;
        use TakenSchemes::{Any, Hmac, Tx};
        for (error, says) in [
            (
                make(Any, None, &key("default/vod/a"), "rtmp://h", 0),
                "covers default/vod",
            ),
            (
                make(Tx, Some(Scheme::Hmac), &a, "rtmp://h", 0),
                "takes only tx",
            ),
            (
                make(Hmac, Some(Scheme::Tx), &a, "rtmp://h", 0),
                "takes only hmac",
            ),
            (make(Tx, None, &a, "rtmp://h", 1 << 32), "too far"),
            (make(Any, None, &a, "rtmp://h", far), "too far"),
            (make(Any, None, &a, "h:1935", 0), "is not scheme://host"),
            (
                make(Any, None, &a, "rtmp://h/live", 0),
                "is not scheme://host",
            ),
            (
                make(Any, None, &a, "rtmp://h/?a=b", 0),
                "is not scheme://host",
            ),
            (make(Any, None, &a, "", 0), "is not scheme://host"),
        ] {
            assert!(error.contains(says), "{error}");
        }
    }

    fn judge(
        config: &AdmissionConfig,
        kind: Kind,
        key: &StreamKey,
        query: &str,
        now: u64,
    ) -> Result<bool, Reason> {
        let query = Query::parse(query).unwrap();
        let presented = Presented::read(|name| query.get(name));
        Keyring::new(config)
            .unwrap()
            .judge(
                subject(kind, key),
                key.vhost(),
                key.app(),
                None,
                presented,
                now,
            )
            .map_err(|refusal| refusal.reason)
    }

    proptest! {
        #[test]
        fn what_is_signed_is_let_in_until_its_end_and_for_its_purpose(
            stream in "[^/\\p{Cc}.]{1,40}",
            end in 0u64..u64::from(u32::MAX),
            strong in any::<bool>(),
            publish in any::<bool>(),
        ) {
            let config = config(TakenSchemes::Any);
            let scheme = if strong { Scheme::Hmac } else { Scheme::Tx };
            let (kind, other) = if publish { (Kind::Publish, Kind::Play) } else { (Kind::Play, Kind::Publish) };
            let key = StreamKey::new("default", "live", &stream).unwrap();
            let address = url(&config, Some(scheme), kind, &key, "rtmp://h", end).unwrap();
            let (_, query) = address.split_once('?').unwrap();
            prop_assert_eq!(judge(&config, kind, &key, query, end), Ok(true));
            prop_assert_eq!(judge(&config, kind, &key, query, end + 1), Err(Reason::Expired));
            prop_assert_eq!(judge(&config, other, &key, query, end), Err(Reason::Foreign));
            let neighbour = StreamKey::new("default", "live", &format!("{stream}x")).unwrap();
            prop_assert_eq!(judge(&config, kind, &neighbour, query, end), Err(Reason::Foreign));
        }
    }
}
