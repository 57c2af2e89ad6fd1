//! The stream that is published: 720p30-like tags of fixed sizes, each stamped with the moment of its sending.
//!
//! The pictures need not decode; the sequence headers are real, so that servers that look into them are content.

use headwater_media::TagKind;
use serde::{Deserialize, Serialize};

/// What marks a payload of ours.
const MAGIC: [u8; 8] = *b"hw-bench";
/// Magic, nanoseconds of the sending, number of the tag.
const STAMP_BYTES: usize = 24;
/// FLV's video tag head, the length of the NAL unit and its type come before the stamp.
const VIDEO_STAMP_AT: usize = 10;
/// FLV's AAC tag head comes before the stamp.
const AUDIO_STAMP_AT: usize = 2;

/// AVCDecoderConfigurationRecord of a baseline stream, 1280×720.
const AVC_HEADER: &[u8] = &[
    0x17, 0, 0, 0, 0, 1, 0x42, 0xC0, 0x1F, 0xFF, 0xE1, 0, 15, 0x67, 0x42, 0xC0, 0x1F, 0xD9, 0x00,
    0x50, 0x05, 0xBB, 0x01, 0x10, 0x00, 0x00, 0x3E, 0x90, 1, 0, 4, 0x68, 0xCE, 0x3C, 0x80,
];
/// AudioSpecificConfig: AAC-LC, 48 kHz, stereo.
const AAC_HEADER: &[u8] = &[0xAF, 0, 0x11, 0x90];

/// A stream's frames and rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Bits a second, audio and video payloads together.
    pub bits_per_second: u32,
    /// Video frames a second.
    pub frames_per_second: u32,
    /// Frames from keyframe to keyframe.
    pub gop_frames: u32,
}

impl Shape {
    /// 1280×720 at 30 frames a second, a keyframe every two seconds, 2.16 Mbit/s with its audio.
    pub const HD: Shape = Shape {
        bits_per_second: 2_160_000,
        frames_per_second: 30,
        gop_frames: 60,
    };
    /// A small stream, 0.5 Mbit/s.
    pub const SMALL: Shape = Shape {
        bits_per_second: 500_000,
        frames_per_second: 30,
        gop_frames: 60,
    };

    /// An AAC frame of 48 kHz is 1,024 samples long.
    const AUDIO_PERIOD_NS: u64 = 1_024 * 1_000_000_000 / 48_000;
    /// A keyframe is as large as this many of the frames between.
    const KEYFRAME_WEIGHT: u32 = 8;

    /// Bytes of one audio frame: 128 kbit/s, or a fifth of a smaller stream.
    fn audio_bytes(&self) -> usize {
        let bits = u64::from((self.bits_per_second / 5).min(128_000));
        usize::try_from(bits * Self::AUDIO_PERIOD_NS / 8_000_000_000)
            .unwrap_or(0)
            .max(AUDIO_STAMP_AT + STAMP_BYTES)
    }

    /// Bytes of one video frame.
    fn video_bytes(&self, keyframe: bool) -> usize {
        let audio_bits = (self.bits_per_second / 5).min(128_000);
        let bits = u64::from(self.bits_per_second.saturating_sub(audio_bits));
        let gop_bytes =
            bits * u64::from(self.gop_frames) / u64::from(self.frames_per_second.max(1)) / 8;
        let weights = u64::from(
            self.gop_frames
                .saturating_add(Self::KEYFRAME_WEIGHT - 1)
                .max(1),
        );
        let weight = if keyframe { Self::KEYFRAME_WEIGHT } else { 1 };
        usize::try_from(gop_bytes * u64::from(weight) / weights)
            .unwrap_or(0)
            .max(VIDEO_STAMP_AT + STAMP_BYTES)
    }

    /// The stream's frames from its beginning, without end.
    pub fn frames(self) -> Frames {
        Frames {
            shape: self,
            video: 0,
            audio: 0,
            number: 0,
        }
    }

    /// The sequence headers that come first.
    pub fn headers() -> [(TagKind, &'static [u8]); 2] {
        [(TagKind::Video, AVC_HEADER), (TagKind::Audio, AAC_HEADER)]
    }
}

/// One frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Audio or video.
    pub kind: TagKind,
    /// When it is due, nanoseconds from the stream's beginning.
    pub due_ns: u64,
    /// Bytes of its payload.
    pub bytes: usize,
    /// A keyframe.
    pub keyframe: bool,
    /// Counts frames from 0.
    pub number: u64,
}

impl Frame {
    /// Its time stamp on the wire.
    pub fn wire_ms(&self) -> u32 {
        u32::try_from((self.due_ns / 1_000_000) & 0xFFFF_FFFF).unwrap_or(0)
    }

