//! Moves by will: an origin that is told to end hands its streams over first.

use std::time::Duration;

use headwater_rig::audience::Figures;
use headwater_rig::process::Size;

use crate::stage::{Ingress, Stage, cluster, judge, mend, runs};

#[tokio::test]
async fn a_home_that_drains_hands_its_stream_over_without_a_gap() {
    let mut cluster = cluster(&Size::default()).await;
    let mut figures = Figures::default();
    for _ in 0..runs() {
        let mut stage = Stage::set(&cluster, Ingress::Apart).await;
        stage.fault();
        let home = &mut cluster.origins[stage.home].process;
        home.signal("TERM").unwrap();
        let code = home.ended(Duration::from_secs(20)).await.unwrap();
        assert_eq!(code, Some(0));
        figures.merge(stage.seen_through().await);
        stage.publisher_noticed_nothing();
        mend(&mut cluster).await;
    }
    judge(
        "home drained (SIGTERM)",
        &figures,
        Duration::from_millis(50),
    );
}
