//! Playing over HTTP.

use std::time::Duration;

use headwater_location::Part;

use crate::finder::{Told, found, missing};
use crate::scene::{Scene, config};
use crate::source::Source;
use crate::stream::Publisher;
use crate::viewer::{Viewer, assert_gapless};

#[tokio::test]
async fn a_viewer_gets_the_stream_from_its_keyframe_on() {
    let publisher = Publisher::new("default/live/room", 7, 7);
    let source = Source::of(&publisher.stream).await;
    let scene = Scene::new(Told::new(found(7, 7, &[&source.address]))).await;
    let (mut viewer, answered) = Viewer::get(&scene.http(), "/live/room.flv").await;
    assert_eq!(answered.status, 200, "{}", answered.head);
    for (field, value) in [
        ("content-type", "video/x-flv"),
        ("cache-control", "no-store"),
        ("access-control-allow-origin", "*"),
        ("transfer-encoding", "chunked"),
    ] {
        assert_eq!(answered.field(field), Some(value), "{field}");
    }
    let mut frames = viewer.frames(3).await;
    assert_eq!(frames[0].1, 1, "the keyframe behind the header");
    publisher.frames(50);
    frames.extend(viewer.frames(50).await);
    assert_gapless(&frames);
    assert_eq!(
        scene.metric("headwater_edge_viewers{protocol=\"http_flv\"}"),
        1.0
    );
    let carried = scene.finder.carried.lock().first().cloned().unwrap();
    assert_eq!(
        (carried.part, carried.epoch, carried.term),
        (Part::Carrier, 7, 7)
    );
    let streams = scene.edge.streams();
    for (name, value) in [
        ("state", "live"),
        ("video", "h264"),
        ("key", "default/live/room"),
    ] {
        assert_eq!(streams[0][name], value, "{streams}");
    }
    assert_eq!(streams[0]["viewers"], 1);
    drop(viewer);
    scene
        .until("the viewer is gone", |s| {
            s.metric("headwater_edge_viewers{protocol=\"http_flv\"}") == 0.0
        })
        .await;
    scene
        .until("the pull is gone", |s| {
            s.metric("headwater_edge_pulls") == 0.0
        })
        .await;
    assert_eq!(scene.finder.dropped.lock().len(), 1);
    assert_eq!(source.asked(), 1);
}

#[tokio::test]
async fn many_viewers_at_once_are_one_pull() {
    let publisher = Publisher::new("default/live/room", 7, 7);
    let source = Source::of(&publisher.stream).await;
    let scene = Scene::new(Told::new(found(7, 7, &[&source.address]))).await;
    let to = scene.http();
    let mut joining = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let to = to.clone();
        joining.spawn(async move {
            let mut viewer = Viewer::play(&to, "/live/room.flv").await;
            (viewer.frames(3).await, viewer)
        });
    }
    let joined = joining.join_all().await;
    assert_eq!(joined.len(), 200);
    assert_eq!(source.asked(), 1);
    assert_eq!(
        scene
            .finder
            .lookups
            .load(std::sync::atomic::Ordering::Relaxed),
        1
    );
    publisher.frames(10);
    for (mut frames, mut viewer) in joined {
        frames.extend(viewer.frames(10).await);
        assert_gapless(&frames);
    }
}

#[tokio::test]
async fn a_viewer_of_http_1_0_gets_plain_flv_until_the_close() {
    let publisher = Publisher::new("default/live/room", 7, 7);
    let source = Source::of(&publisher.stream).await;
    let mut config = config();
    config.pull.grace = Duration::from_millis(200);
    let scene = Scene::with(
        config,
        Default::default(),
        Told::new(found(7, 7, &[&source.address])),
    )
    .await;
    let mut viewer = Viewer::connect(&scene.http()).await;
    viewer.send("GET /live/room.flv HTTP/1.0\r\n\r\n").await;
    let answered = viewer.answer().await;
    assert_eq!(
        (answered.status, answered.field("transfer-encoding")),
        (200, None)
    );
    assert_gapless(&viewer.frames(3).await);
    publisher.leave();
    assert!(viewer.tag().await.is_none());
}

#[tokio::test]
async fn who_waits_gets_the_first_tag_when_it_appears() {
    let scene = Scene::new(Told::new(missing())).await;
    let mut viewer = Viewer::connect(&scene.http()).await;
    viewer
        .send("GET /live/room.flv?wait=20 HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    scene
        .until("it is looked for", |s| {
            s.metric("headwater_edge_pulls") == 1.0
        })
        .await;
    let publisher = Publisher::new("default/live/room", 7, 7);
    let source = Source::of(&publisher.stream).await;
    scene.finder.tell(found(7, 7, &[&source.address]));
    assert_eq!(viewer.answer().await.status, 200);
    assert_gapless(&viewer.frames(3).await);
}

#[tokio::test]
async fn a_wait_ends_and_gives_up_with_its_viewer() {
    let scene = Scene::new(Told::new(missing())).await;
    let (_, answered) = Viewer::get(&scene.http(), "/live/room.flv?wait=0.2").await;
    assert_eq!(answered.status, 404);
    let mut viewer = Viewer::connect(&scene.http()).await;
    viewer
        .send("GET /live/room.flv?wait=20 HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    scene
        .until("it waits", |s| s.metric("headwater_edge_pulls") == 1.0)
        .await;
    drop(viewer);
    scene
        .until("nobody waits", |s| s.metric("headwater_edge_pulls") == 0.0)
        .await;
}
