//! What a sender answers before the first byte of media.

use std::str::FromStr;

use headwater_media::Dts;
use http::HeaderMap;
use http::header::HeaderValue;

use crate::request::StartAt;

const EPOCH: &str = "headwater-epoch";
const TERM: &str = "headwater-term";
const SEQUENCE: &str = "headwater-sequence";
const DTS_OFFSET: &str = "headwater-dts-offset";
const DTS: &str = "headwater-dts";
const GAP: &str = "headwater-gap";
const PREVIOUS: &str = "headwater-previous";
const PREFACE: &str = "headwater-preface";

/// Headers in force that may come before the first tag. Bounds what a receiver keeps of them.
pub(crate) const PREFACE_MAX_TAGS: u32 = 64;

/// The session that was asked for and is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Previous {
    /// That session.
    pub epoch: u64,
    /// Its last tag, if the sender still holds it.
    pub last: Option<u64>,
}

/// The head of an answer with 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PullHead {
    /// The session that follows.
    pub epoch: u64,
    /// The highest term that the sender knows.
    pub term: u64,
    /// The number of the first tag; each tag that follows is one higher.
    pub first_sequence: u64,
    /// Session time + this = stream time.
    pub dts_offset: Dts,
    /// A session time within 2^31 ms of the first tag's, so that the 32-bit stamps of FLV unwrap to 64 bits.
    pub first_dts: Dts,
    /// Tags that the receiver lacks and that the sender no longer holds.
    pub gap: u64,
    /// Set where an older session was asked for.
    pub previous: Option<Previous>,
    /// Tags that come first and have no number: the sequence headers and metadata in force at `first_sequence`.
    pub preface: u32,
}

/// Why a head cannot be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// A header is missing, or is not what it must be.
    #[error("answer header `{0}` is missing or malformed")]
    Header(&'static str),
    /// An older session than the one asked for.
    #[error("answer goes back from session {asked} to {answered}")]
    EpochBack {
        /// The session asked for.
        asked: u64,
        /// The session answered.
        answered: u64,
    },
    /// A tag that the receiver has, or not the one that the gap says.
    #[error("answer begins at tag {answered} where {expected} was to come")]
    Sequence {
        /// The tag that was to come.
        expected: u64,
        /// The tag that would.
        answered: u64,
    },
}

impl HeadError {
    /// The label for logs and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            HeadError::Header(_) => "head",
            HeadError::EpochBack { .. } => "epoch_back",
            HeadError::Sequence { .. } => "sequence",
        }
    }
}

impl PullHead {
    /// Adds its headers to an answer's.
    pub fn write(&self, headers: &mut HeaderMap) {
        headers.insert(EPOCH, HeaderValue::from(self.epoch));
        headers.insert(TERM, HeaderValue::from(self.term));
        headers.insert(SEQUENCE, HeaderValue::from(self.first_sequence));
        headers.insert(DTS_OFFSET, HeaderValue::from(self.dts_offset.0));
        headers.insert(DTS, HeaderValue::from(self.first_dts.0));
        headers.insert(PREFACE, HeaderValue::from(self.preface));
        if self.gap > 0 {
            headers.insert(GAP, HeaderValue::from(self.gap));
        }
        if let Some(previous) = self.previous {
            let text = match previous.last {
                Some(last) => format!("{},{last}", previous.epoch),
                None => previous.epoch.to_string(),
            };
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.insert(PREVIOUS, value);
            }
        }
    }

    /// Reads the headers of an answer.
    ///
    /// # Errors
    /// [`HeadError::Header`] names the one that is missing or malformed.
    pub fn read(headers: &HeaderMap) -> Result<PullHead, HeadError> {
        let preface = parsed(headers, PREFACE)?.unwrap_or(0);
        if preface > PREFACE_MAX_TAGS {
            return Err(HeadError::Header(PREFACE));
        }
        Ok(PullHead {
            epoch: required(headers, EPOCH)?,
            term: required(headers, TERM)?,
            first_sequence: required(headers, SEQUENCE)?,
            dts_offset: Dts(required(headers, DTS_OFFSET)?),
            first_dts: Dts(required(headers, DTS)?),
            gap: parsed(headers, GAP)?.unwrap_or(0),
            previous: previous(headers)?,
            preface,
        })
    }

    /// Checks that this answers what was asked: never back to an older session or to tags that the receiver has.
    ///
    /// # Errors
    /// What it goes back on; see [`HeadError`].
    pub fn check(&self, asked: StartAt) -> Result<(), HeadError> {
        let StartAt::After { epoch, sequence } = asked else {
            return Ok(());
        };
        if self.epoch < epoch {
            return Err(HeadError::EpochBack {
                asked: epoch,
                answered: self.epoch,
            });
        }
        let expected = sequence.saturating_add(1).saturating_add(self.gap);
        if self.epoch == epoch && self.first_sequence != expected {
            return Err(HeadError::Sequence {
                expected,
                answered: self.first_sequence,
            });
        }
        Ok(())
    }
}

