//! Writing AMF0.

use bytes::{BufMut, BytesMut};

use super::Value;

impl Value {
    /// Appends this value, with its marker, to `out`.
    ///
    /// Names of properties and classes are cut at 65,535 bytes, all that their length field can tell.
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            Value::Number(number) => {
                out.put_u8(0x00);
                out.put_f64(*number);
            }
            Value::Boolean(value) => out.put_slice(&[0x01, u8::from(*value)]),
            Value::String(text) => match u16::try_from(text.len()) {
                Ok(_) => {
                    out.put_u8(0x02);
                    put_short(out, text);
                }
                Err(_) => {
                    out.put_u8(0x0C);
                    put_long(out, text);
                }
            },
            Value::Object(properties) => {
                out.put_u8(0x03);
                put_properties(out, properties);
            }
            Value::Null => out.put_u8(0x05),
            Value::Undefined => out.put_u8(0x06),
            Value::Reference(index) => {
                out.put_u8(0x07);
                out.put_u16(*index);
            }
            Value::EcmaArray(properties) => {
                out.put_u8(0x08);
                out.put_u32(u32::try_from(properties.len()).unwrap_or(u32::MAX));
                put_properties(out, properties);
            }
            Value::StrictArray(values) => {
                out.put_u8(0x0A);
                out.put_u32(u32::try_from(values.len()).unwrap_or(u32::MAX));
                values.iter().for_each(|value| value.encode(out));
            }
            Value::Date(unix_ms) => {
                out.put_u8(0x0B);
                out.put_f64(*unix_ms);
                out.put_u16(0);
            }
            Value::Unsupported => out.put_u8(0x0D),
            Value::Xml(text) => {
                out.put_u8(0x0F);
                put_long(out, text);
            }
            Value::TypedObject(class, properties) => {
                out.put_u8(0x10);
                put_short(out, class);
                put_properties(out, properties);
            }
        }
    }
}

fn put_properties(out: &mut BytesMut, properties: &[(String, Value)]) {
    for (name, value) in properties {
        put_short(out, name);
        value.encode(out);
    }
    out.put_slice(&[0, 0, 9]);
}

fn put_short(out: &mut BytesMut, text: &str) {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    out.put_u16(length);
    out.put_slice(
        text.as_bytes()
            .get(..usize::from(length))
            .unwrap_or_default(),
    );
}

fn put_long(out: &mut BytesMut, text: &str) {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    out.put_u32(length);
    out.put_slice(text.as_bytes());
}
