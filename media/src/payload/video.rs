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
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A body with nothing to say but its codec.
    fn of(codec: VideoCodec) -> VideoTraits {
        VideoTraits {
            codec,
            ..VideoTraits::default()
        }
    }

    #[test]
    fn legacy_headers_are_read() {
        let avc = of(VideoCodec::Avc);
        let hevc = of(VideoCodec::HevcLegacy);
        for (name, body, expected) in [
            ("empty", &b""[..], VideoTraits::default()),
            ("codec alone", b"\x17", avc),
            (
                "sequence header",
                b"\x17\0\0\0\0\x01",
                VideoTraits {
                    sequence_header: true,
                    ..avc
                },
            ),
            (
                "sequence header cut",
                b"\x17\0",
                VideoTraits {
                    sequence_header: true,
                    ..avc
                },
            ),
            (
                "end of sequence",
                b"\x17\x02\0\0\0",
                VideoTraits {
                    end_of_sequence: true,
                    ..avc
                },
            ),
            (
                "keyframe",
                b"\x17\x01\0\0\x50x",
                VideoTraits {
                    keyframe: true,
                    composition_ms: 80,
                    ..avc
                },
            ),
            (
                "keyframe without data",
                b"\x17\x01\0\0\0",
                VideoTraits {
                    keyframe: true,
                    ..avc
                },
            ),
            ("keyframe cut in its composition time", b"\x17\x01\0\0", avc),
            (
                "inter frame shown before it is decoded",
                b"\x27\x01\xFF\xFF\xFE",
                VideoTraits {
                    composition_ms: -2,
                    ..avc
                },
            ),
            (
                "earliest composition time",
                b"\x27\x01\x80\0\0",
                VideoTraits {
                    composition_ms: -0x80_0000,
                    ..avc
                },
            ),
            ("unknown packet type", b"\x17\x03\0\0\0", avc),
            ("seek command", b"\x57\0", avc),
            ("generated keyframe", b"\x47\x01\0\0\0", avc),
            (
                "HEVC sequence header",
                b"\x1C\0\0\0\0",
                VideoTraits {
                    sequence_header: true,
                    ..hevc
                },
            ),
            (
                "HEVC keyframe",
                b"\x1C\x01\0\0\x21",
                VideoTraits {
                    keyframe: true,
                    composition_ms: 33,
                    ..hevc
                },
            ),
            (
                "H.263 keyframe",
                b"\x12",
                VideoTraits {
                    keyframe: true,
                    ..of(VideoCodec::H263)
                },
            ),
            ("H.263 disposable", b"\x32", of(VideoCodec::H263)),
            ("reserved codec", b"\x1D\x01\0\0\0", VideoTraits::default()),
        ] {
            assert_eq!(video(body), expected, "{name}");
        }
    }

    #[test]
    fn enhanced_headers_are_read() {
        let hevc = of(VideoCodec::Hevc);
        let av1 = of(VideoCodec::Av1);
        for (name, body, expected) in [
            (
                "sequence start",
                &b"\x90hvc1"[..],
                VideoTraits {
                    sequence_header: true,
                    ..hevc
                },
            ),
            (
                "coded frames have a composition time",
                b"\x91hvc1\x00\x00\x28",
                VideoTraits {
                    keyframe: true,
                    composition_ms: 40,
                    ..hevc
                },
            ),
            ("coded frames cut", b"\x91hvc1\x00\x00", hevc),
            (
                "sequence end",
                b"\x92hvc1",
                VideoTraits {
                    end_of_sequence: true,
                    ..hevc
                },
            ),
            (
                "coded frames X have none",
                b"\x93hvc1\x00\x00\x28",
                VideoTraits {
                    keyframe: true,
                    ..hevc
                },
            ),
            ("inter frame X", b"\xA3hvc1\x00\x00\x28", hevc),
            (
                "metadata",
                b"\x94hvc1\x02",
                VideoTraits {
                    metadata: true,
                    ..hevc
                },
            ),
            (
                "metadata ignores the frame type",
                b"\xD4hvc1",
                VideoTraits {
                    metadata: true,
                    ..hevc
                },
            ),
            (
                "MPEG-2 TS sequence start",
                b"\x95av01",
                VideoTraits {
                    sequence_header: true,
                    ..av1
                },
            ),
            (
                "AV1 has no composition time",
                b"\x91av01\x00\x00\x28",
                VideoTraits {
                    keyframe: true,
                    ..av1
                },
            ),
            ("AV1 inter frame", b"\xA1av01\x0A", av1),
            (
                "AVC by FourCC",
                b"\xA1avc1\xFF\xFF\xFF",
                VideoTraits {
                    composition_ms: -1,
                    ..of(VideoCodec::Avc)
                },
            ),
            (
                "unknown FourCC",
                b"\x91zzzz\x00",
                VideoTraits {
                    keyframe: true,
                    ..VideoTraits::default()
                },
            ),
            ("FourCC cut", b"\x91hvc", VideoTraits::default()),
            ("command", b"\xD1\x00", VideoTraits::default()),
            ("reserved packet type", b"\x98hvc1", hevc),
            (
                "nanosecond offset before coded frames",
                b"\x97\x02\x00\x00\x07\x03hvc1",
                VideoTraits {
                    keyframe: true,
                    ..hevc
                },
            ),
            (
                "two modifiers",
                b"\x97\x00\x00\x07\x00\x00\x00hvc1",
                VideoTraits {
                    sequence_header: true,
                    ..hevc
                },
            ),
            ("modifier cut", b"\x97\x02\x00\x00", VideoTraits::default()),
        ] {
            assert_eq!(video(body), expected, "{name}");
        }
    }

    #[test]
    fn modifiers_of_more_than_255_bytes_are_skipped() {
        let mut body = vec![0x97, 0xFF, 0x01, 0x2B];
        body.extend([0; 300]);
        body.extend(b"\x00av01");
        assert!(video(&body).sequence_header);
    }

    #[test]
    fn modifiers_without_end_say_nothing() {
        let mut body = vec![0x97];
        body.extend([0x00, 0xAA, 0x07].repeat(100_000));
        assert_eq!(video(&body), VideoTraits::default());
    }

    #[test]
    fn the_first_track_speaks_for_a_multitrack_message() {
        let track = |codec, track, multitrack| VideoTraits {
            codec,
            track,
            multitrack: Some(multitrack),
            ..VideoTraits::default()
        };
        let one = track(VideoCodec::Avc, 3, Multitrack::OneTrack);
        let many = track(VideoCodec::Avc, 2, Multitrack::ManyTracks);
        let codecs = track(VideoCodec::Av1, 1, Multitrack::ManyTracksManyCodecs);
        for (name, body, expected) in [
            (
                "one track, sequence start",
                &b"\x96\x00avc1\x03"[..],
                VideoTraits {
                    sequence_header: true,
                    ..one
                },
            ),
            (
                "one track, coded frames",
                b"\x96\x01avc1\x03\x00\x00\x05",
                VideoTraits {
                    keyframe: true,
                    composition_ms: 5,
                    ..one
                },
            ),
            (
                "many tracks",
                b"\xA6\x11avc1\x02\x00\x00\x04\x00\x00\x06\xAA",
                VideoTraits {
                    composition_ms: 6,
                    ..many
                },
            ),
            (
                "many codecs",
                b"\x96\x20av01\x01\x00\x00\x01\xAAhvc1\x02\x00\x00\x00",
                VideoTraits {
                    sequence_header: true,
                    ..codecs
                },
            ),
            ("reserved kind", b"\x96\x31avc1\x02", VideoTraits::default()),
            (
                "multitrack in multitrack",
                b"\x96\x06avc1\x02",
                VideoTraits::default(),
            ),
            (
                "cut before the track",
                b"\x96\x01avc1",
                VideoTraits::default(),
            ),
            (
                "cut in the track's size",
                b"\x96\x11avc1\x02\x00",
                VideoTraits::default(),
            ),
        ] {
            assert_eq!(video(body), expected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_at_most_one_thing(body in prop::collection::vec(any::<u8>(), 0..64)) {
            let traits = video(&body);
            let said = [traits.keyframe, traits.sequence_header, traits.end_of_sequence, traits.metadata];
            prop_assert!(said.iter().filter(|said| **said).count() <= 1);
            prop_assert!((-0x80_0000..0x80_0000).contains(&traits.composition_ms));
            prop_assert!(traits.track == 0 || traits.multitrack.is_some());
        }

        #[test]
        fn enhanced_bytes_cut_anywhere_never_say_more(
            first in 0x80u8..,
            rest in prop::collection::vec(any::<u8>(), 0..32),
            cut in 0usize..32,
        ) {
            let mut body = vec![first];
            body.extend(rest);
            let cut = video(&body[..cut.min(body.len())]);
            prop_assert!(cut.codec == VideoCodec::Unknown || cut.codec == video(&body).codec);
        }
    }
}