fn parsed<T: FromStr>(headers: &HeaderMap, name: &'static str) -> Result<Option<T>, HeadError> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let number = value.to_str().ok().and_then(|text| text.parse().ok());
    number.map(Some).ok_or(HeadError::Header(name))
}

fn required<T: FromStr>(headers: &HeaderMap, name: &'static str) -> Result<T, HeadError> {
    parsed(headers, name)?.ok_or(HeadError::Header(name))
}

fn previous(headers: &HeaderMap) -> Result<Option<Previous>, HeadError> {
    let Some(value) = headers.get(PREVIOUS) else {
        return Ok(None);
    };
    let read = |text: &str| {
        let (epoch, last) = match text.split_once(',') {
            Some((epoch, last)) => (epoch, Some(last.parse().ok()?)),
            None => (text, None),
        };
        Some(Previous {
            epoch: epoch.parse().ok()?,
            last,
        })
    };
    value
        .to_str()
        .ok()
        .and_then(read)
        .map(Some)
        .ok_or(HeadError::Header(PREVIOUS))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn head() -> PullHead {
        PullHead {
            epoch: 7,
            term: 9,
            first_sequence: 11,
            dts_offset: Dts(-5),
            first_dts: Dts(1 << 40),
            gap: 0,
            previous: None,
            preface: 2,
        }
    }

    #[test]
    fn a_malformed_header_is_named() {
        for (name, value) in [
            (EPOCH, None),
            (TERM, Some("x")),
            (SEQUENCE, Some("-1")),
            (DTS_OFFSET, Some("1.5")),
            (DTS, None),
            (GAP, Some("")),
            (PREVIOUS, Some("1,2,3")),
            (PREVIOUS, Some(",")),
            (PREFACE, Some("65")),
            (PREFACE, Some("4294967296")),
        ] {
            let mut headers = HeaderMap::new();
            head().write(&mut headers);
            match value {
                Some(value) => headers.insert(name, HeaderValue::from_static(value)),
                None => headers.remove(name),
            };
            assert_eq!(
                PullHead::read(&headers),
                Err(HeadError::Header(name)),
                "{name}: {value:?}"
            );
        }
    }

    #[test]
    fn an_answer_never_goes_back() {
        for (name, asked, gap, reason) in [
            (
                "the tag behind",
                StartAt::After {
                    epoch: 7,
                    sequence: 10,
                },
                0,
                None,
            ),
            (
                "behind a declared gap",
                StartAt::After {
                    epoch: 7,
                    sequence: 8,
                },
                2,
                None,
            ),
            (
                "a newer session",
                StartAt::After {
                    epoch: 6,
                    sequence: 90,
                },
                0,
                None,
            ),
            ("from live", StartAt::Live, 0, None),
            (
                "back in sequence",
                StartAt::After {
                    epoch: 7,
                    sequence: 11,
                },
                0,
                Some("sequence"),
            ),
            (
                "a gap that nobody declared",
                StartAt::After {
                    epoch: 7,
                    sequence: 8,
                },
                0,
                Some("sequence"),
            ),
            (
                "a gap that is none",
                StartAt::After {
                    epoch: 7,
                    sequence: 10,
                },
                1,
                Some("sequence"),
            ),
            (
                "back in epoch",
                StartAt::After {
                    epoch: 8,
                    sequence: 0,
                },
                0,
                Some("epoch_back"),
            ),
            (
                "the largest numbers",
                StartAt::After {
                    epoch: 7,
                    sequence: u64::MAX,
                },
                u64::MAX,
                Some("sequence"),
            ),
        ] {
            let checked = PullHead { gap, ..head() }.check(asked);
            assert_eq!(checked.err().map(|e| e.reason()), reason, "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_head_is_read_as_it_was_written(
            numbers: [u64; 4], times: [i64; 2], previous: Option<(u64, Option<u64>)>, preface in 0..=PREFACE_MAX_TAGS,
        ) {
            let [epoch, term, first_sequence, gap] = numbers;
            let head = PullHead {
                epoch, term, first_sequence, gap, preface,
                dts_offset: Dts(times[0]),
                first_dts: Dts(times[1]),
                previous: previous.map(|(epoch, last)| Previous { epoch, last }),
            };
            let mut headers = HeaderMap::new();
            head.write(&mut headers);
            prop_assert_eq!(PullHead::read(&headers), Ok(head));
        }
    }
}
