//! Which virtual host the host of an address stands for.

use std::collections::BTreeMap;

use super::{NameError, NamePart, check_part};

/// The vhost where nothing names another.
pub(super) const DEFAULT_VHOST: &str = "default";

/// Configured hosts and the vhost of each; every other host stands for `default`.
///
/// Publishers often push to an address and viewers play by a DNS name, so a host means nothing by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VirtualHosts {
    by_host: BTreeMap<String, String>,
}

impl VirtualHosts {
    /// Takes pairs of host (`live.example.com`, `192.0.2.7`, `[2001:db8::7]`; a port is ignored) and vhost.
    ///
    /// # Errors
    /// If a vhost could not be part of a stream's name.
    pub fn new(
        hosts: impl IntoIterator<Item = (String, String)>,
    ) -> Result<VirtualHosts, NameError> {
        let mut by_host = BTreeMap::new();
        for (host, vhost) in hosts {
            check_part(NamePart::Vhost, &vhost)?;
            by_host.insert(normal_host(&host), vhost);
        }
        Ok(VirtualHosts { by_host })
    }

    /// The vhost that `host` stands for, `default` if it is not configured; case and port are ignored.
    pub fn vhost(&self, host: &str) -> &str {
        if self.by_host.is_empty() {
            return DEFAULT_VHOST;
        }
        self.by_host
            .get(&normal_host(host))
            .map_or(DEFAULT_VHOST, String::as_str)
    }
}

/// Lower case, without port, brackets and the root's dot.
fn normal_host(host: &str) -> String {
    let name = if let Some((v6, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        v6
    } else {
        match host.split_once(':') {
            // More than one colon: an IPv6 address without brackets, and so without a port.
            Some((name, port)) if !port.contains(':') => name,
            _ => host,
        }
    };
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_compared_without_case_and_port() {
        let pairs = [
            ("Live.Example.com", "tv"),
            ("192.0.2.7:1935", "radio"),
            ("[2001:DB8::7]", "six"),
        ];
        let hosts =
            VirtualHosts::new(pairs.map(|(host, vhost)| (host.to_owned(), vhost.to_owned())))
                .unwrap();
        for (host, vhost) in [
            ("live.example.com", "tv"),
            ("LIVE.example.COM:1935", "tv"),
            ("live.example.com.", "tv"),
            ("192.0.2.7", "radio"),
            ("192.0.2.7:8080", "radio"),
            ("[2001:db8::7]:8080", "six"),
            ("2001:db8::7", "six"),
            ("example.com", "default"),
            ("", "default"),
            ("[", "default"),
            (":", "default"),
        ] {
            assert_eq!(hosts.vhost(host), vhost, "{host}");
        }
        assert_eq!(VirtualHosts::default().vhost("live.example.com"), "default");
    }

    #[test]
    fn a_vhost_must_be_a_legal_part() {
        let of = |vhost: &str| VirtualHosts::new([("host".to_owned(), vhost.to_owned())]);
        for vhost in ["", "a/b", "..", "a\n"] {
            assert!(of(vhost).is_err(), "{vhost:?}");
        }
    }
}
