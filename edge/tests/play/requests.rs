//! What requests over HTTP are answered where it is not the stream, and who is let in.

use headwater_admission::AdmissionConfig;

use crate::finder::{Told, found, guess, missing};
use crate::scene::{Scene, config};
use crate::source::Source;
use crate::stream::Publisher;
use crate::viewer::{SOON, Viewer, assert_gapless};

#[tokio::test]
async fn a_missing_stream_is_404_at_once_and_asked_for_once() {
    let scene = Scene::new(Told::new(missing())).await;
    for _ in 0..5 {
        let (mut viewer, answered) = Viewer::get(&scene.http(), "/live/room.flv").await;
        assert_eq!(answered.status, 404);
        let text = viewer.text(&answered).await;
        assert!(
            text.contains("default/live/room") && text.contains("?wait="),
            "{text}"
        );
        assert_eq!(answered.field("access-control-allow-origin"), Some("*"));
    }
    assert_eq!(
        scene
            .finder
            .lookups
            .load(std::sync::atomic::Ordering::Relaxed),
        1
    );
    assert_eq!(
        scene.metric("headwater_edge_refused_total{protocol=\"http_flv\",reason=\"missing\"}"),
        5.0
    );
}

#[tokio::test]
async fn guessed_sources_that_have_nothing_are_404() {
    let (one, other) = (Source::start().await, Source::start().await);
    let scene = Scene::new(Told::new(guess(&[&one.address, &other.address]))).await;
    for method in ["GET", "HEAD"] {
        let mut viewer = Viewer::connect(&scene.http()).await;
        viewer
            .send(&format!(
                "{method} /live/room.flv HTTP/1.1\r\nHost: a\r\n\r\n"
            ))
            .await;
        assert_eq!(viewer.answer().await.status, 404, "{method}");
    }
    assert!(one.asked() >= 1 && other.asked() >= 1);
}

#[tokio::test]
async fn requests_are_answered_as_they_should() {
    let publisher = Publisher::new("default/live/room", 7, 7);
    let source = Source::of(&publisher.stream).await;
    let scene = Scene::new(Told::new(found(7, 7, &[&source.address]))).await;
    let long = "a".repeat(9_000);
    for (name, request, status, part) in [
        (
            "root",
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            200,
            "ffplay",
        ),
        (
            "HEAD",
            "HEAD /live/room.flv HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            200,
            "",
        ),
        (
            "OPTIONS",
            "OPTIONS /live/room.flv HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            204,
            "",
        ),
        (
            "OPTIONS *",
            "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            204,
            "",
        ),
        (
            "POST",
            "POST /live/room.flv HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            405,
            "GET",
        ),
        (
            "CONNECT",
            "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            405,
            "GET",
        ),
        (
            "no .flv",
            "GET /live/room HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            404,
            ".flv",
        ),
        (
            "no app",
            "GET /room.flv HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            400,
            "app",
        ),
        (
            "escape",
            "GET /live/%zz.flv HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            400,
            "%25",
        ),
        (
            "query escape",
            "GET /live/room.flv?a=%z HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            400,
            "%25",
        ),
        (
            "dots",
            "GET /live/...flv HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            400,
            "..",
        ),
        (
            "NUL",
            "GET /live/a%00b.flv HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            400,
            "control",
        ),
        (
            "mode",
            "GET /live/room.flv?mode=x HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            400,
            "mode",
        ),
        (
            "wait",
            "GET /live/room.flv?wait=x HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            400,
            "wait",
        ),
        (
            "body",
            "GET /live/room.flv HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc".to_owned(),
            400,
            "body",
        ),
        (
            "two lengths",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc"
                .to_owned(),
            400,
            "ambiguous",
        ),
        ("no host", "GET / HTTP/1.1\r\n\r\n".to_owned(), 400, "Host"),
        (
            "too long",
            format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"),
            431,
            "8192",
        ),
        ("not HTTP", "hello\r\n\r\n".to_owned(), 400, "HTTP"),
        (
            "HTTP/2",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
            505,
            "HTTP/1.1",
        ),
    ] {
        let mut viewer = Viewer::connect(&scene.http()).await;
        viewer.send(&request).await;
        let answered = viewer.answer().await;
        assert_eq!(answered.status, status, "{name}: {}", answered.head);
        let head_only = request.starts_with("HEAD");
        let text = if head_only {
            String::new()
        } else {
            viewer.text(&answered).await
        };
        assert!(text.contains(part), "{name}: {text}");
        assert!(
            text.len() < 2_000 && answered.field("access-control-allow-origin") == Some("*"),
            "{name}"
        );
        let closes = answered.field("connection") == Some("close");
        if closes {
            assert!(viewer.closed().await, "{name}");
        }
    }
}

#[tokio::test]
async fn a_connection_is_kept_over_refusals_and_pipelined_requests() {
    let publisher = Publisher::new("default/live/room", 7, 7);
    let source = Source::of(&publisher.stream).await;
    let scene = Scene::new(Told::new(found(7, 7, &[&source.address]))).await;
    let mut viewer = Viewer::connect(&scene.http()).await;
    viewer
        .send(
            "GET /x HTTP/1.1\r\nHost: a\r\n\r\nHEAD /live/room.flv HTTP/1.1\r\nHost: a\r\n\r\n\
            OPTIONS /live/room.flv HTTP/1.1\r\nHost: a\r\n\r\nGET http://b:1/live/room.flv HTTP/1.1\r\nHost: a\r\n\r\n\
            these bytes are nobody's",
        )
        .await;
    let answered = viewer.answer().await;
    assert_eq!(answered.status, 404);
    viewer.text(&answered).await;
    for status in [200, 204, 200] {
        assert_eq!(viewer.answer().await.status, status);
    }
    assert_gapless(&viewer.frames(3).await);
}

