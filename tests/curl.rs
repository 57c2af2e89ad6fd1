//! The HTTP port as curl and players see it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by it")]

use std::path::Path;

use headwater_rig::publisher::{Made, Publisher, Target};
use headwater_rig::tool::{command, finish, start};
use headwater_rig::up::Up;
use headwater_rig::viewer::Viewer;
use tokio::time::Instant;

/// The head of the answer, with names of fields in lower case; what follows it is cut off after two seconds.
async fn head(url: &str, words: &[&str]) -> String {
    let output = ["--silent", "--dump-header", "-", "--output", "/dev/null"];
    let words = [&output[..], &["--max-time", "2"], words, &[url]].concat();
    // A stream goes on until curl's own time is up, which is a failure to curl.
    let said = command("curl", &words).output().await.unwrap();
    let text = String::from_utf8(said.stdout).unwrap();
    let (first, fields) = text.split_once("\r\n").unwrap_or((&text, ""));
    format!("{first}\n{}", fields.to_ascii_lowercase())
}

#[tokio::test]
async fn answers_are_what_http_clients_expect() {
    let settings = ["--edge-limits-viewers-per-stream=2"];
    let up = Up::start(Path::new(env!("CARGO_BIN_EXE_headwater")), &settings)
        .await
        .unwrap();
    let publish = |name| {
        let target = Target::exact(&up.rtmp, "live", name);
        Publisher::start(&target, Made::default().tags(), Instant::now())
    };
    let (mut room, mut full) = (publish("room"), publish("full"));
    room.started().await.unwrap();
    full.started().await.unwrap();
    let url = |name: &str| format!("http://{}/live/{name}", up.http);
    let mut viewers = Vec::new();
    for _ in 0..2 {
        let mut viewer = Viewer::start(&(url("full.flv") + "?wait=10"), Instant::now());
        viewer.goes_on(5).await.unwrap();
        viewers.push(viewer);
    }

    let cors = "access-control-allow-origin: *";
    let chunked = "transfer-encoding: chunked";
    let origin = ["--header", "Origin: https://www.example.com"];
    for (what, name, words, first, has, has_not) in [
        (
            "GET",
            "room.flv?wait=10",
            &[][..],
            "HTTP/1.1 200 OK",
            &[
                "content-type: video/x-flv",
                chunked,
                cors,
                "cache-control: no-store",
            ][..],
            &["content-length"][..],
        ),
        (
            "HEAD",
            "room.flv",
            &["--head"],
            "HTTP/1.1 200 OK",
            &["content-type: video/x-flv", cors],
            &[],
        ),
        (
            "OPTIONS",
            "room.flv",
            &["--request", "OPTIONS"],
            "HTTP/1.1 204 No Content",
            &["access-control-allow-methods: get, head, options", cors],
            &["content-length: 1"],
        ),
        (
            "a page elsewhere",
            "room.flv",
            &origin,
            "HTTP/1.1 200 OK",
            &[cors],
            &[],
        ),
        (
            "HTTP/1.0",
            "room.flv",
            &["--http1.0"],
            "HTTP/1.1 200 OK",
            &["connection: close"],
            &["transfer-encoding"],
        ),
        (
            "nobody publishes it",
            "none.flv",
            &[],
            "HTTP/1.1 404 Not Found",
            &[cors, "content-length: "],
            &[],
        ),
        (
            "nor in time",
            "none.flv?wait=1",
            &[],
            "HTTP/1.1 404 Not Found",
            &[cors],
            &[],
        ),
        (
            "no time",
            "none.flv?wait=soon",
            &[],
            "HTTP/1.1 400 Bad Request",
            &[cors],
            &[],
        ),
        (
            "POST",
            "room.flv",
            &["--request", "POST"],
            "HTTP/1.1 405 Method Not Allowed",
            &["allow: get, head, options"],
            &[],
        ),
        (
            "over the limit",
            "full.flv",
            &[],
            "HTTP/1.1 503 Service Unavailable",
            &["retry-after: ", cors],
            &[],
        ),
    ] {
        let head = head(&url(name), words).await;
        assert_eq!(head.lines().next(), Some(first), "{what}");
        for field in has {
            assert!(head.contains(field), "{what}: no {field} in {head}");
        }
        for field in has_not {
            assert!(!head.contains(field), "{what}: {field} in {head}");
        }
    }
}

#[tokio::test]
async fn who_waits_gets_the_stream_from_its_first_tag() {
    let up = Up::start(
        Path::new(env!("CARGO_BIN_EXE_headwater")),
        &["--origin-linger=1s", "--edge-pull-grace=3s"],
    )
    .await
    .unwrap();
    let url = format!("http://{}/live/room.flv?wait=20", up.http);
    let waiting = start(command(
        "curl",
        &["--silent", "--fail", &url, "--output", "-", "--verbose"],
    ))
    .unwrap();
    let target = Target::exact(&up.rtmp, "live", "room");
    let tags = Made::default().tags().take(60);
    let mut publisher = Publisher::start(&target, tags, Instant::now());
    publisher.started().await.unwrap();
    let said = tokio::time::timeout(headwater_rig::SOON, waiting.wait_with_output())
        .await
        .unwrap()
        .unwrap();
    assert!(
        said.status.success(),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
    assert!(
        said.stdout.starts_with(b"FLV\x01\x05"),
        "{:?}",
        said.stdout.get(..9)
    );
    // All of the 58 bodies, whether curl came before the publisher or after it.
    let found = said
        .stdout
        .windows(4)
        .filter(|four| four == b"HWid")
        .count();
    assert_eq!(found, 58);
}

#[tokio::test]
async fn rtmp_is_played_by_name_and_by_who_waits() {
    let up = Up::start(Path::new(env!("CARGO_BIN_EXE_headwater")), &["--demo"])
        .await
        .unwrap();
    for url in [
        format!("rtmp://{}/live/demo?wait=20", up.play_rtmp),
        format!("rtmp://{}/live/demo", up.play_rtmp),
    ] {
        let words = ["-v", "error", "-i", &url, "-t", "1", "-f", "null", "-"];
        let said = finish(start(command("ffmpeg", &words)).unwrap())
            .await
            .unwrap();
        assert_eq!(said, "", "{url}");
    }
}
