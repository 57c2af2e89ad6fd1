//! The README's page in a browser: what is pushed moves on the screen, and goes on when the publisher comes back or the
//! edge's source is gone; and pages that come over https.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by it")]

use std::path::Path;
use std::process::Stdio;

use headwater_rig::authority::{self, Authority, Validity};
use headwater_rig::process::{Cluster, Size};
use headwater_rig::tool::{Folder, command, installed, start};
use headwater_rig::up::Up;
use headwater_rig::viewer::Viewer;
use headwater_rig::{SOON, http, port, readme};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;
use tokio::sync::watch;
use tokio::time::Instant;

/// What the page's video element does.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Screen {
    current_time: f64,
    video_width: u32,
    frames: u64,
    faults: Vec<String>,
}

/// Chromium with the page open; it goes when it is dropped.
struct Browser {
    screen: watch::Receiver<Screen>,
    _node: Child,
    _folder: Folder,
}

impl Browser {
    /// Opens the README's page, which plays `stream` from `edge`.
    async fn open(name: &str, edge: &str, stream: &str) -> Browser {
        let url = format!("http://{edge}/live/{stream}.flv");
        Browser::show(name, &page_of(&url), None).await
    }

    /// Opens `page`, which comes over https if there are files of a certificate.
    async fn show(name: &str, html: &str, certificate: Option<&authority::Folder>) -> Browser {
        let folder = Folder::new(name).unwrap();
        let page = folder.file("page.html");
        std::fs::write(&page, html).unwrap();
        let checkout = Path::new(".");
        let script = checkout.join("tests/clients/browser.mjs");
        let installed = installed(checkout).await.unwrap();
        let mut words = vec![script, installed, page];
        words.extend(
            certificate
                .iter()
                .flat_map(|files| ["tls.crt", "tls.key"].map(|name| files.path(name))),
        );
        let mut command = command("node", &words);
        command.stdin(Stdio::piped()).stderr(Stdio::inherit());
        // Not killed, but told by the end of its input, so that it can close the browser.
        command.kill_on_drop(false);
        let mut node = start(command).unwrap();
        let mut lines = BufReader::new(node.stdout.take().unwrap()).lines();
        let (sender, screen) = watch::channel(Screen::default());
        tokio::spawn(async move {
            while let Some(line) = lines.next_line().await.unwrap() {
                sender.send_replace(serde_json::from_str(&line).unwrap());
            }
        });
        Browser {
            screen,
            _node: node,
            _folder: folder,
        }
    }

    /// Waits until four more seconds have been shown: more than a player has in store.
    async fn goes_on(&mut self) -> Screen {
        let before = self.screen.borrow().clone();
        let goes_on = self.screen.wait_for(|now| {
            now.current_time >= before.current_time + 4.0 && now.frames >= before.frames + 50
        });
        if let Ok(now) = tokio::time::timeout(SOON, goes_on).await {
            return now.unwrap().clone();
        }
        panic!(
            "it stood at {before:?} and stands at {:?}",
            self.screen.borrow()
        );
    }
}

