//! Each process of the six once: what must go on goes on within three seconds, by itself.

use std::time::Duration;

use headwater_rig::compare::account;
use headwater_rig::process::{Cluster, Process, Size};
use headwater_rig::viewer::Viewer;
use tokio::time::Instant;

use crate::stage::{Ingress, Stage, cluster, mend, push, session};

const WITHIN: Duration = Duration::from_secs(3);

fn process(cluster: &mut Cluster, number: usize) -> &mut Process {
    match number {
        0..3 => &mut cluster.origins[number].process,
        3..5 => &mut cluster.edges[number - 3].process,
        _ => &mut cluster.operators[0],
    }
}

#[tokio::test]
async fn whichever_process_is_killed_the_rest_goes_on_within_three_seconds() {
    let mut cluster = cluster(&Size::default()).await;
    for number in 0..6 {
        let mut stage = Stage::set(&cluster, Ingress::Apart).await;
        process(&mut cluster, number).kill();
        let began = Instant::now();
        if number == stage.ingress {
            stage.publisher.ended(WITHIN).await.unwrap().unwrap_err();
            let other = &cluster.origins[(number + 1) % 3].rtmp;
            stage.publisher = push(other, &stage.path, session(), stage.epoch);
        }
        // Who comes now plays the old stream and a new one, on each edge that is there.
        let at = &cluster.origins[if number == 0 { 1 } else { 0 }].rtmp;
        let fresh = session();
        let path = format!("live/fresh-{fresh}");
        let mut newer = push(at, &path, fresh, stage.epoch);
        newer.started().await.unwrap();
        for edge in cluster
            .edges
            .iter()
            .filter(|edge| edge.process.pid().is_some())
        {
            for path in [&stage.path, &path] {
                let url = format!("http://{}/{path}.flv?wait=3", edge.http);
                let mut viewer = Viewer::start(&url, began);
                let seen = viewer
                    .goes_on(10)
                    .await
                    .unwrap_or_else(|error| panic!("process {number}, {path}: {error:#}"));
                let at = Duration::from_micros(
                    seen.tags
                        .iter()
                        .filter(|t| t.is_media())
                        .nth(9)
                        .unwrap()
                        .at_us,
                );
                assert!(at <= WITHIN, "process {number}, {path}: after {at:?}");
            }
        }
        let mut kept = 0;
        // The time is what is promised: by its end all who are left have to be back.
        tokio::time::sleep_until(began + WITHIN).await;
        for (viewer, seen) in stage.audience.seen().into_iter().enumerate() {
            let of_dead_edge = (3..5).contains(&number) && viewer / 20 == number - 3;
            if of_dead_edge {
                continue;
            }
            kept += 1;
            let account = account(&seen.tags);
            assert_eq!(seen.end, None, "process {number}, viewer {viewer}");
            assert_eq!(
                (account.lost, account.doubled, account.disordered),
                (0, 0, 0),
                "process {number}, viewer {viewer}"
            );
            let silent =
                stage.epoch.elapsed().as_micros() - u128::from(seen.tags.last().unwrap().at_us);
            assert!(
                silent < 1_000_000,
                "process {number}, viewer {viewer}: silent for {silent} µs"
            );
        }
        assert!(kept >= 20, "process {number}");
        mend(&mut cluster).await;
    }
}