#[tokio::test]
async fn viewers_over_the_limit_are_told_to_come_back() {
    let publisher = Publisher::new("default/live/room", 7, 7);
    let source = Source::of(&publisher.stream).await;
    for (all, each, reason) in [(1, 9, "viewers_full"), (9, 1, "stream_full")] {
        let mut config = config();
        config.limits.viewers = all;
        config.limits.viewers_per_stream = each;
        let scene = Scene::with(
            config,
            Default::default(),
            Told::new(found(7, 7, &[&source.address])),
        )
        .await;
        let first = Viewer::play(&scene.http(), "/live/room.flv").await;
        let (mut second, answered) = Viewer::get(&scene.http(), "/live/room.flv").await;
        assert_eq!(
            (answered.status, answered.field("retry-after")),
            (503, Some("1")),
            "{reason}"
        );
        let text = second.text(&answered).await;
        assert!(text.contains("as many viewers"), "{text}");
        let counted =
            format!("headwater_edge_refused_total{{protocol=\"http_flv\",reason=\"{reason}\"}}");
        assert_eq!(scene.metric(&counted), 1.0, "{reason}");
        drop(first);
        scene
            .until("the place is free", |s| {
                s.metric("headwater_edge_viewers{protocol=\"http_flv\"}") == 0.0
            })
            .await;
        Viewer::play(&scene.http(), "/live/room.flv").await;
    }
}

#[tokio::test]
async fn a_draining_edge_serves_who_is_there_and_sends_the_others_on() {
    let publisher = Publisher::new("default/live/room", 7, 7);
    let source = Source::of(&publisher.stream).await;
    let scene = Scene::new(Told::new(found(7, 7, &[&source.address]))).await;
    let mut viewer = Viewer::play(&scene.http(), "/live/room.flv").await;
    viewer.frames(3).await;
    scene.drain.begin();
    assert_eq!(scene.drain.held(), 1);
    let (_, answered) = Viewer::get(&scene.http(), "/live/room.flv").await;
    assert_eq!(
        (answered.status, answered.field("retry-after")),
        (503, Some("1"))
    );
    publisher.frames(5);
    assert_gapless(&viewer.frames(5).await);
    scene.drain.end();
    assert!(viewer.tag().await.is_none(), "a clean end");
}

#[tokio::test]
async fn a_signature_is_asked_for() {
    let publisher = Publisher::new("default/live/room", 7, 7);
    let source = Source::of(&publisher.stream).await;
    let admission = serde_json::from_value(serde_json::json!({
        "keys": [{"pattern": "*", "play": {"main": "a key that is long enough for anybody"}}]
    }))
    .unwrap();
    let scene = Scene::with(
        config(),
        admission,
        Told::new(found(7, 7, &[&source.address])),
    )
    .await;
    for (target, status) in [
        ("/live/room.flv", 401),
        ("/live/room.flv?txSecret=00&txTime=00", 401),
    ] {
        let (mut viewer, answered) = tokio::time::timeout(SOON, Viewer::get(&scene.http(), target))
            .await
            .unwrap();
        assert_eq!(answered.status, status, "{target}");
        assert!(!viewer.text(&answered).await.is_empty());
    }
    assert_eq!(source.asked(), 0, "nobody is pulled for who may not play");
}

#[tokio::test]
async fn viewers_behind_a_load_balancer_are_limited_by_their_own_addresses() {
    let publisher = Publisher::new("default/live/room", 7, 7);
    let source = Source::of(&publisher.stream).await;
    let mut config = config();
    config.proxy_protocol_from = vec!["127.0.0.1".to_owned()];
    config.limits.connections_per_address = 1;
    let told = Told::new(found(7, 7, &[&source.address]));
    let scene = Scene::with(config, AdmissionConfig::default(), told).await;
    let asked = async |last: u8| {
        let mut viewer = Viewer::connect(&scene.http()).await;
        let header = format!("PROXY TCP4 192.0.2.{last} 198.51.100.1 4711 80\r\n");
        viewer.send(&header).await;
        viewer
            .send("GET /live/room.flv HTTP/1.1\r\nHost: test\r\n\r\n")
            .await;
        let status = viewer.answer().await.status;
        (viewer, status)
    };
    let (mut first, status) = asked(1).await;
    assert_eq!(status, 200);
    first.frames(3).await;
    assert_eq!(asked(1).await.1, 503);
    assert_eq!(asked(2).await.1, 200);

    let open = Scene::new(Told::new(found(7, 7, &[&source.address]))).await;
    let mut stranger = Viewer::connect(&open.http()).await;
    stranger
        .send("PROXY TCP4 192.0.2.9 198.51.100.1 4711 80\r\n\r\n")
        .await;
    assert_eq!(stranger.answer().await.status, 505);
}
