//! Control tags: what the sender says between tags of media.
//!
//! Script tags with a `StreamID` that no player looks at and no publisher can set: those of publishers always go out with
//! `StreamID` 0. The body is AMF0, so that whatever reads FLV reads over them: the string `headwater`, then an object with
//! `say` and decimal strings (AMF0's numbers are exact up to 2^53 only). They consume no sequence number.

use bytes::{BufMut, BytesMut};
use headwater_media::amf0::{Amf0Error, Decoder, Value};
use headwater_media::flv::{previous_tag_size, tag_head};
use headwater_media::{Dts, TagKind};

/// The `StreamID` of control tags: `HWA`.
pub const CONTROL_STREAM_ID: u32 = 0x0048_5741;

/// Longest body of a control tag. Those that are written have less than 512 bytes.
pub(crate) const CONTROL_MAX_BYTES: usize = 4096;

const NAME: &str = "headwater";

/// Why a sender ends a pull. None of them is a death.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// The publisher has left.
    PublisherLeft,
    /// Another session has taken the stream over: ask again, with the last tag that is here.
    Replaced,
    /// The sender lets go of the stream: look elsewhere.
    Closed,
}

impl EndReason {
    /// All reasons.
    pub const ALL: [EndReason; 3] = [
        EndReason::PublisherLeft,
        EndReason::Replaced,
        EndReason::Closed,
    ];

    /// The word on the wire and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            EndReason::PublisherLeft => "publisher_left",
            EndReason::Replaced => "replaced",
            EndReason::Closed => "closed",
        }
    }
}

/// What a control tag says. `next` is the number that the next tag of media has or would have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// Nothing to send, but alive.
    Heartbeat {
        /// The next tag.
        next: u64,
    },
    /// Nothing comes any more.
    End {
        /// Why.
        reason: EndReason,
        /// The tag that will not come.
        next: u64,
    },
    /// A higher term has been heard.
    Term {
        /// That term.
        term: u64,
    },
    /// The sender will close: go on from `to`, with the tag that is next by then.
    Moved {
        /// `host:port` of the internal port there.
        to: String,
        /// The next tag.
        next: u64,
    },
    /// Tags were lost because the sender no longer held them.
    Gap {
        /// How many.
        tags: u64,
        /// The next tag.
        next: u64,
        /// As [`crate::PullHead::first_dts`].
        dts: Dts,
        /// As [`crate::PullHead::preface`].
        preface: u32,
    },
}

