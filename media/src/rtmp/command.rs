//! Commands (section 7.2): a name, a transaction, an object and arguments, all AMF0.

use bytes::BytesMut;

use super::error::RtmpError;
use crate::amf0::{Amf0Error, Decoder, Value};

/// The most entries kept of each list that a peer sends in `connect`.
const MAX_CODECS: usize = 64;

/// Bits of `capsEx` (Enhanced RTMP v2, "Enhancing NetConnection connect Command").
pub mod caps_ex {
    /// Understands `NetConnection.Connect.ReconnectRequest`.
    pub const RECONNECT: u32 = 1;
    /// Understands multitrack audio and video.
    pub const MULTITRACK: u32 = 2;
    /// Understands ModEx packets.
    pub const MOD_EX: u32 = 4;
    /// Understands time stamps with nanoseconds.
    pub const TIMESTAMP_NANO_OFFSET: u32 = 8;
}

/// Bits of `videoFourCcInfoMap` and `audioFourCcInfoMap`.
pub mod four_cc {
    /// Can decode the codec.
    pub const CAN_DECODE: u32 = 1;
    /// Can encode the codec.
    pub const CAN_ENCODE: u32 = 2;
    /// Can forward the codec.
    pub const CAN_FORWARD: u32 = 4;
}

/// What one end says of its Enhanced RTMP support in `connect` or its result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// `fourCcList`: codecs by their FourCC, or `*`.
    pub four_cc_list: Vec<String>,
    /// `videoFourCcInfoMap`: bits of [`four_cc`] for each FourCC, or for `*`.
    pub video: Vec<(String, u32)>,
    /// `audioFourCcInfoMap`, likewise.
    pub audio: Vec<(String, u32)>,
    /// `capsEx`: bits of [`caps_ex`].
    pub caps_ex: u32,
}

impl Capabilities {
    /// What a server offers that passes every codec on untouched.
    pub fn forward_all() -> Capabilities {
        let all = || vec![("*".to_owned(), four_cc::CAN_FORWARD)];
        Capabilities {
            four_cc_list: vec!["*".to_owned()],
            video: all(),
            audio: all(),
            caps_ex: caps_ex::RECONNECT
                | caps_ex::MULTITRACK
                | caps_ex::MOD_EX
                | caps_ex::TIMESTAMP_NANO_OFFSET,
        }
    }

    /// Whether this end speaks legacy RTMP only.
    pub fn is_empty(&self) -> bool {
        *self == Capabilities::default()
    }

    /// Whether this end follows a reconnect request.
    pub fn reconnect(&self) -> bool {
        self.caps_ex & caps_ex::RECONNECT != 0
    }

    /// Reads them from the object of `connect`, or from the information of its result.
    pub(super) fn read(object: &Value) -> Capabilities {
        let map = |name| {
            let entries = object
                .get(name)
                .and_then(Value::properties)
                .unwrap_or_default()
                .iter();
            let entries =
                entries.filter_map(|(four_cc, bits)| Some((four_cc.clone(), bits.as_u32()?)));
            entries.take(MAX_CODECS).collect()
        };
        // A list that is not a strict array is an ECMA array in some encoders.
        let list = match object.get("fourCcList") {
            Some(Value::StrictArray(values)) => values.iter().collect(),
            Some(other) => other
                .properties()
                .unwrap_or_default()
                .iter()
                .map(|(_, value)| value)
                .collect(),
            None => Vec::new(),
        };
        let texts = list
            .into_iter()
            .filter_map(Value::as_str)
            .map(str::to_owned);
        Capabilities {
            four_cc_list: texts.take(MAX_CODECS).collect(),
            video: map("videoFourCcInfoMap"),
            audio: map("audioFourCcInfoMap"),
            caps_ex: object.get("capsEx").and_then(Value::as_u32).unwrap_or(0),
        }
    }

    /// Adds them to an object's properties; nothing for what is empty.
    pub(super) fn write(&self, properties: &mut Vec<(String, Value)>) {
        let mut add = |name: &str, value| properties.push((name.to_owned(), value));
        if !self.four_cc_list.is_empty() {
            let list = self.four_cc_list.iter().map(Value::string).collect();
            add("fourCcList", Value::StrictArray(list));
        }
        for (name, map) in [
            ("videoFourCcInfoMap", &self.video),
            ("audioFourCcInfoMap", &self.audio),
        ] {
            if !map.is_empty() {
                let entries = map
                    .iter()
                    .map(|(four_cc, bits)| (four_cc.clone(), Value::Number((*bits).into())));
                add(name, Value::Object(entries.collect()));
            }
        }
        if self.caps_ex != 0 {
            add("capsEx", Value::Number(self.caps_ex.into()));
        }
    }
}

/// How a publisher wants its stream kept (7.2.2.6). Headwater serves all three alike: live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PublishingType {
    /// `live`, and whatever else encoders write there.
    #[default]
    Live,
    /// `record`.
    Record,
    /// `append`.
    Append,
}

