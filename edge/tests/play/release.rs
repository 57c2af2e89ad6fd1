//! Viewers of an edge that drains are let go one by one.

use std::time::Duration;

use headwater_media::TagKind;
use headwater_media::rtmp::ClientEvent;

use crate::finder::{Told, found};
use crate::rtmp::Client;
use crate::scene::Scene;
use crate::source::Source;
use crate::stream::{Publisher, identity};
use crate::viewer::Viewer;

/// Pictures from keyframe to keyframe.
const GOP: u64 = 25;

/// Publishes a GOP every 20 ms until it is aborted.
fn goes_on(publisher: &Publisher) -> tokio::task::JoinHandle<()> {
    let publisher = publisher.clone();
    tokio::spawn(async move {
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        // What a machine that stood still did not publish is not published all at once.
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            pace.tick().await;
            publisher.frames(25);
        }
    })
}

/// The number of the last frame before the clean end, in the order of the session.
async fn last_frame(viewer: &mut Viewer) -> u64 {
    let mut last = 0;
    while let Some(tag) = viewer.tag().await {
        last = identity(&tag.payload).map_or(last, |(_, sequence)| sequence);
    }
    last
}

#[tokio::test]
async fn viewers_of_any_kind_leave_before_a_keyframe_with_a_clean_end() {
    let publisher = Publisher::new("default/live/room", 7, 7);
    let source = Source::of(&publisher.stream).await;
    let told = Told::new(found(7, 7, &[&source.address]));
    // Long enough that a twentieth of it, which is spared for last words, bears a pause of the machine.
    let scene = Scene::with_grace(Duration::from_secs(8), told).await;
    let mut chunked = Viewer::play(&scene.http(), "/live/room.flv").await;
    let mut rtc = Viewer::play(&scene.http(), "/live/room.flv?mode=rtc").await;
    let mut plain = Viewer::connect(&scene.http()).await;
    plain.send("GET /live/room.flv HTTP/1.0\r\n\r\n").await;
    assert_eq!(plain.answer().await.status, 200);
    let mut rtmp = Client::play(&scene, "room").await;
    publisher.frames(30);
    for viewer in [&mut chunked, &mut rtc, &mut plain] {
        viewer.frames(3).await;
    }
    let media = async { while !matches!(rtmp.event().await, Some(ClientEvent::Media { .. })) {} };
    media.await;

    let publishing = goes_on(&publisher);
    scene.drain.begin();
    // All at once: a viewer that is not read meanwhile would be late, and miss keyframes.
    let ((last, asked, code), chunked, rtc, plain) = tokio::join!(
        async {
            let (mut last, mut asked, mut code) = (0, false, None);
            while let Some(event) = rtmp.event().await {
                match event {
                    ClientEvent::Media {
                        kind: TagKind::Video,
                        payload,
                        ..
                    } => last = identity(&payload).map_or(last, |(_, sequence)| sequence),
                    ClientEvent::Reconnect { .. } => asked = true,
                    ClientEvent::Ended { code: ended, .. } => code = Some(ended),
                    ClientEvent::Connected(_)
                    | ClientEvent::Started
                    | ClientEvent::Refused { .. }
                    | ClientEvent::Media { .. }
                    | ClientEvent::Status { .. } => {}
                }
            }
            (last, asked, code)
        },
        last_frame(&mut chunked),
        last_frame(&mut rtc),
        last_frame(&mut plain),
    );
    for (kind, last) in [("chunked", chunked), ("rtc", rtc), ("HTTP/1.0", plain)] {
        // The header is number 0, and the first frame number 1.
        assert!(last > 0 && last % GOP == 0, "{kind} ends with frame {last}");
    }
    publishing.abort();
    assert!(last > 0 && last % GOP == 0, "RTMP ends with frame {last}");
    assert!(asked, "who understands it is asked to connect again");
    assert_eq!(code.as_deref(), Some("NetStream.Play.Stop"));
    let released = "headwater_delivery_viewers_ended_total{reason=\"released\"}";
    scene
        .until("all are counted as released", |s| s.metric(released) == 4.0)
        .await;
    scene
        .until("nothing is held", |s| s.drain.held() == 0)
        .await;
}

#[tokio::test]
async fn a_viewer_of_a_stream_without_keyframes_leaves_in_time_all_the_same() {
    let publisher = Publisher::new("default/live/room", 7, 7);
    let source = Source::of(&publisher.stream).await;
    let told = Told::new(found(7, 7, &[&source.address]));
    let scene = Scene::with_grace(Duration::from_secs(2), told).await;
    let mut viewer = Viewer::play(&scene.http(), "/live/room.flv").await;
    viewer.frames(3).await;
    scene.drain.begin();
    assert!(viewer.tag().await.is_none(), "a clean end");
    assert!(
        scene
            .drain
            .remaining()
            .is_some_and(|left| left > Duration::ZERO)
    );
}
