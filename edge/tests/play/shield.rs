//! An edge that pulls from another one.

use headwater_location::{Located, Role, Sources};

use crate::finder::{Told, found, missing, source};
use crate::scene::Scene;
use crate::source::Source;
use crate::stream::Publisher;
use crate::viewer::{Viewer, assert_gapless};

#[tokio::test]
async fn a_shield_pulls_once_for_the_edges_behind_it() {
    let publisher = Publisher::new("default/live/room", 7, 7);
    let origin = Source::of(&publisher.stream).await;
    let shield = Scene::new(Told::new(found(7, 7, &[&origin.address]))).await;
    let behind = shield.addresses().internal.to_string();
    let edges = [
        Scene::new(Told::new(found(7, 7, &[&behind]))).await,
        Scene::new(Told::new(found(7, 7, &[&behind]))).await,
    ];
    let mut viewers = Vec::new();
    for edge in &edges {
        let mut viewer = Viewer::play(&edge.http(), "/live/room.flv").await;
        viewers.push((viewer.frames(3).await, viewer));
    }
    publisher.frames(30);
    for (mut frames, mut viewer) in viewers {
        frames.extend(viewer.frames(30).await);
        assert_gapless(&frames);
    }
    assert_eq!(origin.asked(), 1);
    drop(edges);
    shield
        .until("nobody wants it", |s| {
            s.metric("headwater_edge_pulls") == 0.0
        })
        .await;
}

#[tokio::test]
async fn a_shield_that_dies_is_replaced_by_the_origin() {
    let publisher = Publisher::new("default/live/room", 7, 7);
    let origin = Source::of(&publisher.stream).await;
    let shield = Scene::new(Told::new(found(7, 7, &[&origin.address]))).await;
    let behind = shield.addresses().internal.to_string();
    let edge = Scene::new(Told::new(found(7, 7, &[&behind, &origin.address]))).await;
    let mut viewer = Viewer::play(&edge.http(), "/live/room.flv").await;
    let mut frames = viewer.frames(3).await;
    drop(shield);
    publisher.frames(30);
    frames.extend(viewer.frames(30).await);
    assert_gapless(&frames);
}

#[tokio::test]
async fn edges_that_name_each_other_end_with_404() {
    let (one, other) = (Told::new(missing()), Told::new(missing()));
    let (first, second) = (
        Scene::new(one.clone()).await,
        Scene::new(other.clone()).await,
    );
    one.tell(carried_by(&second));
    other.tell(carried_by(&first));
    let (_, answered) = Viewer::get(&first.http(), "/live/room.flv").await;
    assert_eq!(answered.status, 404, "a shield asks origins alone");
}

fn carried_by(edge: &Scene) -> Located {
    let address = edge.addresses().internal.to_string();
    let sources = vec![source(&address, Role::Edge)];
    Located::Found(Sources {
        epoch: 1,
        term: 1,
        sources,
    })
}

#[tokio::test]
async fn a_pull_that_has_passed_too_many_roles_is_refused() {
    let publisher = Publisher::new("default/live/room", 7, 7);
    let origin = Source::of(&publisher.stream).await;
    let shield = Scene::new(Told::new(found(7, 7, &[&origin.address]))).await;
    for (hops, status) in [("1", 200), ("3", 200), ("4", 508), ("x", 400)] {
        let mut viewer = Viewer::connect(&shield.addresses().internal.to_string()).await;
        let text = format!(
            "GET /internal/v1/default/live/room HTTP/1.1\r\nHost: a\r\nheadwater-hops: {hops}\r\n\r\n"
        );
        viewer.send(&text).await;
        assert_eq!(viewer.answer().await.status, status, "{hops}");
    }
}
