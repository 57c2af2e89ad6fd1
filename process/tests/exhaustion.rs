//! A process that runs out of files: it must go on serving whom it has, and take others as soon as it can.

use std::fs::File;
use std::process::Command;
use std::time::Duration;

use headwater_process::accept::{AcceptMetrics, Acceptor, Closes, Limits};
use headwater_process::drain::Drain;
use headwater_process::metrics::Registry;
use headwater_process::net::{connect, listen};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SOON: Duration = Duration::from_secs(10);

/// The limit of open files is the process's, so the test runs in one of its own that has few.
#[test]
fn without_files_connections_wait_and_others_go_on() {
    let test = std::env::current_exe().unwrap();
    let output = Command::new("sh")
        .args([
            "-c",
            "ulimit -n 64 && exec \"$0\" --ignored --exact with_64_files",
        ])
        .arg(test)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
}

#[test]
#[ignore = "runs in a process of its own that may open 64 files"]
fn with_64_files() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let registry = Registry::new().unwrap();
        let listener = listen("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap().to_string();
        let mut acceptor = Acceptor::new(
            listener,
            Limits {
                total: 100,
                per_address: 100,
            },
            AcceptMetrics::register(&registry).unwrap().port("test"),
            Drain::new(SOON),
            Closes::WhenDraining,
        );
        let mut near = connect(&to, SOON).await.unwrap();
        let mut far = acceptor.next().await.unwrap().stream;

        let mut hoard: Vec<File> = Vec::new();
        while let Ok(file) = File::open("/dev/null") {
            hoard.push(file);
        }
        hoard.pop();
        let mut waiting = connect(&to, SOON).await.unwrap();
        let starved = tokio::time::timeout(Duration::from_millis(50), acceptor.next()).await;
        assert!(starved.is_err(), "there was a file left");

        near.write_all(b"on").await.unwrap();
        far.read_exact(&mut [0; 2]).await.unwrap();

        hoard.truncate(hoard.len() - 8);
        let accepted = tokio::time::timeout(SOON, acceptor.next())
            .await
            .unwrap()
            .unwrap();
        accepted.stream.try_write(b"!").unwrap();
        assert_eq!(waiting.read_u8().await.unwrap(), b'!');
        let text = String::from_utf8(registry.encode()).unwrap();
        let counted = text
            .lines()
            .find_map(|line| {
                line.strip_prefix(
                    "headwater_process_refused_connections_total{port=\"test\",reason=\"exhausted\"} ",
                )
            })
            .unwrap();
        assert_ne!(counted, "0");
    });
}
