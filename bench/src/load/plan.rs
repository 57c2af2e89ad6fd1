//! What the load is told and what it tells.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::stats::Quantiles;

/// Where viewers go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The HTTP port.
    pub address: SocketAddr,
    /// It is one of HTTPS.
    pub tls: bool,
    /// The `Host` field.
    pub host: String,
    /// Path and query.
    pub path: String,
}

/// What a load process is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LoadPlan {
    /// The streams; viewers go to them in turn.
    pub targets: Vec<Target>,
    /// Viewers at once; with `stay_ms`, in all.
    pub viewers: usize,
    /// Of them, how many read every tag; the others only count bytes once they have a picture.
    pub witnesses: usize,
    /// Viewers that join a second; 0: as fast as they can.
    pub joins_per_second: u32,
    /// How long a viewer stays after its first picture; 0: to the end.
    pub stay_ms: u64,
    /// Of the viewers, how many read slowly.
    pub slow_viewers: usize,
    /// What a slow one reads, bits a second.
    pub slow_bits_per_second: u32,
    /// After the last one has joined, before the measurement begins.
    pub warm_ms: u64,
    /// How long is measured.
    pub measure_ms: u64,
    /// A viewer that gets nothing for longer has stalled.
    pub stall_ms: u64,
}

/// What a load process says, a line of JSON each.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum LoadState {
    /// All viewers are there, so many have a picture.
    Joined {
        /// Viewers that are connected.
        viewers: usize,
    },
    /// The measurement begins.
    Measuring,
    /// The measurement is over; viewers are still connected until the process's standard input ends.
    Measured(Box<LoadReport>),
    /// The load could not be made.
    Failed {
        /// Why.
        why: String,
    },
}

/// What viewers saw in the measured time.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LoadReport {
    /// Measured time.
    pub seconds: f64,
    /// Viewers that got a picture, ever.
    pub playing: usize,
    /// Viewers that were not let in, or could not connect.
    pub refused: usize,
    /// Viewers whose connection ended before they wanted.
    pub ended: usize,
    /// Viewers that got nothing for too long, once.
    pub stalled: usize,
    /// The longest time that any of them got nothing, ms.
    pub longest_gap_ms: f64,
    /// Bytes that all of them got.
    pub bytes: u64,
    /// Publisher's write to viewer's read, of the witnesses.
    pub latency: Quantiles,
    /// From connecting to the last byte of the first keyframe, of all that joined.
    pub first_picture: Quantiles,
    /// Tags that witnesses did not get.
    pub missing_tags: u64,
    /// Tags that witnesses got.
    pub tags: u64,
    /// Of those that read slowly.
    pub slow: SlowReport,
    /// The longest turn of the load's own loop, ms: if it is long, the load was the limit.
    pub longest_turn_ms: f64,
}

impl LoadReport {
    /// Megabytes (10⁶ bytes) a second.
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub fn megabytes_a_second(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.seconds.max(0.001)
    }
}

/// What viewers that read slowly saw.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SlowReport {
    /// How many.
    pub viewers: usize,
    /// Bytes that all of them got.
    pub bytes: u64,
    /// Publisher's write to viewer's read.
    pub latency: Quantiles,
    /// Audio tags that they got.
    pub audio_tags: u64,
    /// Video tags that they got.
    pub video_tags: u64,
    /// Tags that they did not get.
    pub missing_tags: u64,
    /// Those whose connection was ended.
    pub ended: usize,
}
