//! The demonstration's tags, in the order in which they are sent; without an end.

use bytes::{BufMut as _, Bytes, BytesMut};
use headwater_media::amf0::Value;
use headwater_media::{Dts, Tag, TagKind};

use super::picture::{HEIGHT, WIDTH};
use super::video::{GOP_PICTURES, PICTURES_PER_SECOND};
use super::{sound, video};

/// `FrameType` and `CodecID` (FLV annex E.4.3.1): a keyframe, or not, of AVC.
const KEYFRAME_AVC: u8 = 0x17;
const INTER_AVC: u8 = 0x27;
/// `SoundFormat` AAC and the constants that it demands (E.4.2.1).
const AAC: u8 = 0xAF;
const CONFIGURATION: u8 = 0;
const MEDIA: u8 = 1;

/// Metadata, both configurations, then pictures and sound as their times come.
#[derive(Debug, Default)]
pub(super) struct Clip {
    beginning: usize,
    picture: u32,
    sound: u32,
}

impl Iterator for Clip {
    type Item = Tag;

    fn next(&mut self) -> Option<Tag> {
        let first = match self.beginning {
            0 => Some((TagKind::Script, metadata())),
            1 => Some((
                TagKind::Video,
                avc(KEYFRAME_AVC, CONFIGURATION, &video::configuration()),
            )),
            2 => Some((TagKind::Audio, aac(CONFIGURATION, &sound::configuration()))),
            _ => None,
        };
        if let Some((kind, payload)) = first {
            self.beginning += 1;
            return Some(Tag {
                kind,
                dts: Dts(0),
                payload,
            });
        }
        let picture_ms = i64::from(self.picture) * 1000 / i64::from(PICTURES_PER_SECOND);
        let sound_ms = i64::from(self.sound) * i64::from(sound::FRAME_SAMPLES) * 1000
            / i64::from(sound::RATE_HZ);
        if picture_ms <= sound_ms {
            let number = usize::try_from(self.picture).unwrap_or(0);
            self.picture = self.picture.checked_add(1)?;
            let frame = if number.is_multiple_of(GOP_PICTURES) {
                KEYFRAME_AVC
            } else {
                INTER_AVC
            };
            Some(Tag {
                kind: TagKind::Video,
                dts: Dts(picture_ms),
                payload: avc(frame, MEDIA, &video::picture(number)),
            })
        } else {
            self.sound = self.sound.checked_add(1)?;
            Some(Tag {
                kind: TagKind::Audio,
                dts: Dts(sound_ms),
                payload: aac(MEDIA, &sound::silence()),
            })
        }
    }
}

fn avc(frame: u8, packet: u8, data: &[u8]) -> Bytes {
    let mut payload = BytesMut::with_capacity(data.len() + 5);
    // The composition time is 0: pictures are shown in the order of decoding.
    payload.put_slice(&[frame, packet, 0, 0, 0]);
    payload.put_slice(data);
    payload.freeze()
}

fn aac(packet: u8, data: &[u8]) -> Bytes {
    let mut payload = BytesMut::with_capacity(data.len() + 2);
    payload.put_slice(&[AAC, packet]);
    payload.put_slice(data);
    payload.freeze()
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn metadata() -> Bytes {
    let facts = [
        ("width", Value::Number(WIDTH as f64)),
        ("height", Value::Number(HEIGHT as f64)),
        ("framerate", Value::Number(f64::from(PICTURES_PER_SECOND))),
        ("videocodecid", Value::Number(7.0)),
        ("audiocodecid", Value::Number(10.0)),
        ("audiosamplerate", Value::Number(f64::from(sound::RATE_HZ))),
        ("encoder", Value::string("Headwater")),
    ];
    let mut payload = BytesMut::new();
    Value::string("onMetaData").encode(&mut payload);
    Value::EcmaArray(
        facts
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    )
    .encode(&mut payload);
    payload.freeze()
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use headwater_media::flv;

    use super::*;

    #[test]
    fn time_never_goes_back_and_keyframes_come_every_two_seconds() {
        let tags: Vec<Tag> = Clip::default().take(400).collect();
        assert!(tags.is_sorted_by_key(|tag| tag.dts.0));
        let keyframes: Vec<i64> = tags
            .iter()
            .filter(|tag| tag.payload.starts_with(&[KEYFRAME_AVC, MEDIA]))
            .map(|tag| tag.dts.0)
            .collect();
        assert_eq!(keyframes, [0, 2_000, 4_000]);
    }

    #[test]
    fn the_clip_stays_below_two_megabits_a_second() {
        let bytes: usize = Clip::default()
            .take_while(|tag| tag.dts.0 < 10_000)
            .map(|tag| tag.payload.len())
            .sum();
        assert!(bytes * 8 / 10 < 2_000_000, "{bytes} bytes in 10 s");
    }

    #[test]
    fn a_strict_decoder_has_no_complaint_and_sees_every_picture() {
        let mut ffmpeg = Command::new("ffmpeg")
            .args([
                "-v",
                "error",
                "-xerror",
                "-err_detect",
                "explode",
                "-i",
                "-",
            ])
            .args(["-map", "0", "-f", "framecrc", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pipe = ffmpeg.stdin.take().unwrap();
        let writing = std::thread::spawn(move || {
            pipe.write_all(&flv::header(true, true)).unwrap();
            for tag in Clip::default().take_while(|tag| tag.dts.0 < 4_000) {
                pipe.write_all(&flv::encode_tag(&tag).unwrap()).unwrap();
            }
        });
        let output = ffmpeg.wait_with_output().unwrap();
        writing.join().unwrap();
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && complaints.is_empty(),
            "{complaints}"
        );
        let decoded = String::from_utf8_lossy(&output.stdout);
        let pictures = decoded
            .lines()
            .filter(|line| line.starts_with("0,"))
            .count();
        assert_eq!(pictures, 100, "{decoded}");
    }
}
