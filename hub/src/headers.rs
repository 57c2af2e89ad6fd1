//! Sequence headers and metadata in force: what a player needs before its first frame.

use std::sync::Arc;

use headwater_media::payload::{self, AudioTraits, VideoTraits};
use headwater_media::{Tag, TagKind};

/// What a tag means to the ring, found once when it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Starts a GOP: a player can begin here.
    Keyframe,
    /// Decoder configuration or `onMetaData` and its like, which stays in force until another one for its slot.
    Header(HeaderSlot),
    /// Everything else.
    Plain,
}

/// What a header configures; one header a slot is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HeaderSlot {
    /// `onMetaData` (Video File Format 10.1, annex E.5).
    Metadata,
    /// The video sequence header of a track (0 where the codec has no tracks).
    Video(u8),
    /// The colours of a video track (Enhanced RTMP, `colorInfo`).
    VideoMetadata(u8),
    /// The audio sequence header of a track.
    Audio(u8),
    /// The speakers of an audio track's channels (Enhanced RTMP, `MultichannelConfig`).
    AudioChannels(u8),
}

/// AMF0 string marker, length 10, `onMetaData`.
const ON_METADATA: &[u8] = b"\x02\x00\x0AonMetaData";

impl Role {
    /// Looks at `tag`'s first bytes (never inside the codec's data).
    pub fn of(tag: &Tag) -> Role {
        match tag.kind {
            TagKind::Video => Role::of_video(payload::video(&tag.payload)),
            TagKind::Audio => Role::of_audio(payload::audio(&tag.payload)),
            TagKind::Script if tag.payload.starts_with(ON_METADATA) => {
                Role::Header(HeaderSlot::Metadata)
            }
            TagKind::Script => Role::Plain,
        }
    }

    fn of_video(video: VideoTraits) -> Role {
        if video.sequence_header {
            Role::Header(HeaderSlot::Video(video.track))
        } else if video.metadata {
            Role::Header(HeaderSlot::VideoMetadata(video.track))
        } else if video.keyframe && !video.end_of_sequence {
            Role::Keyframe
        } else {
            Role::Plain
        }
    }

    fn of_audio(audio: AudioTraits) -> Role {
        if audio.sequence_header {
            Role::Header(HeaderSlot::Audio(audio.track))
        } else if audio.multichannel_config {
            Role::Header(HeaderSlot::AudioChannels(audio.track))
        } else {
            Role::Plain
        }
    }
}

/// The headers in force at one place of a stream, at most one a slot, in the order of [`HeaderSlot`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    slots: Vec<(HeaderSlot, Tag)>,
}

/// What one takes in a list beside its payload.
pub(crate) const SLOT_BYTES: usize = size_of::<(HeaderSlot, Tag)>();
/// Tracks beyond this many are passed through but not remembered for joiners.
const SLOTS_MAX: usize = 32;
/// Nor are headers that together have more bytes than this. Those of encoders have a few hundred.
const HEADERS_MAX_BYTES: usize = 1 << 20;

impl Headers {
    /// The headers, metadata first, then video, then audio.
    pub fn iter(&self) -> impl Iterator<Item = (HeaderSlot, &Tag)> {
        self.slots.iter().map(|(slot, tag)| (*slot, tag))
    }

    /// The header in force for `slot`.
    pub fn get(&self, slot: HeaderSlot) -> Option<&Tag> {
        self.slots
            .iter()
            .find(|(s, _)| *s == slot)
            .map(|(_, tag)| tag)
    }

    /// Whether `tag` in `slot` says what is in force already.
    pub fn repeats(&self, slot: HeaderSlot, tag: &Tag) -> bool {
        self.get(slot)
            .is_some_and(|have| have.payload == tag.payload)
    }

    /// Bytes that the payloads hold.
    pub fn bytes(&self) -> usize {
        self.slots.iter().map(|(_, tag)| tag.payload.len()).sum()
    }

    /// Bytes that the list of them takes beside their payloads.
    pub(crate) fn list_bytes(&self) -> usize {
        self.slots.len().saturating_mul(SLOT_BYTES)
    }

    /// Puts `tag` in force. One that does not fit is not remembered, and neither is what it takes the place of.
    pub fn set(&mut self, slot: HeaderSlot, tag: Tag) {
        self.slots.retain(|(s, _)| *s != slot);
        let bytes = self.bytes().saturating_add(tag.payload.len());
        if self.slots.len() < SLOTS_MAX && bytes <= HEADERS_MAX_BYTES {
            self.slots.push((slot, tag));
            self.slots.sort_by_key(|(s, _)| *s);
        }
    }

    /// What a viewer who has `self` lacks of `wanted`.
    pub fn missing_of<'a>(&self, wanted: &'a Headers) -> Vec<(HeaderSlot, &'a Tag)> {
        wanted
            .iter()
            .filter(|(slot, tag)| !self.repeats(*slot, tag))
            .collect()
    }

    /// `base` with every slot of `newer` laid over it; shares `newer` where nothing of `base` would be left.
    pub fn overlay(base: &Arc<Headers>, newer: &Arc<Headers>) -> Arc<Headers> {
        if base.iter().all(|(slot, _)| newer.get(slot).is_some()) {
            return Arc::clone(newer);
        }
        let mut merged = Headers::clone(base);
        for (slot, tag) in newer.iter() {
            merged.set(slot, tag.clone());
        }
        Arc::new(merged)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use headwater_media::Dts;

    use super::*;

    fn tag(bytes: usize) -> Tag {
        Tag {
            kind: TagKind::Video,
            dts: Dts(0),
            payload: Bytes::from(vec![0; bytes]),
        }
    }

    #[test]
    fn headers_hold_no_more_bytes_than_their_limit_and_no_stale_one() {
        let mut headers = Headers::default();
        for track in 0..32 {
            headers.set(HeaderSlot::Video(track), tag(100 << 10));
        }
        assert!(headers.bytes() <= HEADERS_MAX_BYTES, "{}", headers.bytes());
        assert!(headers.get(HeaderSlot::Video(9)).is_some());
        headers.set(HeaderSlot::Video(0), tag(HEADERS_MAX_BYTES + 1));
        assert!(
            headers.get(HeaderSlot::Video(0)).is_none(),
            "the old one is not in force any more"
        );
    }
}
