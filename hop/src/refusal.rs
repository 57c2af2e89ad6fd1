//! Why a sender does not serve a pull, and where the stream is instead.

use http::header::{HeaderValue, RETRY_AFTER};
use http::{HeaderMap, StatusCode};

use crate::request::RequestError;

const HOME: &str = "headwater-home";
const INGRESS: &str = "headwater-ingress";
const TERM: &str = "headwater-term";
const EPOCH: &str = "headwater-epoch";

/// Where else a stream is: `host:port` of internal ports, as far as they are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Elsewhere {
    /// Its home.
    pub home: Option<String>,
    /// Its ingress.
    pub ingress: Option<String>,
    /// The term that says so, 0 if unknown.
    pub term: u64,
}

/// Why a pull is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 400, 404 or 405: not a pull at all.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// 404: the stream is not here.
    #[error("the stream is not here")]
    NotHere(Elsewhere),
    /// 409: the receiver knows a newer session than the sender.
    #[error("session {epoch} is the newest one here, of term {term}")]
    Behind {
        /// The sender's session.
        epoch: u64,
        /// The sender's term.
        term: u64,
    },
    /// 503: the tag that was asked for has not come in time, or no session has begun. Try again.
    #[error("the tag that was asked for has not come yet")]
    NotYet,
    /// 508: the roles pull from one another in a circle.
    #[error("the pull has passed too many roles")]
    Loop,
}

impl Refusal {
    /// The label for logs and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Refusal::Request(error) => error.reason(),
            Refusal::NotHere(_) => "not_here",
            Refusal::Behind { .. } => "behind",
            Refusal::NotYet => "not_yet",
            Refusal::Loop => "loop",
        }
    }

    /// The status that says it.
    pub fn status(&self) -> StatusCode {
        match self {
            Refusal::Request(RequestError::Method) => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::Request(RequestError::Path) | Refusal::NotHere(_) => StatusCode::NOT_FOUND,
            Refusal::Request(_) => StatusCode::BAD_REQUEST,
            Refusal::Behind { .. } => StatusCode::CONFLICT,
            Refusal::NotYet => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::Loop => StatusCode::LOOP_DETECTED,
        }
    }

    /// Adds what it says beside the status to an answer's headers.
    pub fn write(&self, headers: &mut HeaderMap) {
        match self {
            Refusal::NotHere(elsewhere) => {
                for (name, address) in [(HOME, &elsewhere.home), (INGRESS, &elsewhere.ingress)] {
                    let value = address
                        .as_ref()
                        .and_then(|text| HeaderValue::from_str(text).ok());
                    if let Some(value) = value {
                        headers.insert(name, value);
                    }
                }
                if elsewhere.term > 0 {
                    headers.insert(TERM, HeaderValue::from(elsewhere.term));
                }
            }
            Refusal::Behind { epoch, term } => {
                headers.insert(EPOCH, HeaderValue::from(*epoch));
                headers.insert(TERM, HeaderValue::from(*term));
            }
            Refusal::NotYet => {
                headers.insert(RETRY_AFTER, HeaderValue::from(1u32));
            }
            Refusal::Request(_) | Refusal::Loop => {}
        }
    }

    /// Reads an answer that is not 200; `None` if it is none of a sender's refusals.
    pub fn read(status: StatusCode, headers: &HeaderMap) -> Option<Refusal> {
        let text = |name| headers.get(name)?.to_str().ok().map(str::to_owned);
        let number = |name| text(name).and_then(|text| text.parse().ok()).unwrap_or(0);
        match status {
            StatusCode::NOT_FOUND => Some(Refusal::NotHere(Elsewhere {
                home: text(HOME),
                ingress: text(INGRESS),
                term: number(TERM),
            })),
            StatusCode::CONFLICT => Some(Refusal::Behind {
                epoch: number(EPOCH),
                term: number(TERM),
            }),
            StatusCode::SERVICE_UNAVAILABLE => Some(Refusal::NotYet),
            StatusCode::LOOP_DETECTED => Some(Refusal::Loop),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_read_as_it_was_written() {
        let elsewhere = Elsewhere {
            home: Some("10.0.0.7:7000".to_owned()),
            ingress: Some("[fd00::1]:7000".to_owned()),
            term: 12,
        };
        for (refusal, status) in [
            (Refusal::NotHere(Elsewhere::default()), 404),
            (Refusal::NotHere(elsewhere), 404),
            (
                Refusal::Behind {
                    epoch: 3,
                    term: u64::MAX,
                },
                409,
            ),
            (Refusal::NotYet, 503),
            (Refusal::Loop, 508),
        ] {
            let mut headers = HeaderMap::new();
            refusal.write(&mut headers);
            assert_eq!(refusal.status(), status, "{refusal}");
            assert_eq!(Refusal::read(refusal.status(), &headers), Some(refusal));
        }
    }

    #[test]
    fn an_address_that_no_header_can_carry_is_left_out() {
        let elsewhere = Elsewhere {
            home: Some("a\r\nb".to_owned()),
            ..Elsewhere::default()
        };
        let mut headers = HeaderMap::new();
        Refusal::NotHere(elsewhere).write(&mut headers);
        assert!(headers.is_empty());
    }
}
