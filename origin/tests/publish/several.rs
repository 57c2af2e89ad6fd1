//! Origins that share the work: the ingress and the home are not the same.

use headwater_hop::EndReason;
use headwater_media::Dts;

use crate::scene::Scene;

#[tokio::test]
async fn the_home_pulls_from_the_ingress_all_there_is() {
    let scene = Scene::with(2, |_| {}).await;
    let name = scene.name_at(0, 0);
    let mut encoder = scene.publish(1, &name).await;
    encoder.headers().await;
    assert!(encoder.frames(40).await);
    let mut puller = scene.pull(0, &name).await;
    assert_eq!(puller.pull.head().first_sequence, 0);
    puller.same_as(&encoder.sent).await;
    let (at_home, at_ingress) = (
        scene.facts(0, &name).unwrap(),
        scene.facts(1, &name).unwrap(),
    );
    assert_eq!((at_home.role, at_ingress.role), ("home", "ingress"));
    assert_eq!(
        (at_home.epoch, at_home.term),
        (at_ingress.epoch, at_ingress.term)
    );
    for facts in [at_home, at_ingress] {
        assert_eq!(
            (facts.ingress.as_deref(), facts.home.as_deref()),
            (Some("origin-1"), Some("origin-0"))
        );
    }

    encoder.close().await;
    assert_eq!(puller.next().await.unwrap_err(), EndReason::PublisherLeft);
    scene
        .until(0, &name, |facts| {
            facts.state == "ended" && facts.role == "past"
        })
        .await;
}

#[tokio::test]
async fn a_publisher_elsewhere_replaces_one_here_and_time_goes_on() {
    let scene = Scene::with(2, |_| {}).await;
    let name = scene.name_at(0, 0);
    let mut old = scene.publish_from("127.0.0.2", 1, &name).await.unwrap();
    old.headers().await;
    assert!(old.frames(25).await);
    let mut puller = scene.pull(0, &name).await;
    puller.same_as(&old.sent).await;

    let mut new = scene.publish_from("127.0.0.3", 0, &name).await.unwrap();
    let (code, text) = old.ended().await.unwrap();
    assert_eq!(code, "NetStream.Publish.BadName");
    assert!(text.contains("another publisher"), "{text}");
    assert_eq!(puller.next().await.unwrap_err(), EndReason::Replaced);
    new.headers().await;
    assert!(new.frames(5).await);
    let mut puller = scene.pull(0, &name).await;
    assert!(puller.pull.head().dts_offset > Dts(970));
    puller.same_as(&new.sent).await;
    assert_eq!(scene.facts(0, &name).unwrap().role, "ingress+home");

    // And back: the home stays where it is.
    let mut third = scene.publish_from("127.0.0.4", 1, &name).await.unwrap();
    new.ended().await.unwrap();
    third.headers().await;
    scene.pull(1, &name).await.same_as(&third.sent).await;
    scene
        .until(0, &name, |facts| {
            facts.role == "home" && facts.ring_tags >= 3
        })
        .await;
    scene
        .until(0, &name, |facts| {
            facts.epoch == facts.epoch.max(1) && facts.state == "live"
        })
        .await;
    scene.pull(0, &name).await.same_as(&third.sent).await;
}

#[tokio::test]
async fn a_home_that_dies_is_replaced_and_the_publisher_notices_nothing() {
    let scene = Scene::with(3, |_| {}).await;
    let name = scene.name_at(0, 0);
    let mut encoder = scene.publish(1, &name).await;
    encoder.headers().await;
    scene.until(0, &name, |facts| facts.ring_tags == 3).await;
    let before = scene.facts(1, &name).unwrap();
    scene.origins[0].drain.end();
    let after = scene
        .until(1, &name, |facts| facts.home.as_deref() != Some("origin-0"))
        .await;
    assert_eq!(after.epoch, before.epoch);
    assert!(encoder.frames(10).await);
    let home = if after.home.as_deref() == Some("origin-1") {
        1
    } else {
        2
    };
    scene.pull(home, &name).await.same_as(&encoder.sent).await;
    let at_ingress = scene
        .until(1, &name, |facts| facts.term > before.term)
        .await;
    scene
        .until(home, &name, |facts| facts.term == at_ingress.term)
        .await;
}

