//! What a video tag's body says.

use super::enhanced::{self, Multitrack};
use super::fields::Fields;

/// The codec of a video tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum VideoCodec {
    /// Sorenson H.263, `CodecID` 2.
    H263,
    /// Screen video, `CodecID` 3.
    Screen,
    /// On2 VP6, `CodecID` 4.
    Vp6,
    /// On2 VP6 with an alpha channel, `CodecID` 5.
    Vp6Alpha,
    /// Screen video version 2, `CodecID` 6.
    Screen2,
    /// H.264, `CodecID` 7 or `avc1`.
    Avc,
    /// H.265 by the unregistered `CodecID` 12, laid out as AVC.
    HevcLegacy,
    /// H.265, `hvc1`.
    Hevc,
    /// H.266, `vvc1`.
    Vvc,
    /// AV1, `av01`.
    Av1,
    /// VP8, `vp08`.
    Vp8,
    /// VP9, `vp09`.
    Vp9,
    /// Not known, or not said.
    #[default]
    Unknown,
}

impl VideoCodec {
    /// The name that people and labels use.
    pub fn as_str(self) -> &'static str {
        match self {
            VideoCodec::H263 => "h263",
            VideoCodec::Screen => "screen",
            VideoCodec::Vp6 => "vp6",
            VideoCodec::Vp6Alpha => "vp6a",
            VideoCodec::Screen2 => "screen2",
            VideoCodec::Avc => "h264",
            VideoCodec::HevcLegacy | VideoCodec::Hevc => "hevc",
            VideoCodec::Vvc => "vvc",
            VideoCodec::Av1 => "av1",
            VideoCodec::Vp8 => "vp8",
            VideoCodec::Vp9 => "vp9",
            VideoCodec::Unknown => "unknown",
        }
    }

    fn from_codec_id(id: u8) -> VideoCodec {
        match id {
            2 => VideoCodec::H263,
            3 => VideoCodec::Screen,
            4 => VideoCodec::Vp6,
            5 => VideoCodec::Vp6Alpha,
            6 => VideoCodec::Screen2,
            7 => VideoCodec::Avc,
            12 => VideoCodec::HevcLegacy,
            _ => VideoCodec::Unknown,
        }
    }

    fn from_four_cc(four_cc: [u8; 4]) -> VideoCodec {
        match &four_cc {
            b"avc1" => VideoCodec::Avc,
            b"hvc1" => VideoCodec::Hevc,
            b"vvc1" => VideoCodec::Vvc,
            b"av01" => VideoCodec::Av1,
            b"vp08" => VideoCodec::Vp8,
            b"vp09" => VideoCodec::Vp9,
            _ => VideoCodec::Unknown,
        }
    }
}

/// What a video tag's body says; the default says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VideoTraits {
    /// The codec; with [`Multitrack::ManyTracksManyCodecs`], the first track's.
    pub codec: VideoCodec,
    /// A coded picture that decoding can start with; never a sequence header, a command or an end of sequence.
    pub keyframe: bool,
    /// Decoder configuration, in force for the pictures of its track from here on.
    pub sequence_header: bool,
    /// No picture follows in this sequence.
    pub end_of_sequence: bool,
    /// Metadata of the pictures that follow, in AMF0 (`colorInfo`: HDR), not a picture.
    pub metadata: bool,
    /// Milliseconds from decoding to showing (PTS − DTS), −2^23..2^23; 0 where the codec has none.
    pub composition_ms: i32,
    /// The (first) track's id; 0 where the message names no track.
    pub track: u8,
    /// Set if the message names its tracks.
    pub multitrack: Option<Multitrack>,
}

/// `FrameType`, 4 bits in the legacy header and 3 in the enhanced one. A generated keyframe (4) is not for the
/// wire and players do not start at it.
const KEY_FRAME: u8 = 1;
const COMMAND_FRAME: u8 = 5;

