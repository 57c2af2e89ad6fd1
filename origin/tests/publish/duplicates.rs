//! Two publishers, one name.

use std::time::Duration;

use headwater_hop::EndReason;
use headwater_location::claim::OnDuplicate;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::scene::{SOON, Scene};

const BAD_NAME: &str = "NetStream.Publish.BadName";

#[tokio::test]
async fn the_newest_publisher_wins_and_the_older_hears_why() {
    let scene = Scene::one().await;
    let mut first = scene.publish_from("127.0.0.2", 0, "room").await.unwrap();
    first.headers().await;
    let mut puller = scene.pull(0, "room").await;
    puller.same_as(&first.sent).await;
    let before = scene.facts(0, "room").unwrap();

    let mut second = scene.publish_from("127.0.0.3", 0, "room").await.unwrap();
    let (code, text) = first.ended().await.unwrap();
    assert_eq!(
        (code.as_str(), text.as_str()),
        (BAD_NAME, "another publisher has taken this stream over")
    );
    assert_eq!(first.event().await, None, "its connection is closed");
    assert_eq!(puller.next().await.unwrap_err(), EndReason::Replaced);

    second.headers().await;
    assert!(second.frames(5).await);
    scene.pull(0, "room").await.same_as(&second.sent).await;
    let after = scene.facts(0, "room").unwrap();
    assert!(
        after.epoch > before.term && after.term > after.epoch,
        "{before:?} {after:?}"
    );
    assert_eq!((after.state, after.role), ("live", "ingress+home"));
}

#[tokio::test]
async fn a_reconnect_replaces_itself_even_where_names_are_not_shared() {
    let scene = Scene::with(1, |config| config.on_duplicate = OnDuplicate::Refuse).await;
    let mut first = scene.publish_from("127.0.0.2", 0, "room").await.unwrap();
    let Err((code, text)) = scene.publish_from("127.0.0.3", 0, "room").await else {
        panic!("accepted")
    };
    assert_eq!(code, BAD_NAME);
    assert!(text.contains("being published already"), "{text}");
    first.headers().await;

    let mut again = scene.publish_from("127.0.0.2", 0, "room").await.unwrap();
    let (code, text) = first.ended().await.unwrap();
    assert_eq!(
        (code.as_str(), text.as_str()),
        (
            BAD_NAME,
            "this stream is published anew from the same address"
        )
    );
    again.headers().await;
    drop(again);
    scene.until(0, "room", |facts| facts.state == "ended").await;
    assert!(
        scene.publish_from("127.0.0.3", 0, "room").await.is_ok(),
        "the name is free"
    );
}

#[tokio::test]
async fn two_that_evict_each_other_end_with_one_kept() {
    let scene = Scene::one().await;
    let mut on = scene.publish_from("127.0.0.2", 0, "room").await.unwrap();
    for address in ["127.0.0.3", "127.0.0.2", "127.0.0.3"] {
        let newer = scene.publish_from(address, 0, "room").await.unwrap();
        on.ended().await.unwrap();
        on = newer;
    }
    let Err((code, text)) = scene.publish_from("127.0.0.2", 0, "room").await else {
        panic!("accepted")
    };
    assert_eq!(code, BAD_NAME);
    assert!(
        text.contains("keep evicting each other") && text.contains("try again in 30 s"),
        "{text}"
    );
    on.headers().await;
    assert!(on.frames(3).await);
    scene.pull(0, "room").await.same_as(&on.sent).await;
    scene
        .shows(0, "headwater_origin_publishes_total{result=\"rivals\"} 1")
        .await;
}

#[tokio::test]
async fn publishers_of_one_name_that_come_at_once_leave_exactly_one() {
    let scene = Scene::with(2, |_| {}).await.shared();
    let name = scene.name_at(0, 0);
    let (taking, mut taken) = watch::channel(0_u32);
    let mut coming = JoinSet::new();
    for n in 0..8_u8 {
        let (scene, name, taking) = (scene.clone(), name.clone(), taking.clone());
        coming.spawn(async move {
            let from = format!("127.0.0.{}", 10 + n);
            let Ok(mut encoder) = scene.publish_from(&from, usize::from(n % 2), &name).await else {
                return;
            };
            // Whoever is on may send; whoever is not finds its connection closed.
            let mut pace = tokio::time::interval(Duration::from_millis(20));
            while encoder.frames(1).await {
                taking.send_modify(|count| *count += 1);
                pace.tick().await;
            }
        });
    }
    for ended in 0..7 {
        tokio::time::timeout(SOON, coming.join_next())
            .await
            .unwrap_or_else(|_| panic!("{ended} have ended, not 7"))
            .unwrap()
            .unwrap();
    }
    let before = *taken.borrow();
    tokio::select! {
        biased;
        _ = coming.join_next() => panic!("nobody is left"),
        went_on = tokio::time::timeout(SOON, taken.wait_for(|now| *now >= before + 50)) => {
            went_on.expect("the one that is left goes on").unwrap();
        }
    }
}
