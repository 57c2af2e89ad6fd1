//! What is known of a payload: legacy and Enhanced RTMP video and audio, script data, and what the ring makes of it.

use bytes::Bytes;
use headwater_hub::Role;
use headwater_media::{Dts, Tag, TagKind, payload, script};

/// First byte: the tag's kind.
pub(crate) fn run(bytes: &[u8]) {
    let [kind, bytes @ ..] = bytes else { return };
    let kind = match kind % 3 {
        0 => TagKind::Video,
        1 => TagKind::Audio,
        _ => TagKind::Script,
    };
    let tag = Tag {
        kind,
        dts: Dts(0),
        payload: Bytes::copy_from_slice(bytes),
    };
    let role = Role::of(&tag);
    match kind {
        TagKind::Video => {
            let traits = payload::video(bytes);
            assert!(
                role != Role::Keyframe || !(traits.sequence_header || traits.end_of_sequence),
                "viewers cannot begin at what is no picture"
            );
        }
        TagKind::Audio => {
            let _ = payload::audio(bytes);
            assert_ne!(role, Role::Keyframe, "audio has no keyframes");
        }
        TagKind::Script => {
            let _ = script::facts(bytes);
            assert_ne!(role, Role::Keyframe, "script has no keyframes");
        }
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let script = script::encode([
        ("width", headwater_media::amf0::Value::Number(1_280.0)),
        ("videocodecid", headwater_media::amf0::Value::Number(7.0)),
    ]);
    let mut seeds: Vec<Vec<u8>> = [
        // Legacy AVC: sequence header, keyframe, inter frame, end of sequence; HEVC by codec 12.
        &[0x17, 0, 0, 0, 0, 1][..],
        &[0x17, 1, 0, 0, 40, 9],
        &[0x27, 1, 0xFF, 0xFF, 0xF0, 9],
        &[0x17, 2, 0, 0, 0],
        &[0x1C, 0, 0, 0, 0, 1],
        &[0x57, 0],
        // Enhanced: sequence start, coded frames, without composition time, metadata, end, MPEG-2 start.
        b"\x90hvc1\x01",
        b"\x91hvc1\x00\x00\x28\x01",
        b"\xA3av01\x01",
        b"\x94vp09\x02",
        b"\x92avc1",
        b"\x95av01",
        // Multitrack: one track, many tracks, many codecs; ModEx in front.
        b"\x96\x01av01\x00\x01\x02",
        b"\x96\x11av01\x00\x00\x00\x02\x01\x02\x01\x00\x00\x01\x03",
        b"\x96\x21\x61\x76\x30\x31\x00\x00\x00\x01\x01hvc1\x01\x00\x00\x01\x02",
        b"\x97\x02\x00\x01\x02\x01avc1\x00\x00\x00\x01",
        b"\x97\xFF\x00\x01\x02\x11av01",
    ]
    .into_iter()
    .map(|bytes| [&[0], bytes].concat())
    .collect();
    let audio = [
        &[0xAF, 0, 0x12, 0x10][..],
        &[0xAF, 1, 9],
        &[0x2F, 1, 2],
        b"\x90Opus\x01",
        b"\x91Opus\x01",
        b"\x95\x01Opus\x00\x01",
        b"\x95\x11mp4a\x00\x00\x00\x01\x01",
        b"\x97\x01\x00\x00\x01fLaC\x01",
        b"\x94ac-3\x01\x02",
    ];
    seeds.extend(audio.into_iter().map(|bytes| [&[1], bytes].concat()));
    seeds.push([&[2], &script[..]].concat());
    seeds
}
