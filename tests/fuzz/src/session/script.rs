//! From steps to the bytes of a publisher.

use bytes::BytesMut;
use headwater_media::amf0::Value;
use headwater_media::rtmp::chunk::Writer;
use headwater_media::rtmp::{Head, message_type};

use super::step::Step;

const NAMES: [&str; 9] = [
    "room",
    "room2?txTime=5C271099",
    "",
    "a/b",
    "../x",
    "r%C3%A4um",
    "%zz",
    "inst/room",
    "room3?vhost=tv",
];
const APPS: [&str; 5] = ["live", "live/inst?x=y", "", "/live/", "a/b/c"];
const URLS: [&str; 4] = [
    "rtmp://host/live",
    "",
    "rtmp://[::1]:1935/live/inst?a=b",
    "nonsense",
];
const COMMANDS: [&str; 14] = [
    "releaseStream",
    "FCPublish",
    "FCUnpublish",
    "deleteStream",
    "closeStream",
    "_checkbw",
    "getStreamLength",
    "FCSubscribe",
    "pause",
    "seek",
    "receiveVideo",
    "_result",
    "connect",
    "createStream",
];
const VIDEO: [&[u8]; 7] = [
    &[0x17, 0, 0, 0, 0, 1, 0x64],
    &[0x17, 1, 0, 0, 40],
    &[0x27, 1, 0, 0, 0],
    b"\x90hvc1\x01",
    b"\x91hvc1\x00\x00\x00",
    b"\x96\x11av01\x00\x00\x00\x02",
    &[0x17, 2, 0, 0, 0],
];
const AUDIO: [&[u8]; 4] = [
    &[0xAF, 0, 0x12, 0x10],
    &[0xAF, 1],
    b"\x90Opus\x01",
    b"\x91Opus",
];
const SCRIPT: [&[u8]; 4] = [
    b"\x02\x00\x0D@setDataFrame\x02\x00\x0AonMetaData\x08\x00\x00\x00\x00\x00\x00\x09",
    b"\x02\x00\x0AonMetaData\x05",
    b"\x02\x00\x06onText\x02\x00\x01x",
    b"\x02\x00\x0F@clearDataFrame",
];
/// What a kind's name starts with, cut off here and there by the longest body.
const BODY_MAX_BYTES: usize = 2_048;

/// A publisher's own state: its chunk writer and its clocks.
#[derive(Debug, Default)]
pub(super) struct Script {
    writer: Writer,
    transaction: f64,
    audio_ms: u32,
    video_ms: u32,
}

