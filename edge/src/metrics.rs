//! What an edge counts.

use std::fmt;
use std::sync::Arc;

use headwater_delivery::DeliveryMetrics;
use headwater_hop::HopMetrics;
use headwater_hub::HubMetrics;
use headwater_process::metrics::{MetricsError, Registry};
use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

/// Seconds: a stream that is here starts within milliseconds, one that must be pulled within 100 ms.
const STARTUP_BUCKETS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

/// How a viewer plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    HttpFlv,
    HttpsFlv,
    /// Over HTTP/2, which is spoken in TLS only.
    Http2Flv,
    WsFlv,
    WssFlv,
    Rtmp,
}

impl Protocol {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Protocol::HttpFlv => "http_flv",
            Protocol::HttpsFlv => "https_flv",
            Protocol::Http2Flv => "http2_flv",
            Protocol::WsFlv => "ws_flv",
            Protocol::WssFlv => "wss_flv",
            Protocol::Rtmp => "rtmp",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The counts of an edge.
#[derive(Debug)]
pub(crate) struct EdgeMetrics {
    viewers: IntGaugeVec,
    startup: Histogram,
    refused: IntCounterVec,
    /// Streams that are pulled or looked for.
    pub(crate) pulls: IntGauge,
    /// Pulls asked of sources.
    pub(crate) paths: IntCounter,
    /// Streams that went on from another source.
    pub(crate) moves: IntCounter,
    path_endings: IntCounterVec,
}

impl EdgeMetrics {
    fn register(registry: &Registry) -> Result<EdgeMetrics, MetricsError> {
        Ok(EdgeMetrics {
            viewers: registry.gauges(
                "headwater_edge_viewers",
                "Viewers, by protocol.",
                &["protocol"],
            )?,
            startup: registry.histogram(
                "headwater_play_startup_seconds",
                "From a viewer's request to its first tag, counted when the viewer has left.",
                &STARTUP_BUCKETS,
            )?,
            refused: registry.counters(
                "headwater_edge_refused_total",
                "Requests that were not served, by protocol and reason.",
                &["protocol", "reason"],
            )?,
            pulls: registry.gauge(
                "headwater_edge_pulls",
                "Streams that are pulled or looked for.",
            )?,
            paths: registry.counter("headwater_edge_paths_total", "Pulls asked of sources.")?,
            moves: registry.counter(
                "headwater_edge_moves_total",
                "Times that a stream went on from another source than before.",
            )?,
            path_endings: registry.counters(
                "headwater_edge_paths_ended_total",
                "Pulls from sources that have ended, by reason.",
                &["reason"],
            )?,
        })
    }

    pub(crate) fn joined(&self, protocol: Protocol) {
        self.viewers.with_label_values(&[protocol.as_str()]).inc();
    }

    pub(crate) fn left(&self, protocol: Protocol) {
        self.viewers.with_label_values(&[protocol.as_str()]).dec();
    }

    pub(crate) fn started(&self, seconds: f64) {
        self.startup.observe(seconds);
    }

    pub(crate) fn refused(&self, protocol: Protocol, reason: &'static str) {
        self.refused
            .with_label_values(&[protocol.as_str(), reason])
            .inc();
    }

    pub(crate) fn path_ended(&self, reason: &'static str) {
        self.path_endings.with_label_values(&[reason]).inc();
    }
}

/// The counts of an edge and of the rooms that it is built on.
pub(crate) struct AllMetrics {
    pub(crate) edge: Arc<EdgeMetrics>,
    pub(crate) hub: Arc<HubMetrics>,
    pub(crate) hop: HopMetrics,
    pub(crate) delivery: Arc<DeliveryMetrics>,
}

/// Why the counts cannot be registered: a mistake in the program.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// Of the edge's own.
    #[error(transparent)]
    Own(#[from] MetricsError),
    /// Of the rooms below.
    #[error(transparent)]
    Rooms(#[from] prometheus::Error),
}

impl AllMetrics {
    pub(crate) fn register(registry: &Registry) -> Result<AllMetrics, RegisterError> {
        let rooms = prometheus::Registry::new();
        let all = AllMetrics {
            edge: Arc::new(EdgeMetrics::register(registry)?),
            hub: Arc::new(HubMetrics::register(&rooms)?),
            hop: HopMetrics::register(&rooms)?,
            delivery: Arc::new(DeliveryMetrics::register(&rooms)?),
        };
        registry.nest("headwater_hub", rooms)?;
        Ok(all)
    }
}
