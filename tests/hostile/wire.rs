//! RTMP, byte by byte as a stranger sends it: without a session that would refuse to.

use bytes::BytesMut;
use headwater_media::amf0::Value;

/// C0, C1 and C2 in one go; the server's answer is not waited for.
pub(crate) fn handshake() -> Vec<u8> {
    let mut bytes = vec![3];
    bytes.extend_from_slice(&[0; 8]);
    bytes.extend_from_slice(&[7; 1_528]);
    bytes.extend_from_slice(&[0; 1_536]);
    bytes
}

/// A message of type `type_id` on message stream `stream`, in chunks of 128 bytes.
pub(crate) fn message(type_id: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![
        3, 0, 0, 0, length[1], length[2], length[3], type_id, stream, 0, 0, 0,
    ];
    for (number, chunk) in payload.chunks(128).enumerate() {
        if number > 0 {
            bytes.push(0xC3);
        }
        bytes.extend_from_slice(chunk);
    }
    bytes
}

/// The values of a command, as a payload.
pub(crate) fn values(values: &[Value]) -> Vec<u8> {
    let mut out = BytesMut::new();
    for value in values {
        value.encode(&mut out);
    }
    out.to_vec()
}

/// A command on message stream `stream`.
pub(crate) fn command(stream: u8, list: &[Value]) -> Vec<u8> {
    message(20, stream, &values(list))
}

pub(crate) fn connect() -> Vec<u8> {
    let object = Value::object([
        ("app", Value::string("live")),
        ("tcUrl", Value::string("rtmp://a/live")),
    ]);
    command(0, &[Value::string("connect"), Value::Number(1.0), object])
}

pub(crate) fn create_stream() -> Vec<u8> {
    command(
        0,
        &[
            Value::string("createStream"),
            Value::Number(2.0),
            Value::Null,
        ],
    )
}

pub(crate) fn publish(name: &str) -> Vec<u8> {
    command(
        1,
        &[
            Value::string("publish"),
            Value::Number(3.0),
            Value::Null,
            Value::string(name),
            Value::string("live"),
        ],
    )
}

/// All up to a publish of `name`.
pub(crate) fn up_to_publish(name: &str) -> Vec<u8> {
    [handshake(), connect(), create_stream(), publish(name)].concat()
}
