//! An internal pull that brings what is wrong: the edge takes the stream up again at the same tag.

use std::path::Path;
use std::time::Duration;

use headwater_rig::audience::Audience;
use headwater_rig::process::Process;
use headwater_rig::{SOON, port};
use tokio::time::Instant;

use crate::liar::{Liar, Lie};
use crate::scene::{HEALTHY, Scene, impatient, say};

#[tokio::test]
async fn a_source_that_spoils_a_pull_costs_viewers_no_tag() {
    let mut scene = Scene::set(&impatient()).await;
    let liar = Liar::before(&scene.cluster.origins[0].internal).await;
    let http = port::address();
    let words = [
        "edge".to_owned(),
        format!("--edge-http-listen={http}"),
        "--edge-rtmp-listen=".to_owned(),
        format!("--edge-internal-listen={}", port::address()),
        "--location-id=edge-of-a-liar".to_owned(),
        format!(
            "--location-members=[{{id: origin-0, role: origin, internal: \"{}\"}}]",
            liar.address
        ),
    ];
    let mut edge = Process::start(Path::new(env!("CARGO_BIN_EXE_headwater")), &words).unwrap();
    edge.ready().await.unwrap();
    let url = format!("http://{http}/{HEALTHY}.flv");
    let mut viewers = Audience::start(&[url], 3, Instant::now());
    viewers.goes_on(25).await.unwrap();
    let before_kib = edge.resident_kib().unwrap();
    for lie in [
        Lie::CutInTag,
        Lie::EndInTag,
        Lie::SizeBehind,
        Lie::SizeBefore,
        Lie::Huge,
        Lie::Type,
        Lie::Noise,
        Lie::Chunks,
        Lie::Head("headwater-sequence", -5),
        Lie::Head("headwater-sequence", 5),
        Lie::Head("headwater-term", -1),
        Lie::Head("headwater-epoch", -1),
    ] {
        liar.tell(lie);
        let began = Instant::now();
        while liar.has_to() {
            assert!(began.elapsed() < SOON, "{lie:?} was not told");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        viewers
            .goes_on(25)
            .await
            .unwrap_or_else(|error| panic!("{lie:?}: {error:#}\n{}", edge.log()));
        let figures = viewers.figures(0);
        figures
            .is_whole()
            .unwrap_or_else(|fault| panic!("{lie:?}: {fault}"));
    }
    let after_kib = edge.resident_kib().unwrap();
    say(&format!(
        "lies: longest silence {} ms; the edge held {before_kib} KiB, then {after_kib}",
        viewers.figures(0).gap(100).as_millis()
    ));
    assert!(after_kib <= before_kib + (20 << 10));
    scene.goes_on().await;
    scene.unharmed("lying source").await;
}
