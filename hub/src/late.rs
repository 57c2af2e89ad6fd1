//! The late-viewer policy: how late is too late, and the count of what it costs.

/// The late-viewer policy's figures, in milliseconds of media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatePolicy {
    /// A live viewer this far behind skips (`max_cache`).
    pub live_max_ms: i64,
    /// An rtc viewer this far behind loses video. More than `rtc_start_ms`, or a joiner would lose what it starts with.
    pub rtc_max_ms: i64,
    /// An rtc viewer starts with the GOP only if its keyframe is at most this old.
    pub rtc_start_ms: i64,
    /// Without video a live viewer starts this far back, so that it hears something at once.
    pub audio_start_ms: i64,
}

impl Default for LatePolicy {
    fn default() -> LatePolicy {
        LatePolicy {
            live_max_ms: 3_000,
            rtc_max_ms: 400,
            rtc_start_ms: 300,
            audio_start_ms: 1_000,
        }
    }
}

/// Why a viewer did not get a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// Too late: went on at the newest keyframe.
    SkipToKeyframe,
    /// Too late, and no newer keyframe: video left out until the next one.
    DropToKeyframe,
    /// The ring no longer held what was next.
    Evicted,
    /// Video that nobody can decode: after a hole, or at a session's start before its first keyframe.
    WaitKeyframe,
}

impl DropReason {
    /// All reasons, in the order of [`Dropped`]'s counts.
    pub const ALL: [DropReason; 4] = [
        DropReason::SkipToKeyframe,
        DropReason::DropToKeyframe,
        DropReason::Evicted,
        DropReason::WaitKeyframe,
    ];

    /// The metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            DropReason::SkipToKeyframe => "skip_to_keyframe",
            DropReason::DropToKeyframe => "drop_to_keyframe",
            DropReason::Evicted => "evicted",
            DropReason::WaitKeyframe => "wait_keyframe",
        }
    }
}

/// Tags that one viewer did not get, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped([u32; 4]);

impl Dropped {
    pub(crate) fn add(&mut self, reason: DropReason, tags: u64) {
        if let Some(count) = self.0.get_mut(reason as usize) {
            *count = count.saturating_add(u32::try_from(tags).unwrap_or(u32::MAX));
        }
    }

    pub(crate) fn add_difference(&mut self, before: &Dropped, after: &Dropped) {
        for reason in DropReason::ALL {
            self.add(
                reason,
                u64::from(after.get(reason).saturating_sub(before.get(reason))),
            );
        }
    }

    /// The count for `reason`.
    pub fn get(&self, reason: DropReason) -> u32 {
        self.0.get(reason as usize).copied().unwrap_or(0)
    }

    /// All reasons together.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|n| u64::from(*n)).sum()
    }
}
