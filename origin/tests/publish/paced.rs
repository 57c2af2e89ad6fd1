//! Publishers that are read at a tick, as long as nobody wants each of their tags at once.

use std::time::Duration;

use headwater_process::config::Tick;
use tokio::time::Instant;

use crate::encoder::Encoder;
use crate::puller::Puller;
use crate::scene::Scene;

/// So long after its beginning a publisher is read at once.
const BEGINNING: Duration = Duration::from_millis(500);

/// Pictures that are sent one by one, each when the one before has come.
async fn one_by_one(encoder: &mut Encoder, puller: &mut Puller, pictures: usize) -> Duration {
    let began = Instant::now();
    for _ in 0..pictures {
        let before = encoder.sent.len();
        assert!(encoder.frames(1).await);
        puller.same_as(&encoder.sent[before..]).await;
    }
    began.elapsed()
}

async fn begun(tick: Duration) -> (Scene, Encoder, Puller) {
    let scene = Scene::with(1, |config| config.tick = Tick(Some(tick))).await;
    let mut encoder = scene.publish(0, "room").await;
    encoder.headers().await;
    let mut puller = scene.pull(0, "room").await;
    puller.same_as(&encoder.sent).await;
    (scene, encoder, puller)
}

#[tokio::test]
async fn whoever_does_not_hurry_gets_all_tags_at_the_tick() {
    let tick = Duration::from_millis(100);
    let (_scene, mut encoder, mut puller) = begun(tick).await;
    puller.pull.want_at_once(false);
    let began = Instant::now();
    while began.elapsed() < BEGINNING + 2 * tick {
        one_by_one(&mut encoder, &mut puller, 1).await;
    }
    // Picture and sound may be read at two ticks; that a picture waits for one is certain.
    let took = one_by_one(&mut encoder, &mut puller, 6).await;
    assert!(took >= 5 * tick, "{took:?}");
    // Many at one look are whole, too.
    let before = encoder.sent.len();
    assert!(encoder.frames(200).await);
    puller.same_as(&encoder.sent[before..]).await;
    encoder.close().await;
    assert!(puller.next().await.is_err());
}

#[tokio::test]
async fn whoever_hurries_gets_each_tag_at_once() {
    let tick = Duration::from_secs(1);
    let (_scene, mut encoder, mut puller) = begun(tick).await;
    let began = Instant::now();
    while began.elapsed() < BEGINNING {
        one_by_one(&mut encoder, &mut puller, 1).await;
    }
    let took = one_by_one(&mut encoder, &mut puller, 20).await;
    assert!(took < 19 * tick, "{took:?}");
    // It stops, and begins again.
    puller.pull.want_at_once(false);
    one_by_one(&mut encoder, &mut puller, 3).await;
    puller.pull.want_at_once(true);
    one_by_one(&mut encoder, &mut puller, 3).await;
    let took = one_by_one(&mut encoder, &mut puller, 20).await;
    assert!(took < 19 * tick, "{took:?}");
}