    /// Its payload, sent at `sent_ns`, into `payload`.
    pub fn fill(&self, sent_ns: u64, payload: &mut Vec<u8>) {
        payload.clear();
        payload.resize(self.bytes, 0x55);
        self.stamp(sent_ns, payload);
    }

    /// Writes head and stamp over a payload of its size.
    pub fn stamp(&self, sent_ns: u64, payload: &mut [u8]) {
        let mut head = Vec::with_capacity(VIDEO_STAMP_AT + STAMP_BYTES);
        if self.kind == TagKind::Video {
            let nal_bytes = u32::try_from(self.bytes.saturating_sub(9)).unwrap_or(0);
            head.extend_from_slice(&[if self.keyframe { 0x17 } else { 0x27 }, 1, 0, 0, 0]);
            head.extend_from_slice(&nal_bytes.to_be_bytes());
            head.push(if self.keyframe { 0x65 } else { 0x41 });
        } else {
            head.extend_from_slice(&[0xAF, 1]);
        }
        head.extend_from_slice(&MAGIC);
        head.extend_from_slice(&sent_ns.to_be_bytes());
        head.extend_from_slice(&self.number.to_be_bytes());
        if let Some(front) = payload.get_mut(..head.len()) {
            front.copy_from_slice(&head);
        }
    }
}

/// The frames of a stream in the order in which they are due.
#[derive(Clone, Debug)]
pub struct Frames {
    shape: Shape,
    video: u64,
    audio: u64,
    number: u64,
}

impl Iterator for Frames {
    type Item = Frame;

    fn next(&mut self) -> Option<Frame> {
        let period_ns = 1_000_000_000 / u64::from(self.shape.frames_per_second.max(1));
        let video_ns = self.video.saturating_mul(period_ns);
        let audio_ns = self.audio.saturating_mul(Shape::AUDIO_PERIOD_NS);
        let number = self.number;
        self.number = number.saturating_add(1);
        if video_ns <= audio_ns {
            let keyframe = self
                .video
                .is_multiple_of(u64::from(self.shape.gop_frames.max(1)));
            self.video = self.video.saturating_add(1);
            return Some(Frame {
                kind: TagKind::Video,
                due_ns: video_ns,
                bytes: self.shape.video_bytes(keyframe),
                keyframe,
                number,
            });
        }
        self.audio = self.audio.saturating_add(1);
        Some(Frame {
            kind: TagKind::Audio,
            due_ns: audio_ns,
            bytes: self.shape.audio_bytes(),
            keyframe: false,
            number,
        })
    }
}

/// What a viewer reads from a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// When the publisher sent it.
    pub sent_ns: u64,
    /// The frame's number.
    pub number: u64,
}

impl Stamp {
    /// The stamp of a payload of ours.
    pub fn read(kind: TagKind, payload: &[u8]) -> Option<Stamp> {
        let at = match kind {
            TagKind::Video => VIDEO_STAMP_AT,
            TagKind::Audio => AUDIO_STAMP_AT,
            TagKind::Script => return None,
        };
        let stamp = payload.get(at..)?.first_chunk::<STAMP_BYTES>()?;
        let (magic, rest) = stamp.split_first_chunk::<8>()?;
        let (sent, number) = rest.split_first_chunk::<8>()?;
        (*magic == MAGIC).then_some(Stamp {
            sent_ns: u64::from_be_bytes(*sent),
            number: u64::from_be_bytes(*number.first_chunk::<8>()?),
        })
    }
}

/// Whether a payload is a keyframe's (not the sequence header's).
pub fn is_keyframe(kind: TagKind, payload: &[u8]) -> bool {
    kind == TagKind::Video && matches!(payload, [first, 1, ..] if first & 0xF0 == 0x10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frames_of_ten_seconds_carry_the_rate() {
        for shape in [Shape::HD, Shape::SMALL] {
            let bytes: usize = shape
                .frames()
                // A period is rounded down: the keyframe of the eleventh second is due a moment before it.
                .take_while(|frame| frame.due_ns < 9_990_000_000)
                .map(|frame| frame.bytes)
                .sum();
            let off = bytes as f64 * 8.0 / 10.0 / f64::from(shape.bits_per_second);
            assert!((0.99..1.01).contains(&off), "{shape:?}: {off}");
        }
    }

    #[test]
    fn a_payload_gives_its_stamp_back() {
        let mut payload = Vec::new();
        for frame in Shape::SMALL.frames().take(10) {
            frame.fill(77, &mut payload);
            let stamp = Stamp::read(frame.kind, &payload).unwrap();
            assert_eq!((stamp.sent_ns, stamp.number), (77, frame.number));
            assert_eq!(is_keyframe(frame.kind, &payload), frame.keyframe);
            assert_eq!(payload.len(), frame.bytes);
        }
        assert_eq!(Stamp::read(TagKind::Video, AVC_HEADER), None);
    }
}
