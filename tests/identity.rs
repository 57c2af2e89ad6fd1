//! What an encoder pushes is what viewers get: the same tags, in the same order, byte for byte.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by it")]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use headwater_rig::process::{Cluster, Size};
use headwater_rig::viewer::Viewer;
use headwater_rig::{clip, compare};
use tokio::process::Command;
use tokio::time::Instant;

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("headwater-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn ffmpeg(words: &[&str]) {
    let said = Command::new("ffmpeg")
        .args(["-v", "error", "-y"])
        .args(words)
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    assert!(
        said.status.success(),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
}

/// Four seconds with B-frames, a keyframe each second.
async fn encoded(folder: &Path, name: &str, size: &str) -> Vec<headwater_media::Tag> {
    let path = folder.join(name);
    let picture = format!("testsrc2=size={size}:rate=25");
    ffmpeg(&[
        "-f",
        "lavfi",
        "-i",
        &picture,
        "-f",
        "lavfi",
        "-i",
        "sine=frequency=440",
        "-t",
        "4",
        "-c:v",
        "libx264",
        "-preset",
        "veryfast",
        "-bf",
        "2",
        "-g",
        "25",
        "-pix_fmt",
        "yuv420p",
        "-c:a",
        "aac",
        "-f",
        "flv",
        path.to_str().unwrap(),
    ])
    .await;
    clip::read(&path).unwrap()
}

/// The clip that is pushed, as FFmpeg's own muxer writes it: B-frames, and another picture size from the middle on.
async fn made(folder: &Path) -> PathBuf {
    let small = encoded(folder, "small.flv", "320x180").await;
    let large = encoded(folder, "large.flv", "640x360").await;
    let (joined, pushed) = (folder.join("joined.flv"), folder.join("pushed.flv"));
    clip::write(&joined, &clip::join(&[small, large], 40)).unwrap();
    ffmpeg(&[
        "-i",
        joined.to_str().unwrap(),
        "-c",
        "copy",
        "-f",
        "flv",
        pushed.to_str().unwrap(),
    ])
    .await;
    pushed
}

#[tokio::test]
async fn three_viewers_on_two_edges_get_what_ffmpeg_pushes_byte_for_byte() {
    let folder = Folder::new("identity");
    let pushed = made(&folder.0).await;
    let records = clip::records(&pushed).unwrap();
    let headers = records
        .iter()
        .filter(|tag| tag.kind == 9 && tag.header)
        .count();
    assert_eq!(headers, 2, "the sequence header changes in mid-stream");

    let size = Size {
        settings: vec![
            "--edge-pull-grace=3s".to_owned(),
            "--origin-linger=1s".to_owned(),
        ],
        ..Size::default()
    };
    let cluster = Cluster::start(Path::new(env!("CARGO_BIN_EXE_headwater")), &size)
        .await
        .unwrap();
    let epoch = Instant::now();
    let play = |edge: usize, name: &str| {
        let url = format!(
            "http://{}/live/{name}.flv?wait=20",
            cluster.edges[edge].http
        );
        Viewer::start(&url, epoch)
    };
    let mut viewers = vec![play(0, "room"), play(1, "room")];
    let mut encoder = Command::new("ffmpeg")
        .args(["-v", "error", "-re", "-i"])
        .arg(&pushed)
        .args(["-c", "copy", "-f", "flv"])
        .arg(format!("rtmp://{}/live/room", cluster.origins[0].rtmp))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    viewers[0].goes_on(60).await.unwrap();
    // In the middle of a GOP.
    viewers.push(play(1, "room"));
    assert!(encoder.wait().await.unwrap().success());
    for (number, viewer) in viewers.iter_mut().enumerate() {
        let seen = viewer
            .until(Duration::from_secs(30), |seen| seen.end.is_some())
            .await
            .unwrap();
        assert_eq!(seen.end, Some(Ok(())), "viewer {number}");
        let verdict = compare::same_run(&records, &seen.tags)
            .unwrap_or_else(|fault| panic!("viewer {number}: {fault}"));
        let media = records.iter().filter(|tag| tag.is_media()).count();
        assert_eq!(
            verdict.joined_at + verdict.same,
            media,
            "viewer {number} got all to the end"
        );
    }
}
