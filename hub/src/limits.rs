//! The bounds of a ring.

/// The bounds of one stream's ring; the process-wide budget may lower `bytes_max` further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingLimits {
    /// Bytes held at most: payloads, and the lists that headers leave. No more tags are held than if each had 1 KiB, so that
    /// tiny ones do not take many times this memory.
    pub bytes_max: usize,
    /// Media time that is kept whatever the GOPs are, in milliseconds: late viewers and resuming pulls read it.
    pub keep_ms: i64,
    /// A GOP longer than this, in milliseconds, does not serve joiners, nor is more than this kept.
    pub gop_max_ms: i64,
    /// A GOP of more bytes than this does not serve joiners.
    pub gop_max_bytes: usize,
}

impl Default for RingLimits {
    fn default() -> RingLimits {
        RingLimits {
            bytes_max: 16 << 20,
            keep_ms: 5_000,
            gop_max_ms: 10_000,
            gop_max_bytes: 8 << 20,
        }
    }
}

/// What holds for one stream in place of what holds for all; `None` changes nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamRules {
    /// [`RingLimits::gop_max_ms`].
    pub gop_max_ms: Option<i64>,
    /// [`RingLimits::gop_max_bytes`].
    pub gop_max_bytes: Option<usize>,
    /// How far behind a live viewer may be, in milliseconds of media.
    pub live_max_ms: Option<i64>,
}
