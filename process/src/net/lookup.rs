//! Names of several machines.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;

/// All addresses of `host_port`, each once. A machine with an address of either family is named by both, so IPv6 ones
/// count only where there is no IPv4 one.
///
/// # Errors
/// If the name is not known or nobody answers.
pub async fn lookup(host_port: &str) -> io::Result<BTreeSet<SocketAddr>> {
    let all: BTreeSet<SocketAddr> = tokio::net::lookup_host(host_port).await?.collect();
    let (ipv4, ipv6): (BTreeSet<_>, BTreeSet<_>) = all.into_iter().partition(SocketAddr::is_ipv4);
    Ok(if ipv4.is_empty() { ipv6 } else { ipv4 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_machine_counts_once() {
        let addresses = lookup("localhost:7100").await.unwrap();
        assert_eq!(addresses.len(), 1, "{addresses:?}");
        let one = addresses.first().unwrap();
        assert!(one.ip().is_loopback() && one.port() == 7100, "{one}");
    }
}