impl PublishingType {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            PublishingType::Live => "live",
            PublishingType::Record => "record",
            PublishingType::Append => "append",
        }
    }

    pub(super) fn from_wire(text: &str) -> PublishingType {
        match text {
            "record" => PublishingType::Record,
            "append" => PublishingType::Append,
            _ => PublishingType::Live,
        }
    }
}

/// One command message.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Command {
    pub(super) name: String,
    /// 0 if no answer is wanted, or if it was left out.
    pub(super) transaction: f64,
    pub(super) object: Value,
    pub(super) arguments: Vec<Value>,
}

impl Command {
    /// Reads a payload of type 20, or of type 17 after its format byte.
    pub(super) fn parse(payload: &[u8]) -> Result<Command, RtmpError> {
        let mut decoder = Decoder::new(payload);
        let Some(Value::String(name)) = decoder.value()? else {
            return Err(RtmpError::NoCommandName);
        };
        let mut values = Vec::new();
        loop {
            match decoder.value() {
                Ok(Some(value)) => values.push(value),
                // Only commands that Flash applications made up carry AMF3 objects; what is before them counts.
                Ok(None) | Err(Amf0Error::Amf3) => break,
                Err(error) => return Err(error.into()),
            }
        }
        let mut values = values.into_iter();
        let transaction = values
            .next()
            .as_ref()
            .and_then(Value::as_number)
            .unwrap_or(0.0);
        let object = values.next().unwrap_or(Value::Null);
        Ok(Command {
            name,
            transaction,
            object,
            arguments: values.collect(),
        })
    }

    /// The payload of type 20.
    pub(super) fn encode(&self) -> BytesMut {
        let mut out = BytesMut::new();
        Value::string(self.name.as_str()).encode(&mut out);
        Value::Number(self.transaction).encode(&mut out);
        self.object.encode(&mut out);
        self.arguments
            .iter()
            .for_each(|value| value.encode(&mut out));
        out
    }

    pub(super) fn argument(&self, index: usize) -> Option<&Value> {
        self.arguments.get(index)
    }

    /// An argument that must be text and in UTF-8.
    pub(super) fn text(
        &self,
        index: usize,
        command: &'static str,
        value: &'static str,
    ) -> Result<String, RtmpError> {
        let text = self
            .argument(index)
            .and_then(Value::as_str)
            .filter(|text| is_exact(text));
        text.map(str::to_owned)
            .ok_or(RtmpError::MissingValue { command, value })
    }
}

/// Whether a decoded text is what was on the wire: two names that differ must not become one.
pub(super) fn is_exact(text: &str) -> bool {
    !text.contains(char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_reads_as_it_was_written() {
        let command = Command {
            name: "publish".into(),
            transaction: 5.0,
            object: Value::Null,
            arguments: vec![Value::string("room?k=v"), Value::string("live")],
        };
        assert_eq!(Command::parse(&command.encode()), Ok(command));
    }

    #[test]
    fn values_that_are_left_out_count_as_nothing() {
        for (name, payload, error) in [
            ("empty", &[][..], Some(RtmpError::NoCommandName)),
            (
                "a number for a name",
                &[0, 0, 0, 0, 0, 0, 0, 0, 0],
                Some(RtmpError::NoCommandName),
            ),
            ("a name alone", &[2, 0, 1, b'x'], None),
            ("AMF3 behind", &[2, 0, 1, b'x', 0x11, 1], None),
            (
                "cut behind",
                &[2, 0, 1, b'x', 0x00, 1],
                Some(RtmpError::Amf0(Amf0Error::Cut)),
            ),
        ] {
            match Command::parse(payload) {
                Ok(command) => {
                    assert_eq!(
                        (command.transaction, command.object),
                        (0.0, Value::Null),
                        "{name}"
                    );
                    assert_eq!(error, None, "{name}");
                }
                Err(got) => assert_eq!(Some(got), error, "{name}"),
            }
        }
    }

    #[test]
    fn capabilities_read_as_they_were_written() {
        let mut properties = Vec::new();
        Capabilities::forward_all().write(&mut properties);
        assert_eq!(
            Capabilities::read(&Value::Object(properties)),
            Capabilities::forward_all()
        );
        assert!(Capabilities::read(&Value::Null).is_empty());
        let odd = Value::object([
            ("capsEx", Value::Number(f64::NAN)),
            (
                "fourCcList",
                Value::EcmaArray(vec![("0".into(), Value::string("hvc1"))]),
            ),
            (
                "videoFourCcInfoMap",
                Value::object([("av01", Value::Number(-1.0))]),
            ),
        ]);
        let read = Capabilities::read(&odd);
        assert_eq!(
            (read.four_cc_list, read.video, read.caps_ex),
            (vec!["hvc1".to_owned()], vec![], 0)
        );
    }
}
