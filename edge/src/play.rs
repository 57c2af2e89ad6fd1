//! How viewers play: what all protocols share, and each of them.

pub(crate) mod ask;
mod door;
pub(crate) mod http;
pub(crate) mod rtmp;

use std::sync::Arc;
use std::time::Duration;

use headwater_admission::Admission;
use headwater_delivery::FanoutSettings;
use headwater_media::VirtualHosts;
use headwater_process::drain::Drain;
use headwater_process::net::{Line, SocketOptions};

use crate::config::EdgeConfig;
use crate::metrics::EdgeMetrics;
use crate::pull::Pulls;
use crate::seats::Seats;

pub(crate) use http::Cors;

/// What all viewers' connections share.
pub(crate) struct House {
    pub(crate) config: EdgeConfig,
    pub(crate) hosts: VirtualHosts,
    pub(crate) cors: Cors,
    pub(crate) socket: SocketOptions,
    pub(crate) pulls: Pulls,
    pub(crate) fanout: Arc<FanoutSettings>,
    pub(crate) admission: Admission,
    pub(crate) metrics: Arc<EdgeMetrics>,
    pub(crate) drain: Drain,
    pub(crate) viewers: Seats,
}

impl House {
    fn take_place(&self) -> bool {
        self.viewers.take_below(self.config.limits.viewers)
    }

    fn give_place(&self) {
        self.viewers.leave();
    }

    /// Prepares the connection of a viewer for media.
    fn tune(&self, line: &Line) {
        // Windows are written whole, so there is nothing to gather in the kernel.
        if let Err(error) = line.tune(&self.socket) {
            tracing::debug!(%error, "the connection keeps the machine's settings");
        }
    }
}

/// Reads what has come, at most a few KiB: 0 bytes mean the peer's end of stream.
fn read_some(line: &mut Line, buffer: &mut Vec<u8>) -> std::io::Result<usize> {
    // On the stack, so that a connection that waits costs no memory for it.
    let mut piece = [0_u8; 4096];
    let read = line.try_read(&mut piece)?;
    buffer.extend_from_slice(piece.get(..read).unwrap_or_default());
    Ok(read)
}

/// Sends all of `bytes` within `limit`.
async fn send(line: &mut Line, bytes: &[u8], limit: Duration) -> std::io::Result<()> {
    use tokio::io::AsyncWriteExt as _;
    let sent = async {
        line.write_all(bytes).await?;
        line.flush().await
    };
    tokio::time::timeout(limit, sent)
        .await
        .map_err(|_| std::io::ErrorKind::TimedOut)?
}
