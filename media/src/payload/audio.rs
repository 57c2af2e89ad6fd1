//! What an audio tag's body says.

use super::enhanced::{self, Multitrack};
use super::fields::Fields;

/// The codec of an audio tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AudioCodec {
    /// Linear PCM, `SoundFormat` 0 or 3.
    Pcm,
    /// ADPCM, `SoundFormat` 1.
    Adpcm,
    /// MP3, `SoundFormat` 2 or 14, or `.mp3`.
    Mp3,
    /// Nellymoser, `SoundFormat` 4, 5 or 6.
    Nellymoser,
    /// G.711 A-law, `SoundFormat` 7.
    G711A,
    /// G.711 μ-law, `SoundFormat` 8.
    G711U,
    /// AAC, `SoundFormat` 10 or `mp4a`.
    Aac,
    /// Speex, `SoundFormat` 11.
    Speex,
    /// Opus, `Opus`.
    Opus,
    /// FLAC, `fLaC`.
    Flac,
    /// AC-3, `ac-3`.
    Ac3,
    /// E-AC-3, `ec-3`.
    Eac3,
    /// Not known, or not said.
    #[default]
    Unknown,
}

impl AudioCodec {
    /// The name that people and labels use.
    pub fn as_str(self) -> &'static str {
        match self {
            AudioCodec::Pcm => "pcm",
            AudioCodec::Adpcm => "adpcm",
            AudioCodec::Mp3 => "mp3",
            AudioCodec::Nellymoser => "nellymoser",
            AudioCodec::G711A => "g711a",
            AudioCodec::G711U => "g711u",
            AudioCodec::Aac => "aac",
            AudioCodec::Speex => "speex",
            AudioCodec::Opus => "opus",
            AudioCodec::Flac => "flac",
            AudioCodec::Ac3 => "ac-3",
            AudioCodec::Eac3 => "eac-3",
            AudioCodec::Unknown => "unknown",
        }
    }

    fn from_sound_format(format: u8) -> AudioCodec {
        match format {
            0 | 3 => AudioCodec::Pcm,
            1 => AudioCodec::Adpcm,
            2 | 14 => AudioCodec::Mp3,
            4..=6 => AudioCodec::Nellymoser,
            7 => AudioCodec::G711A,
            8 => AudioCodec::G711U,
            10 => AudioCodec::Aac,
            11 => AudioCodec::Speex,
            _ => AudioCodec::Unknown,
        }
    }

    fn from_four_cc(four_cc: [u8; 4]) -> AudioCodec {
        match &four_cc {
            b"mp4a" => AudioCodec::Aac,
            b"Opus" => AudioCodec::Opus,
            b"fLaC" => AudioCodec::Flac,
            b"ac-3" => AudioCodec::Ac3,
            b"ec-3" => AudioCodec::Eac3,
            b".mp3" => AudioCodec::Mp3,
            _ => AudioCodec::Unknown,
        }
    }
}

/// What an audio tag's body says; the default says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AudioTraits {
    /// The codec; with [`Multitrack::ManyTracksManyCodecs`], the first track's.
    pub codec: AudioCodec,
    /// Decoder configuration, in force for the samples of its track from here on.
    pub sequence_header: bool,
    /// No sample follows in this sequence.
    pub end_of_sequence: bool,
    /// Which speaker each channel is for (`MultichannelConfig`), in force beside the sequence header; not samples.
    pub multichannel_config: bool,
    /// The (first) track's id; 0 where the message names no track.
    pub track: u8,
    /// Set if the message names its tracks.
    pub multitrack: Option<Multitrack>,
}

/// `SoundFormat` for the enhanced header.
const EX_HEADER: u8 = 9;

/// `AACPacketType`, and `AudioPacketType` alike.
const SEQUENCE_START: u8 = 0;
/// `AudioPacketType` only.
const SEQUENCE_END: u8 = 2;
const MULTICHANNEL_CONFIG: u8 = 4;
const MULTITRACK: u8 = 5;

/// Reads the start of an audio tag's body (annex E.4.2.1; Enhanced RTMP v2, "Enhanced Audio").
///
/// An empty body is RTMP's silence message. A body that ends inside its own header says nothing more than its
/// codec. With an unknown FourCC the traits still hold: their place in the header does not depend on the codec.
pub fn audio(payload: &[u8]) -> AudioTraits {
    let mut fields = Fields::of(payload);
    match fields.nibbles() {
        None => AudioTraits::default(),
        Some((EX_HEADER, packet_type)) => enhanced(&mut fields, packet_type).unwrap_or_default(),
        Some((format, _)) => {
            let codec = AudioCodec::from_sound_format(format);
            let sequence_header = codec == AudioCodec::Aac && fields.u8() == Some(SEQUENCE_START);
            AudioTraits {
                codec,
                sequence_header,
                ..AudioTraits::default()
            }
        }
    }
}

