//! The two commands of the README, as a user would give them: a real encoder pushes, a real player sees the picture.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by it")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const FREE_PORTS: [&str; 6] = [
    "--origin-listen=127.0.0.1:0",
    "--origin-internal-listen=127.0.0.1:0",
    "--edge-http-listen=127.0.0.1:0",
    "--edge-rtmp-listen=127.0.0.1:0",
    "--edge-internal-listen=127.0.0.1:0",
    "--operator-listen=127.0.0.1:0",
];

/// Starts `headwater up` on free ports; returns it with the addresses of its RTMP and HTTP ports.
fn up(more: &[&str]) -> (Process, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_headwater"))
        .arg("up")
        .args(FREE_PORTS)
        .arg("--admin-listen=127.0.0.1:0")
        .args(more)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let process = Process(child);
    let mut find = |before: &str| {
        loop {
            let line = lines.next().unwrap().unwrap();
            if let Some((_, rest)) = line.split_once(before) {
                return rest.split_once('/').unwrap().0.to_owned();
            }
        }
    };
    let rtmp = find("rtmp://");
    let http = find("http://");
    // The log is read on, so that the process is never held up by a full pipe.
    std::thread::spawn(move || lines.count());
    (process, rtmp, http)
}

/// What `ffprobe` says of the codecs of `url`.
fn codecs(url: &str) -> Vec<String> {
    let said = Command::new("ffprobe")
        .args(["-v", "error", "-rw_timeout", "20000000"])
        .args(["-show_entries", "stream=codec_name", "-of", "csv=p=0", url])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{url}: {errors}");
    let mut codecs: Vec<String> = String::from_utf8(said.stdout)
        .unwrap()
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    codecs.sort();
    codecs
}

#[test]
fn what_ffmpeg_pushes_ffprobe_plays() {
    let (_up, rtmp, http) = up(&[]);
    let encoder = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-re",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=320x180:rate=25",
        ])
        .args([
            "-f",
            "lavfi",
            "-i",
            "sine",
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
        ])
        .args([
            "-bf", "2", "-g", "25", "-c:a", "aac", "-t", "60", "-f", "flv",
        ])
        .arg(format!("rtmp://{rtmp}/live/room"))
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let _encoder = Process(encoder);
    assert_eq!(
        codecs(&format!("http://{http}/live/room.flv?wait=20")),
        ["aac", "h264"]
    );
}

#[test]
fn the_demonstration_needs_no_encoder() {
    let (_up, _, http) = up(&["--demo"]);
    assert_eq!(
        codecs(&format!("http://{http}/live/demo.flv?wait=20")),
        ["aac", "h264"]
    );
}
