//! AMF0 values: of commands, script tags and control tags.

use bytes::BytesMut;
use headwater_media::amf0::{Amf0Error, Decoder, Value};

use crate::heap;

/// Text grows threefold at most where its bytes are not UTF-8; a value takes some times the bytes of its shortest form.
const HEAP_PER_BYTE: usize = 160;

fn decode(bytes: &[u8]) -> (Vec<Value>, Result<(), Amf0Error>) {
    let mut decoder = Decoder::new(bytes);
    let mut values = Vec::new();
    loop {
        match decoder.value() {
            Ok(Some(value)) => values.push(value),
            Ok(None) => return (values, Ok(())),
            Err(error) => return (values, Err(error)),
        }
    }
}

fn encode(values: &[Value]) -> BytesMut {
    let mut out = BytesMut::new();
    values.iter().for_each(|value| value.encode(&mut out));
    out
}

pub(crate) fn run(bytes: &[u8]) {
    let (_, heap_bytes) = heap::peak(|| decode(bytes));
    assert!(
        heap_bytes <= 4_096 + bytes.len() * HEAP_PER_BYTE,
        "{heap_bytes} bytes in use for {}",
        bytes.len()
    );
    let (values, _) = decode(bytes);
    let encoded = encode(&values);
    let (again, result) = decode(&encoded);
    // Numbers may be NaN, so the bytes are compared.
    if result.is_ok() {
        assert_eq!(
            encode(&again),
            encoded,
            "what was written reads differently"
        );
    } else {
        // U+FFFD takes more bytes than what it stands for, so a name may outgrow its length field.
        assert!(
            bytes.len() > usize::from(u16::MAX) / 3,
            "what was written cannot be read: {result:?}"
        );
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let connect = Value::object([
        ("app", Value::string("live")),
        ("tcUrl", Value::string("rtmp://host/live")),
        ("objectEncoding", Value::Number(0.0)),
        ("fpad", Value::Boolean(false)),
        (
            "fourCcList",
            Value::StrictArray(vec![Value::string("av01"), Value::string("hvc1")]),
        ),
        (
            "videoFourCcInfoMap",
            Value::object([("*", Value::Number(7.0))]),
        ),
    ]);
    let array = Value::EcmaArray(vec![
        ("width".to_owned(), Value::Number(1_280.0)),
        ("encoder".to_owned(), Value::string("x".repeat(300))),
    ]);
    let rare = [
        Value::Null,
        Value::Undefined,
        Value::Reference(1),
        Value::Date(1e12),
        Value::Unsupported,
        Value::Xml("<a/>".to_owned()),
        Value::TypedObject("flash.X".to_owned(), vec![("a".to_owned(), Value::Null)]),
        Value::string("y".repeat(70_000)),
    ];
    vec![
        encode(&[Value::string("connect"), Value::Number(1.0), connect]).to_vec(),
        encode(&[
            Value::string("@setDataFrame"),
            Value::string("onMetaData"),
            array,
        ])
        .to_vec(),
        encode(&rare[..7]).to_vec(),
        encode(&rare[7..]).to_vec(),
        [0x0A, 0, 0, 0, 1].repeat(40),
        vec![0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 5],
        vec![0x11, 0x0A, 1],
    ]
}
