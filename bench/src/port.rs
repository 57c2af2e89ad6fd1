//! Ports for processes that are started, killed and started again at the same address.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::{Mutex, PoisonError};

use crate::BenchError;

/// Below what Linux gives to outgoing connections, so that none of them takes a port while its process is down.
const FIRST: u16 = 12_000;
const COUNT: u16 = 18_000;
const TRIES: u32 = 1_000;

/// What holds the ports that this process was given: names that exist once on a machine and end with the process.
static HELD: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());

/// A loopback port that nobody listens on, and that no other process is given here while this one lives: it may be taken
/// up late, or left and taken up again.
///
/// # Errors
/// If a thousand tries find none.
pub fn free() -> Result<u16, BenchError> {
    let random = RandomState::new();
    for attempt in 0..TRIES {
        let mut hasher = random.build_hasher();
        hasher.write_u32(attempt);
        let offset = u16::try_from(hasher.finish() % u64::from(COUNT)).unwrap_or(0);
        let port = FIRST.saturating_add(offset);
        if let Some(holder) = hold(port)
            && TcpListener::bind(("127.0.0.1", port)).is_ok()
        {
            HELD.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(holder);
            return Ok(port);
        }
    }
    Err(BenchError::part(format!(
        "{TRIES} tries found no free port between {FIRST} and {}",
        FIRST.saturating_add(COUNT)
    )))
}

/// None if somebody has it.
fn hold(port: u16) -> Option<UnixListener> {
    let name = SocketAddr::from_abstract_name(format!("headwater-port-{port}")).ok()?;
    UnixListener::bind_addr(&name).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    #[test]
    fn no_port_is_given_twice() {
        let ports: HashSet<u16> = (0..600).map(|_| super::free().unwrap()).collect();
        assert_eq!(ports.len(), 600);
    }
}
