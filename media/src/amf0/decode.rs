//! Reading AMF0 that strangers sent: bounded in depth and in values, so also in memory.

use super::Value;

/// How deep objects and arrays may nest. Encoders nest two or three.
pub const MAX_DEPTH: usize = 32;

/// How many values one message may hold. A value costs a byte on the wire and about 50 in memory.
pub const MAX_VALUES: usize = 16_384;

/// Why bytes are not AMF0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Amf0Error {
    /// The bytes end inside a value.
    #[error("AMF0 value is cut short")]
    Cut,
    /// Objects or arrays nest deeper than [`MAX_DEPTH`].
    #[error("AMF0 values nest deeper than {MAX_DEPTH}")]
    TooDeep,
    /// The message holds more than [`MAX_VALUES`], or an array announces more than its bytes can hold.
    #[error("AMF0 message holds more than {MAX_VALUES} values")]
    TooMany,
    /// A marker that is reserved, or an object end where a value must be.
    #[error("AMF0 marker {0:#04x} is not a value")]
    Marker(u8),
    /// The marker that switches to AMF3 (0x11), which Headwater does not read.
    #[error("AMF3 values are not supported")]
    Amf3,
}

impl Amf0Error {
    /// A label for logs and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Amf0Error::Cut => "amf_cut",
            Amf0Error::TooDeep => "amf_too_deep",
            Amf0Error::TooMany => "amf_too_many",
            Amf0Error::Marker(_) => "amf_marker",
            Amf0Error::Amf3 => "amf3",
        }
    }
}

/// Reads the values of one message, one after the other.
#[derive(Debug)]
pub struct Decoder<'a> {
    rest: &'a [u8],
    values_left: usize,
}

impl<'a> Decoder<'a> {
    /// Starts at the first byte of `bytes`, which must be the marker of a value.
    pub fn new(bytes: &'a [u8]) -> Decoder<'a> {
        Decoder {
            rest: bytes,
            values_left: MAX_VALUES,
        }
    }

    /// The bytes that have not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next value; `None` at the end of the bytes.
    ///
    /// # Errors
    /// As [`Amf0Error`] says; what comes after it cannot be read.
    pub fn value(&mut self) -> Result<Option<Value>, Amf0Error> {
        if self.rest.is_empty() {
            Ok(None)
        } else {
            self.nested(0).map(Some)
        }
    }

    fn nested(&mut self, depth: usize) -> Result<Value, Amf0Error> {
        let [marker] = self.array()?;
        self.values_left = self.values_left.checked_sub(1).ok_or(Amf0Error::TooMany)?;
        if depth >= MAX_DEPTH && matches!(marker, 0x03 | 0x08 | 0x0A | 0x10) {
            return Err(Amf0Error::TooDeep);
        }
        Ok(match marker {
            0x00 => Value::Number(f64::from_be_bytes(self.array()?)),
            0x01 => Value::Boolean(self.array::<1>()? != [0]),
            0x02 => Value::String(self.short_string()?),
            0x03 => Value::Object(self.properties(depth)?),
            0x05 => Value::Null,
            0x06 => Value::Undefined,
            0x07 => Value::Reference(u16::from_be_bytes(self.array()?)),
            0x08 => {
                let _count: [u8; 4] = self.array()?;
                Value::EcmaArray(self.properties(depth)?)
            }
            0x0A => self.strict_array(depth)?,
            0x0B => {
                let unix_ms = f64::from_be_bytes(self.array()?);
                let _time_zone: [u8; 2] = self.array()?;
                Value::Date(unix_ms)
            }
            0x0C => Value::String(self.long_string()?),
            0x0D => Value::Unsupported,
            0x0F => Value::Xml(self.long_string()?),
            0x10 => {
                let class = self.short_string()?;
                Value::TypedObject(class, self.properties(depth)?)
            }
            0x11 => return Err(Amf0Error::Amf3),
            other => return Err(Amf0Error::Marker(other)),
        })
    }

    /// Properties up to the object end (section 2.10), or to the end of the bytes: some encoders leave the
    /// end of their last array out.
    fn properties(&mut self, depth: usize) -> Result<Vec<(String, Value)>, Amf0Error> {
        let mut properties = Vec::new();
        while !self.rest.is_empty() {
            if let Some(rest) = self.rest.strip_prefix(&[0, 0, 9]) {
                self.rest = rest;
                break;
            }
            let name = self.short_string()?;
            properties.push((name, self.nested(depth.saturating_add(1))?));
        }
        Ok(properties)
    }

    fn strict_array(&mut self, depth: usize) -> Result<Value, Amf0Error> {
        let count = usize::try_from(u32::from_be_bytes(self.array()?)).unwrap_or(usize::MAX);
        // Each value takes a byte or more: a count beyond that is a lie, and nothing is allocated for it.
        if count > self.rest.len() {
            return Err(Amf0Error::Cut);
        }
        if count > self.values_left {
            return Err(Amf0Error::TooMany);
        }
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(self.nested(depth.saturating_add(1))?);
        }
        Ok(Value::StrictArray(values))
    }