/// `AVCPacketType`, and `VideoPacketType` alike.
const SEQUENCE_START: u8 = 0;
const CODED_FRAMES: u8 = 1;
const SEQUENCE_END: u8 = 2;
/// `VideoPacketType` only: frames without a composition time.
const CODED_FRAMES_X: u8 = 3;
const METADATA: u8 = 4;
const MPEG2_TS_SEQUENCE_START: u8 = 5;
const MULTITRACK: u8 = 6;

/// Reads the start of a video tag's body (annex E.4.3.1; Enhanced RTMP v2, "Enhanced Video").
///
/// A body that ends inside its own header, and everything of a reserved legacy `CodecID`, says nothing more than
/// its codec. With an unknown FourCC the traits still hold: their place in the header does not depend on the codec.
pub fn video(payload: &[u8]) -> VideoTraits {
    let mut fields = Fields::of(payload);
    let Some((upper, lower)) = fields.nibbles() else {
        return VideoTraits::default();
    };
    if upper & 0b1000 == 0 {
        legacy(&mut fields, upper, lower)
    } else {
        enhanced(&mut fields, upper & 0b0111, lower).unwrap_or_default()
    }
}

fn legacy(fields: &mut Fields<'_>, frame_type: u8, codec_id: u8) -> VideoTraits {
    let codec = VideoCodec::from_codec_id(codec_id);
    let plain = VideoTraits {
        codec,
        ..VideoTraits::default()
    };
    // What follows a command is the command, not a packet type.
    if codec == VideoCodec::Unknown || frame_type == COMMAND_FRAME {
        return plain;
    }
    let keyframe = frame_type == KEY_FRAME;
    if !matches!(codec, VideoCodec::Avc | VideoCodec::HevcLegacy) {
        return VideoTraits { keyframe, ..plain };
    }
    match (fields.u8(), fields.i24()) {
        (Some(SEQUENCE_START), _) => VideoTraits {
            sequence_header: true,
            ..plain
        },
        (Some(SEQUENCE_END), _) => VideoTraits {
            end_of_sequence: true,
            ..plain
        },
        (Some(CODED_FRAMES), Some(composition_ms)) => VideoTraits {
            keyframe,
            composition_ms,
            ..plain
        },
        _ => plain,
    }
}

fn enhanced(fields: &mut Fields<'_>, frame_type: u8, packet_type: u8) -> Option<VideoTraits> {
    let packet_type = enhanced::skip_mod_ex(fields, packet_type)?;
    if frame_type == COMMAND_FRAME && packet_type != METADATA {
        return None;
    }
    let track = enhanced::first_track(fields, packet_type, MULTITRACK)?;
    let codec = VideoCodec::from_four_cc(track.four_cc);
    let plain = VideoTraits {
        codec,
        track: track.id,
        multitrack: track.multitrack,
        ..VideoTraits::default()
    };
    let keyframe = frame_type == KEY_FRAME;
    Some(match track.packet_type {
        SEQUENCE_START | MPEG2_TS_SEQUENCE_START => VideoTraits {
            sequence_header: true,
            ..plain
        },
        SEQUENCE_END => VideoTraits {
            end_of_sequence: true,
            ..plain
        },
        METADATA => VideoTraits {
            metadata: true,
            ..plain
        },
        CODED_FRAMES_X => VideoTraits { keyframe, ..plain },
        CODED_FRAMES if has_composition_time(codec) => match fields.i24() {
            Some(composition_ms) => VideoTraits {
                keyframe,
                composition_ms,
                ..plain
            },
            None => plain,
        },
        CODED_FRAMES => VideoTraits { keyframe, ..plain },
        _ => plain,
    })
}

fn has_composition_time(codec: VideoCodec) -> bool {
    matches!(codec, VideoCodec::Avc | VideoCodec::Hevc | VideoCodec::Vvc)
}

#[cfg(test)]
mod tests;
