//! What a process counts, in Prometheus' text format.
//!
//! Names are `headwater_<part>_<what>_<unit>[_total]`; label values come from enums, never from input.

mod nested;
mod process;

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, TextEncoder,
};
use thiserror::Error;

pub use prometheus;

/// Why a metric could not be made: a mistake in the program, found at start.
#[derive(Debug, Error)]
#[error("metric `{name}`: {cause}")]
pub struct MetricsError {
    name: String,
    cause: prometheus::Error,
}

impl MetricsError {
    /// The error of `metric` says its `name`.
    pub(crate) fn of<M>(name: &str, metric: Result<M, prometheus::Error>) -> Result<M, Self> {
        metric.map_err(|cause| MetricsError {
            name: name.to_owned(),
            cause,
        })
    }
}

/// The metrics of a process: its own, and a part for each role in it that carries the label `role`.
///
/// So the same library can count in two roles of one process without one name being taken twice.
#[derive(Clone, Debug)]
pub struct Registry {
    here: prometheus::Registry,
    all: Arc<Mutex<Vec<prometheus::Registry>>>,
}

impl Registry {
    /// A registry with what every process reports: memory, files, CPU time, start and build.
    ///
    /// # Errors
    /// Never in practice: the process metrics have fixed and distinct names.
    pub fn new() -> Result<Self, MetricsError> {
        let here = prometheus::Registry::new();
        let registry = Registry {
            all: Arc::new(Mutex::new(vec![here.clone()])),
            here,
        };
        registry.register("process", process::ProcessMetrics::new()?)?;
        Ok(registry)
    }

    /// A part whose metrics carry `role="…"`; [`encode`](Self::encode) of either shows both.
    ///
    /// # Errors
    /// If `role` is not a label value that Prometheus takes.
    pub fn for_role(&self, role: &'static str) -> Result<Self, MetricsError> {
        let labels = HashMap::from([("role".to_owned(), role.to_owned())]);
        let here =
            prometheus::Registry::new_custom(None, Some(labels)).map_err(|cause| MetricsError {
                name: role.to_owned(),
                cause,
            })?;
        self.all.lock().push(here.clone());
        Ok(Registry {
            here,
            all: self.all.clone(),
        })
    }

    /// A count without labels.
    ///
    /// # Errors
    /// If the name is malformed or taken.
    pub fn counter(&self, name: &str, help: &str) -> Result<IntCounter, MetricsError> {
        self.made(name, IntCounter::new(name, help))
    }

    /// A count for each combination of values of `labels`.
    ///
    /// # Errors
    /// If a name is malformed or taken.
    pub fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntCounterVec, MetricsError> {
        self.made(name, IntCounterVec::new(Opts::new(name, help), labels))
    }

    /// A level without labels.
    ///
    /// # Errors
    /// If the name is malformed or taken.
    pub fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, MetricsError> {
        self.made(name, IntGauge::new(name, help))
    }

