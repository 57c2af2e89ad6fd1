//! How many connections a port holds, in all and of one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;

use super::PortMetrics;

/// How many connections a port holds at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// In all.
    pub total: usize,
    /// Of one IPv4 address, or of one IPv6 /64 (what one household or machine has).
    pub per_address: usize,
}

/// Why a connection was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The port holds as many as it may.
    Total,
    /// The address holds as many as it may.
    Address,
    /// The process or the machine is out of files or memory.
    Exhausted,
    /// A load balancer sent no PROXY header, or a wrong one.
    ProxyMalformed,
    /// A load balancer's PROXY header is longer than any.
    ProxyTooLong,
    /// A load balancer's PROXY header did not come in time.
    ProxySlow,
    /// The TLS handshake failed.
    TlsHandshake,
    /// The TLS handshake did not come to its end in time.
    TlsSlow,
}

impl Refusal {
    /// A label of a closed set for metrics.
    pub fn reason(self) -> &'static str {
        match self {
            Refusal::Total => "total",
            Refusal::Address => "address",
            Refusal::Exhausted => "exhausted",
            Refusal::ProxyMalformed => "proxy_malformed",
            Refusal::ProxyTooLong => "proxy_too_long",
            Refusal::ProxySlow => "proxy_slow",
            Refusal::TlsHandshake => "tls_handshake",
            Refusal::TlsSlow => "tls_slow",
        }
    }
}

/// The connections of a port, counted. At most `total` addresses are kept: those that hold a permit.
#[derive(Clone, Debug)]
pub(super) struct Table {
    limits: Limits,
    counts: Arc<Mutex<Counts>>,
    metrics: PortMetrics,
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    addresses: HashMap<IpAddr, usize>,
}

impl Table {
    pub(super) fn new(limits: Limits, metrics: PortMetrics) -> Self {
        Table {
            limits,
            counts: Arc::default(),
            metrics,
        }
    }

    pub(super) fn connections(&self) -> usize {
        self.counts.lock().total
    }

    pub(super) fn admit(&self, peer: IpAddr) -> Result<Permit, Refusal> {
        // The address is looked at first: who is over the limit of its own does not count as a connection.
        let mut counts = self.counts.lock();
        self.room(&counts)?;
        let subscriber = subscriber(peer);
        counts.enter(subscriber, &self.limits)?;
        Ok(self.permit(&mut counts, Some(subscriber)))
    }

    /// A place of somebody whose address is not known yet.
    pub(super) fn hold(&self) -> Result<Permit, Refusal> {
        let mut counts = self.counts.lock();
        self.room(&counts)?;
        Ok(self.permit(&mut counts, None))
    }

    fn room(&self, counts: &Counts) -> Result<(), Refusal> {
        if counts.total < self.limits.total {
            Ok(())
        } else {
            Err(Refusal::Total)
        }
    }

    fn permit(&self, counts: &mut Counts, subscriber: Option<IpAddr>) -> Permit {
        counts.total += 1;
        self.metrics.opened();
        Permit {
            subscriber,
            table: self.clone(),
        }
    }
}

impl Counts {
    fn enter(&mut self, subscriber: IpAddr, limits: &Limits) -> Result<(), Refusal> {
        let held = self.addresses.get(&subscriber).copied().unwrap_or(0);
        if held >= limits.per_address {
            return Err(Refusal::Address);
        }
        self.addresses.insert(subscriber, held + 1);
        Ok(())
    }
}

/// A connection's place among the limits, free again when dropped.
#[derive(Debug)]
pub struct Permit {
    /// Whose it is, once that is known.
    subscriber: Option<IpAddr>,
    table: Table,
}

impl Permit {
    /// Counts it as `peer`'s.
    pub(super) fn settle(&mut self, peer: IpAddr) -> Result<(), Refusal> {
        let subscriber = subscriber(peer);
        let mut counts = self.table.counts.lock();
        counts.enter(subscriber, &self.table.limits)?;
        self.subscriber = Some(subscriber);
        Ok(())
    }
}

impl Permit {
    /// Counts why its connection, let in, went no further.
    pub(crate) fn refused(&self, refusal: Refusal) {
        self.table.metrics.refused(refusal);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.table.counts.lock();
        counts.total = counts.total.saturating_sub(1);
        if let Some(subscriber) = self.subscriber
            && let Some(held) = counts.addresses.get_mut(&subscriber)
        {
            *held = held.saturating_sub(1);
            if *held == 0 {
                counts.addresses.remove(&subscriber);
            }
        }
        self.table.metrics.closed();
    }
}

/// The address that one subscriber has: an IPv4 address, or the /64 of an IPv6 address.
fn subscriber(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(ip) => IpAddr::V4(ip),
            None => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::AcceptMetrics;
    use super::*;
    use crate::metrics::Registry;

    fn table(total: usize, per_address: usize) -> Table {
        let metrics = AcceptMetrics::register(&Registry::new().unwrap()).unwrap();
        Table::new(Limits { total, per_address }, metrics.port("test"))
    }

    #[test]
    fn one_subscriber_is_an_ipv4_address_or_an_ipv6_64() {
        for (one, other, same) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true),
            ("2001:db8:1:2::1", "2001:db8:1:3::1", false),
        ] {
            let (one, other) = (one.parse().unwrap(), other.parse().unwrap());
            assert_eq!(subscriber(one) == subscriber(other), same, "{one} {other}");
        }
    }

    #[test]
    fn places_are_counted_in_all_and_by_address_and_freed() {
        let table = table(3, 2);
        let [a, b]: [IpAddr; 2] = ["192.0.2.1", "192.0.2.2"].map(|ip| ip.parse().unwrap());
        let first = table.admit(a).unwrap();
        let _second = table.admit(a).unwrap();
        assert_eq!(table.admit(a).unwrap_err(), Refusal::Address);
        let _third = table.admit(b).unwrap();
        assert_eq!(table.admit(b).unwrap_err(), Refusal::Total);
        drop(first);
        assert_eq!(table.connections(), 2);
        table.admit(b).unwrap();
    }

    #[test]
    fn addresses_without_a_connection_are_forgotten() {
        let table = table(10, 1);
        for last in 0..=255 {
            table.admit(IpAddr::from([192, 0, 2, last])).unwrap();
        }
        assert!(table.counts.lock().addresses.is_empty());
        assert_eq!(table.connections(), 0);
    }
}
