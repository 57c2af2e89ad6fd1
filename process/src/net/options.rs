//! What the kernel is told about one connection.

use std::io;
use std::time::Duration;

use socket2::SockRef;

/// Settings of one TCP connection; `None` leaves the kernel's default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketOptions {
    /// `SO_SNDBUF` in bytes. The kernel doubles it for its own book-keeping and stops tuning it by itself.
    pub send_buffer_bytes: Option<u32>,
    /// `TCP_NOTSENT_LOWAT`: the socket is writable while fewer bytes than this wait unsent in the kernel.
    pub notsent_lowat_bytes: Option<u32>,
    /// `TCP_USER_TIMEOUT`: how long sent data may stay unacknowledged before the connection ends.
    pub user_timeout: Option<Duration>,
    /// `TCP_CONGESTION`: the name of a congestion control that the kernel offers, such as `bbr` or `cubic`.
    pub congestion: Option<String>,
}

impl SocketOptions {
    /// Sets every option that is `Some`, in the order of the fields.
    pub(crate) fn apply(&self, socket: &SockRef<'_>) -> io::Result<()> {
        if let Some(bytes) = self.send_buffer_bytes {
            socket.set_send_buffer_size(usize::try_from(bytes).unwrap_or(usize::MAX))?;
        }
        if let Some(bytes) = self.notsent_lowat_bytes {
            socket.set_tcp_notsent_lowat(bytes)?;
        }
        if let Some(timeout) = self.user_timeout {
            socket.set_tcp_user_timeout(Some(timeout))?;
        }
        if let Some(name) = &self.congestion {
            socket.set_tcp_congestion(name.as_bytes())?;
        }
        Ok(())
    }
}