/// The README's page with the address of a stream at a running edge, and with a copy of the player.
fn page_of(url: &str) -> String {
    let page = readme::blocks("html").pop().unwrap();
    let script = page
        .split("src=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    assert!(script.ends_with("/mpegts.js"), "{script}");
    let address = "http://HOST:8080/live/room.flv";
    assert!(page.contains(address), "{page}");
    page.replace(script, "/mpegts.js").replace(address, url)
}

/// An encoder as people use them.
fn encoder(origin: &str, stream: &str) -> Child {
    let url = format!("rtmp://{origin}/live/{stream}");
    let words = "-v error -re -f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i sine \
                 -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 25 -c:a aac -f flv"
        .split_whitespace()
        .chain([url.as_str()])
        .collect::<Vec<_>>();
    start(command("ffmpeg", &words)).unwrap()
}

/// Waits until `stream` can be played at `edge`.
async fn live(edge: &str, stream: &str) {
    let url = format!("http://{edge}/live/{stream}.flv?wait=30");
    let mut viewer = Viewer::start(&url, Instant::now());
    viewer.goes_on(1).await.unwrap();
}

#[tokio::test]
async fn the_page_goes_on_when_the_publisher_comes_back() {
    let up = Up::start(Path::new(env!("CARGO_BIN_EXE_headwater")), &[])
        .await
        .unwrap();
    let mut publisher = encoder(&up.rtmp, "room");
    live(&up.http, "room").await;
    let mut browser = Browser::open("page-restart", &up.http, "room").await;
    let screen = browser.goes_on().await;
    assert_eq!(screen.video_width, 320, "{screen:?}");

    publisher.kill().await.unwrap();
    let _publisher = encoder(&up.rtmp, "room");
    let screen = browser.goes_on().await;
    assert_eq!(screen.faults, Vec::<String>::new());
}

#[tokio::test]
async fn the_page_goes_on_when_the_streams_home_dies() {
    let mut cluster = Cluster::start(Path::new(env!("CARGO_BIN_EXE_headwater")), &Size::default())
        .await
        .unwrap();
    let origin = cluster.origins[0].rtmp.clone();
    // A stream whose home is not where it is pushed to.
    let mut number = 0;
    let (_publisher, stream, home) = loop {
        let stream = format!("room{number}");
        let publisher = encoder(&origin, &stream);
        let (ingress, home) = cluster
            .placed(&format!("default/live/{stream}"))
            .await
            .unwrap();
        if ingress != home {
            break (publisher, stream, home);
        }
        number += 1;
    };
    let edge = cluster.edges[0].http.clone();
    live(&edge, &stream).await;
    let mut browser = Browser::open("page-failover", &edge, &stream).await;
    browser.goes_on().await;

    cluster.origin(&home).unwrap().process.kill();
    let screen = browser.goes_on().await;
    assert_eq!(screen.faults, Vec::<String>::new());
}

/// All roles, with a certificate; where viewers come in TLS, and its files.
async fn secure() -> (Up, String, authority::Folder) {
    let files = authority::Folder::new().unwrap();
    let pair = Authority::new("test authority")
        .unwrap()
        .issue("localhost", Validity::Now)
        .unwrap();
    files.put(&pair).unwrap();
    let https = port::address();
    let up = Up::start(
        Path::new(env!("CARGO_BIN_EXE_headwater")),
        &[
            &format!("--edge-https-listen={https}"),
            &format!("--tls-certificate-file={}", files.path("tls.crt").display()),
            &format!("--tls-key-file={}", files.path("tls.key").display()),
        ],
    )
    .await
    .unwrap();
    (up, https, files)
}

async fn viewers(up: &Up, protocol: &str) -> f64 {
    let labels = format!("protocol=\"{protocol}\"");
    http::metric(&up.process.admin, "headwater_edge_viewers", &labels)
        .await
        .unwrap_or(0.0)
}

#[tokio::test]
async fn pages_that_come_over_https_play_over_https_and_wss() {
    let (up, https, files) = secure().await;
    let _publisher = encoder(&up.rtmp, "room");
    live(&up.http, "room").await;
    for (scheme, protocol) in [("https", "http2_flv"), ("wss", "wss_flv")] {
        let page = page_of(&format!("{scheme}://{https}/live/room.flv"));
        let mut browser = Browser::show(&format!("page-{scheme}"), &page, Some(&files)).await;
        let screen = browser.goes_on().await;
        assert_eq!(screen.faults, Vec::<String>::new(), "{scheme}");
        assert_eq!(viewers(&up, protocol).await, 1.0, "{scheme}");
    }
    let page = page_of(&format!("ws://{}/live/room.flv", up.http));
    let mut browser = Browser::show("page-ws", &page, None).await;
    let screen = browser.goes_on().await;
    assert_eq!(screen.faults, Vec::<String>::new());
    assert_eq!(viewers(&up, "ws_flv").await, 1.0);
}

#[tokio::test]
async fn a_page_over_https_holds_more_players_than_a_browser_opens_connections() {
    let (up, https, files) = secure().await;
    let _publisher = encoder(&up.rtmp, "room");
    live(&up.http, "room").await;
    let page = format!(
        r#"<body><script src="/mpegts.js"></script><script>
for (let n = 0; n < 8; n++) {{
  const video = document.body.appendChild(document.createElement("video"));
  video.muted = true;
  const player = mpegts.createPlayer({{ type: "flv", isLive: true, url: "https://{https}/live/room.flv" }});
  player.attachMediaElement(video);
  player.load();
  player.play();
}}
</script></body>"#
    );
    let mut browser = Browser::show("page-wall", &page, Some(&files)).await;
    let screen = browser.goes_on().await;
    assert_eq!(screen.faults, Vec::<String>::new());
    assert_eq!(viewers(&up, "http2_flv").await, 8.0);
}
