//! Two publishers of one name where the rule is `backup`: viewers go on with the second when the first fails.

use std::time::Duration;

use headwater_rig::audience::Figures;
use headwater_rig::compare;
use headwater_rig::process::{Cluster, Size};
use headwater_rig::publisher::Publisher;

use crate::stage::{Ingress, Stage, cluster, judge, mend, push, runs, session};

/// From keyframe to keyframe of a made stream.
const GOP: Duration = Duration::from_secs(1);
/// After this time without a tag a publisher is silent; it is looked for every 100 ms.
const SILENT: Duration = Duration::from_millis(600);
/// What two machines may differ in when they say that two tags came at the same time, and the one that is busy.
const SLACK: Duration = Duration::from_millis(500);

async fn backups() -> Cluster {
    cluster(&Size {
        origin_settings: vec!["--origin-on-duplicate=backup".to_owned()],
        ..Size::default()
    })
    .await
}

/// A publisher at origin `at` that stands by and has something to go on with.
async fn stand_by(cluster: &Cluster, stage: &mut Stage, at: usize) -> (Publisher, u64) {
    let next = session();
    let mut backup = push(&cluster.origins[at].rtmp, &stage.path, next, stage.epoch);
    backup.started().await.unwrap();
    // A GOP, and a part of the next one that is another each time.
    let tags = 50 + next * 17 % 50;
    let stands = async {
        loop {
            let streams = cluster.origins[at].process.streams().await.unwrap();
            let stands = streams["origin"].as_array().unwrap().iter().any(|stream| {
                stream["key"] == stage.key.as_str()
                    && stream["role"] == "backup"
                    && stream["ring_tags"].as_u64().unwrap() > tags
            });
            if stands {
                return;
            }
            stage.audience.goes_on(1).await.unwrap();
        }
    };
    tokio::time::timeout(headwater_rig::SOON, stands)
        .await
        .expect("it stands by");
    (backup, next)
}

/// Each viewer has gone from the first session to the keyframe of `next` that came next, and no further.
fn spliced(stage: &Stage, next: u64, stalled: Duration) {
    for seen in stage.audience.seen() {
        let sessions = compare::account(&seen.tags).sessions;
        assert_eq!(sessions.len(), 2, "{sessions:?}");
        let (backup, first, _) = sessions[1];
        assert_eq!(backup, next);
        // Two tags a picture, a keyframe every 25 pictures.
        assert!(first.is_multiple_of(50), "begins with a keyframe: {first}");
        let seam = seen.tags.windows(2).find(|two| {
            let of = |index: usize| two[index].identity.map(|(session, _)| session);
            of(0) != Some(next) && of(1) == Some(next)
        });
        let seam = seam.unwrap();
        let lost_ms = seam[1].ms - seam[0].ms;
        let most = GOP + SLACK + stalled;
        assert!(
            u128::from(lost_ms) <= most.as_millis(),
            "a GOP is lost at most: {lost_ms} ms"
        );
    }
}

#[tokio::test]
async fn a_publisher_that_is_killed_costs_viewers_a_gop_at_most() {
    for (row, apart) in [
        ("publisher killed, its backup at the same origin", false),
        ("publisher killed, its backup elsewhere", true),
    ] {
        let cluster = backups().await;
        let mut figures = Figures::default();
        for _ in 0..runs() {
            let mut stage = Stage::set(&cluster, Ingress::Apart).await;
            let at = (stage.ingress + usize::from(apart)) % 3;
            let (backup, next) = stand_by(&cluster, &mut stage, at).await;
            stage.fault();
            stage.publisher.kill();
            stage.audience.sees(next).await.unwrap();
            let seen = stage.seen_through().await;
            spliced(&stage, next, seen.stalled);
            figures.merge(seen);
            assert_eq!(backup.progress().end, None);
        }
        judge(row, &figures, GOP + SLACK);
    }
}

#[tokio::test]
async fn a_publisher_that_stops_changes_places_with_its_backup_and_stays_there_when_it_returns() {
    let cluster = backups().await;
    let mut figures = Figures::default();
    for _ in 0..runs() {
        let mut stage = Stage::set(&cluster, Ingress::Apart).await;
        let at = (stage.ingress + 1) % 3;
        let (backup, next) = stand_by(&cluster, &mut stage, at).await;
        stage.fault();
        stage.publisher.stop();
        stage.audience.sees(next).await.unwrap();
        stage.publisher.cont();
        let seen = stage.seen_through().await;
        spliced(&stage, next, seen.stalled);
        figures.merge(seen);
        stage.publisher_noticed_nothing();
        assert_eq!(backup.progress().end, None);
    }
    judge(
        "publisher stopped, then continued",
        &figures,
        SILENT + GOP + SLACK,
    );
}

/// What an origin's process suffers.
#[derive(Clone, Copy)]
enum Fate {
    Killed,
    /// It goes on once viewers have the backup; what it has held meanwhile is of a session that is over.
    Stopped,
}

/// The ingress meets its `fate`, and viewers go on with a backup at an origin that is neither it nor the home.
async fn backup_takes_over(row: &str, ingress: Ingress, fate: Fate, within: Duration) {
    let mut cluster = backups().await;
    let mut figures = Figures::default();
    for _ in 0..runs() {
        let mut stage = Stage::set(&cluster, ingress).await;
        let at = (0..3)
            .find(|n| ![stage.ingress, stage.home].contains(n))
            .unwrap();
        let (backup, next) = stand_by(&cluster, &mut stage, at).await;
        stage.fault();
        let process = &mut cluster.origins[stage.ingress].process;
        match fate {
            Fate::Killed => process.kill(),
            Fate::Stopped => process.signal("STOP").unwrap(),
        }
        stage.audience.sees(next).await.unwrap();
        if let Fate::Stopped = fate {
            process.signal("CONT").unwrap();
        }
        let seen = stage.seen_through().await;
        spliced(&stage, next, seen.stalled);
        figures.merge(seen);
        assert_eq!(backup.progress().end, None);
        if let Fate::Killed = fate {
            mend(&mut cluster).await;
        }
    }
    judge(row, &figures, within);
}

#[tokio::test]
async fn the_origin_of_a_publisher_that_is_killed_costs_viewers_a_gop_at_most() {
    let within = SILENT + GOP + SLACK;
    let row = "ingress killed, a backup elsewhere";
    backup_takes_over(row, Ingress::Apart, Fate::Killed, within).await;
    let row = "ingress and home in one killed, a backup elsewhere";
    backup_takes_over(row, Ingress::AtHome, Fate::Killed, within).await;
}

#[tokio::test]
async fn the_origin_of_a_publisher_that_stops_and_returns_costs_viewers_a_gop_at_most() {
    // Who does not answer is asked once more before it is given up.
    let within = SILENT + SILENT + GOP + SLACK;
    let row = "ingress stopped, a backup elsewhere";
    backup_takes_over(row, Ingress::Apart, Fate::Stopped, within).await;
    let row = "ingress and home in one stopped, a backup elsewhere";
    backup_takes_over(row, Ingress::AtHome, Fate::Stopped, within).await;
}
