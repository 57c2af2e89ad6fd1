//! Threads that do nothing but write to viewers, so that one stream's viewers are served by several cores.
//!
//! Each has a runtime of its own: what it does in a tick shares no lock with another, and it sleeps in `epoll_wait`. Where
//! there is one core, fan-outs are tasks of the runtime that everything else runs on.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

use prometheus::IntCounter;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::metrics::DeliveryMetrics;

/// The threads of a role. They start with the first stream that has viewers.
#[derive(Debug)]
pub struct WriterThreads {
    count: usize,
    metrics: Arc<DeliveryMetrics>,
    started: OnceLock<Vec<Arc<WriterThread>>>,
}

#[derive(Debug)]
struct WriterThread {
    runtime: Handle,
    /// The thread ends when this is gone.
    _stop: oneshot::Sender<()>,
    viewers: AtomicUsize,
    sent_bytes: IntCounter,
}

/// Where a fan-out's task runs, and how many viewers it has.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    seated: Arc<AtomicUsize>,
    thread: Option<Arc<WriterThread>>,
}

impl WriterThreads {
    /// `count` threads, whose work is counted in `metrics`; 0: as many as there are cores for this process. One would
    /// leave nothing to share out: then there is none.
    pub fn new(count: usize, metrics: Arc<DeliveryMetrics>) -> WriterThreads {
        let cores = || thread::available_parallelism().map_or(1, usize::from);
        WriterThreads {
            count: if count > 0 { count } else { cores() },
            metrics,
            started: OnceLock::new(),
        }
    }

    fn started(&self) -> &[Arc<WriterThread>] {
        self.started.get_or_init(|| {
            if self.count < 2 {
                return Vec::new();
            }
            let threads = (0..self.count).map(|number| {
                let sent_bytes = self.metrics.sent_by_thread(number);
                WriterThread::start(number, sent_bytes)
            });
            let started: Result<Vec<_>, _> = threads.collect();
            started.unwrap_or_else(|error| {
                tracing::warn!(%error, "no writer threads: all viewers are written to beside everything else");
                Vec::new()
            })
        })
    }

    /// The place for a task beside `others`: on the thread with the fewest viewers that has none of them.
    pub(crate) fn place(&self, others: &[&Place]) -> Place {
        let free = self.started().iter().filter(|thread| {
            let here = |other: &&Place| {
                other
                    .thread
                    .as_ref()
                    .is_some_and(|t| Arc::ptr_eq(t, thread))
            };
            !others.iter().any(here)
        });
        Place {
            seated: Arc::default(),
            thread: free
                .min_by_key(|thread| thread.viewers.load(Ordering::Relaxed))
                .cloned(),
        }
    }
}

impl WriterThread {
    fn start(number: usize, sent_bytes: IntCounter) -> std::io::Result<Arc<WriterThread>> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        thread::Builder::new()
            .name(format!("writer-{number}"))
            .spawn(move || {
                // It only says that the other side is gone.
                let _ = runtime.block_on(stopped);
            })?;
        Ok(Arc::new(WriterThread {
            runtime: handle,
            _stop: stop,
            viewers: AtomicUsize::new(0),
            sent_bytes,
        }))
    }
}

impl Place {
    /// Runs `task` there.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        match &self.thread {
            Some(thread) => drop(thread.runtime.spawn(task)),
            None => drop(tokio::spawn(task)),
        }
    }

    /// Whether it is on a writer thread.
    pub(crate) fn has_thread(&self) -> bool {
        self.thread.is_some()
    }

    /// How many viewers it has, those on their way to it included.
    pub(crate) fn seated(&self) -> usize {
        self.seated.load(Ordering::Relaxed)
    }

    /// One more viewer.
    pub(crate) fn came(&self) {
        self.seated.fetch_add(1, Ordering::Relaxed);
        if let Some(thread) = &self.thread {
            thread.viewers.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// One viewer less.
    pub(crate) fn left(&self) {
        self.seated.fetch_sub(1, Ordering::Relaxed);
        if let Some(thread) = &self.thread {
            thread.viewers.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// So many bytes were written.
    pub(crate) fn sent(&self, bytes: u64) {
        if let Some(thread) = &self.thread {
            thread.sent_bytes.inc_by(bytes);
        }
    }
}
