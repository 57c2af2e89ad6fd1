//! The commands as a stranger gives them: what they print, and what they say when they cannot do it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by it")]

use std::path::Path;

use headwater_rig::publisher::{Made, Publisher, Target};
use headwater_rig::tool::{Folder, command};
use headwater_rig::up::Up;
use headwater_rig::viewer::Viewer;
use tokio::time::Instant;

const HEADWATER: &str = env!("CARGO_BIN_EXE_headwater");

/// Exit code, standard output, standard error.
async fn said(words: &[&str]) -> (i32, String, String) {
    let said = tokio::time::timeout(headwater_rig::SOON, command(HEADWATER, words).output())
        .await
        .unwrap()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        said.status.code().unwrap(),
        text(said.stdout),
        text(said.stderr),
    )
}

#[tokio::test]
async fn what_cannot_be_done_is_said_in_one_sentence() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let folder = Folder::new("commands").unwrap();
    let (misspelt, missing) = (folder.file("misspelt.yaml"), folder.file("missing.yaml"));
    std::fs::write(&misspelt, "origin:\n  listne: 1\n").unwrap();
    let config = |path: &Path| format!("--config={}", path.display());
    let ports = [
        "origin.listen",
        "origin.internal_listen",
        "edge.http_listen",
        "edge.rtmp_listen",
        "edge.internal_listen",
        "operator.listen",
        "admin.listen",
    ];
    for port in ports {
        let flag = |port: &str| format!("--{}=", port.replace(['.', '_'], "-"));
        let words: Vec<String> = ports
            .iter()
            .map(|other| {
                let address = if *other == port {
                    &taken
                } else {
                    "127.0.0.1:0"
                };
                flag(other) + address
            })
            .collect();
        let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
        words.splice(0..0, ["up", "--log-level=error"]);
        let (code, _, errors) = said(&words).await;
        assert_eq!(code, 2, "{port}: {errors}");
        let one = errors.matches("the port is in use").count();
        assert!(one == 1 && errors.lines().count() == 1, "{port}: {errors}");
        assert!(
            errors.contains(port) && errors.contains(&taken),
            "{port}: {errors}"
        );
    }
    for (words, sentence) in [
        (
            vec!["up".to_owned(), "--orgin-listen=1".to_owned()],
            "--origin-listen",
        ),
        (vec!["upp".to_owned()], "a similar subcommand exists: 'up'"),
        (
            vec!["up".to_owned(), "--origin-ring-max-bytes=big".to_owned()],
            "`origin.ring_max_bytes` cannot be `big`",
        ),
        (
            vec!["up".to_owned(), config(&misspelt)],
            "misspelt.yaml:2: there is no setting `origin.listne`",
        ),
        (vec!["up".to_owned(), config(&missing)], "missing.yaml"),
        (
            vec!["sign".to_owned(), "room".to_owned()],
            "write app/stream",
        ),
    ] {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (code, out, errors) = said(&words).await;
        assert_eq!((code, out.as_str()), (2, ""), "{words:?}: {errors}");
        assert!(errors.contains(sentence), "{words:?}: {errors}");
    }
}

#[tokio::test]
async fn the_settings_in_force_are_printed_without_secrets() {
    let keys = "--admission-keys=[{pattern: default/live, publish: {main: hush}}]";
    let (code, out, _) = said(&["up", "--print-config", "--edge-max-cache=7s", keys]).await;
    assert_eq!(code, 0);
    assert!(out.contains("max_cache: 7s"), "{out}");
    assert!(
        out.contains("pattern: default/live") && !out.contains("hush"),
        "{out}"
    );
}