    fn short_string(&mut self) -> Result<String, Amf0Error> {
        let length = u16::from_be_bytes(self.array()?);
        self.text(usize::from(length))
    }

    fn long_string(&mut self) -> Result<String, Amf0Error> {
        let length = u32::from_be_bytes(self.array()?);
        self.text(usize::try_from(length).unwrap_or(usize::MAX))
    }

    fn text(&mut self, length: usize) -> Result<String, Amf0Error> {
        let (text, rest) = self.rest.split_at_checked(length).ok_or(Amf0Error::Cut)?;
        self.rest = rest;
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Amf0Error> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(Amf0Error::Cut)?;
        self.rest = rest;
        Ok(*array)
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use proptest::prelude::*;

    use super::*;

    fn one(bytes: &[u8]) -> Result<Option<Value>, Amf0Error> {
        Decoder::new(bytes).value()
    }

    #[test]
    fn every_marker_reads_as_its_value() {
        let long = [&[0x0C, 0, 1, 0, 0][..], &[b'x'; 65_536]].concat();
        for (name, bytes, value) in [
            (
                "number",
                &[0, 0x3F, 0xF0, 0, 0, 0, 0, 0, 0][..],
                Value::Number(1.0),
            ),
            ("boolean", &[1, 2], Value::Boolean(true)),
            ("string", &[2, 0, 2, b'h', b'i'], Value::string("hi")),
            (
                "string of other bytes",
                &[2, 0, 1, 0xFF],
                Value::string("\u{FFFD}"),
            ),
            (
                "object",
                &[3, 0, 1, b'a', 5, 0, 0, 9],
                Value::object([("a", Value::Null)]),
            ),
            (
                "object without its end",
                &[3, 0, 1, b'a', 5],
                Value::object([("a", Value::Null)]),
            ),
            (
                "empty name",
                &[3, 0, 0, 5, 0, 0, 9],
                Value::object([("", Value::Null)]),
            ),
            ("null", &[5], Value::Null),
            ("undefined", &[6], Value::Undefined),
            ("reference", &[7, 0, 1], Value::Reference(1)),
            (
                "array with a wrong count",
                &[8, 0, 0, 0, 9, 0, 1, b'a', 6, 0, 0, 9],
                Value::EcmaArray(vec![("a".into(), Value::Undefined)]),
            ),
            (
                "array without its end",
                &[8, 0, 0, 0, 1, 0, 1, b'a', 6],
                Value::EcmaArray(vec![("a".into(), Value::Undefined)]),
            ),
            (
                "strict array",
                &[10, 0, 0, 0, 2, 5, 6],
                Value::StrictArray(vec![Value::Null, Value::Undefined]),
            ),
            (
                "date",
                &[11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 60],
                Value::Date(0.0),
            ),
            ("long string", &long, Value::string("x".repeat(65_536))),
            ("unsupported", &[13], Value::Unsupported),
            ("XML", &[15, 0, 0, 0, 1, b'<'], Value::Xml("<".into())),
            (
                "typed object",
                &[16, 0, 1, b'C', 0, 1, b'a', 5, 0, 0, 9],
                Value::TypedObject("C".into(), vec![("a".into(), Value::Null)]),
            ),
        ] {
            assert_eq!(one(bytes), Ok(Some(value)), "{name}");
        }
        assert_eq!(one(&[]), Ok(None));
    }

    #[test]
    fn what_is_not_amf0_is_an_error() {
        let nested_object = [3, 0, 1, b'a'].repeat(100_000);
        let nested_array = [10, 0, 0, 0, 1].repeat(100_000);
        let nested_ecma = [8, 0, 0, 0, 1, 0, 1, b'a'].repeat(100_000);
        let many = [&[10, 0, 1, 0, 0][..], &[5; 65_536]].concat();
        for (name, bytes, error) in [
            (
                "objects nest 100,000 deep",
                &nested_object[..],
                Amf0Error::TooDeep,
            ),
            (
                "arrays nest 100,000 deep",
                &nested_array,
                Amf0Error::TooDeep,
            ),
            (
                "ECMA arrays nest 100,000 deep",
                &nested_ecma,
                Amf0Error::TooDeep,
            ),
            (
                "strict array of 2^32 - 1",
                &[10, 255, 255, 255, 255, 5],
                Amf0Error::Cut,
            ),
            ("65,536 values", &many, Amf0Error::TooMany),
            (
                "string longer than the bytes",
                &[2, 255, 255, b'a'],
                Amf0Error::Cut,
            ),
            (
                "long string of 2^32 - 1",
                &[12, 255, 255, 255, 255, b'a'],
                Amf0Error::Cut,
            ),
            ("object end as a value", &[9], Amf0Error::Marker(9)),
            ("movie clip", &[4], Amf0Error::Marker(4)),
            ("AMF3", &[17, 6, 3, b'a'], Amf0Error::Amf3),
        ] {
            assert_eq!(one(bytes), Err(error), "{name}");
        }
    }

    #[test]
    fn values_nest_as_deep_as_the_limit() {
        let bytes = [&[3, 0, 1, b'a'].repeat(MAX_DEPTH)[..], &[5]].concat();
        assert!(one(&bytes).is_ok());
        let bytes = [&[3, 0, 1, b'a'].repeat(MAX_DEPTH + 1)[..], &[5]].concat();
        assert_eq!(one(&bytes), Err(Amf0Error::TooDeep));
    }

    #[test]
    fn a_value_cut_at_any_byte_is_an_error_or_a_shorter_object() {
        let mut bytes = BytesMut::new();
        Value::string("onMetaData").encode(&mut bytes);
        for cut in 1..bytes.len() {
            assert_eq!(one(&bytes[..cut]), Err(Amf0Error::Cut), "string at {cut}");
        }
        let whole = Value::object([("app", Value::string("live")), ("n", Value::Number(1.0))]);
        let mut bytes = BytesMut::new();
        whole.encode(&mut bytes);
        for cut in 1..bytes.len() {
            match one(&bytes[..cut]) {
                Err(error) => assert_eq!(error, Amf0Error::Cut, "object at {cut}"),
                Ok(value) => assert!(
                    value.unwrap().properties().unwrap().len() <= 2,
                    "object at {cut}"
                ),
            }
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            (-1e12..1e12).prop_map(Value::Number),
            any::<bool>().prop_map(Value::Boolean),
            ".{0,12}".prop_map(Value::String),
            Just(Value::Null),
            Just(Value::Undefined),
            any::<u16>().prop_map(Value::Reference),
            Just(Value::Unsupported),
            (0.0..1e13).prop_map(Value::Date),
            ".{0,12}".prop_map(Value::Xml),
        ];
        leaf.prop_recursive(6, 64, 8, |inner| {
            let properties = || prop::collection::vec(("[a-z]{0,6}", inner.clone()), 0..6);
            prop_oneof![
                properties().prop_map(Value::Object),
                properties().prop_map(Value::EcmaArray),
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::StrictArray),
                ("[A-Z]{1,4}", properties())
                    .prop_map(|(class, list)| Value::TypedObject(class, list)),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_bytes_are_values_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            let mut decoder = Decoder::new(&bytes);
            while let Ok(Some(_)) = decoder.value() {}
        }

        #[test]
        fn any_bytes_made_of_markers_are_values_or_an_error(bytes in prop::collection::vec(0u8..18, 0..512)) {
            let mut decoder = Decoder::new(&bytes);
            while let Ok(Some(_)) = decoder.value() {}
        }

        #[test]
        fn what_is_encoded_decodes_to_the_same_value(value in values()) {
            let mut bytes = BytesMut::new();
            value.encode(&mut bytes);
            let mut decoder = Decoder::new(&bytes);
            prop_assert_eq!(decoder.value(), Ok(Some(value)));
            prop_assert!(decoder.rest().is_empty());
        }
    }
}
