//! One machine with one process on it, which runs on a clock of its own that the world moves.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use headwater_process::simulation::{self, Host, Port};
use parking_lot::Mutex;
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

use crate::network::{self, Network};
use crate::seed::Seed;
use crate::timeline;

/// The wall clock at the beginning of the world: 2026-01-01.
const WALL_MS: u64 = 1_767_225_600_000;

/// What a process sees of its machine.
#[derive(Debug)]
pub(crate) struct Machine {
    network: Network,
    ip: IpAddr,
    started: Instant,
    started_us: u64,
    /// Virtual time while the process does not run.
    outside_us: AtomicU64,
    running: AtomicU64,
    skew_ms: i64,
    seed: Mutex<Seed>,
    weak: std::sync::Weak<Machine>,
}

impl Machine {
    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    /// Virtual time in microseconds since the beginning of the world.
    pub(crate) fn now_us(&self) -> u64 {
        if self.running.load(Ordering::Relaxed) == 0 {
            return self.outside_us.load(Ordering::Relaxed);
        }
        self.started_us + micros(self.started.elapsed())
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl Host for Machine {
    fn address(&self) -> IpAddr {
        self.ip
    }

    fn listen(&self, at: SocketAddr) -> io::Result<Arc<dyn Port>> {
        let machine = self.weak.upgrade().ok_or(io::ErrorKind::NotConnected)?;
        Ok(Arc::new(network::OpenPort::new(machine, at)?))
    }

    fn connect(&self, to: SocketAddr) -> simulation::Connecting {
        match self.weak.upgrade() {
            Some(machine) => Box::pin(network::Connecting::new(machine, to)),
            None => Box::pin(async { Err(io::ErrorKind::NotConnected.into()) }),
        }
    }

    fn started(&self) -> Instant {
        self.started
    }

    fn unix_ms(&self) -> u64 {
        (WALL_MS + self.now_us() / 1000).saturating_add_signed(self.skew_ms)
    }

    fn random(&self) -> u64 {
        self.seed.lock().next()
    }
}

/// A process, from its start to its death.
#[derive(Debug)]
pub(crate) struct Process {
    machine: Arc<Machine>,
    name: String,
    runtime: Option<Runtime>,
    at_us: u64,
}

impl Process {
    /// A process on the machine at `ip`, started at `now_us`.
    pub(crate) fn new(
        network: &Network,
        name: &str,
        ip: IpAddr,
        now_us: u64,
        skew_ms: i64,
        seed: Seed,
    ) -> Process {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let started = runtime.block_on(async { Instant::now() });
        let machine = Arc::new_cyclic(|weak| Machine {
            network: network.clone(),
            ip,
            started,
            started_us: now_us,
            outside_us: AtomicU64::new(now_us),
            running: AtomicU64::new(0),
            skew_ms,
            seed: Mutex::new(seed),
            weak: weak.clone(),
        });
        Process {
            machine,
            name: name.to_owned(),
            runtime: Some(runtime),
            at_us: now_us,
        }
    }

    /// Runs `work` in the process; it must not wait for time or the network.
    pub(crate) fn run<T>(&self, work: impl Future<Output = T>) -> T {
        let _entered = simulation::enter(Arc::clone(&self.machine) as Arc<dyn Host>);
        timeline::running(&self.name, self.at_us);
        self.machine.running.store(1, Ordering::Relaxed);
        let output = self.runtime.as_ref().unwrap().block_on(work);
        self.machine.running.store(0, Ordering::Relaxed);
        output
    }

    /// Starts `work` in the process.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.run(async {
            tokio::spawn(work);
        });
    }

    /// Lets it live until `until_us`. Where it has been stopped for long, it wakes late, as a real one does.
    pub(crate) fn step(&mut self, until_us: u64, stride_us: u64) {
        let ahead_us = until_us.saturating_sub(self.at_us);
        let late_us = ahead_us.saturating_sub(stride_us);
        self.at_us = until_us;
        let until =
            self.machine.started + Duration::from_micros(until_us - self.machine.started_us);
        self.run(async move {
            if late_us > 0 {
                tokio::time::advance(Duration::from_micros(late_us)).await;
            }
            tokio::time::sleep_until(until).await;
        });
        self.machine.outside_us.store(until_us, Ordering::Relaxed);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _entered = simulation::enter(Arc::clone(&self.machine) as Arc<dyn Host>);
        drop(self.runtime.take());
    }
}
