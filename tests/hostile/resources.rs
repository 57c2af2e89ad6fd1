//! Resources that end: files, the disk that logs go to, and the patience of an accept loop.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use headwater_rig::process::{Cluster, Place};
use headwater_rig::viewer::Viewer;
use headwater_rig::{SOON, http};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::scene::{HEALTHY, Scene, impatient, noise, say};

/// A cluster whose processes are started by the shell line `line`, which ends with `"$@"`.
async fn started_by(line: &str) -> Cluster {
    let before = ["sh", "-c", line, "sh"].map(str::to_owned).to_vec();
    let mut size = impatient();
    size.edge_settings = vec!["--edge-limits-head-timeout=60s".to_owned()];
    Cluster::start_at(Path::new(env!("CARGO_BIN_EXE_headwater")), &size, |_, _| {
        Place {
            before: before.clone(),
            host: None,
        }
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn without_files_viewers_go_on_and_others_come_in_as_soon_as_there_are_some() {
    let mut scene = Scene::on(started_by("ulimit -n 160; exec \"$@\"").await).await;
    let edge = scene.cluster.edges[0].http.clone();
    let mut hoard = Vec::new();
    for _ in 0..400 {
        hoard.push(TcpStream::connect(&edge).await.unwrap());
    }
    scene.goes_on().await;
    let admin = scene.cluster.edges[0].process.admin.clone();
    let asked = tokio::time::timeout(Duration::from_secs(1), http::get(&admin, "/readyz")).await;
    let ready = matches!(asked, Ok(Ok((200, _))));
    say(&format!("without files: /readyz says {asked:?}"));
    scene.goes_on().await;
    drop(hoard);
    let began = Instant::now();
    let url = format!("http://{edge}/{HEALTHY}.flv");
    let mut late = Viewer::start(&url, began);
    late.goes_on(10).await.unwrap();
    say(&format!(
        "with files again: a viewer plays after {} ms",
        began.elapsed().as_millis()
    ));
    Scene::counts(
        &scene.cluster.edges[0].process,
        "headwater_process_refused_connections_total",
        "reason=\"exhausted\"",
        1.0,
    )
    .await;
    assert!(!ready, "/readyz says yes while nobody can come in");
    scene.unharmed("files used up").await;
}

#[tokio::test]
async fn a_full_disk_under_the_logs_changes_nothing() {
    let mut scene = Scene::on(started_by("exec \"$@\" >/dev/full 2>&1").await).await;
    let url = format!("http://{}/{HEALTHY}.flv", scene.cluster.edges[0].http);
    for _ in 0..5 {
        // Each is logged.
        Viewer::start(&url, Instant::now())
            .goes_on(5)
            .await
            .unwrap();
    }
    scene.goes_on().await;
    scene.unharmed("log disk full").await;
}

/// Opens connections at `per_second` until told to stop; half of them say nothing and go, half send noise.
fn flood(
    ports: Vec<String>,
    per_second: u32,
    stop: Arc<AtomicBool>,
) -> std::thread::JoinHandle<u32> {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let opened = Arc::new(AtomicU32::new(0));
        runtime.block_on(async {
            let mut pace = tokio::time::interval(Duration::from_millis(10));
            let mut number = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                pace.tick().await;
                for _ in 0..per_second / 100 {
                    number += 1;
                    let to = ports[usize::try_from(number).unwrap() % ports.len()].clone();
                    let opened = Arc::clone(&opened);
                    tokio::spawn(async move {
                        let Ok(Ok(mut socket)) =
                            tokio::time::timeout(SOON, TcpStream::connect(to)).await
                        else {
                            return;
                        };
                        opened.fetch_add(1, Ordering::Relaxed);
                        if number.is_multiple_of(2) {
                            drop(socket.write_all(&noise(number, 200)).await);
                        }
                    });
                }
            }
        });
        opened.load(Ordering::Relaxed)
    })
}

#[tokio::test]
async fn a_flood_of_connections_costs_a_viewer_no_tag() {
    let mut scene = Scene::set(&impatient()).await;
    let usual = scene.longest_silence();
    let ports = vec![
        scene.cluster.origins[0].rtmp.clone(),
        scene.cluster.edges[0].http.clone(),
        scene.cluster.edges[0].rtmp.clone(),
        scene.cluster.operator_addresses[0].clone(),
    ];
    let stop = Arc::new(AtomicBool::new(false));
    let began = Instant::now();
    let flooding = flood(ports, 5_000, Arc::clone(&stop));
    for _ in 0..20 {
        scene.goes_on().await;
    }
    stop.store(true, Ordering::Relaxed);
    let opened = tokio::task::spawn_blocking(|| flooding.join())
        .await
        .unwrap()
        .unwrap();
    let seconds = began.elapsed().as_secs_f64();
    say(&format!(
        "flood: {:.0} connections a second for {seconds:.1} s; longest silence {} ms, {} ms before",
        f64::from(opened) / seconds,
        scene.longest_silence().as_millis(),
        usual.as_millis()
    ));
    scene.unharmed("flood of connections").await;
}
