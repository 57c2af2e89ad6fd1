//! One cluster, and on it stream after stream with a publisher and strict viewers, each to be seen through one fault.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use headwater_rig::audience::{Audience, Figures};
use headwater_rig::metronome::Metronome;
use headwater_rig::process::{Cluster, Size};
use headwater_rig::publisher::{Made, Publisher, Target};
use tokio::time::Instant;

/// Viewers of each edge.
const VIEWERS_EACH: usize = 20;
/// A machine that stands still for longer is worth a word.
const STALL_TOLD: Duration = Duration::from_millis(20);
/// Tags before and after the fault, about a second and a half.
const SETTLED_TAGS: usize = 75;

/// Where the stream is to be ingested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ingress {
    /// Elsewhere than at its home.
    Apart,
    /// At its home.
    AtHome,
}

/// The six processes.
pub(crate) async fn cluster(size: &Size) -> Cluster {
    Cluster::start(Path::new(env!("CARGO_BIN_EXE_headwater")), size)
        .await
        .unwrap()
}

/// How often each row is run.
pub(crate) fn runs() -> usize {
    std::env::var("FAILOVER_RUNS")
        .ok()
        .and_then(|runs| runs.parse().ok())
        .unwrap_or(3)
}

/// A stream that is live, with viewers on every edge.
pub(crate) struct Stage {
    /// `default/live/NAME`.
    pub(crate) key: String,
    /// `live/NAME`.
    pub(crate) path: String,
    /// Number of the origin that the publisher pushes to.
    pub(crate) ingress: usize,
    /// Number of the origin that is the stream's home.
    pub(crate) home: usize,
    /// The publisher.
    pub(crate) publisher: Publisher,
    /// The viewers.
    pub(crate) audience: Audience,
    /// What records count from.
    pub(crate) epoch: Instant,
    /// When the fault was, in microseconds since `epoch`.
    pub(crate) fault_us: u64,
    joined_us: u64,
    usual_us: Vec<u64>,
    metronome: Metronome,
}

/// Starts what was killed again and waits until all are ready.
pub(crate) async fn mend(cluster: &mut Cluster) {
    let operators = cluster.operators.iter_mut();
    let origins = cluster.origins.iter_mut().map(|origin| &mut origin.process);
    let edges = cluster.edges.iter_mut().map(|edge| &mut edge.process);
    for process in operators.chain(origins).chain(edges) {
        if process.pid().is_none() {
            process.restart().unwrap();
        }
    }
    cluster.ready().await.unwrap();
}

/// The number of the member `id`, such as 2 of `origin-2`.
pub(crate) fn number(id: &str) -> usize {
    id.rsplit('-').next().unwrap().parse().unwrap()
}

/// A session number that no other publisher has.
pub(crate) fn session() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Pushes a made stream with a session number of its own.
pub(crate) fn push(rtmp: &str, path: &str, session: u64, epoch: Instant) -> Publisher {
    let target = Target::parse(&format!("rtmp://{rtmp}/{path}")).unwrap();
    let made = Made {
        session,
        ..Made::default()
    };
    Publisher::start(&target, made.tags(), epoch)
}

impl Stage {
    /// Pushes streams until one is placed as `ingress` says, and waits until all viewers have it.
    pub(crate) async fn set(cluster: &Cluster, ingress: Ingress) -> Stage {
        let edges: Vec<&str> = cluster
            .edges
            .iter()
            .map(|edge| edge.http.as_str())
            .collect();
        Stage::set_on(cluster, ingress, &edges).await
    }

    /// As [`Stage::set`], with viewers of the edges at `edges` only.
    pub(crate) async fn set_on(cluster: &Cluster, ingress: Ingress, edges: &[&str]) -> Stage {
        let epoch = Instant::now();
        let (path, key, at, home, publisher) = loop {
            let session = session();
            let at = usize::try_from(session).unwrap() % cluster.origins.len();
            let path = format!("live/room-{session}");
            let key = format!("default/{path}");
            let mut publisher = push(&cluster.origins[at].rtmp, &path, session, epoch);
            publisher.started().await.unwrap();
            let (ingress_id, home_id) = cluster.placed(&key).await.unwrap();
            assert_eq!(number(&ingress_id), at);
            let home = number(&home_id);
            if (home == at) == (ingress == Ingress::AtHome) {
                break (path, key, at, home, publisher);
            }
        };
        cluster.known(&key).await.unwrap();
        let urls: Vec<String> = edges
            .iter()
            .map(|http| format!("http://{http}/{path}.flv"))
            .collect();
        let mut audience = Audience::start(&urls, VIEWERS_EACH, epoch);
        audience.goes_on(10).await.unwrap();
        let joined_us = micros(epoch);
        audience.goes_on(SETTLED_TAGS).await.unwrap();
        Stage {
            key,
            path,
            ingress: at,
            home,
            publisher,
            audience,
            epoch,
            fault_us: 0,
            joined_us,
            usual_us: Vec::new(),
            metronome: Metronome::start(),
        }
    }

    /// The fault is now.
    pub(crate) fn fault(&mut self) {
        self.usual_us = self.audience.figures(self.joined_us).gaps_us;
        self.fault_us = micros(self.epoch);
        self.metronome.restart();
    }

    /// Waits until every viewer has got more than the fault could have left on its way, and gives what they got.
    pub(crate) async fn seen_through(&mut self) -> Figures {
        self.audience.goes_on(SETTLED_TAGS).await.unwrap();
        let mut figures = self.audience.figures(self.fault_us);
        figures.usual_us.clone_from(&self.usual_us);
        figures.stalled = self.metronome.stalled();
        figures
    }

    /// The publisher is still on the connection that it opened.
    pub(crate) fn publisher_noticed_nothing(&self) {
        assert_eq!(self.publisher.progress().end, None, "{}", self.key);
    }
}

fn micros(epoch: Instant) -> u64 {
    u64::try_from(epoch.elapsed().as_micros()).unwrap()
}

/// Prints a row's figures and checks its promise: the silence is `p99_max` at most, beyond those of before the fault and
/// what the machine stood still for everybody.
pub(crate) fn judge(row: &str, figures: &Figures, p99_max: Duration) {
    use std::io::Write as _;
    let ms = p99_max.as_millis();
    writeln!(std::io::stdout(), "| {row} {figures} ≤ {ms} |").unwrap();
    if figures.stalled > STALL_TOLD {
        let stalled = figures.stalled;
        writeln!(
            std::io::stdout(),
            "(the machine stood still for {stalled:?})"
        )
        .unwrap();
    }
    figures
        .is_whole()
        .unwrap_or_else(|fault| panic!("{row}: {fault}"));
    assert!(
        figures.gap(99) <= p99_max + figures.usual(99) + figures.stalled,
        "{row}: {figures}, the machine stood still for {:?}",
        figures.stalled
    );
}
