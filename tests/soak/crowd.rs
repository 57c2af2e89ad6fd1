//! The publishers and viewers. All come again when their server dies; viewers leave and come again by themselves as well,
//! and some streams have a new name with each session.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use headwater_rig::process::Cluster;
use headwater_rig::publisher::{Made, Publisher, Target};
use headwater_rig::viewer;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::lives::Lives;
use crate::watch::Watch;

const STREAMS: usize = 50;
/// Of which so many have a new name with each session.
const BRIEF_STREAMS: usize = 5;
/// A publish lasts for so long, and for up to as long again. It begins at the publisher's own origin, if that lives.
const SESSION: Duration = Duration::from_secs(60);
const VIEWERS_EACH: usize = 20;
/// A viewer stays for so long, and for up to as long again.
const STAY: Duration = Duration::from_secs(60);
/// Between two attempts of one who was turned away.
const AGAIN: Duration = Duration::from_millis(200);
/// Nobody is turned away for longer.
const TURNED_AWAY_MAX: Duration = Duration::from_secs(10);

/// What all know.
struct Shared {
    lives: Arc<Lives>,
    origins: Vec<String>,
    edges: Vec<String>,
    sessions: AtomicU64,
    tags: AtomicU64,
    connections: AtomicU64,
    publishes: AtomicU64,
    faults: Mutex<Vec<String>>,
    began: Instant,
}

impl Shared {
    fn fault(&self, fault: String) {
        let at = self.began.elapsed();
        self.faults.lock().unwrap().push(format!("{at:?}: {fault}"));
    }
}

/// All of them, until it is dropped.
pub(crate) struct Crowd {
    shared: Arc<Shared>,
    /// Tags of each viewer so far.
    seen: Vec<Arc<AtomicU64>>,
    _tasks: JoinSet<()>,
}

/// What came of it.
pub(crate) struct Told {
    tags: u64,
    connections: u64,
    publishes: u64,
    pub(crate) faults: Vec<String>,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} tags seen on {} connections of {} publishes, {} faults",
            self.tags,
            self.connections,
            self.publishes,
            self.faults.len()
        )
    }
}

impl Crowd {
    pub(crate) fn start(cluster: &Cluster, lives: &Arc<Lives>) -> Crowd {
        let shared = Arc::new(Shared {
            lives: Arc::clone(lives),
            origins: cluster.origins.iter().map(|it| it.rtmp.clone()).collect(),
            edges: cluster.edges.iter().map(|it| it.http.clone()).collect(),
            sessions: AtomicU64::new(1),
            tags: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            publishes: AtomicU64::new(0),
            faults: Mutex::new(Vec::new()),
            began: Instant::now(),
        });
        let mut tasks = JoinSet::new();
        let mut seen = Vec::new();
        for stream in 0..STREAMS {
            let (name, names) = watch::channel(format!("live/room-{stream}"));
            let brief = stream < BRIEF_STREAMS;
            tasks.spawn(publish(Arc::clone(&shared), stream, name, brief));
            for number in 0..VIEWERS_EACH {
                let tags = Arc::new(AtomicU64::new(0));
                seen.push(Arc::clone(&tags));
                tasks.spawn(view(
                    Arc::clone(&shared),
                    stream * VIEWERS_EACH + number,
                    names.clone(),
                    tags,
                ));
            }
        }
        Crowd {
            shared,
            seen,
            _tasks: tasks,
        }
    }

    /// Waits until each viewer has got something from now on.
    pub(crate) async fn all_play(&self) {
        let before: Vec<u64> = self
            .seen
            .iter()
            .map(|it| it.load(Ordering::Relaxed))
            .collect();
        let all = async {
            for (tags, before) in self.seen.iter().zip(before) {
                while tags.load(Ordering::Relaxed) <= before {
                    sleep(AGAIN).await;
                }
            }
        };
        timeout(Duration::from_secs(60), all)
            .await
            .unwrap_or_else(|_| panic!("a viewer gets nothing: {:#?}", self.told().faults));
    }

