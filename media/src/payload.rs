//! What a tag's body says of itself: codec, keyframe, sequence header, end of sequence, composition time, track.
//!
//! Reads the headers of legacy FLV (Video File Format 10.1, annex E.4.2.1 and E.4.3.1), of HEVC by the
//! unregistered `CodecID` 12, and of Enhanced RTMP v2 ("Enhanced Audio", "Enhanced Video"). It never looks
//! inside the codec's data, and never fails: what cannot be read has the codec `Unknown` and no trait.

mod audio;
mod enhanced;
mod fields;
mod video;

pub use audio::{AudioCodec, AudioTraits, audio};
pub use enhanced::Multitrack;
pub use video::{VideoCodec, VideoTraits, video};
