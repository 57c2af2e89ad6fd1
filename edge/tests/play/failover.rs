//! Sources that die, fall silent or move, and publishers that come back: on the same viewer connection.

use std::time::Duration;

use headwater_location::{LocationConfig, Locator, Role, StaticMember};
use tokio::time::Instant;

use crate::finder::{Told, found, guess, missing};
use crate::scene::{Scene, config};
use crate::source::Source;
use crate::stream::Publisher;
use crate::viewer::{Viewer, assert_gapless};

#[tokio::test]
async fn the_second_source_goes_on_where_the_first_died() {
    let publisher = Publisher::new("default/live/room", 7, 7);
    let (home, ingress) = (
        Source::of(&publisher.stream).await,
        Source::of(&publisher.stream).await,
    );
    let scene = Scene::new(Told::new(found(7, 7, &[&home.address, &ingress.address]))).await;
    let mut viewer = Viewer::play(&scene.http(), "/live/room.flv").await;
    let mut frames = viewer.frames(3).await;
    publisher.frames(20);
    frames.extend(viewer.frames(20).await);
    home.kill();
    publisher.frames(30);
    let died = Instant::now();
    frames.extend(viewer.frames(30).await);
    assert!(
        died.elapsed() < Duration::from_secs(1),
        "{:?}",
        died.elapsed()
    );
    assert_gapless(&frames);
    assert_eq!((home.asked(), ingress.asked()), (1, 1));
    assert_eq!(
        scene.metric("headwater_edge_paths_ended_total{reason=\"broken\"}"),
        1.0
    );
}

#[tokio::test]
async fn a_source_that_falls_silent_is_replaced_beside() {
    let publisher = Publisher::new("default/live/room", 7, 7);
    let (home, ingress) = (
        Silenced::of(&publisher).await,
        Source::of(&publisher.stream).await,
    );
    let scene = Scene::new(Told::new(found(7, 7, &[&home.address, &ingress.address]))).await;
    let mut viewer = Viewer::play(&scene.http(), "/live/room.flv").await;
    let mut frames = viewer.frames(3).await;
    home.silence();
    publisher.frames(30);
    let silent = Instant::now();
    frames.extend(viewer.frames(30).await);
    assert!(
        silent.elapsed() < Duration::from_secs(1),
        "{:?}",
        silent.elapsed()
    );
    assert_gapless(&frames);
    publisher.frames(5);
    frames.extend(viewer.frames(5).await);
    assert_gapless(&frames);
}

#[tokio::test]
async fn a_publisher_that_comes_back_elsewhere_goes_on_on_the_same_connection() {
    let publisher = Publisher::new("default/live/room", 7, 7);
    let old = Source::of(&publisher.stream).await;
    let scene = Scene::new(Told::new(found(7, 7, &[&old.address]))).await;
    let mut viewer = Viewer::play(&scene.http(), "/live/room.flv").await;
    let mut frames = viewer.frames(3).await;
    publisher.leave();
    scene.finder.tell(missing());
    scene
        .until("it has left", |s| s.edge.streams()[0]["state"] == "left")
        .await;
    let http = scene.http();
    let newcomer = tokio::spawn(async move { Viewer::play(&http, "/live/room.flv").await });
    let again = Publisher::new("default/live/room", 9, 9);
    let new = Source::of(&again.stream).await;
    scene.finder.tell(found(9, 9, &[&new.address]));
    frames.extend(viewer.frames(3).await);
    again.frames(10);
    frames.extend(viewer.frames(10).await);
    assert_gapless(&frames);
    assert_eq!(frames.iter().filter(|(epoch, ..)| *epoch == 9).count(), 13);
    let mut newcomer = newcomer.await.unwrap();
    assert_gapless(&newcomer.frames(10).await);
}

#[tokio::test]
async fn a_publisher_that_comes_back_at_the_same_source_goes_on_too() {
    let publisher = Publisher::new("default/live/room", 7, 7);
    let source = Source::of(&publisher.stream).await;
    let scene = Scene::new(Told::new(found(7, 7, &[&source.address]))).await;
    let mut viewer = Viewer::play(&scene.http(), "/live/room.flv").await;
    let mut frames = viewer.frames(3).await;
    publisher.leave();
    scene
        .until("it has left", |s| s.edge.streams()[0]["state"] == "left")
        .await;
    publisher.begin(8, 8, 5_000);
    scene.finder.tell(found(8, 8, &[&source.address]));
    frames.extend(viewer.frames(3).await);
    assert_gapless(&frames);
    assert!(frames[3].2 >= 5_000, "stream time goes on: {frames:?}");
}

