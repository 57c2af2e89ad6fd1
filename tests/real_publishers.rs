//! Encoders and players that others made: what they push is what is played over HTTP-FLV and over RTMP, tag by tag.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by it")]

use std::path::{Path, PathBuf};

use headwater_media::TagKind;
use headwater_rig::tool::{Folder, command, finish, installed, probe, start};
use headwater_rig::up::Up;
use headwater_rig::viewer::Viewer;
use headwater_rig::{Record, SOON, clip, compare};
use tokio::process::Command;
use tokio::time::Instant;

const SETTINGS: [&str; 2] = ["--edge-pull-grace=3s", "--origin-linger=1s"];

async fn up() -> Up {
    Up::start(Path::new(env!("CARGO_BIN_EXE_headwater")), &SETTINGS)
        .await
        .unwrap()
}

/// librtmp as a player; it ends with the stream.
fn rtmpdump(up: &Up, into: &Path) -> Command {
    let url = format!("rtmp://{}/live/room", up.play_rtmp);
    let into = into.to_str().unwrap();
    // The stream's name is given apart, for librtmp would cut its query off.
    command(
        "rtmpdump",
        &[
            "--quiet",
            "--rtmp",
            &url,
            "--playpath",
            "room?wait=20",
            "--live",
            "--flv",
            into,
        ],
    )
}

/// Fails unless `got` is the end of `pushed`, from where it joined.
fn same_to_the_end(who: &str, pushed: &[Record], got: &[Record]) {
    let verdict = compare::same_run(pushed, got).unwrap_or_else(|fault| panic!("{who}: {fault}"));
    let media = pushed.iter().filter(|tag| tag.is_media()).count();
    assert_eq!(
        verdict.joined_at + verdict.same,
        media,
        "{who}: all to the end"
    );
}

/// Runs `publisher` to its end between viewers of both protocols; `sent` is the FLV file of what it pushes.
async fn is_played_as_it_was_pushed(
    name: &str,
    up: &Up,
    folder: &Folder,
    publisher: Command,
    sent: &Path,
    probed: impl AsyncFnOnce(&str) -> Vec<String>,
) -> Vec<String> {
    let url = format!("http://{}/live/room.flv?wait=20", up.http);
    let mut viewer = Viewer::start(&url, Instant::now());
    let dumped = folder.file("dumped.flv");
    let player = start(rtmpdump(up, &dumped)).unwrap();
    let publisher = start(publisher).unwrap();
    let codecs = probed(&url).await;
    finish(publisher)
        .await
        .unwrap_or_else(|error| panic!("{name}: {error:#}"));
    let seen = viewer.until(SOON, |seen| seen.end.is_some()).await.unwrap();
    assert_eq!(seen.end, Some(Ok(())), "{name}");
    let pushed = clip::records(sent).unwrap();
    same_to_the_end(&format!("{name} over HTTP"), &pushed, &seen.tags);
    finish(player)
        .await
        .unwrap_or_else(|error| panic!("{name}: rtmpdump: {error:#}"));
    let dumped = clip::records(&dumped).unwrap();
    // librtmp leaves out pictures without a body, which ends of a sequence are.
    let (video, pushed) = (TagKind::Video as u8, pushed.into_iter());
    let pushed: Vec<Record> = pushed
        .filter(|tag| tag.kind != video || tag.bytes > 5)
        .collect();
    same_to_the_end(&format!("{name} over RTMP"), &pushed, &dumped);
    codecs
}

/// Four seconds from GStreamer into `sink`, and beside it into the file `sent`.
fn gstreamer(sink: &str, location: &str, sent: &Path) -> Command {
    let location = format!("location={location}");
    let file = format!("location={}", sent.display());
    let mut words = "flvmux name=mux streamable=true ! tee name=out"
        .split(' ')
        .collect::<Vec<_>>();
    words.extend(["out.", "!", "queue", "!", sink, &location]);
    words.extend(["out.", "!", "queue", "!", "filesink", &file]);
    words.extend(
        "videotestsrc is-live=true num-buffers=100 ! video/x-raw,width=320,height=180,framerate=25/1 \
         ! x264enc tune=zerolatency key-int-max=25 ! h264parse ! mux. \
         audiotestsrc is-live=true num-buffers=172 ! audioconvert ! avenc_aac ! aacparse ! mux."
            .split_whitespace(),
    );
    command("gst-launch-1.0", &words)
}

#[tokio::test]
async fn gstreamer_and_librtmp_push_what_is_played() {
    for (sink, options) in [("rtmp2sink", ""), ("rtmpsink", " live=1")] {
        let up = up().await;
        let folder = Folder::new(sink).unwrap();
        let sent = folder.file("sent.flv");
        let location = format!("rtmp://{}/live/room{options}", up.rtmp);
        let publisher = gstreamer(sink, &location, &sent);
        let codecs =
            is_played_as_it_was_pushed(sink, &up, &folder, publisher, &sent, async |url| {
                let mut codecs = probe(url).await.unwrap();
                // GStreamer repeats `onMetaData` in mid-stream, which FFmpeg takes for a stream of text.
                codecs.retain(|codec| codec != "text");
                codecs
            })
            .await;
        assert_eq!(codecs, ["aac", "h264"], "{sink}");
    }
}

/// A newer FFmpeg.
struct NewFfmpeg {
    python: PathBuf,
    script: PathBuf,
}

impl NewFfmpeg {
    async fn find() -> NewFfmpeg {
        let checkout = Path::new(".");
        NewFfmpeg {
            python: installed(checkout)
                .await
                .unwrap()
                .join("python/bin/python3"),
            script: checkout.join("tests/clients/enhanced.py"),
        }
    }

    fn command(&self, words: &[&str]) -> Command {
        let script = self.script.to_str().unwrap();
        command(&self.python, &[&[script], words].concat())
    }

    async fn codecs(&self, url: &str) -> Vec<String> {
        let said = finish(start(self.command(&["probe", url])).unwrap())
            .await
            .unwrap();
        said.lines().map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn enhanced_rtmp_of_a_newer_ffmpeg_is_played_untouched() {
    let ffmpeg = NewFfmpeg::find().await;
    for (encoders, codecs) in [
        (["libx265", "aac"], ["hevc", "aac"]),
        (["libsvtav1", "libopus"], ["av1", "opus"]),
        (["libvpx-vp9", "flac"], ["vp9", "flac"]),
    ] {
        let up = up().await;
        let folder = Folder::new(&format!("enhanced-{}", codecs[0])).unwrap();
        let (made, sent) = (folder.file("made.flv"), folder.file("sent.flv"));
        let made = made.to_str().unwrap();
        let url = format!("rtmp://{}/live/room", up.rtmp);
        for words in [
            &["make", made, encoders[0], encoders[1], "4"][..],
            // The muxer of the push writes a file as well, and this says what is pushed.
            &["push", made, sent.to_str().unwrap()],
        ] {
            finish(start(ffmpeg.command(words)).unwrap()).await.unwrap();
        }
        let got = is_played_as_it_was_pushed(
            codecs[0],
            &up,
            &folder,
            ffmpeg.command(&["push", made, &url]),
            &sent,
            async |url| ffmpeg.codecs(url).await,
        )
        .await;
        assert_eq!(got, codecs);
    }
}
