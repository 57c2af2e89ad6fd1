//! `headwater bench` as a user runs it, for a second and with few viewers: every part of it works and finds no loss.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by it")]
#![allow(clippy::disallowed_methods, reason = "processes run in real time")]

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tokio::time::Instant;

fn bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_headwater"))
        .arg("bench")
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn viewers_of_a_server_and_of_the_floor_get_every_tag() {
    for (name, more) in [("plain", None), ("https", Some("--https"))] {
        let file = format!("headwater-bench-{name}-{}.json", std::process::id());
        let json = std::env::temp_dir().join(file);
        let json_flag = format!("--json={}", json.display());
        let mut flags = vec![
            "fanout",
            "--viewers=20",
            "--rounds=1",
            "--again=0",
            "--seconds=1",
            &json_flag,
        ];
        flags.extend(more);
        let said = bench(&flags);
        assert!(
            said.status.success(),
            "{name}: {}",
            String::from_utf8_lossy(&said.stderr)
        );
        let figures: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
        std::fs::remove_file(&json).unwrap();
        for side in ["server", "floor"] {
            let load = &figures[0][side][0]["load"];
            assert_eq!(load["playing"], 20, "{name}, {side}: {load}");
            assert_eq!(load["missing_tags"], 0, "{name}, {side}: {load}");
            assert!(
                load["latency"]["count"].as_u64().unwrap() > 100,
                "{name}, {side}: {load}"
            );
        }
    }
}

#[test]
fn each_stream_of_many_plays_and_those_who_come_and_go_get_a_picture() {
    for (arguments, sentence) in [
        (
            ["streams", "--streams=5", "--rounds=1", "--seconds=1"],
            "5        10       10",
        ),
        (
            ["churn", "--joins=20", "--rounds=1", "--seconds=1"],
            "20     0",
        ),
    ] {
        let said = bench(&arguments);
        let table = String::from_utf8_lossy(&said.stdout);
        assert!(
            said.status.success(),
            "{}",
            String::from_utf8_lossy(&said.stderr)
        );
        assert!(table.contains(sentence), "{table}");
    }
}

#[test]
fn an_origin_and_the_loop_beside_it_take_what_is_published() {
    for (name, more, playing) in [("alone", None, 0), ("hop", Some("--hop"), 3)] {
        let file = format!("headwater-bench-ingest-{name}-{}.json", std::process::id());
        let json = std::env::temp_dir().join(file);
        let json_flag = format!("--json={}", json.display());
        let mut flags = vec![
            "ingest",
            "--publishers=3",
            "--rounds=1",
            "--seconds=1",
            &json_flag,
        ];
        flags.extend(more);
        let said = bench(&flags);
        assert!(
            said.status.success(),
            "{name}: {}",
            String::from_utf8_lossy(&said.stderr)
        );
        let figures: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
        std::fs::remove_file(&json).unwrap();
        let origin = &figures["origin"][0]["load"];
        assert_eq!(origin["playing"], playing, "{name}: {origin}");
        for side in ["origin", "floor"] {
            let bytes = figures[side][0]["load"]["bytes"].as_u64().unwrap();
            // Half of what three publishers of 0.5 Mbit/s send in a second.
            assert!(bytes > 94_000, "{name}, {side}: {bytes}");
        }
    }
}

#[test]
fn another_machine_is_not_loaded_unless_asked() {
    let said = bench(&["fanout", "--play=http://192.0.2.1:8080/live/room.flv"]);
    assert_eq!(said.status.code(), Some(2));
    let why = String::from_utf8_lossy(&said.stderr);
    assert!(why.contains("--remote"), "{why}");
}

/// The processes that `parent` started, and the names of what they run as.
fn children(parent: u32) -> Vec<(u32, String)> {
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            // `pid (name) state parent`; the name may hold anything.
            let ppid = stat.rsplit(") ").next()?.split(' ').nth(1)?.parse::<u32>();
            let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
            (ppid == Ok(parent)).then(|| (pid, command.replace('\0', " ")))
        })
        .collect()
}

fn is_running(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(") ").next().unwrap_or("Z").starts_with('Z'))
}

#[test]
fn a_measurement_that_is_killed_leaves_no_process_behind() {
    let mut measurement = Command::new(env!("CARGO_BIN_EXE_headwater"))
        .args(["bench", "fanout", "--viewers=2", "--seconds=60"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Three roles, the load and the floor.
    let started = loop {
        let children = children(measurement.id());
        if children.len() >= 5 {
            break children;
        }
        assert!(measurement.try_wait().unwrap().is_none());
        std::thread::yield_now();
    };
    measurement.kill().unwrap();
    measurement.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    for (pid, command) in started {
        while is_running(pid) {
            assert!(Instant::now() < deadline, "{command} is left behind");
            std::thread::yield_now();
        }
    }
}