    pub(crate) fn told(&self) -> Told {
        Told {
            tags: self.shared.tags.load(Ordering::Relaxed),
            connections: self.shared.connections.load(Ordering::Relaxed),
            publishes: self.shared.publishes.load(Ordering::Relaxed),
            faults: self.shared.faults.lock().unwrap().clone(),
        }
    }
}

/// From `least` to twice as long.
fn span(least: Duration, number: usize) -> Duration {
    least + least / 64 * u32::try_from(number * 37 % 64).unwrap()
}

/// The server that is `number`'s own, or the next one that lives.
fn alive<'a>(shared: &'a Shared, servers: &'a [String], number: usize) -> Option<&'a String> {
    let mut turns = (number..).take(servers.len());
    let living = turns.find(|it| !shared.lives.is_dead(&servers[it % servers.len()]));
    living.map(|it| &servers[it % servers.len()])
}

/// Publishes one stream for ever.
async fn publish(shared: Arc<Shared>, stream: usize, name: watch::Sender<String>, brief: bool) {
    loop {
        let Some(origin) = alive(&shared, &shared.origins, stream) else {
            panic!("one origin dies at a time");
        };
        let session = shared.sessions.fetch_add(1, Ordering::Relaxed);
        if brief {
            name.send_replace(format!("live/brief-{stream}-{session}"));
        }
        let url = format!("rtmp://{origin}/{}", *name.borrow());
        let made = Made {
            session,
            fps: 10,
            gop: 10,
            picture_bytes: 1_500,
        };
        let target = Target::parse(&url).unwrap().unrecorded();
        let mut publisher = Publisher::start(&target, made.tags(), shared.began);
        shared.publishes.fetch_add(1, Ordering::Relaxed);
        match publisher.started().await {
            Ok(()) => {
                let ended = publisher.ended(span(SESSION, stream)).await;
                if let Some(end) = ended
                    && !shared.lives.excuses(origin)
                {
                    shared.fault(format!("publisher of {url}: {end:?}"));
                }
            }
            Err(error) if shared.lives.excuses(origin) => drop(error),
            Err(error) => shared.fault(format!("publisher of {url}: {error:#}")),
        }
        drop(publisher);
        sleep(AGAIN).await;
    }
}

/// Views one stream for ever, on its own edge unless that is dead.
async fn view(
    shared: Arc<Shared>,
    number: usize,
    names: watch::Receiver<String>,
    seen: Arc<AtomicU64>,
) {
    let mut turned_away: Option<Instant> = None;
    loop {
        let Some(edge) = alive(&shared, &shared.edges, number) else {
            panic!("one edge dies at a time");
        };
        let name = names.borrow().clone();
        let url = format!("http://{edge}/{name}.flv");
        let mut watch = Watch::default();
        let mut broken = None;
        let playing = viewer::play(&url, |tags| {
            if let Err(fault) = watch.take(&tags) {
                broken.get_or_insert(fault);
            }
            seen.store(
                seen.load(Ordering::Relaxed) + tags.len() as u64,
                Ordering::Relaxed,
            );
        });
        let end = timeout(span(STAY, number), playing).await;
        shared.connections.fetch_add(1, Ordering::Relaxed);
        shared.tags.fetch_add(watch.tags, Ordering::Relaxed);
        if let Some(broken) = broken {
            shared.fault(format!("viewer {number} of {url}: {broken}"));
        }
        match end {
            // Had enough.
            Err(_) => turned_away = None,
            // A name that is gone ends, or is not there.
            _ if *names.borrow() != name => turned_away = None,
            Ok(end) if watch.tags > 0 => {
                turned_away = None;
                if !shared.lives.excuses(edge) {
                    shared.fault(format!("viewer {number} of {url}: ended with {end:?}"));
                }
            }
            Ok(end) => {
                let since = *turned_away.get_or_insert_with(Instant::now);
                if since.elapsed() > TURNED_AWAY_MAX && !shared.lives.excuses(edge) {
                    shared.fault(format!("viewer {number} of {url}: turned away: {end:?}"));
                    turned_away = None;
                }
                sleep(AGAIN).await;
            }
        }
    }
}
