//! What `onMetaData` says of a stream (Video File Format 10.1, annex E.5), for people and pages that list
//! streams. Nothing depends on it: encoders write what they like there.

use bytes::{Bytes, BytesMut};

use crate::amf0::{Decoder, Value};

/// The longest text that is kept, in characters.
const MAX_TEXT_CHARS: usize = 128;

/// The facts of one `onMetaData`; what was not told, or makes no sense, is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScriptFacts {
    /// Width of the picture in pixels.
    pub width: Option<u32>,
    /// Height of the picture in pixels.
    pub height: Option<u32>,
    /// Pictures per second.
    pub frame_rate: Option<f64>,
    /// `videodatarate`, in kbit/s.
    pub video_kbps: Option<f64>,
    /// `audiodatarate`, in kbit/s.
    pub audio_kbps: Option<f64>,
    /// `videocodecid`, as FLV's number, a FourCC or a name.
    pub video_codec: Option<String>,
    /// `audiocodecid`, likewise.
    pub audio_codec: Option<String>,
    /// `audiosamplerate`, in Hz.
    pub audio_sample_rate: Option<u32>,
    /// `stereo`, or more than one of `audiochannels`.
    pub stereo: Option<bool>,
    /// The program that encoded the stream.
    pub encoder: Option<String>,
}

/// The facts of a script tag's body; `None` unless it is an `onMetaData` that can be read.
pub fn facts(payload: &[u8]) -> Option<ScriptFacts> {
    let mut decoder = Decoder::new(payload);
    let name = decoder.value().ok()??;
    if name.as_str() != Some("onMetaData") {
        return None;
    }
    let metadata = decoder.value().ok()??;
    metadata.properties()?;
    let number = |name| {
        metadata
            .get(name)
            .and_then(Value::as_number)
            .filter(|number| number.is_finite())
    };
    // Pixels or hertz.
    let whole = |name| {
        metadata
            .get(name)
            .and_then(Value::as_u32)
            .filter(|number| *number > 0)
    };
    let positive = |name| number(name).filter(|number| *number > 0.0);
    let text = |name| metadata.get(name).and_then(Value::as_str).map(shown);
    Some(ScriptFacts {
        width: whole("width"),
        height: whole("height"),
        frame_rate: positive("framerate").or_else(|| positive("videoframerate")),
        video_kbps: positive("videodatarate"),
        audio_kbps: positive("audiodatarate"),
        video_codec: metadata.get("videocodecid").and_then(codec),
        audio_codec: metadata.get("audiocodecid").and_then(codec),
        audio_sample_rate: whole("audiosamplerate"),
        stereo: metadata
            .get("stereo")
            .and_then(Value::as_bool)
            .or_else(|| number("audiochannels").map(|channels| channels > 1.0)),
        encoder: text("encoder")
            .or_else(|| text("metadatacreator"))
            .filter(|text| !text.is_empty()),
    })
}

/// The body of a script tag with an `onMetaData` of these properties.
pub fn encode<const N: usize>(properties: [(&str, Value); N]) -> Bytes {
    let Value::Object(properties) = Value::object(properties) else {
        return Bytes::new();
    };
    let mut out = BytesMut::new();
    Value::string("onMetaData").encode(&mut out);
    Value::EcmaArray(properties).encode(&mut out);
    out.freeze()
}

/// A codec's number, FourCC or name. Enhanced RTMP writes a FourCC as its four bytes in a number.
fn codec(value: &Value) -> Option<String> {
    if let Some(text) = value.as_str() {
        return Some(shown(text)).filter(|text| !text.is_empty());
    }
    let id = value.as_u32()?;
    let four_cc = id.to_be_bytes();
    let is_four_cc = four_cc.iter().all(|byte| byte.is_ascii_graphic());
    Some(if is_four_cc {
        four_cc.iter().copied().map(char::from).collect()
    } else {
        id.to_string()
    })
}

/// Text that is safe to show: bounded, and without control characters.
fn shown(text: &str) -> String {
    text.chars()
        .filter(|char| !char.is_control())
        .take(MAX_TEXT_CHARS)
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_encoders_write_reads_as_facts() {
        let body = encode([
            ("duration", Value::Number(0.0)),
            ("width", Value::Number(1920.0)),
            ("height", Value::Number(1080.0)),
            ("videodatarate", Value::Number(2_500.0)),
            ("framerate", Value::Number(29.97)),
            ("videocodecid", Value::Number(7.0)),
            ("audiosamplerate", Value::Number(48_000.0)),
            ("stereo", Value::Boolean(true)),
            ("audiocodecid", Value::Number(10.0)),
            ("encoder", Value::string("Lavf59.27.100\n")),
        ]);
        let facts = facts(&body).unwrap();
        assert_eq!(
            (facts.width, facts.height, facts.frame_rate),
            (Some(1_920), Some(1_080), Some(29.97))
        );
        assert_eq!((facts.video_kbps, facts.audio_kbps), (Some(2_500.0), None));
        assert_eq!(
            (facts.video_codec.as_deref(), facts.audio_codec.as_deref()),
            (Some("7"), Some("10"))
        );
        assert_eq!(
            (facts.audio_sample_rate, facts.stereo),
            (Some(48_000), Some(true))
        );
        assert_eq!(facts.encoder.as_deref(), Some("Lavf59.27.100"));
    }

    #[test]
    fn codecs_are_numbers_four_ccs_or_names() {
        for (value, expected) in [
            (Value::Number(12.0), Some("12")),
            (
                Value::Number(f64::from(u32::from_be_bytes(*b"av01"))),
                Some("av01"),
            ),
            (Value::string("avc1"), Some("avc1")),
            (Value::Number(-1.0), None),
            (Value::Number(f64::NAN), None),
            (Value::Null, None),
        ] {
            let body = encode([("videocodecid", value.clone())]);
            assert_eq!(
                facts(&body).unwrap().video_codec.as_deref(),
                expected,
                "{value:?}"
            );
        }
    }

    #[test]
    fn what_is_no_metadata_has_no_facts() {
        assert_eq!(facts(b""), None);
        assert_eq!(facts(b"\x02\x00\x0AonTextData\x05"), None);
        assert_eq!(facts(b"\x02\x00\x0AonMetaData"), None);
        assert_eq!(facts(b"\x02\x00\x0AonMetaData\x05"), None);
        let unlikely = encode([
            ("width", Value::Number(f64::INFINITY)),
            ("framerate", Value::Number(-5.0)),
        ]);
        assert_eq!(facts(&unlikely), Some(ScriptFacts::default()));
    }

    proptest! {
        #[test]
        fn any_bytes_have_facts_or_not(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            let _ = facts(&bytes);
            let _ = facts(&[&b"\x02\x00\x0AonMetaData\x08\x00\x00\x00\x01"[..], &bytes].concat());
        }
    }
}
