//! AMF0: the values of RTMP's commands and of script tags (Action Message Format 0, 2007).

mod decode;
mod encode;

pub use decode::{Amf0Error, Decoder, MAX_DEPTH, MAX_VALUES};

/// One AMF0 value (section 2.1). Strings that are not UTF-8 hold U+FFFD where bytes were wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Marker 0x00.
    Number(f64),
    /// Marker 0x01.
    Boolean(bool),
    /// Markers 0x02 and 0x0C (a long string); which one is written follows from the length.
    String(String),
    /// Marker 0x03: properties in the order of the wire; a name may occur twice.
    Object(Vec<(String, Value)>),
    /// Marker 0x05.
    Null,
    /// Marker 0x06.
    Undefined,
    /// Marker 0x07: the index of an object that came before in the same message. Not resolved.
    Reference(u16),
    /// Marker 0x08: written and read as properties; the announced count is only a hint.
    EcmaArray(Vec<(String, Value)>),
    /// Marker 0x0A.
    StrictArray(Vec<Value>),
    /// Marker 0x0B: milliseconds since 1970 (UTC). The time zone, which is reserved, is dropped.
    Date(f64),
    /// Marker 0x0D: what the peer could not express.
    Unsupported,
    /// Marker 0x0F.
    Xml(String),
    /// Marker 0x10: an object with the name of its class.
    TypedObject(String, Vec<(String, Value)>),
}

impl Value {
    /// A string value.
    pub fn string(text: impl Into<String>) -> Value {
        Value::String(text.into())
    }

    /// An object with these properties.
    pub fn object<const N: usize>(properties: [(&str, Value); N]) -> Value {
        Value::Object(
            properties
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        )
    }

    /// The number, if this is one; a date counts as its milliseconds.
    pub fn as_number(&self) -> Option<f64> {
        if let Value::Number(number) | Value::Date(number) = self {
            Some(*number)
        } else {
            None
        }
    }

    /// The number without its fraction, if 32 bits hold it: flags, codes and sizes are sent as numbers.
    pub fn as_u32(&self) -> Option<u32> {
        let number = self.as_number()?;
        let in_range = (0.0..4_294_967_296.0).contains(&number);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the range is checked"
        )]
        in_range.then_some(number as u32)
    }

    /// The text, if this is a string.
    pub fn as_str(&self) -> Option<&str> {
        if let Value::String(text) = self {
            Some(text)
        } else {
            None
        }
    }

    /// The Boolean, if this is one; numbers count as true unless they are 0, since some encoders send 1.
    pub fn as_bool(&self) -> Option<bool> {
        if let Value::Boolean(value) = self {
            Some(*value)
        } else {
            Some(self.as_number()? != 0.0)
        }
    }

    /// The properties of an object of any sort, or of an ECMA array.
    pub fn properties(&self) -> Option<&[(String, Value)]> {
        if let Value::Object(properties)
        | Value::EcmaArray(properties)
        | Value::TypedObject(_, properties) = self
        {
            Some(properties)
        } else {
            None
        }
    }

    /// The first property of this name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.properties()?
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }
}
