//! What the ports of a role count.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::Refusal;
use crate::metrics::{MetricsError, Registry};

/// The counts of all ports of a role: registered once.
#[derive(Clone, Debug)]
pub struct AcceptMetrics {
    connections: IntGaugeVec,
    accepted: IntCounterVec,
    refused: IntCounterVec,
}

impl AcceptMetrics {
    /// Registers the counts with a role's registry.
    ///
    /// # Errors
    /// If that has been done before.
    pub fn register(registry: &Registry) -> Result<Self, MetricsError> {
        Ok(AcceptMetrics {
            connections: registry.gauges(
                "headwater_process_connections",
                "Connections that are open, by port.",
                &["port"],
            )?,
            accepted: registry.counters(
                "headwater_process_accepted_connections_total",
                "Connections let in, by port.",
                &["port"],
            )?,
            refused: registry.counters(
                "headwater_process_refused_connections_total",
                "Connections not let in, by port and reason.",
                &["port", "reason"],
            )?,
        })
    }

    /// The counts of one port, such as `rtmp`.
    pub fn port(&self, port: &'static str) -> PortMetrics {
        let refused = |refusal: Refusal| self.refused.with_label_values(&[port, refusal.reason()]);
        PortMetrics {
            connections: self.connections.with_label_values(&[port]),
            accepted: self.accepted.with_label_values(&[port]),
            total: refused(Refusal::Total),
            address: refused(Refusal::Address),
            exhausted: refused(Refusal::Exhausted),
            proxy_malformed: refused(Refusal::ProxyMalformed),
            proxy_too_long: refused(Refusal::ProxyTooLong),
            proxy_slow: refused(Refusal::ProxySlow),
            tls_handshake: refused(Refusal::TlsHandshake),
            tls_slow: refused(Refusal::TlsSlow),
        }
    }
}

/// The counts of one port, looked up once.
#[derive(Clone, Debug)]
pub struct PortMetrics {
    connections: IntGauge,
    accepted: IntCounter,
    total: IntCounter,
    address: IntCounter,
    exhausted: IntCounter,
    proxy_malformed: IntCounter,
    proxy_too_long: IntCounter,
    proxy_slow: IntCounter,
    tls_handshake: IntCounter,
    tls_slow: IntCounter,
}

impl PortMetrics {
    pub(super) fn opened(&self) {
        self.accepted.inc();
        self.connections.inc();
    }

    pub(super) fn closed(&self) {
        self.connections.dec();
    }

    pub(super) fn refused(&self, refusal: Refusal) {
        match refusal {
            Refusal::Total => self.total.inc(),
            Refusal::Address => self.address.inc(),
            Refusal::Exhausted => self.exhausted.inc(),
            Refusal::ProxyMalformed => self.proxy_malformed.inc(),
            Refusal::ProxyTooLong => self.proxy_too_long.inc(),
            Refusal::ProxySlow => self.proxy_slow.inc(),
            Refusal::TlsHandshake => self.tls_handshake.inc(),
            Refusal::TlsSlow => self.tls_slow.inc(),
        }
    }
}
