//! When a process says that it is ready.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by it")]

use std::path::Path;

use headwater_rig::process::Process;
use headwater_rig::{SOON, http, port};

const HEADWATER: &str = env!("CARGO_BIN_EXE_headwater");

/// What `/readyz` says, as soon as the port is open.
async fn readyz(process: &Process) -> (u16, String) {
    let asked = tokio::time::timeout(SOON, async {
        loop {
            if let Ok(said) = http::get(&process.admin, "/readyz").await {
                return said;
            }
        }
    });
    asked.await.unwrap()
}

#[tokio::test]
async fn an_edge_that_knows_nobody_is_not_ready_before_it_has_reached_an_operator() {
    let operator = port::address();
    let words = [
        "edge".to_owned(),
        "--edge-http-listen=127.0.0.1:0".to_owned(),
        "--edge-rtmp-listen=".to_owned(),
        "--edge-internal-listen=127.0.0.1:0".to_owned(),
        format!("--location-operators=[\"{operator}\"]"),
    ];
    let mut edge = Process::start(Path::new(HEADWATER), &words).unwrap();
    let waited = tokio::time::timeout(SOON, async {
        loop {
            let (status, why) = readyz(&edge).await;
            assert_eq!(status, 503, "{why}");
            if why == "edge's standing: no operator has been reached yet\n" {
                return;
            }
        }
    });
    waited.await.expect("it says what it waits for");

    let words = [
        "operator".to_owned(),
        format!("--operator-listen={operator}"),
    ];
    let _operator = Process::start(Path::new(HEADWATER), &words).unwrap();
    edge.ready().await.unwrap();
}
