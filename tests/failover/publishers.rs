//! Two publishers of one name.

use std::time::Duration;

use headwater_rig::audience::Figures;
use headwater_rig::process::Size;

use crate::stage::{Ingress, Stage, cluster, judge, push, runs, session};

#[tokio::test]
async fn a_second_publisher_takes_over_and_viewers_never_see_the_two_mixed() {
    let cluster = cluster(&Size::default()).await;
    let mut figures = Figures::default();
    for _ in 0..runs() {
        let mut stage = Stage::set(&cluster, Ingress::Apart).await;
        let other = (stage.ingress + 1) % 3;
        let next = session();
        stage.fault();
        let mut newer = push(&cluster.origins[other].rtmp, &stage.path, next, stage.epoch);
        newer.started().await.unwrap();
        let told = stage.publisher.ended(Duration::from_secs(1)).await;
        let told = told
            .expect("the older one hears within a second")
            .unwrap_err();
        assert!(told.contains("NetStream.Publish.BadName"), "{told}");
        stage.audience.sees(next).await.unwrap();
        figures.merge(stage.seen_through().await);
        for seen in stage.audience.seen() {
            let sessions = headwater_rig::compare::account(&seen.tags).sessions;
            assert_eq!(sessions.len(), 2, "{sessions:?}");
            assert_eq!(
                (sessions[1].0, sessions[1].1),
                (next, 0),
                "from its first picture on"
            );
        }
        assert_eq!(newer.progress().end, None);
    }
    judge(
        "second publisher elsewhere (replace)",
        &figures,
        Duration::from_secs(1),
    );
}
