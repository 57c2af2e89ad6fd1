//! Two publishers, one name, and the rule is `backup`.

use std::time::Duration;

use headwater_hop::EndReason;
use headwater_location::claim::OnDuplicate;
use headwater_media::{Tag, TagKind};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::encoder::Encoder;
use crate::puller::Puller;
use crate::scene::Scene;

/// What the backup's pictures are counted from, to tell them from the other one's.
const BACKUP: u32 = 1_000;

/// A publisher that sends in real time.
struct Live {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Encoder>,
}

impl Live {
    fn start(mut encoder: Encoder) -> Live {
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(40));
            loop {
                tokio::select! {
                    biased;
                    _ = &mut stopped => return encoder,
                    _ = ticks.tick() => {
                        if !encoder.frames(1).await {
                            return encoder;
                        }
                    }
                }
            }
        });
        Live { stop, task }
    }

    /// It sends no more, on a connection that stays.
    async fn stop(self) -> Encoder {
        self.stop.send(()).ok();
        self.task.await.unwrap()
    }
}

async fn live(scene: &Scene, index: usize, name: &str, first: u32) -> Live {
    let mut encoder = scene.publish(index, name).await;
    encoder.next = first;
    encoder.headers().await;
    Live::start(encoder)
}

/// The number of a picture that was made by an encoder.
fn number(tag: &Tag) -> u32 {
    let bytes = tag.payload.last_chunk::<4>().unwrap();
    u32::from_be_bytes(*bytes)
}

/// Reads on until the stream has another publisher; gives the last time that was shown before.
async fn last_shown_ms(mut puller: Puller) -> (i64, EndReason) {
    let offset = puller.pull.head().dts_offset.0;
    let mut last = 0;
    loop {
        match puller.next().await {
            Ok((_, tag)) => last = tag.dts.0 + offset,
            Err(reason) => return (last, reason),
        }
    }
}

/// What comes first of a session, which has to be headers and a keyframe of numbers from `first` on.
async fn begins_with_a_picture_of(puller: &mut Puller, first: u32) -> Vec<Tag> {
    let mut tags = Vec::new();
    for _ in 0..5 {
        tags.push(puller.next().await.unwrap().1);
    }
    let kinds: Vec<TagKind> = tags.iter().map(|tag| tag.kind).collect();
    use TagKind::{Audio, Script, Video};
    assert_eq!(kinds, [Script, Video, Audio, Video, Audio]);
    assert_eq!((tags[3].payload[0], tags[3].payload[1]), (0x17, 1));
    let numbers = (number(&tags[3]), number(&tags[4]));
    assert_eq!(numbers.0, numbers.1);
    assert!(
        numbers.0 >= first && numbers.0 - first < BACKUP,
        "{numbers:?}"
    );
    tags
}

async fn backups(origins: usize) -> Scene {
    Scene::with(origins, |config| config.on_duplicate = OnDuplicate::Backup).await
}

#[tokio::test]
async fn a_second_publisher_stands_by_and_goes_on_when_the_first_has_left() {
    let scene = backups(1).await;
    let main = live(&scene, 0, "room", 0).await;
    let backup = live(&scene, 0, "room", BACKUP).await;
    let facts = scene.standing_by(0, "room", 1).await;
    assert_eq!(facts[0].ingress.as_deref(), Some("origin-0"));
    assert!(facts[0].publisher.is_some() && facts[0].uplink.is_some());
    let on = scene.facts(0, "room").unwrap();
    assert_eq!((on.state, on.role), ("live", "ingress+home"));
    scene.shows(0, "headwater_origin_backups 1").await;

    let mut first = scene.pull(0, "room").await;
    begins_with_a_picture_of(&mut first, 0).await;
    main.stop().await.close().await;
    let (last, reason) = last_shown_ms(first).await;
    assert_eq!(reason, EndReason::PublisherLeft);

    let mut second = scene.pull(0, "room").await;
    let offset = second.pull.head().dts_offset.0;
    assert!(offset > last, "{offset} {last}");
    let tags = begins_with_a_picture_of(&mut second, BACKUP).await;
    assert_eq!(tags[0].dts.0, 0, "a session's time begins with it");
    let switched = "headwater_origin_backup_switches_total{why=\"gone\"} 1";
    scene.shows(0, switched).await;
    scene.shows(0, "headwater_origin_backups 0").await;
    let after = scene.facts(0, "room").unwrap();
    assert!(after.epoch > on.term, "{on:?} {after:?}");
    backup.stop().await.close().await;
    scene.until(0, "room", |facts| facts.state == "ended").await;
}

#[tokio::test]
async fn a_silent_publisher_changes_places_with_its_backup_elsewhere_and_back_only_when_that_is_silent()
 {
    let scene = backups(3).await;
    let name = scene.name_along(&[0, 1, 2]);
    let main = live(&scene, 1, &name, 0).await;
    scene
        .until(0, &name, |facts| {
            facts.role == "home" && facts.ring_tags > 0
        })
        .await;
    let backup = live(&scene, 2, &name, BACKUP).await;
    let stands = scene.standing_by(2, &name, 1).await;
    assert_eq!(stands[0].home.as_deref(), Some("origin-0"));
    assert_eq!(
        scene.facts(0, &name).unwrap().ingress.as_deref(),
        Some("origin-1")
    );

    let mut first = scene.pull(0, &name).await;
    begins_with_a_picture_of(&mut first, 0).await;
    let main = main.stop().await;
    let (last, _) = last_shown_ms(first).await;
    let mut second = scene.pull(0, &name).await;
    assert!(second.pull.head().dts_offset.0 > last);
    begins_with_a_picture_of(&mut second, BACKUP).await;
    let switches =
        |count| format!("headwater_origin_backup_switches_total{{why=\"silent\"}} {count}");
    scene.shows(0, &switches(1)).await;

    // It has kept its connection, sends again and has to wait.
    let main = Live::start(main);
    let stands = scene.standing_by(1, &name, 1).await;
    let tags = stands[0].ring_tags;
    let more = || async { scene.standing_by(1, &name, 1).await[0].ring_tags > tags + 100 };
    while !more().await {
        second.next().await.unwrap();
    }
    scene.shows(0, &switches(1)).await;

    let _backup = backup.stop().await;
    let (last, _) = last_shown_ms(second).await;
    let mut third = scene.pull(0, &name).await;
    assert!(third.pull.head().dts_offset.0 > last);
    begins_with_a_picture_of(&mut third, 0).await;
    scene.shows(0, &switches(2)).await;
    scene.standing_by(2, &name, 1).await;
    drop(main);
}

#[tokio::test]
async fn a_backup_that_is_silent_itself_or_has_left_is_never_put_on() {
    let scene = backups(1).await;
    let main = live(&scene, 0, "room", 0).await;
    let silent = live(&scene, 0, "room", BACKUP).await.stop().await;
    let left = live(&scene, 0, "room", BACKUP).await;
    scene.standing_by(0, "room", 2).await;
    left.stop().await.close().await;
    scene.standing_by(0, "room", 1).await;
    let puller = scene.pull(0, "room").await;
    main.stop().await.close().await;
    assert_eq!(last_shown_ms(puller).await.1, EndReason::PublisherLeft);
    scene.until(0, "room", |facts| facts.state == "ended").await;

    // What it sent before is of no use; with its next keyframe it goes on.
    let silent = Live::start(silent);
    let mut puller = scene.pull(0, "room").await;
    begins_with_a_picture_of(&mut puller, BACKUP).await;
    drop(silent);
}
