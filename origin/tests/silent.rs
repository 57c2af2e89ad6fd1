//! What connections cost that say nothing. A process of its own, so that no other test's memory is counted.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what a test's own parts cannot do fails the test"
)]
#![expect(dead_code, reason = "the scene is made for more than this")]

#[path = "publish/encoder.rs"]
mod encoder;
#[path = "publish/puller.rs"]
mod puller;
#[path = "publish/scene.rs"]
mod scene;

use tokio::net::TcpStream;

use crate::scene::Scene;

/// Resident memory of this process, in bytes.
fn resident_bytes() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}

#[tokio::test]
async fn two_thousand_silent_connections_cost_less_than_20_mib() {
    let scene = Scene::one().await;
    let mut encoder = scene.publish_from("127.0.0.9", 0, "healthy").await.unwrap();
    encoder.headers().await;
    let before = resident_bytes();
    let mut silent = Vec::new();
    for _ in 0..2_000 {
        silent.push(TcpStream::connect(scene.rtmp(0)).await.unwrap());
    }
    scene
        .shows(0, "headwater_process_connections{port=\"rtmp\"} 2001")
        .await;
    let more = resident_bytes().saturating_sub(before);
    println!(
        "2,000 silent connections, both ends in this process: {} KiB",
        more >> 10
    );
    assert!(more < 20 << 20, "{} KiB", more >> 10);
    assert!(encoder.frames(5).await);
    scene.pull(0, "healthy").await.same_as(&encoder.sent).await;
}
