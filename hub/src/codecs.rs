//! Which codecs a stream has, as its tags tell.

use headwater_media::{Tag, TagKind, payload};

use crate::stream::Stream;

/// Tags that are looked at for a codec without a sequence header.
const TAGS_SEEN_MAX: usize = 32;

/// The names of a stream's codecs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Codecs {
    /// The video codec, if there is video.
    pub video: Option<&'static str>,
    /// The audio codec, if there is audio.
    pub audio: Option<&'static str>,
}

impl Codecs {
    /// The codecs that the sequence headers of `stream` name, or the newest tags of codecs that have none.
    pub fn of(stream: &Stream) -> Codecs {
        let mut codecs = Codecs::default();
        stream.with_ring(|ring| {
            ring.headers().iter().for_each(|(_, tag)| codecs.note(tag));
            ring.entries()
                .rev()
                .take(TAGS_SEEN_MAX)
                .for_each(|entry| codecs.note(&entry.tag));
        });
        codecs
    }

    fn note(&mut self, tag: &Tag) {
        match tag.kind {
            TagKind::Video => {
                self.video = self
                    .video
                    .or_else(|| Some(payload::video(&tag.payload).codec.as_str()));
            }
            TagKind::Audio => {
                self.audio = self
                    .audio
                    .or_else(|| Some(payload::audio(&tag.payload).codec.as_str()));
            }
            TagKind::Script => {}
        }
    }
}
