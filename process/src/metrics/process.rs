//! What the kernel knows about this process, under the names that every dashboard expects.

use std::fs;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, IntGauge, IntGaugeVec, Opts};

use super::MetricsError;
use crate::clock;

// The kernel reports CPU time in USER_HZ, which is 100 on every architecture that Headwater is built for.
const TICKS_PER_SECOND: f64 = 100.0;

/// Memory, files, CPU time, start and build of this process, read from `/proc/self` when asked.
pub(super) struct ProcessMetrics {
    resident_bytes: IntGauge,
    open_fds: IntGauge,
    max_fds: IntGauge,
    threads: IntGauge,
    tasks: IntGauge,
    cpu_seconds: prometheus::Counter,
    start_seconds: Gauge,
    build: IntGaugeVec,
}

impl ProcessMetrics {
    pub(super) fn new() -> Result<Self, MetricsError> {
        Self::make().map_err(|cause| MetricsError {
            name: "process".to_owned(),
            cause,
        })
    }

    fn make() -> Result<Self, prometheus::Error> {
        let build = IntGaugeVec::new(
            Opts::new(
                "headwater_process_build_info",
                "Always 1; the labels say what runs.",
            ),
            &["version"],
        )?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let start_seconds = Gauge::new(
            "process_start_time_seconds",
            "Start of the process since the Unix epoch, in seconds.",
        )?;
        #[expect(clippy::cast_precision_loss, reason = "seconds with fractions")]
        start_seconds.set(clock::unix_ms() as f64 / 1000.0);
        Ok(ProcessMetrics {
            resident_bytes: IntGauge::new(
                "process_resident_memory_bytes",
                "Memory of the process that is resident, in bytes.",
            )?,
            open_fds: IntGauge::new("process_open_fds", "Files and sockets that are open.")?,
            max_fds: IntGauge::new(
                "process_max_fds",
                "Files and sockets that may be open at once.",
            )?,
            threads: IntGauge::new("process_threads", "Threads of the process.")?,
            tasks: IntGauge::new(
                "headwater_process_tasks",
                "Tasks of the main runtime that have not ended: some for each connection and stream.",
            )?,
            cpu_seconds: prometheus::Counter::new(
                "process_cpu_seconds_total",
                "CPU time spent, user and system, in seconds.",
            )?,
            start_seconds,
            build,
        })
    }

    fn refresh(&self) {
        if let Ok(status) = fs::read_to_string("/proc/self/status") {
            let field = |name: &str| first_number(line_after(&status, name)?);
            if let Some(kibibytes) = field("VmRSS:") {
                self.resident_bytes.set(kibibytes.saturating_mul(1024));
            }
            if let Some(threads) = field("Threads:") {
                self.threads.set(threads);
            }
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let tasks = runtime.metrics().num_alive_tasks();
            self.tasks.set(i64::try_from(tasks).unwrap_or(i64::MAX));
        }
        if let Ok(entries) = fs::read_dir("/proc/self/fd") {
            // Without the one that reads the directory.
            let open = i64::try_from(entries.count()).unwrap_or(i64::MAX);
            self.open_fds.set(open.saturating_sub(1));
        }
        if let Some(max) = fs::read_to_string("/proc/self/limits")
            .ok()
            .and_then(|limits| first_number(line_after(&limits, "Max open files")?))
        {
            self.max_fds.set(max);
        }
        if let Some(spent) = fs::read_to_string("/proc/self/stat")
            .ok()
            .and_then(|stat| cpu_seconds(&stat))
        {
            self.cpu_seconds
                .inc_by((spent - self.cpu_seconds.get()).max(0.0));
        }
    }

    fn parts(&self) -> [&dyn Collector; 8] {
        [
            &self.resident_bytes,
            &self.open_fds,
            &self.max_fds,
            &self.threads,
            &self.tasks,
            &self.cpu_seconds,
            &self.start_seconds,
            &self.build,
        ]
    }
}

impl Collector for ProcessMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.parts().iter().flat_map(|part| part.desc()).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.refresh();
        self.parts()
            .iter()
            .flat_map(|part| part.collect())
            .collect()
    }
}

fn line_after<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name))
}

fn first_number(text: &str) -> Option<i64> {
    text.split_whitespace().next()?.parse().ok()
}

/// User and system time of `/proc/self/stat`: fields 14 and 15, counted after the command's name in brackets.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_any_command_name() {
        let stat = "7 (a) b) c) R 1 2 3 4 5 6 7 8 9 10 250 50 1 1";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(cpu_seconds("7 (x"), None);
        assert_eq!(cpu_seconds("7 (x) R 1"), None);
    }
}
