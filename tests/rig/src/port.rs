//! Ports for the processes of tests.

use headwater_bench::port;

/// `127.0.0.1:PORT` with a port that nobody else is given while this process lives.
///
/// # Panics
/// If there is none.
pub fn address() -> String {
    match port::free() {
        Ok(port) => format!("127.0.0.1:{port}"),
        Err(error) => unreachable!("{error}"),
    }
}