impl Script {
    pub(super) fn write(&mut self, step: &Step, out: &mut Vec<u8>) {
        let mut chunks = BytesMut::new();
        match step {
            Step::Flush | Step::Pass(_) | Step::View => {}
            Step::Connect { app, url, extra } => {
                let mut object = vec![
                    ("app".to_owned(), Value::string(pick(&APPS, *app))),
                    ("tcUrl".to_owned(), Value::string(pick(&URLS, *url))),
                ];
                if extra & 1 != 0 {
                    object.push(("flashVer".to_owned(), Value::string("FMLE/3.0")));
                    object.push(("capsEx".to_owned(), Value::Number(15.0)));
                    object.push((
                        "fourCcList".to_owned(),
                        Value::StrictArray(vec![Value::string("*")]),
                    ));
                }
                if extra & 2 != 0 {
                    object.push(("objectEncoding".to_owned(), Value::Number(3.0)));
                }
                let object = if extra & 8 != 0 {
                    Value::Null
                } else {
                    Value::Object(object)
                };
                self.command(&mut chunks, 0, "connect", &[object], extra & 16 != 0);
            }
            Step::CreateStream => {
                self.command(&mut chunks, 0, "createStream", &[Value::Null], false)
            }
            Step::Publish { stream, name } => {
                let values = [
                    Value::Null,
                    Value::string(pick(&NAMES, *name)),
                    Value::string("live"),
                ];
                let kept = if stream & 0x40 == 0 { 3 } else { 1 };
                self.command(
                    &mut chunks,
                    (stream & 0x1F).into(),
                    "publish",
                    &values[..kept],
                    stream & 0x80 != 0,
                );
            }
            Step::Play { stream, name } => {
                let values = [Value::Null, Value::string(pick(&NAMES, *name))];
                self.command(&mut chunks, (stream & 0x1F).into(), "play", &values, false);
            }
            Step::Simple { command, stream } => {
                let number = Value::Number((stream & 0x1F).into());
                let on = if stream & 0x20 == 0 {
                    0
                } else {
                    u32::from(stream & 0x1F)
                };
                self.command(
                    &mut chunks,
                    on,
                    pick(&COMMANDS, *command),
                    &[Value::Null, number],
                    false,
                );
            }
            Step::Media {
                kind,
                time,
                payload,
                bytes,
            } => {
                let body = self.body(*kind, *payload, usize::from(*bytes) * 8);
                let head = self.head(*kind, *time);
                self.writer.write(&mut chunks, head, &body);
            }
            Step::Interleaved {
                first,
                second,
                bytes,
            } => self.interleaved(&mut chunks, *first, *second, *bytes),
            Step::Aggregate { parts, time } => self.aggregate(&mut chunks, *parts, *time),
            Step::Control { type_id, value } => {
                let type_id = 1 + type_id % 6;
                if type_id == message_type::SET_CHUNK_SIZE && (1..=0x00FF_FFFF).contains(value) {
                    self.writer.set_chunk_size(&mut chunks, *value);
                } else {
                    let head = Head {
                        chunk_stream_id: 2,
                        timestamp: 0,
                        type_id,
                        stream_id: 0,
                    };
                    let [a, b, c, d] = value.to_be_bytes();
                    self.writer.write(
                        &mut chunks,
                        head,
                        &[a, b, c, d, a, b][..if type_id == 4 { 6 } else { 4 }],
                    );
                }
            }
            Step::Message {
                type_id,
                chunk_stream,
                time,
                body,
            } => {
                let head = Head {
                    chunk_stream_id: u32::from(chunk_stream % 62) + 2,
                    timestamp: *time,
                    type_id: *type_id,
                    stream_id: (*type_id & 1).into(),
                };
                self.writer.write(&mut chunks, head, body);
            }
            Step::Raw(bytes) => chunks.extend_from_slice(bytes),
            Step::Repeat { kind, bytes, times } => {
                for _ in 0..*times {
                    let body = self.body(*kind, 2, usize::from(*bytes));
                    let head = self.head(*kind, 0);
                    self.writer.write(&mut chunks, head, &body);
                }
            }
        }
        out.extend_from_slice(&chunks);
    }

    fn command(
        &mut self,
        chunks: &mut BytesMut,
        stream_id: u32,
        name: &str,
        values: &[Value],
        amf3: bool,
    ) {
        self.transaction += 1.0;
        let mut body = BytesMut::new();
        if amf3 {
            body.extend_from_slice(&[0]);
        }
        Value::string(name).encode(&mut body);
        Value::Number(self.transaction).encode(&mut body);
        values.iter().for_each(|value| value.encode(&mut body));
        let type_id = if amf3 {
            message_type::COMMAND_AMF3
        } else {
            message_type::COMMAND
        };
        let head = Head {
            chunk_stream_id: 3,
            timestamp: 0,
            type_id,
            stream_id,
        };
        self.writer.write(chunks, head, &body);
    }

    fn body(&self, kind: u8, payload: u8, bytes: usize) -> Vec<u8> {
        let front = match kind % 3 {
            0 => pick(&AUDIO, payload),
            1 => pick(&VIDEO, payload),
            _ => pick(&SCRIPT, payload),
        };
        let mut body = front.to_vec();
        if kind % 3 == 2 {
            return body;
        }
        // The highest bit cuts, down to an empty message.
        if kind & 0x80 != 0 {
            body.truncate(bytes % 8);
        } else {
            body.resize(front.len() + bytes.min(BODY_MAX_BYTES), payload);
        }
        body
    }