/// Why a control tag cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// Not AMF0.
    #[error("control tag: {0}")]
    Amf0(#[from] Amf0Error),
    /// Not `headwater` and an object with `say`.
    #[error("control tag is not `headwater` and an object")]
    Shape,
    /// A property is missing, or is not what it must be.
    #[error("control tag: `{0}` is missing or malformed")]
    Property(&'static str),
}

impl Control {
    /// Appends it to `out` as a tag with its `PreviousTagSize`, stamped `wire_ms` (that of the tag before, so that no
    /// player's clock moves).
    pub fn encode(&self, wire_ms: u32, out: &mut BytesMut) {
        let mut body = BytesMut::new();
        Value::string(NAME).encode(&mut body);
        self.object().encode(&mut body);
        if let Some(head) = tag_head(TagKind::Script, body.len(), wire_ms, CONTROL_STREAM_ID) {
            out.put_slice(&head);
            out.put_slice(&body);
            out.put_slice(&previous_tag_size(body.len()));
        }
    }

    fn object(&self) -> Value {
        let number = |n: u64| Value::string(n.to_string());
        let text = |text: &str| Value::string(text);
        match self {
            Control::Heartbeat { next } => {
                Value::object([("say", text("heartbeat")), ("next", number(*next))])
            }
            Control::End { reason, next } => Value::object([
                ("say", text("end")),
                ("reason", text(reason.as_str())),
                ("next", number(*next)),
            ]),
            Control::Term { term } => {
                Value::object([("say", text("term")), ("term", number(*term))])
            }
            Control::Moved { to, next } => Value::object([
                ("say", text("moved")),
                ("to", text(to)),
                ("next", number(*next)),
            ]),
            Control::Gap {
                tags,
                next,
                dts,
                preface,
            } => Value::object([
                ("say", text("gap")),
                ("tags", number(*tags)),
                ("next", number(*next)),
                ("dts", Value::string(dts.0.to_string())),
                ("preface", number(u64::from(*preface))),
            ]),
        }
    }

    /// Reads the body of a control tag; `None` for what a newer release may say and this one does not know.
    ///
    /// # Errors
    /// What it lacks; see [`ControlError`].
    pub fn decode(body: &[u8]) -> Result<Option<Control>, ControlError> {
        let mut decoder = Decoder::new(body);
        let name = decoder.value()?;
        if name.as_ref().and_then(Value::as_str) != Some(NAME) {
            return Err(ControlError::Shape);
        }
        let object = decoder.value()?.ok_or(ControlError::Shape)?;
        let say = object
            .get("say")
            .and_then(Value::as_str)
            .ok_or(ControlError::Shape)?;
        Ok(Some(match say {
            "heartbeat" => Control::Heartbeat {
                next: number(&object, "next")?,
            },
            "end" => Control::End {
                reason: end_reason(&object)?,
                next: number(&object, "next")?,
            },
            "term" => Control::Term {
                term: number(&object, "term")?,
            },
            "moved" => Control::Moved {
                to: text(&object, "to")?.to_owned(),
                next: number(&object, "next")?,
            },
            "gap" => Control::Gap {
                tags: number(&object, "tags")?,
                next: number(&object, "next")?,
                dts: Dts(number(&object, "dts")?),
                preface: number(&object, "preface")?,
            },
            _ => return Ok(None),
        }))
    }
}

fn text<'v>(object: &'v Value, name: &'static str) -> Result<&'v str, ControlError> {
    object
        .get(name)
        .and_then(Value::as_str)
        .ok_or(ControlError::Property(name))
}

fn number<T: std::str::FromStr>(object: &Value, name: &'static str) -> Result<T, ControlError> {
    text(object, name)?
        .parse()
        .map_err(|_| ControlError::Property(name))
}

/// A reason that is not known here is one to look elsewhere.
fn end_reason(object: &Value) -> Result<EndReason, ControlError> {
    let word = text(object, "reason")?;
    Ok(EndReason::ALL
        .into_iter()
        .find(|r| r.as_str() == word)
        .unwrap_or(EndReason::Closed))
}

#[cfg(test)]
mod tests {
    use headwater_media::flv::{PREVIOUS_TAG_SIZE_BYTES, TAG_HEAD_BYTES};
    use proptest::prelude::*;

    use super::*;

    fn body(control: &Control) -> Vec<u8> {
        let mut out = BytesMut::new();
        control.encode(7, &mut out);
        assert_eq!(
            &out[..11],
            &[18, 0, 0, out[3], 0, 0, 7, 0, 0x48, 0x57, 0x41]
        );
        out[TAG_HEAD_BYTES..out.len() - PREVIOUS_TAG_SIZE_BYTES].to_vec()
    }

    fn controls() -> impl Strategy<Value = Control> {
        prop_oneof![
            any::<u64>().prop_map(|next| Control::Heartbeat { next }),
            (any::<u64>(), 0..3usize).prop_map(|(next, index)| Control::End {
                reason: EndReason::ALL[index],
                next
            }),
            any::<u64>().prop_map(|term| Control::Term { term }),
            ("[a-z0-9.:-]{1,40}", any::<u64>()).prop_map(|(to, next)| Control::Moved { to, next }),
            (any::<u64>(), any::<u64>(), any::<i64>(), any::<u32>()).prop_map(
                |(tags, next, dts, preface)| Control::Gap {
                    tags,
                    next,
                    dts: Dts(dts),
                    preface
                }
            ),
        ]
    }

    #[test]
    fn what_a_control_tag_lacks_is_named() {
        let with = |object: Value| {
            let mut out = BytesMut::new();
            Value::string(NAME).encode(&mut out);
            object.encode(&mut out);
            out.to_vec()
        };
        let say = |word: &str| ("say", Value::string(word.to_owned()));
        for (name, bytes, error) in [
            ("nothing", vec![], ControlError::Shape),
            (
                "another script",
                b"\x02\x00\x0AonMetaData\x03\x00\x00\x09".to_vec(),
                ControlError::Shape,
            ),
            (
                "no object",
                b"\x02\x00\x09headwater".to_vec(),
                ControlError::Shape,
            ),
            (
                "cut",
                b"\x02\x00\x09headwat".to_vec(),
                ControlError::Amf0(Amf0Error::Cut),
            ),
            ("says nothing", with(Value::object([])), ControlError::Shape),
            (
                "no number",
                with(Value::object([say("heartbeat")])),
                ControlError::Property("next"),
            ),
            (
                "a number that is not exact",
                with(Value::object([say("term"), ("term", Value::Number(1.0))])),
                ControlError::Property("term"),
            ),
            (
                "a number that does not fit",
                with(Value::object([
                    say("term"),
                    ("term", Value::string("18446744073709551616")),
                ])),
                ControlError::Property("term"),
            ),
        ] {
            assert_eq!(Control::decode(&bytes), Err(error), "{name}");
        }
        assert_eq!(
            Control::decode(&with(Value::object([say("later")]))),
            Ok(None)
        );
    }

    proptest! {
        #[test]
        fn a_control_tag_is_read_as_it_was_written(control in controls()) {
            prop_assert_eq!(Control::decode(&body(&control)), Ok(Some(control)));
        }

        #[test]
        fn any_bytes_are_a_control_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            drop(Control::decode(&bytes));
        }
    }
}