#[tokio::test]
async fn streams_and_locate_show_what_is_live() {
    let up = Up::start(Path::new(HEADWATER), &[]).await.unwrap();
    let asks = format!("--operator={}", up.operator);
    let (code, _, errors) = said(&["locate", "live/room", &asks]).await;
    assert_eq!(code, 1, "{errors}");
    let target = Target::exact(&up.rtmp, "live", "room");
    let mut publisher = Publisher::start(&target, Made::default().tags(), Instant::now());
    publisher.started().await.unwrap();
    let url = format!("http://{}/live/room.flv?wait=10", up.http);
    Viewer::start(&url, Instant::now())
        .goes_on(1)
        .await
        .unwrap();

    let (code, out, errors) = said(&["locate", "live/room", &asks]).await;
    assert_eq!(code, 0, "{out}{errors}");
    assert!(out.contains("origin-"), "{out}");
    let (code, out, _) = said(&["locate", "live/room", "--json", &asks]).await;
    assert_eq!(code, 0);
    assert!(
        serde_json::from_str::<serde_json::Value>(&out)
            .unwrap()
            .is_object()
    );
    let admin = format!("--admin={}", up.process.admin);
    let (code, out, _) = said(&["streams", &admin]).await;
    assert_eq!(code, 0);
    assert!(out.contains("default/live/room"), "{out}");
}

#[tokio::test]
async fn a_check_says_whether_a_picture_gets_through_and_if_not_why() {
    let keys = "--admission-keys=[{pattern: default/live, publish: {main: pushers}, play: {main: viewers}}]";
    let up = Up::start(Path::new(HEADWATER), &[keys]).await.unwrap();
    let (to, play) = (
        format!("--to={}", up.rtmp),
        format!("--play=http://{}", up.http),
    );
    let (code, out, errors) = said(&["check", keys, &to, &play]).await;
    assert_eq!(code, 0, "{errors}");
    assert!(
        out.contains(&up.http) && out.contains("a picture after"),
        "{out}"
    );
    for (settings, sentence) in [
        // Without the keys nothing is signed.
        (vec![&*to, &*play], "no picture within 1s"),
        (vec![keys, &*to, "--play=http://127.0.0.1:1"], "127.0.0.1:1"),
    ] {
        let words = [vec!["check", "--within=1s", "--log-level=error"], settings].concat();
        let (code, _, errors) = said(&words).await;
        assert_eq!(code, 1, "{words:?}: {errors}");
        assert!(errors.contains(sentence), "{words:?}: {errors}");
    }
}

#[tokio::test]
async fn signed_addresses_open_what_nothing_else_does() {
    let keys = "--admission-keys=[{pattern: default/live, \
                publish: {main: e12c46f2612d5106e2034781ab261ca3}, play: {main: viewers}}]";
    let up = Up::start(Path::new(HEADWATER), &[keys]).await.unwrap();
    let (rtmp, http) = (format!("rtmp://{}", up.rtmp), format!("http://{}", up.http));
    let publish = |url: &str| {
        let target = Target::parse(url).unwrap();
        Publisher::start(&target, Made::default().tags(), Instant::now())
    };
    for unsigned in [
        format!("{rtmp}/live/test"),
        // The vector of hosted CDNs: right, and long over.
        format!("{rtmp}/live/test?txSecret=f85a2ab363fe4deaffef9754d79da6fe&txTime=5C271099"),
    ] {
        let refused = publish(&unsigned).started().await;
        assert!(refused.is_err(), "{unsigned}");
    }
    for scheme in ["tx", "hmac"] {
        let scheme = format!("--scheme={scheme}");
        let bases = [
            format!("--publish-base={rtmp}"),
            format!("--play-base={http}"),
        ];
        let (code, out, errors) =
            said(&["sign", "live/test", keys, &scheme, &bases[0], &bases[1]]).await;
        assert_eq!(code, 0, "{errors}");
        let addresses: Vec<&str> = out.lines().collect();
        let [to_publish, to_play] = addresses[..] else {
            panic!("{out}");
        };
        let mut publisher = publish(to_publish);
        publisher.started().await.unwrap();
        let mut viewer = Viewer::start(&format!("{to_play}&wait=10"), Instant::now());
        viewer.goes_on(10).await.unwrap();
        let plain = format!("{http}/live/test.flv");
        let refused = command(
            "curl",
            &[
                "--silent",
                "--output",
                "/dev/null",
                "--write-out",
                "%{http_code}",
                &plain,
            ],
        )
        .output()
        .await
        .unwrap();
        assert!(
            matches!(&refused.stdout[..], b"401" | b"403"),
            "{refused:?}"
        );
    }
}