#[tokio::test]
async fn who_waits_for_a_publisher_that_has_left_is_served_when_it_returns() {
    let publisher = Publisher::new("default/live/room", 7, 7);
    let source = Source::of(&publisher.stream).await;
    let scene = Scene::new(Told::new(found(7, 7, &[&source.address]))).await;
    let mut first = Viewer::play(&scene.http(), "/live/room.flv").await;
    first.frames(3).await;
    publisher.leave();
    scene
        .until("it has left", |s| s.edge.streams()[0]["state"] == "left")
        .await;
    let mut waiting = Viewer::connect(&scene.http()).await;
    waiting
        .send("GET /live/room.flv?wait=20 HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    publisher.begin(8, 8, 5_000);
    scene.finder.tell(found(8, 8, &[&source.address]));
    assert_eq!(waiting.answer().await.status, 200);
    let frames = waiting.frames(3).await;
    assert!(frames.iter().all(|(epoch, ..)| *epoch == 8), "{frames:?}");
}

#[tokio::test]
async fn a_newer_session_takes_over_without_a_leave() {
    let publisher = Publisher::new("default/live/room", 7, 7);
    let source = Source::of(&publisher.stream).await;
    let scene = Scene::new(Told::new(found(7, 7, &[&source.address]))).await;
    let mut viewer = Viewer::play(&scene.http(), "/live/room.flv").await;
    let mut frames = viewer.frames(3).await;
    publisher.begin(8, 8, 5_000);
    frames.extend(viewer.frames(3).await);
    assert_gapless(&frames);
}

#[tokio::test]
async fn after_the_grace_viewers_get_a_clean_end() {
    let publisher = Publisher::new("default/live/room", 7, 7);
    let source = Source::of(&publisher.stream).await;
    let mut config = config();
    config.pull.grace = Duration::from_millis(500);
    let scene = Scene::with(
        config,
        Default::default(),
        Told::new(found(7, 7, &[&source.address])),
    )
    .await;
    let mut viewer = Viewer::play(&scene.http(), "/live/room.flv").await;
    viewer.frames(3).await;
    publisher.leave();
    scene.finder.tell(missing());
    assert!(viewer.tag().await.is_none());
    assert!(viewer.ended, "the last chunk came");
    scene
        .until("the pull is gone", |s| {
            s.metric("headwater_edge_pulls") == 0.0
        })
        .await;
    assert_eq!(scene.metric("headwater_hub_streams"), 0.0);
    assert_eq!(
        scene.metric("headwater_delivery_viewers_ended_total{reason=\"stream_ended\"}"),
        1.0
    );
}

#[tokio::test]
async fn a_move_changes_the_source_without_a_gap() {
    let publisher = Publisher::new("default/live/room", 7, 7);
    let (old, new) = (
        Source::of(&publisher.stream).await,
        Source::of(&publisher.stream).await,
    );
    let scene = Scene::new(Told::new(found(7, 7, &[&old.address]))).await;
    let mut viewer = Viewer::play(&scene.http(), "/live/room.flv").await;
    let mut frames = viewer.frames(3).await;
    publisher.stream.raise_term(8);
    scene.finder.tell(found(8, 7, &[&new.address]));
    let to = new.address.clone();
    scene
        .until("it has moved", |s| s.edge.streams()[0]["upstream"] == *to)
        .await;
    publisher.frames(20);
    frames.extend(viewer.frames(20).await);
    assert_gapless(&frames);
}

#[tokio::test]
async fn without_an_operator_the_highest_term_wins() {
    let (stale, fresh) = (
        Publisher::new("default/live/room", 3, 3),
        Publisher::new("default/live/room", 7, 7),
    );
    let (one, nobody) = (Source::of(&stale.stream).await, Source::start().await);
    let other = Source::of(&fresh.stream).await;
    let scene = Scene::new(Told::new(guess(&[
        &one.address,
        &nobody.address,
        &other.address,
    ])))
    .await;
    let mut viewer = Viewer::play(&scene.http(), "/live/room.flv").await;
    assert!(viewer.frames(3).await.iter().all(|(epoch, ..)| *epoch == 7));
}

#[tokio::test]
async fn a_locator_without_operators_leads_to_the_member_that_has_the_stream() {
    let publisher = Publisher::new("default/live/room", 7, 7);
    let (one, other) = (Source::of(&publisher.stream).await, Source::start().await);
    let member = |id: &str, source: &Source| StaticMember {
        id: id.to_owned(),
        role: Role::Origin,
        internal: source.address.clone(),
        region: String::new(),
        zone: String::new(),
    };
    let location = LocationConfig {
        members: vec![member("origin-0", &one), member("origin-1", &other)],
        ..LocationConfig::default()
    };
    let me = location.member(Role::Edge, "127.0.0.1:7001");
    let registry = headwater_process::metrics::Registry::new().unwrap();
    let locator = Locator::start(&location, me, &registry).unwrap();
    let scene = Scene::located(locator.clone()).await;
    let mut viewer = Viewer::play(&scene.http(), "/live/room.flv").await;
    assert_gapless(&viewer.frames(3).await);
    scene
        .until("it is reported", |_| locator.reports().len() == 1)
        .await;
    let (_, answered) = Viewer::get(&scene.http(), "/live/nobody.flv").await;
    assert_eq!(answered.status, 404);
    drop(viewer);
    scene
        .until("it is no longer reported", |_| locator.reports().is_empty())
        .await;
}

/// A source behind a wire that can be held: what went in stays in.
struct Silenced {
    address: String,
    hold: tokio::sync::watch::Sender<bool>,
    _source: Source,
}

impl Silenced {
    async fn of(publisher: &Publisher) -> Silenced {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let source = Source::of(&publisher.stream).await;
        let listener = headwater_process::net::listen("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (hold, held) = tokio::sync::watch::channel(false);
        let to = source.address.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = headwater_process::net::connect(&to, Duration::from_secs(5))
                    .await
                    .unwrap();
                let (mut near_in, mut near_out) = near.into_split();
                let (mut far_in, mut far_out) = far.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut near_in, &mut far_out).await });
                let mut held = held.clone();
                tokio::spawn(async move {
                    let mut piece = [0; 4096];
                    while let Ok(read @ 1..) = far_in.read(&mut piece).await {
                        if held.wait_for(|held| !held).await.is_err()
                            || near_out.write_all(&piece[..read]).await.is_err()
                        {
                            return;
                        }
                    }
                });
            }
        });
        Silenced {
            address,
            hold,
            _source: source,
        }
    }

    fn silence(&self) {
        self.hold.send_replace(true);
    }
}
