//! A cluster with a healthy publisher and viewer, and what comes beside them.

use std::path::Path;
use std::time::Duration;

use headwater_rig::audience::Audience;
use headwater_rig::process::{Cluster, Process, Size};
use headwater_rig::publisher::{Made, Publisher, Target};
use headwater_rig::{SOON, compare, http};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What a process may hold more after a test than before it, in KiB.
const MORE_MAX_KIB: u64 = 20 << 10;
/// What the two healthy ones are called.
pub(crate) const HEALTHY: &str = "live/healthy";

/// One origin, one edge and one operator, and the healthy ones.
pub(crate) struct Scene {
    pub(crate) cluster: Cluster,
    publisher: Publisher,
    viewer: Audience,
    before_kib: Vec<u64>,
}

/// Settings with which a test need not wait long.
pub(crate) fn impatient() -> Size {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    Size {
        origins: 1,
        edges: 1,
        operators: 1,
        origin_settings: words(&[
            "--origin-handshake-timeout=2s",
            "--origin-command-timeout=3s",
            "--origin-max-bitrate-bps=2000000",
        ]),
        edge_settings: words(&[
            "--edge-limits-head-timeout=2s",
            "--edge-limits-stuck-timeout=2s",
            "--edge-limits-connections-per-address=4096",
            "--edge-socket-send-buffer-bytes=8KiB",
        ]),
        ..Size::default()
    }
}

impl Scene {
    pub(crate) async fn set(size: &Size) -> Scene {
        let cluster = Cluster::start(Path::new(env!("CARGO_BIN_EXE_headwater")), size)
            .await
            .unwrap();
        Scene::on(cluster).await
    }

    /// As [`Scene::set`], on a cluster that runs.
    pub(crate) async fn on(cluster: Cluster) -> Scene {
        let epoch = Instant::now();
        let target = Target::parse(&format!("rtmp://{}/{HEALTHY}", cluster.origins[0].rtmp));
        let mut publisher = Publisher::start(&target.unwrap(), Made::default().tags(), epoch);
        publisher.started().await.unwrap();
        let url = format!("http://{}/{HEALTHY}.flv?wait=10", cluster.edges[0].http);
        let mut viewer = Audience::start(&[url], 1, epoch);
        viewer.goes_on(50).await.unwrap();
        let mut scene = Scene {
            cluster,
            publisher,
            viewer,
            before_kib: Vec::new(),
        };
        scene.before_kib = scene.resident_kib();
        scene
    }

    pub(crate) fn processes(&self) -> Vec<&Process> {
        let operators = self.cluster.operators.iter();
        let origins = self.cluster.origins.iter().map(|origin| &origin.process);
        let edges = self.cluster.edges.iter().map(|edge| &edge.process);
        operators.chain(origins).chain(edges).collect()
    }

    pub(crate) fn resident_kib(&self) -> Vec<u64> {
        let of = |process: &&Process| process.resident_kib().unwrap();
        self.processes().iter().map(of).collect()
    }

    /// The viewer goes on now.
    pub(crate) async fn goes_on(&mut self) {
        self.viewer.goes_on(10).await.unwrap();
    }

    /// The longest silence of the viewer so far.
    pub(crate) fn longest_silence(&self) -> Duration {
        self.viewer.figures(0).gap(100)
    }

    /// The healthy ones have lost nothing, and no process has grown by more than a bound.
    pub(crate) async fn unharmed(mut self, test: &str) {
        self.viewer.goes_on(50).await.unwrap();
        self.viewer.figures(0).is_whole().unwrap();
        let seen = self.viewer.seen().remove(0);
        self.viewer.goes_on(1).await.unwrap();
        let progress = self.publisher.progress();
        assert_eq!(progress.end, None, "the healthy publisher");
        compare::same_run(&progress.sent, &seen.tags).unwrap();
        let after = self.resident_kib();
        say(&format!(
            "{test}: {} tags in a run; operator, origin, edge hold {:?} KiB, {:?} before",
            seen.tags.len(),
            after,
            self.before_kib
        ));
        for (before, after) in self.before_kib.iter().zip(after) {
            assert!(
                after.saturating_sub(*before) <= MORE_MAX_KIB,
                "{before} KiB became {after}"
            );
        }
    }

    /// Waits until metric `name` of `process` with `labels` is at least `value`.
    pub(crate) async fn counts(process: &Process, name: &str, labels: &str, value: f64) {
        let began = Instant::now();
        loop {
            let now = http::metric(&process.admin, name, labels).await.unwrap();
            if now >= value {
                return;
            }
            assert!(
                began.elapsed() < SOON,
                "{name} {labels} is {now}, not {value}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

pub(crate) fn say(line: &str) {
    use std::io::Write as _;
    writeln!(std::io::stdout(), "{line}").unwrap();
}

/// Sends `bytes` and gives what is answered until the other end closes.
pub(crate) async fn answer_to(address: &str, bytes: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect(address).await.unwrap();
    // It may close before all is sent.
    drop(socket.write_all(bytes).await);
    let mut answer = Vec::new();
    // A reset is an end too.
    let read = tokio::time::timeout(SOON, socket.read_to_end(&mut answer)).await;
    drop(read.unwrap_or_else(|_| panic!("{address} does not close after {bytes:.40?}")));
    answer
}

/// As [`answer_to`], for many at once.
pub(crate) async fn all_end(address: &str, all: impl Iterator<Item = Vec<u8>>) {
    let mut strangers = JoinSet::new();
    for bytes in all {
        let address = address.to_owned();
        strangers.spawn(async move { answer_to(&address, &bytes).await });
    }
    while let Some(ended) = strangers.join_next().await {
        ended.unwrap();
    }
}

/// Bytes that look like nothing, the same for the same seed.
pub(crate) fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[0]
    };
    (0..bytes).map(|_| next()).collect()
}

pub(crate) fn contains(answer: &[u8], text: &str) -> bool {
    answer
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}
