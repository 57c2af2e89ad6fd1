//! Origins that die, stop or leave.

use std::time::Duration;

use headwater_rig::audience::Figures;
use headwater_rig::process::Size;

use crate::stage::{Ingress, Stage, cluster, judge, mend, push, runs, session};

#[tokio::test]
async fn a_home_that_is_killed_costs_viewers_no_tag() {
    let mut cluster = cluster(&Size::default()).await;
    let mut figures = Figures::default();
    for _ in 0..runs() {
        let mut stage = Stage::set(&cluster, Ingress::Apart).await;
        stage.fault();
        cluster.origins[stage.home].process.kill();
        figures.merge(stage.seen_through().await);
        stage.publisher_noticed_nothing();
        mend(&mut cluster).await;
    }
    judge("home killed", &figures, Duration::from_millis(300));
}

#[tokio::test]
async fn a_home_that_stops_for_20_s_and_returns_costs_viewers_no_tag() {
    let cluster = cluster(&Size::default()).await;
    let mut figures = Figures::default();
    for _ in 0..runs() {
        let mut stage = Stage::set(&cluster, Ingress::Apart).await;
        let home = &cluster.origins[stage.home].process;
        stage.fault();
        home.signal("STOP").unwrap();
        stage.audience.goes_on(20 * 50).await.unwrap();
        home.signal("CONT").unwrap();
        figures.merge(stage.seen_through().await);
        stage.publisher_noticed_nothing();
    }
    judge(
        "home stopped for 20 s, then continued",
        &figures,
        Duration::from_secs(1),
    );
}

#[tokio::test]
async fn an_ingress_that_is_killed_costs_viewers_nothing_but_the_time_until_the_publisher_is_back()
{
    for (row, ingress) in [
        ("ingress killed", Ingress::Apart),
        ("ingress and home in one killed", Ingress::AtHome),
    ] {
        let mut cluster = cluster(&Size::default()).await;
        let mut figures = Figures::default();
        for _ in 0..runs() {
            let mut stage = Stage::set(&cluster, ingress).await;
            stage.fault();
            cluster.origins[stage.ingress].process.kill();
            stage
                .publisher
                .ended(Duration::from_secs(5))
                .await
                .unwrap()
                .unwrap_err();
            let other = (0..3)
                .find(|n| ![stage.ingress, stage.home].contains(n))
                .unwrap();
            let next = session();
            stage.publisher = push(&cluster.origins[other].rtmp, &stage.path, next, stage.epoch);
            stage.publisher.started().await.unwrap();
            stage.audience.sees(next).await.unwrap();
            figures.merge(stage.seen_through().await);
            for seen in stage.audience.seen() {
                let sessions = headwater_rig::compare::account(&seen.tags).sessions;
                assert_eq!(sessions.len(), 2, "{row}: {sessions:?}");
                assert_eq!(
                    (sessions[1].0, sessions[1].1),
                    (next, 0),
                    "{row}: from its first picture on"
                );
            }
            mend(&mut cluster).await;
        }
        judge(row, &figures, Duration::from_secs(1));
    }
}
