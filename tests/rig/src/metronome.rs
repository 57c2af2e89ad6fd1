//! How long this machine kept somebody waiting who had nothing to wait for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::time::Instant;

/// What it sleeps each time.
const BEAT: Duration = Duration::from_millis(5);

/// A thread that sleeps, over and over, and notes how late it wakes: what the machine itself takes of any silence.
#[derive(Debug)]
pub struct Metronome {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    over: AtomicBool,
    latest_us: AtomicU64,
}

impl Shared {
    fn beat(&self) {
        let began = Instant::now();
        std::thread::sleep(BEAT);
        let late = began.elapsed().saturating_sub(BEAT);
        let late_us = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
        self.latest_us.fetch_max(late_us, Ordering::Relaxed);
    }
}

impl Metronome {
    /// Starts to listen.
    pub fn start() -> Metronome {
        let shared = Arc::new(Shared::default());
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                while !shared.over.load(Ordering::Relaxed) {
                    shared.beat();
                }
            }
        });
        Metronome {
            shared,
            thread: Some(thread),
        }
    }

    /// Forgets what was.
    pub fn restart(&self) {
        self.shared.latest_us.store(0, Ordering::Relaxed);
    }

    /// The longest that it was kept waiting beyond its time, since it was started or restarted.
    pub fn stalled(&self) -> Duration {
        Duration::from_micros(self.shared.latest_us.load(Ordering::Relaxed))
    }
}

impl Drop for Metronome {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It panics nowhere.
            drop(thread.join());
        }
    }
}
