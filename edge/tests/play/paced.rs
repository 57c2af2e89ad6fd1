//! Viewers at a long tick: what is pulled for them comes by the tick too.

use std::time::Duration;

use headwater_admission::AdmissionConfig;
use headwater_edge::EdgeConfig;
use headwater_process::config::Tick;

use crate::finder::{Told, found};
use crate::scene::{Scene, config};
use crate::source::Source;
use crate::stream::Publisher;
use crate::viewer::{Viewer, assert_gapless};

/// So many ticks, each waited for, are longer than the time for which a pull is read at once.
const TICKS: usize = 20;

async fn scene(told: std::sync::Arc<Told>) -> Scene {
    let config = EdgeConfig {
        tick: Tick(Some(Duration::from_millis(50))),
        ..config()
    };
    Scene::with(config, AdmissionConfig::default(), told).await
}

#[tokio::test]
async fn a_stream_that_comes_by_the_tick_is_whole_and_goes_on_where_its_source_died() {
    let publisher = Publisher::new("default/live/room", 7, 7);
    let (home, ingress) = (
        Source::of(&publisher.stream).await,
        Source::of(&publisher.stream).await,
    );
    let scene = scene(Told::new(found(7, 7, &[&home.address, &ingress.address]))).await;
    let mut viewer = Viewer::play(&scene.http(), "/live/room.flv").await;
    let mut frames = viewer.frames(3).await;
    for _ in 0..TICKS {
        publisher.frames(2);
        frames.extend(viewer.frames(2).await);
    }
    // More than a look may find, and more than one read takes.
    publisher.frames_of(10, 10_000);
    frames.extend(viewer.frames(10).await);
    publisher.frames(2);
    frames.extend(viewer.frames(2).await);
    home.kill();
    publisher.frames(30);
    frames.extend(viewer.frames(30).await);
    assert_gapless(&frames);
}

#[tokio::test]
async fn an_rtc_viewer_may_join_a_stream_that_comes_by_the_tick() {
    let publisher = Publisher::new("default/live/room", 7, 7);
    let home = Source::of(&publisher.stream).await;
    let scene = scene(Told::new(found(7, 7, &[&home.address]))).await;
    let mut live = Viewer::play(&scene.http(), "/live/room.flv").await;
    let mut frames = live.frames(3).await;
    for _ in 0..TICKS {
        publisher.frames(1);
        frames.extend(live.frames(1).await);
    }
    let mut rtc = Viewer::play(&scene.http(), "/live/room.flv?mode=rtc").await;
    // One of them is a keyframe, with which it can begin.
    publisher.frames(25);
    let mut at_once = rtc.frames(1).await;
    publisher.frames(25);
    at_once.extend(rtc.frames(25).await);
    frames.extend(live.frames(50).await);
    assert_gapless(&at_once);
    assert_gapless(&frames);
}