    /// The head of the next message of `kind`. Small times are steps on; the others are what clocks do wrong.
    fn head(&mut self, kind: u8, time: u8) -> Head {
        let (clock, type_id, chunk_stream_id) = match kind % 3 {
            0 => (&mut self.audio_ms, message_type::AUDIO, 4),
            1 => (&mut self.video_ms, message_type::VIDEO, 6),
            _ => (&mut self.video_ms, message_type::DATA, 4),
        };
        *clock = match time {
            0..0xC0 => clock.wrapping_add(time.into()),
            0xC0..0xE0 => clock.wrapping_sub(u32::from(time - 0xC0) * 50),
            0xE0..0xF0 => clock.wrapping_add(u32::from(time - 0xDF) * 5_000),
            0xF0 => 0,
            0xF1 => u32::MAX - 20,
            0xF2 => 0x00FF_FFFF,
            0xF3 => 0x0100_0000,
            0xF4 => 0x8000_0000,
            _ => clock.wrapping_add(u32::from(time) << 20),
        };
        Head {
            chunk_stream_id,
            timestamp: *clock,
            type_id,
            stream_id: 1,
        }
    }

    /// The chunks of two messages by turns, with full heads.
    fn interleaved(&mut self, chunks: &mut BytesMut, first: u8, second: u8, bytes: u16) {
        let size = self.writer.chunk_size();
        let mut lists = [(first, 11_u8), (second, 12)].map(|(kind, id)| {
            let body = self.body(kind & 0x7F, 1, (bytes % 4_096).into());
            let head = self.head(kind, 20);
            message_chunks(id, head, &body, size).into_iter()
        });
        loop {
            let [a, b] = &mut lists;
            let pair = [a.next(), b.next()];
            if pair.iter().all(Option::is_none) {
                break;
            }
            pair.into_iter()
                .flatten()
                .for_each(|chunk| chunks.extend_from_slice(&chunk));
        }
    }

    fn aggregate(&mut self, chunks: &mut BytesMut, parts: u8, time: u8) {
        let mut body = Vec::new();
        for n in 0..parts % 16 {
            let part = self.body(n, n, 10);
            let head = self.head(n, time);
            let length = u32::try_from(part.len()).expect("a small part");
            let [t3, t2, t1, t0] = head.timestamp.to_be_bytes();
            body.push(head.type_id);
            body.extend_from_slice(&length.to_be_bytes()[1..]);
            body.extend_from_slice(&[t2, t1, t0, t3, 0, 0, 0]);
            body.extend_from_slice(&part);
            body.extend_from_slice(&(length + 11).to_be_bytes());
        }
        if parts & 0x40 != 0 {
            body.pop();
        }
        let head = Head {
            chunk_stream_id: 4,
            timestamp: self.audio_ms,
            type_id: message_type::AGGREGATE,
            stream_id: 1,
        };
        self.writer.write(chunks, head, &body);
    }
}

/// The chunks of a message on chunk stream `id`, the first with a full head (section 5.3.1).
fn message_chunks(id: u8, head: Head, body: &[u8], chunk_size: usize) -> Vec<Vec<u8>> {
    let short = head.timestamp.min(0x00FF_FFFF);
    let extended = (short == 0x00FF_FFFF).then(|| head.timestamp.to_be_bytes());
    let length = u32::try_from(body.len()).expect("a small body");
    let mut first = vec![id];
    first.extend_from_slice(&short.to_be_bytes()[1..]);
    first.extend_from_slice(&length.to_be_bytes()[1..]);
    first.push(head.type_id);
    first.extend_from_slice(&head.stream_id.to_le_bytes());
    body.chunks(chunk_size.max(1))
        .enumerate()
        .map(|(number, part)| {
            let mut chunk = if number == 0 {
                first.clone()
            } else {
                vec![0xC0 | id]
            };
            chunk.extend_from_slice(extended.as_ref().map_or(&[], |time| &time[..]));
            chunk.extend_from_slice(part);
            chunk
        })
        .collect()
}

fn pick<'a, T: ?Sized>(list: &[&'a T], which: u8) -> &'a T {
    list[usize::from(which) % list.len()]
}