fn enhanced(fields: &mut Fields<'_>, packet_type: u8) -> Option<AudioTraits> {
    let packet_type = enhanced::skip_mod_ex(fields, packet_type)?;
    let track = enhanced::first_track(fields, packet_type, MULTITRACK)?;
    Some(AudioTraits {
        codec: AudioCodec::from_four_cc(track.four_cc),
        sequence_header: track.packet_type == SEQUENCE_START,
        end_of_sequence: track.packet_type == SEQUENCE_END,
        multichannel_config: track.packet_type == MULTICHANNEL_CONFIG,
        track: track.id,
        multitrack: track.multitrack,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(codec: AudioCodec) -> AudioTraits {
        AudioTraits {
            codec,
            ..AudioTraits::default()
        }
    }

    #[test]
    fn legacy_headers_are_read() {
        for (name, body, expected) in [
            ("silence", &b""[..], AudioTraits::default()),
            (
                "AAC sequence header",
                b"\xAF\x00\x12\x10",
                AudioTraits {
                    sequence_header: true,
                    ..of(AudioCodec::Aac)
                },
            ),
            ("AAC raw", b"\xAF\x01\x21", of(AudioCodec::Aac)),
            ("AAC cut", b"\xAF", of(AudioCodec::Aac)),
            ("MP3", b"\x2F\x00", of(AudioCodec::Mp3)),
            ("MP3 8 kHz", b"\xE2\xFF", of(AudioCodec::Mp3)),
            ("PCM", b"\x3F\x00", of(AudioCodec::Pcm)),
            ("ADPCM", b"\x1F\x00", of(AudioCodec::Adpcm)),
            ("Nellymoser", b"\x5F\x00", of(AudioCodec::Nellymoser)),
            ("A-law", b"\x72\x00", of(AudioCodec::G711A)),
            ("mu-law", b"\x82\x00", of(AudioCodec::G711U)),
            ("Speex", b"\xB2\x00", of(AudioCodec::Speex)),
            ("reserved", b"\xC0\x00", AudioTraits::default()),
        ] {
            assert_eq!(audio(body), expected, "{name}");
        }
    }

    #[test]
    fn enhanced_headers_are_read() {
        let opus = of(AudioCodec::Opus);
        for (name, body, expected) in [
            (
                "sequence start",
                &b"\x90Opus"[..],
                AudioTraits {
                    sequence_header: true,
                    ..opus
                },
            ),
            ("coded frames", b"\x91Opus\x01", opus),
            (
                "sequence end",
                b"\x92Opus",
                AudioTraits {
                    end_of_sequence: true,
                    ..opus
                },
            ),
            (
                "multichannel configuration",
                b"\x94Opus\x01\x02\0\0\0\x03",
                AudioTraits {
                    multichannel_config: true,
                    ..opus
                },
            ),
            ("AAC", b"\x91mp4a\x21", of(AudioCodec::Aac)),
            ("FLAC", b"\x91fLaC", of(AudioCodec::Flac)),
            ("AC-3", b"\x91ac-3", of(AudioCodec::Ac3)),
            ("E-AC-3", b"\x91ec-3", of(AudioCodec::Eac3)),
            ("MP3", b"\x91.mp3", of(AudioCodec::Mp3)),
            (
                "unknown FourCC",
                b"\x90zzzz",
                AudioTraits {
                    sequence_header: true,
                    ..AudioTraits::default()
                },
            ),
            ("FourCC cut", b"\x90Opu", AudioTraits::default()),
            (
                "nanosecond offset",
                b"\x97\x02\0\0\x01\x00Opus",
                AudioTraits {
                    sequence_header: true,
                    ..opus
                },
            ),
            (
                "one track",
                b"\x95\x00Opus\x07",
                AudioTraits {
                    sequence_header: true,
                    track: 7,
                    multitrack: Some(Multitrack::OneTrack),
                    ..opus
                },
            ),
            (
                "many codecs",
                b"\x95\x21ac-3\x01\0\0\x01\xAA",
                AudioTraits {
                    track: 1,
                    multitrack: Some(Multitrack::ManyTracksManyCodecs),
                    ..of(AudioCodec::Ac3)
                },
            ),
            (
                "multitrack in multitrack",
                b"\x95\x05Opus\x07",
                AudioTraits::default(),
            ),
        ] {
            assert_eq!(audio(body), expected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_at_most_one_thing(body in prop::collection::vec(any::<u8>(), 0..64)) {
            let traits = audio(&body);
            let said = [traits.sequence_header, traits.end_of_sequence, traits.multichannel_config];
            prop_assert!(said.iter().filter(|said| **said).count() <= 1);
            prop_assert!(traits.track == 0 || traits.multitrack.is_some());
        }
    }
}
