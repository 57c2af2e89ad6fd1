//! The PROXY protocol, versions 1 and 2: a load balancer in front says first who its client is.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use ppp::v2::Command;
use ppp::{v1, v2};
use thiserror::Error;

use crate::net::{TcpStream, canonical};

/// A load balancer writes its header with the connection's first bytes; the network may hold these up for a moment.
const HEADER_TIME: Duration = Duration::from_secs(5);
/// The longest line of version 1, its end included (specification 2.1).
const V1_MAX_BYTES: usize = 107;
const V1_PREFIX: &[u8] = b"PROXY ";
/// The signature of version 2, then version, family and two bytes of length (specification 2.2).
const V2_FIXED_BYTES: usize = 16;
/// Addresses and the extensions that load balancers really send, certificates' names among them.
const V2_MAX_BYTES: usize = 4096;

/// The networks whose connections begin with a PROXY header: those of the load balancers, and no others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyNetworks(Vec<IpNet>);

/// A network that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{given}` is no network: write one as `10.0.0.0/8`, `fd00::/8` or a single address")]
pub struct NetworkError {
    given: String,
}

impl ProxyNetworks {
    /// Reads networks in CIDR notation, or single addresses.
    ///
    /// # Errors
    /// The first that is neither.
    pub fn parse(given: &[String]) -> Result<ProxyNetworks, NetworkError> {
        let one = |text: &String| {
            text.parse::<IpNet>()
                .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
                .map_err(|_| NetworkError {
                    given: text.clone(),
                })
        };
        Ok(ProxyNetworks(
            given.iter().map(one).collect::<Result<_, _>>()?,
        ))
    }

    /// Whether `peer` is one of them.
    pub fn contains(&self, peer: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&peer))
    }
}

/// Why a header gives no client.
#[derive(Debug, Error)]
pub(super) enum ProxyError {
    /// It went without a byte: a check of the load balancer's, whether the port is open.
    #[error("it closed before it sent anything")]
    Nothing,
    #[error("what it sent does not begin with a PROXY header: {0}")]
    Malformed(&'static str),
    #[error("its PROXY header has more than {0} bytes")]
    TooLong(usize),
    #[error("its PROXY header did not come within {} s", .0.as_secs())]
    Slow(Duration),
    #[error("it broke off: {0}")]
    Socket(#[from] io::Error),
}

/// Takes the header from the front of `stream`, and no byte more. `None` if the connection is the load balancer's own.
pub(super) async fn take(stream: &TcpStream) -> Result<Option<SocketAddr>, ProxyError> {
    tokio::time::timeout(HEADER_TIME, Box::pin(header(stream)))
        .await
        .unwrap_or(Err(ProxyError::Slow(HEADER_TIME)))
}

async fn header(stream: &TcpStream) -> Result<Option<SocketAddr>, ProxyError> {
    let mut held = Vec::new();
    let mut piece = [0; 512];
    loop {
        // Looked at first, since what follows the header is the client's.
        let seen = stream.peek(&mut piece).await?;
        if seen == 0 {
            return Err(if held.is_empty() {
                ProxyError::Nothing
            } else {
                ProxyError::Malformed("it ends too early")
            });
        }
        let before = held.len();
        held.extend_from_slice(piece.get(..seen).unwrap_or_default());
        let extent = Extent::of(&held)?;
        let taken = match extent {
            Extent::Open => seen,
            Extent::Whole(bytes) => bytes.saturating_sub(before),
        };
        // The kernel has them: they have just been seen.
        let read = stream.try_read(piece.get_mut(..taken).unwrap_or_default())?;
        held.truncate(before.saturating_add(read));
        if read == taken && matches!(extent, Extent::Whole(_)) {
            return client(&held);
        }
    }
}

/// The way in for fuzzing: the header at the front of `bytes`, as its length and the client that it names. `None` if more
/// is to come.
///
/// # Errors
/// What is wrong with it, in words.
#[cfg(feature = "fuzzing")]
pub fn proxy_header(bytes: &[u8]) -> Result<Option<(usize, Option<SocketAddr>)>, String> {
    let read = || match Extent::of(bytes)? {
        Extent::Open => Ok(None),
        Extent::Whole(length) => {
            let held = bytes.get(..length).unwrap_or_default();
            client(held).map(|client| Some((length, client)))
        }
    };
    read().map_err(|error: ProxyError| error.to_string())
}

/// How far a header goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// To the end of the bytes, and beyond.
    Open,
    /// So many bytes.
    Whole(usize),
}

impl Extent {
    fn of(bytes: &[u8]) -> Result<Extent, ProxyError> {
        if begins(bytes, v2::PROTOCOL_PREFIX) {
            let Some(&[high, low]) = bytes.get(V2_FIXED_BYTES - 2..V2_FIXED_BYTES) else {
                return Ok(Extent::Open);
            };
            let whole = V2_FIXED_BYTES + usize::from(u16::from_be_bytes([high, low]));
            return match whole {
                V2_MAX_BYTES.. => Err(ProxyError::TooLong(V2_MAX_BYTES)),
                _ if bytes.len() < whole => Ok(Extent::Open),
                _ => Ok(Extent::Whole(whole)),
            };
        }
        if begins(bytes, V1_PREFIX) {
            let line = bytes.get(..V1_MAX_BYTES).unwrap_or(bytes);
            return match line.iter().position(|byte| *byte == b'\n') {
                Some(end) => Ok(Extent::Whole(end + 1)),
                None if bytes.len() >= V1_MAX_BYTES => Err(ProxyError::TooLong(V1_MAX_BYTES)),
                None => Ok(Extent::Open),
            };
        }
        Err(ProxyError::Malformed("neither version's signature"))
    }
}

/// Whether `bytes`, or the few that are there yet, begin as `prefix` does.
fn begins(bytes: &[u8], prefix: &[u8]) -> bool {
    let both = bytes.len().min(prefix.len());
    bytes.get(..both) == prefix.get(..both)
}

/// The client that a whole header names.
fn client(header: &[u8]) -> Result<Option<SocketAddr>, ProxyError> {
    let address: Option<SocketAddr> = if header.starts_with(V1_PREFIX) {
        let line =
            v1::Header::try_from(header).map_err(|_| ProxyError::Malformed("a wrong line"))?;
        match line.addresses {
            v1::Addresses::Unknown => None,
            v1::Addresses::Tcp4(ip) => Some((ip.source_address, ip.source_port).into()),
            v1::Addresses::Tcp6(ip) => Some((ip.source_address, ip.source_port).into()),
        }
    } else {
        let binary =
            v2::Header::try_from(header).map_err(|_| ProxyError::Malformed("wrong fields"))?;
        match (binary.command, binary.addresses) {
            (Command::Local, _) => None,
            (Command::Proxy, v2::Addresses::IPv4(ip)) => {
                Some((ip.source_address, ip.source_port).into())
            }
            (Command::Proxy, v2::Addresses::IPv6(ip)) => {
                Some((ip.source_address, ip.source_port).into())
            }
            (Command::Proxy, v2::Addresses::Unspecified | v2::Addresses::Unix(_)) => None,
        }
    };
    Ok(address.map(canonical))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = v2::PROTOCOL_PREFIX.to_vec();
        bytes.extend([0x20 | command, family]);
        bytes.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        bytes.extend(body);
        bytes
    }