#[tokio::test]
async fn a_session_that_lost_its_home_gives_way_to_a_newer_one() {
    let scene = Scene::with(3, |_| {}).await;
    let name = scene.name_along(&[0, 2, 1]);
    let mut old = scene.publish_from("127.0.0.2", 1, &name).await.unwrap();
    old.headers().await;
    scene.until(0, &name, |facts| facts.ring_tags == 3).await;
    scene.origins[0].drain.end();
    // Nobody tells the older one: the home that could have done it is dead.
    let mut new = scene.publish_from("127.0.0.3", 2, &name).await.unwrap();
    new.headers().await;
    let (code, text) = old.ended().await.unwrap();
    assert_eq!(
        (code.as_str(), text.as_str()),
        (
            "NetStream.Publish.BadName",
            "another publisher has taken this stream over"
        )
    );
    assert!(new.frames(5).await);
    assert_eq!(scene.facts(2, &name).unwrap().role, "ingress+home");
    scene.pull(2, &name).await.same_as(&new.sent).await;
}

#[tokio::test]
async fn a_home_that_drains_gives_its_streams_up_and_ends_when_they_have_another_home() {
    let scene = Scene::with(3, |_| {}).await;
    let name = scene.name_at(0, 0);
    let mut encoder = scene.publish(1, &name).await;
    encoder.headers().await;
    let mut puller = scene.pull(0, &name).await;
    assert!(encoder.frames(10).await);
    let held = &scene.origins[0].drain;
    assert_eq!(held.held(), 1, "a drain waits for the stream");
    held.begin();
    let after = scene
        .until(1, &name, |facts| facts.home.as_deref() != Some("origin-0"))
        .await;
    assert!(encoder.frames(10).await);
    puller.same_as(&encoder.sent).await;
    let home = if after.home.as_deref() == Some("origin-1") {
        1
    } else {
        2
    };
    scene.pull(home, &name).await.same_as(&encoder.sent).await;
    scene.until_gone(0, &name).await;
    assert_eq!(held.held(), 0);
}

#[tokio::test]
async fn a_candidate_that_cannot_be_reached_is_passed_over() {
    let scene = Scene::with(2, |_| {}).await;
    let name = scene.name_at(0, 0);
    scene.origins[0].drain.end();
    let mut encoder = scene.publish(1, &name).await;
    encoder.headers().await;
    scene.pull(1, &name).await.same_as(&encoder.sent).await;
    assert_eq!(scene.facts(1, &name).unwrap().role, "ingress+home");
}

#[tokio::test]
async fn a_home_that_is_full_is_passed_over() {
    let scene = Scene::with(2, |config| config.max_streams = 1).await;
    let (name, other) = (scene.name_at(0, 0), scene.name_at(0, 1));
    let _first = scene.publish(0, &name).await;
    let mut encoder = scene.publish(1, &other).await;
    encoder.headers().await;
    scene.pull(1, &other).await.same_as(&encoder.sent).await;
    assert_eq!(
        scene.facts(1, &other).unwrap().home.as_deref(),
        Some("origin-1")
    );
    scene
        .shows(0, "headwater_origin_claims_total{verdict=\"at_cap\"} 1")
        .await;
}

#[tokio::test]
async fn a_publisher_whose_origin_dies_is_accepted_elsewhere_at_once() {
    let scene = Scene::with(2, |_| {}).await;
    let name = scene.name_at(0, 0);
    let mut encoder = scene.publish_from("127.0.0.2", 1, &name).await.unwrap();
    encoder.headers().await;
    scene.until(0, &name, |facts| facts.ring_tags == 3).await;
    scene.origins[1].drain.end();
    let mut again = scene.publish_from("127.0.0.2", 0, &name).await.unwrap();
    again.headers().await;
    scene.pull(0, &name).await.same_as(&again.sent).await;
    assert_eq!(scene.facts(0, &name).unwrap().role, "ingress+home");
}
