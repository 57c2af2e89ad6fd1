//! Durations as text with a unit: `250ms`, `3s`, `1m30s`, `2h`.
//!
//! `#[serde(with = "headwater_process::config::time")]` on a [`Duration`]; `time::optional` on an `Option` of one.

use std::fmt;
use std::time::Duration;

use serde::de::Visitor;
use serde::{Deserializer, Serializer};

const EXPECTED: &str = "a duration with its unit, such as `250ms`, `3s`, `5m` or `1h30m`";

const UNITS: [(&str, Duration); 5] = [
    ("d", Duration::from_secs(24 * 3600)),
    ("h", Duration::from_secs(3600)),
    ("m", Duration::from_secs(60)),
    ("s", Duration::from_secs(1)),
    ("ms", Duration::from_millis(1)),
];

/// Reads `250ms`, `1.5s`, `1h30m`; `0` needs no unit. `None` if the text is anything else.
pub fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let unit_len = tail
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(unit_len)?;
        let (_, one) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let part = match number.parse::<u32>() {
            Ok(whole) => one.checked_mul(whole)?,
            Err(_) => {
                Duration::try_from_secs_f64(number.parse::<f64>().ok()? * one.as_secs_f64()).ok()?
            }
        };
        total = total.checked_add(part)?;
        rest = tail;
    }
    Some(total)
}

/// The duration in the largest unit that divides it, to the millisecond; [`parse`] reads it back.
pub fn format(duration: Duration) -> String {
    let ms = duration.as_millis();
    UNITS
        .iter()
        .find(|(_, one)| ms > 0 && ms.is_multiple_of(one.as_millis()))
        .map_or_else(
            || "0s".to_owned(),
            |(name, one)| format!("{}{name}", ms / one.as_millis()),
        )
}

/// Writes `duration` as text.
///
/// # Errors
/// What the serializer reports.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*duration))
}

/// Reads a duration from text.
///
/// # Errors
/// If it is anything but a number with a unit.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    deserializer.deserialize_any(TimeVisitor)
}

struct TimeVisitor;

impl Visitor<'_> for TimeVisitor {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Duration, E> {
        parse(text).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Duration, E> {
        if number == 0 {
            return Ok(Duration::ZERO);
        }
        Err(E::invalid_value(
            serde::de::Unexpected::Unsigned(number),
            &self,
        ))
    }
}

/// The same for a duration that may be absent.
pub mod optional {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes the duration as text, or null.
    ///
    /// # Errors
    /// What the serializer reports.
    pub fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => super::serialize(duration, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads a duration from text, or null.
    ///
    /// # Errors
    /// If it is anything but null or a number with a unit.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        #[derive(Deserialize)]
        struct Time(#[serde(with = "super")] Duration);
        Ok(Option::<Time>::deserialize(deserializer)?.map(|time| time.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_with_units_is_a_duration() {
        for (text, ms) in [
            ("0", Some(0)),
            ("0s", Some(0)),
            ("250ms", Some(250)),
            ("3s", Some(3_000)),
            ("1.5s", Some(1_500)),
            ("2m", Some(120_000)),
            ("1h30m", Some(5_400_000)),
            ("1m 30s", None),
            ("1d", Some(86_400_000)),
            (" 3s ", Some(3_000)),
            ("3", None),
            ("s", None),
            ("", None),
            ("-3s", None),
            ("3 s", None),
            ("3sec", None),
            ("1..5s", None),
            ("99999999999999999999d", None),
            (
                "4294967295d4294967295d",
                Some(2 * 4_294_967_295 * 86_400_000),
            ),
        ] {
            assert_eq!(parse(text), ms.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn a_duration_is_shown_briefly() {
        for (ms, text) in [
            (0, "0s"),
            (250, "250ms"),
            (1_500, "1500ms"),
            (30_000, "30s"),
            (90_000, "90s"),
            (7_200_000, "2h"),
        ] {
            assert_eq!(format(Duration::from_millis(ms)), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(ms in 0..4_000_000_000_u64) {
            let duration = Duration::from_millis(ms);
            prop_assert_eq!(parse(&format(duration)), Some(duration));
        }

        #[test]
        fn any_text_is_a_duration_or_none(text in "\\PC{0,20}|[0-9.dhms]{0,12}") {
            let _ = parse(&text);
        }
    }
}
