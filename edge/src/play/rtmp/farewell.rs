//! What a viewer hears last: made without the session, since all viewers play on the same message stream.

use bytes::{BufMut, Bytes, BytesMut};
use headwater_media::amf0::Value;
use headwater_media::rtmp::{Head, chunk, code, message_type, play};

/// The user control event `Stream EOF` (RTMP 7.1.7).
const STREAM_EOF: u16 = 1;
/// Chunk streams of control messages and of commands.
const CONTROL: u32 = 2;
const COMMAND: u32 = 3;
/// The message stream of the connection itself.
const CONNECTION: u32 = 0;

/// The stream is over: `Stream EOF`, then `onStatus` with `NetStream.Play.UnpublishNotify`.
pub(super) fn stream_over() -> Bytes {
    let mut out = BytesMut::new();
    put_end(code::PLAY_UNPUBLISH_NOTIFY, "the stream is over", &mut out);
    out.freeze()
}

/// This edge stops and the stream goes on elsewhere: the request to connect again (Enhanced RTMP v2, "Reconnect Request")
/// to who understands it, then the end of this play with `NetStream.Play.Stop`.
pub(super) fn released(reconnects: bool) -> Bytes {
    let text = "this edge stops: connect again";
    let mut out = BytesMut::new();
    if reconnects {
        put_status(CONNECTION, code::RECONNECT_REQUEST, text, &mut out);
    }
    put_end(code::PLAY_STOP, text, &mut out);
    out.freeze()
}

fn put_end(code: &str, text: &str, out: &mut BytesMut) {
    let mut eof = BytesMut::new();
    eof.put_u16(STREAM_EOF);
    eof.put_u32(play::MESSAGE_STREAM_ID);
    put(CONTROL, message_type::USER_CONTROL, CONNECTION, &eof, out);
    put_status(play::MESSAGE_STREAM_ID, code, text, out);
}

fn put_status(stream_id: u32, code: &str, text: &str, out: &mut BytesMut) {
    let mut status = BytesMut::new();
    for value in [
        Value::string("onStatus"),
        Value::Number(0.0),
        Value::Null,
        Value::object([
            ("level", Value::string("status")),
            ("code", Value::string(code)),
            ("description", Value::string(text)),
        ]),
    ] {
        value.encode(&mut status);
    }
    put(COMMAND, message_type::COMMAND, stream_id, &status, out);
}

fn put(chunk_stream_id: u32, type_id: u8, stream_id: u32, body: &[u8], out: &mut BytesMut) {
    let head = Head {
        chunk_stream_id,
        timestamp: 0,
        type_id,
        stream_id,
    };
    let chunk_size = usize::try_from(play::CHUNK_SIZE).unwrap_or(usize::MAX);
    chunk::put_message(out, head, body, chunk_size);
}