    /// A level for each combination of values of `labels`.
    ///
    /// # Errors
    /// If a name is malformed or taken.
    pub fn gauges(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntGaugeVec, MetricsError> {
        self.made(name, IntGaugeVec::new(Opts::new(name, help), labels))
    }

    /// A distribution, with the upper bounds of its `buckets` in ascending order.
    ///
    /// # Errors
    /// If the name is malformed or taken, or the buckets do not ascend.
    pub fn histogram(
        &self,
        name: &str,
        help: &str,
        buckets: &[f64],
    ) -> Result<Histogram, MetricsError> {
        let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.made(name, Histogram::with_opts(opts))
    }

    /// A distribution for each combination of values of `labels`.
    ///
    /// # Errors
    /// If a name is malformed or taken, or the buckets do not ascend.
    pub fn histograms(
        &self,
        name: &str,
        help: &str,
        buckets: &[f64],
        labels: &[&str],
    ) -> Result<HistogramVec, MetricsError> {
        let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.made(name, HistogramVec::new(opts, labels))
    }

    /// Adds a collector of the caller's own; `name` is for the error only.
    ///
    /// # Errors
    /// If one of its names is taken.
    pub fn register(
        &self,
        name: &str,
        collector: impl Collector + 'static,
    ) -> Result<(), MetricsError> {
        self.here
            .register(Box::new(collector))
            .map_err(|cause| MetricsError {
                name: name.to_owned(),
                cause,
            })
    }

    /// Adds all that is in `nested`, the registry of parts that know no other; `name` is for the error only.
    ///
    /// # Errors
    /// Never in practice: names that are taken are found when they are shown.
    pub fn nest(&self, name: &str, nested: prometheus::Registry) -> Result<(), MetricsError> {
        self.register(name, nested::Nested(nested))
    }

    /// Every metric of the process in the text exposition format 0.0.4, families in the order of their names.
    pub fn encode(&self) -> Vec<u8> {
        let mut families: BTreeMap<String, MetricFamily> = BTreeMap::new();
        // Collectors are asked outside the lock, as they may be slow.
        let parts = self.all.lock().clone();
        for family in parts.iter().flat_map(prometheus::Registry::gather) {
            match families.get_mut(family.name()) {
                Some(same) if same.get_field_type() == family.get_field_type() => {
                    let mut metrics = same.take_metric();
                    metrics.extend(family.get_metric().iter().cloned());
                    same.set_metric(metrics);
                }
                Some(_) => {
                    tracing::error!(name = family.name(), "two roles give one metric two types");
                }
                None => {
                    families.insert(family.name().to_owned(), family);
                }
            }
        }
        let mut text = Vec::new();
        let families: Vec<MetricFamily> = families.into_values().collect();
        if let Err(error) = TextEncoder::new().encode(&families, &mut text) {
            tracing::error!(%error, "metrics cannot be shown");
        }
        text
    }

    fn made<C: Collector + Clone + 'static>(
        &self,
        name: &str,
        metric: Result<C, prometheus::Error>,
    ) -> Result<C, MetricsError> {
        let metric = MetricsError::of(name, metric)?;
        self.register(name, metric.clone())?;
        Ok(metric)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(registry: &Registry) -> String {
        String::from_utf8(registry.encode()).unwrap()
    }

    #[test]
    fn a_process_reports_its_memory_files_cpu_and_build() {
        let text = text(&Registry::new().unwrap());
        for name in [
            "process_resident_memory_bytes ",
            "process_open_fds ",
            "process_max_fds ",
            "process_cpu_seconds_total ",
            "process_start_time_seconds ",
            "headwater_process_build_info{",
        ] {
            let line = text.lines().find(|line| line.starts_with(name));
            let value: f64 = line
                .and_then(|line| line.rsplit_once(' '))
                .unwrap_or_else(|| panic!("{name} is missing in {text}"))
                .1
                .parse()
                .unwrap();
            assert!(value > 0.0 || name.contains("cpu"), "{name}{value}");
        }
    }

    #[test]
    fn two_roles_count_under_one_name() {
        let registry = Registry::new().unwrap();
        for (role, count) in [("origin", 3), ("edge", 4)] {
            let part = registry.for_role(role).unwrap();
            part.counters("headwater_hub_tags_total", "Tags.", &["kind"])
                .unwrap()
                .with_label_values(&["video"])
                .inc_by(count);
        }
        let text = text(&registry);
        assert!(text.contains("headwater_hub_tags_total{kind=\"video\",role=\"origin\"} 3"));
        assert!(text.contains("headwater_hub_tags_total{kind=\"video\",role=\"edge\"} 4"));
        assert_eq!(text.matches("# TYPE headwater_hub_tags_total").count(), 1);
    }

    #[test]
    fn a_name_that_is_taken_or_malformed_is_an_error_with_the_name() {
        let registry = Registry::new().unwrap();
        registry.gauge("headwater_a", "A.").unwrap();
        let taken = registry.gauge("headwater_a", "A.").unwrap_err();
        assert!(taken.to_string().contains("headwater_a"), "{taken}");
        assert!(registry.counter("not a name", "B.").is_err());
        assert!(
            registry
                .histogram("headwater_c", "C.", &[2.0, 1.0])
                .is_err()
        );
    }
}
