//! What encoders in the field do to names and kinds of publishing: the stream is where a viewer looks for it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by it")]

use std::path::Path;

use headwater_media::rtmp::PublishingType;
use headwater_rig::compare;
use headwater_rig::publisher::{Made, Publisher, Target};
use headwater_rig::up::Up;
use headwater_rig::viewer::Viewer;
use tokio::time::Instant;

#[tokio::test]
async fn a_stream_is_found_however_its_name_was_written() {
    let up = Up::start(Path::new(env!("CARGO_BIN_EXE_headwater")), &[])
        .await
        .unwrap();
    for (row, (what, app, stream, played)) in [
        ("plain", "live", "plain", "live/plain.flv"),
        (
            "a query on the stream",
            "live",
            "q1?token=a/b",
            "live/q1.flv",
        ),
        ("a query on the app", "live?token=a/b", "q2", "live/q2.flv"),
        ("an instance", "live/eu", "room", "live/eu/room.flv"),
        ("a slash behind the app", "live/", "slash", "live/slash.flv"),
        (
            "percent-encoded",
            "live",
            "two%20words",
            "live/two%20words.flv",
        ),
        (
            "UTF-8",
            "live",
            "комната",
            "live/%D0%BA%D0%BE%D0%BC%D0%BD%D0%B0%D1%82%D0%B0.flv",
        ),
        ("UTF-8 for raw viewers", "live", "房间", "live/房间.flv"),
    ]
    .into_iter()
    .enumerate()
    {
        let made = Made {
            session: row as u64 + 1,
            ..Made::default()
        };
        let target = Target::exact(&up.rtmp, app, stream);
        let mut publisher = Publisher::start(&target, made.tags(), Instant::now());
        publisher
            .started()
            .await
            .unwrap_or_else(|error| panic!("{what}: {error:#}"));
        let url = format!("http://{}/{played}?wait=10", up.http);
        let seen = Viewer::start(&url, Instant::now())
            .goes_on(20)
            .await
            .unwrap_or_else(|error| panic!("{what}: {error:#}"));
        let account = compare::account(&seen.tags);
        assert_eq!((account.lost, account.doubled), (0, 0), "{what}");
        assert!(
            account
                .sessions
                .iter()
                .all(|(session, ..)| *session == made.session),
            "{what}: {account:?}"
        );
    }
}

#[tokio::test]
async fn record_and_append_are_published_as_live() {
    let up = Up::start(Path::new(env!("CARGO_BIN_EXE_headwater")), &[])
        .await
        .unwrap();
    for kind in [PublishingType::Record, PublishingType::Append] {
        let name = format!("{kind:?}");
        let target = Target::exact(&up.rtmp, "live", &name).publishing(kind);
        let mut publisher = Publisher::start(&target, Made::default().tags(), Instant::now());
        publisher.started().await.unwrap();
        let url = format!("http://{}/live/{name}.flv?wait=10", up.http);
        let seen = Viewer::start(&url, Instant::now())
            .goes_on(20)
            .await
            .unwrap();
        assert_eq!(compare::account(&seen.tags).lost, 0, "{name}");
    }
}