    const V4: &[u8] = &[192, 0, 2, 7, 198, 51, 100, 1, 0x30, 0x39, 7, 0x8F];

    #[test]
    fn headers_name_the_client_or_nobody() {
        let v6 = [
            [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9].as_slice(),
            &[0; 16],
            &[0x30, 0x39, 7, 0x8F],
        ]
        .concat();
        let with_extension = [V4, &[0x04, 0, 2, 0, 0]].concat();
        for (name, bytes, expected) in [
            (
                "v1, IPv4",
                b"PROXY TCP4 192.0.2.7 198.51.100.1 12345 1935\r\n".to_vec(),
                Some("192.0.2.7:12345"),
            ),
            (
                "v1, IPv6",
                b"PROXY TCP6 2001:db8::9 2001:db8::1 12345 1935\r\n".to_vec(),
                Some("[2001:db8::9]:12345"),
            ),
            ("v1, unknown", b"PROXY UNKNOWN\r\n".to_vec(), None),
            ("v2, IPv4", v2(1, 0x11, V4), Some("192.0.2.7:12345")),
            ("v2, IPv6", v2(1, 0x21, &v6), Some("[2001:db8::9]:12345")),
            (
                "v2, with an extension",
                v2(1, 0x11, &with_extension),
                Some("192.0.2.7:12345"),
            ),
            ("v2, a check of the proxy's own", v2(0, 0, &[]), None),
        ] {
            assert_eq!(
                Extent::of(&bytes).unwrap(),
                Extent::Whole(bytes.len()),
                "{name}"
            );
            for end in 1..bytes.len() {
                assert_eq!(
                    Extent::of(&bytes[..end]).unwrap(),
                    Extent::Open,
                    "{name} {end}"
                );
            }
            let expected = expected.map(|text| text.parse().unwrap());
            assert_eq!(client(&bytes).unwrap(), expected, "{name}");
        }
    }

    #[test]
    fn what_is_no_header_is_refused() {
        let oversized = v2(1, 0x11, &[0; V2_MAX_BYTES]);
        let endless = [b"PROXY ".as_slice(), &[b'a'; V1_MAX_BYTES]].concat();
        for (name, bytes, reason) in [
            ("HTTP", b"GET / HTTP/1.1\r\n".to_vec(), "signature"),
            ("RTMP", vec![3, 0, 0], "signature"),
            ("v2, oversized", oversized, "more than 4096 bytes"),
            ("v1, endless", endless, "more than 107 bytes"),
        ] {
            let error = Extent::of(&bytes).unwrap_err().to_string();
            assert!(error.contains(reason), "{name}: {error}");
        }
        for (name, bytes) in [
            ("no address", b"PROXY TCP4 here there 1 2\r\n".to_vec()),
            ("short addresses", v2(1, 0x11, &V4[..8])),
            ("unknown version", {
                let mut bytes = v2(1, 0x11, V4);
                bytes[12] = 0x31;
                bytes
            }),
        ] {
            assert!(client(&bytes).is_err(), "{name}");
        }
    }

    #[test]
    fn networks_are_ranges_or_single_addresses() {
        let networks = |given: &[&str]| {
            ProxyNetworks::parse(&given.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>())
        };
        let some = networks(&["10.0.0.0/8", "192.0.2.7", "fd00::/8"]).unwrap();
        for (peer, contained) in [
            ("10.1.2.3", true),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("fd12::1", true),
            ("::1", false),
        ] {
            assert_eq!(some.contains(peer.parse().unwrap()), contained, "{peer}");
        }
        let error = networks(&["10.0.0.0/33"]).unwrap_err().to_string();
        assert!(error.starts_with("`10.0.0.0/33` is no network"), "{error}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_header_or_an_error(
            front in prop::sample::select(vec![b"PROXY ".to_vec(), v2::PROTOCOL_PREFIX.to_vec(), vec![]]),
            rest in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let bytes = [front, rest].concat();
            if let Ok(Extent::Whole(end)) = Extent::of(&bytes) {
                drop(client(&bytes[..end]));
            }
        }
    }
}
