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
