//! Many streams and viewers for a long time, with a kill every half minute: nobody loses a tag, and those who live through
//! it all hold no more at the end than at the beginning.
//!
//! `SOAK_SECONDS` says for how long (60 without it). `SOAK_CSV` and `SOAK_SVG` name files for what was measured.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by it"
)]

mod crowd;
mod lives;
mod plot;
mod watch;
mod witness;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use headwater_rig::process::{Cluster, Process, Size};
use tokio::time::{Instant, sleep_until};

use crate::crowd::Crowd;
use crate::lives::Lives;
use crate::witness::Witness;

const KILL_EVERY: Duration = Duration::from_secs(30);
/// What was killed is started again after this time.
const DEAD_FOR: Duration = Duration::from_secs(10);
/// A run of less has no second quarter that is behind the start.
const STEADY_AFTER: Duration = Duration::from_secs(600);
const LOOK_EVERY: Duration = Duration::from_secs(5);

fn length() -> Duration {
    let seconds = std::env::var("SOAK_SECONDS").ok();
    Duration::from_secs(seconds.and_then(|it| it.parse().ok()).unwrap_or(60))
}

fn say(line: &str) {
    use std::io::Write as _;
    let mut out = std::io::stdout();
    writeln!(out, "{line}").unwrap();
}

/// Who dies, in turn. The first of each role lives through it all.
const VICTIMS: [(&str, usize); 4] = [("origin", 1), ("edge", 1), ("operator", 1), ("origin", 2)];

fn victim(cluster: &mut Cluster, turn: usize) -> (String, &mut Process) {
    let (role, number) = VICTIMS[turn % VICTIMS.len()];
    match role {
        "origin" => {
            let origin = &mut cluster.origins[number];
            (origin.rtmp.clone(), &mut origin.process)
        }
        "edge" => {
            let edge = &mut cluster.edges[number];
            (edge.http.clone(), &mut edge.process)
        }
        _ => {
            let address = cluster.operator_addresses[number].clone();
            (address, &mut cluster.operators[number])
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_nothing_grows() {
    let size = Size {
        operators: 2,
        ..Size::default()
    };
    let mut cluster = Cluster::start(Path::new(env!("CARGO_BIN_EXE_headwater")), &size)
        .await
        .unwrap();
    let lives = Arc::new(Lives::default());
    let crowd = Crowd::start(&cluster, &lives);
    crowd.all_play().await;
    let began = Instant::now();
    let mut witness = Witness::new([
        ("origin", cluster.origins[0].process.admin.clone()),
        ("edge", cluster.edges[0].process.admin.clone()),
        ("operator", cluster.operators[0].admin.clone()),
    ]);
    let (mut kills, mut looks) = (0, 0);
    let mut dead: Option<(usize, Instant)> = None;
    while began.elapsed() < length() {
        let next_kill = began + KILL_EVERY * u32::try_from(kills + 1).unwrap();
        let next_look = began + LOOK_EVERY * looks;
        let back = dead.map(|(_, killed)| killed + DEAD_FOR);
        let next = next_kill.min(next_look).min(back.unwrap_or(next_kill));
        sleep_until(next).await;
        if next_look <= next {
            witness.look(began.elapsed()).await;
            looks += 1;
        }
        if let (Some((turn, _)), Some(back)) = (dead, back)
            && back <= next
        {
            let (address, process) = victim(&mut cluster, turn);
            process.restart().unwrap();
            process.ready().await.unwrap();
            lives.back(&address);
            dead = None;
        }
        if next_kill <= next {
            let (address, process) = victim(&mut cluster, kills);
            lives.dies(&address);
            process.kill();
            dead = Some((kills, Instant::now()));
            kills += 1;
        }
    }
    crowd.all_play().await;
    let told = crowd.told();
    say(&format!("{told}, {kills} kills in {:?}", length()));
    witness.write();
    assert!(told.faults.is_empty(), "{:#?}", told.faults);
    if length() >= STEADY_AFTER {
        witness.is_flat();
    }
}
