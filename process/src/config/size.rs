//! Sizes in bytes, with or without a binary unit: `16777216`, `16MiB`, `64KiB`.
//!
//! `#[serde(with = "headwater_process::config::size")]` on a field of any unsigned type.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Unexpected, Visitor};
use serde::{Deserializer, Serializer};

const UNITS: [(&str, u64); 4] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
];

/// Reads `16777216`, `16MiB`, `16 MiB` or `512B`; `None` if the text is anything else or does not fit.
pub fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    match unit.trim_start() {
        "" | "B" => Some(number),
        unit => {
            let (_, bytes) = UNITS.iter().find(|(name, _)| *name == unit)?;
            number.checked_mul(*bytes)
        }
    }
}

/// The size with the largest unit that divides it.
pub fn format(bytes: u64) -> String {
    UNITS
        .iter()
        .find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit))
        .map_or_else(
            || bytes.to_string(),
            |(name, unit)| format!("{}{name}", bytes / unit),
        )
}

/// Writes the size as text where a unit divides it, else as a number.
///
/// # Errors
/// What the serializer reports.
pub fn serialize<T, S>(bytes: &T, serializer: S) -> Result<S::Ok, S::Error>
where
    T: Copy + TryInto<u64>,
    S: Serializer,
{
    let bytes = (*bytes).try_into().unwrap_or(u64::MAX);
    if bytes > 0 && bytes.is_multiple_of(1024) {
        serializer.serialize_str(&format(bytes))
    } else {
        serializer.serialize_u64(bytes)
    }
}

/// Reads a size from a number or from text.
///
/// # Errors
/// If it is neither, or does not fit `T`.
pub fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: TryFrom<u64>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_any(SizeVisitor(PhantomData))
}

struct SizeVisitor<T>(PhantomData<T>);

impl<T: TryFrom<u64>> Visitor<'_> for SizeVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size in bytes, such as `65536`, `64KiB` or `16MiB`")
    }

    fn visit_u64<E: serde::de::Error>(self, bytes: u64) -> Result<T, E> {
        T::try_from(bytes).map_err(|_| E::invalid_value(Unexpected::Unsigned(bytes), &self))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        parse(text)
            .and_then(|bytes| T::try_from(bytes).ok())
            .ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_is_a_size() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("65536", Some(65_536)),
            ("512B", Some(512)),
            ("64KiB", Some(65_536)),
            ("16 MiB", Some(16 << 20)),
            ("2GiB", Some(2 << 30)),
            ("16MB", None),
            ("16M", None),
            ("MiB", None),
            ("-1", None),
            ("1.5MiB", None),
            ("", None),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551615KiB", None),
        ] {
            assert_eq!(parse(text), bytes, "{text}");
        }
    }

    #[test]
    fn a_size_that_does_not_fit_its_type_is_refused() {
        #[derive(Debug, serde::Deserialize, serde::Serialize)]
        struct Small(#[serde(with = "super")] u16);
        let small: Small = serde_json::from_str("\"2KiB\"").unwrap();
        assert_eq!(serde_json::to_string(&small).unwrap(), "\"2KiB\"");
        assert!(serde_json::from_str::<Small>("65536").is_err());
        assert!(serde_json::from_str::<Small>("\"64KiB\"").is_err());
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(bytes in any::<u64>(), shift in 0..50_u32) {
            let bytes = bytes >> shift << shift;
            prop_assert_eq!(parse(&format(bytes)), Some(bytes));
        }
    }
}
