//! From the wire's 32-bit time stamps to a DTS that never goes back.

mod health;

use std::time::Duration;

use crate::{Dts, TagKind};
pub use health::UplinkHealth;
use health::Watch;

/// Beyond what wall time explains, a step forward of more than this is a jump of the publisher's clock.
const FORWARD_MAX_MS: i64 = 10_000;
/// A step back of more than this is a jump; a smaller one is jitter and stands still.
const BACK_MAX_MS: i64 = 1_000;
/// How well stamps must fit to be taken for a clock that is known already.
const FIT_MS: i64 = 1_000;

/// The time of one publish session: turns each message's 32-bit stamp into a [`Dts`].
///
/// - The first message has DTS 0. Steps are signed distances on the 32-bit circle, so a roll-over goes on.
/// - While the publisher's clock runs, differences between all stamps, across kinds too, are kept exactly, however
///   the messages are delayed on their way. Equal stamps stay equal. (Stamps before the first message's, of a
///   kind that begins later, become 0.)
/// - Audio and video are each held to their own order: a step back of up to 1 s repeats the kind's last DTS.
/// - A step back of more than 1 s, or forward of more than 10 s beyond what wall time explains, is a jump of the
///   publisher's clock: the message gets the kind's last DTS plus the wall time since then, at least 1 ms, and
///   what follows is measured from there. The other kind joins the new clock when its stamps have jumped
///   too, or when the first kind has stayed on it, so that the skew of audio and video is kept.
/// - A stamp that leaves its clock for one message (encoders repeat sequence headers with stamp 0) leaves no trace in
///   the next ones.
/// - Script stamps move nothing: where they do not fit the media's time, the newest media time stands for them.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    wire: Option<Wire>,
    audio: Option<Track>,
    video: Option<Track>,
    script_ms: i64,
    /// The latest DTS of audio and video.
    newest: Moment,
    /// The last change of clocks that proved to last.
    moved: Option<Move>,
    watch: Watch,
}

/// The newest message's place on the wire's clock.
#[derive(Clone, Copy, Debug)]
struct Wire {
    stamp_ms: u32,
    /// `stamp_ms` without roll-overs, counted from the first message.
    unrolled_ms: i64,
}

/// A DTS and when it came.
#[derive(Clone, Copy, Debug, Default)]
struct Moment {
    dts_ms: i64,
    at: Duration,
}

impl Moment {
    /// Where the time is by now if it went on with the wall clock.
    fn by(self, now: Duration) -> i64 {
        self.dts_ms
            .saturating_add(millis(now.saturating_sub(self.at)))
    }
}

/// Audio or video. An offset is what to add to the unrolled stamp; two clocks differ by their offsets.
#[derive(Clone, Copy, Debug)]
struct Track {
    offset_ms: i64,
    /// The offset before this one.
    before_ms: i64,
    /// Set while only one message has come by this offset.
    on_trial: bool,
    last: Moment,
}

#[derive(Clone, Copy, Debug)]
struct Move {
    from_ms: i64,
    to_ms: i64,
}

impl Timeline {
    /// A timeline that no message has reached.
    pub fn new() -> Timeline {
        Timeline::default()
    }

    /// The DTS of a message with stamp `wire_ms` that arrives at `now`, which never steps back.
    pub fn dts(&mut self, kind: TagKind, wire_ms: u32, now: Duration) -> Dts {
        let unrolled_ms = self.unroll(wire_ms, now);
        self.watch.heard(now);
        let dts_ms = match kind {
            TagKind::Audio => {
                let track = self.place(self.audio, self.video, unrolled_ms, now);
                self.audio = Some(track);
                track.last.dts_ms
            }
            TagKind::Video => {
                let track = self.place(self.video, self.audio, unrolled_ms, now);
                self.video = Some(track);
                track.last.dts_ms
            }
            TagKind::Script => self.place_script(unrolled_ms, now),
        };
        if kind != TagKind::Script {
            if dts_ms >= self.newest.dts_ms {
                self.newest = Moment { dts_ms, at: now };
            }
            self.watch.placed(self.newest.dts_ms, now);
        }
        Dts(dts_ms)
    }

    /// What the arrival of messages says of the publisher's uplink, at `now`.
    pub fn health(&self, now: Duration) -> UplinkHealth {
        self.watch.health(self.newest.dts_ms, now)
    }

    fn unroll(&mut self, stamp_ms: u32, now: Duration) -> i64 {
        let unrolled_ms = match self.wire {
            None => {
                self.newest.at = now;
                0
            }
            // The signed distance on the 32-bit circle: a step back across zero stays a step back.
            Some(wire) => wire.unrolled_ms.saturating_add(i64::from(
                stamp_ms.wrapping_sub(wire.stamp_ms).cast_signed(),
            )),
        };
        self.wire = Some(Wire {
            stamp_ms,
            unrolled_ms,
        });
        unrolled_ms
    }

    /// Gives a message of audio or video its place behind `own`, the last of its kind.
    fn place(
        &mut self,
        own: Option<Track>,
        other: Option<Track>,
        unrolled_ms: i64,
        now: Duration,
    ) -> Track {
        let Some(mut track) = own else {
            return self.place_first(other, unrolled_ms, now);
        };
        let offset_ms = self
            .choose(track, other, unrolled_ms, now)
            .unwrap_or_else(|| {
                self.watch.jumped();
                let dts_ms = track.last.by(now).max(track.last.dts_ms.saturating_add(1));
                dts_ms.saturating_sub(unrolled_ms)
            });
        if offset_ms != track.offset_ms {
            track.before_ms = track.offset_ms;
            track.offset_ms = offset_ms;
            track.on_trial = true;
        } else if track.on_trial {
            track.on_trial = false;
            self.moved = Some(Move {
                from_ms: track.before_ms,
                to_ms: offset_ms,
            });
        }
        let dts_ms = unrolled_ms.saturating_add(offset_ms).max(track.last.dts_ms);
        track.last = Moment { dts_ms, at: now };
        track
    }

    /// The known offset by which the message goes on from `track`; `None` if by none.
    fn choose(
        &self,
        track: Track,
        other: Option<Track>,
        unrolled_ms: i64,
        now: Duration,
    ) -> Option<i64> {
        let earliest_ms = track.last.dts_ms.saturating_sub(BACK_MAX_MS);
        // The other kind's time explains a step as well: a kind may pause in a stream that is sent fast.
        let due_ms = track.last.by(now).max(self.newest.by(now));
        let within = |offset_ms: i64, ahead_ms: i64| {
            let dts_ms = unrolled_ms.saturating_add(offset_ms);
            (earliest_ms..=due_ms.saturating_add(ahead_ms)).contains(&dts_ms)
        };
        let joined = self
            .moved
            .filter(|moved| moved.from_ms == track.offset_ms)
            .map(|moved| moved.to_ms);
        let known = [
            Some(track.offset_ms),
            Some(track.before_ms),
            other.map(|o| o.offset_ms),
        ];
        joined
            .filter(|to_ms| within(*to_ms, FORWARD_MAX_MS))
            .or_else(|| {
                known
                    .into_iter()
                    .flatten()
                    .find(|offset_ms| within(*offset_ms, FIT_MS))
            })
            .or_else(|| Some(track.offset_ms).filter(|own_ms| within(*own_ms, FORWARD_MAX_MS)))
    }

    /// Gives the first message of audio or video its place: by the other kind's clock, or else at the time by now.
    fn place_first(&mut self, other: Option<Track>, unrolled_ms: i64, now: Duration) -> Track {
        let due_ms = self.newest.by(now);
        let mut offset_ms = other.map_or(0, |other| other.offset_ms);
        let earliest_ms = self.newest.dts_ms.saturating_sub(FORWARD_MAX_MS);
        let latest_ms = due_ms.saturating_add(FORWARD_MAX_MS);
        if !(earliest_ms..=latest_ms).contains(&unrolled_ms.saturating_add(offset_ms)) {
            self.watch.jumped();
            offset_ms = due_ms.saturating_sub(unrolled_ms);
        }
        let dts_ms = unrolled_ms.saturating_add(offset_ms).max(0);
        Track {
            offset_ms,
            before_ms: offset_ms,
            on_trial: false,
            last: Moment { dts_ms, at: now },
        }
    }

    fn place_script(&mut self, unrolled_ms: i64, now: Duration) -> i64 {
        let tracks = [self.video, self.audio];
        let newest = tracks
            .into_iter()
            .flatten()
            .max_by_key(|track| track.last.at);
        let offset_ms = newest.map_or(0, |track| track.offset_ms);
        let dts_ms = unrolled_ms.saturating_add(offset_ms);
        let earliest_ms = self.newest.dts_ms.saturating_sub(BACK_MAX_MS);
        let latest_ms = self.newest.by(now).saturating_add(FORWARD_MAX_MS);
        let fits = (earliest_ms..=latest_ms).contains(&dts_ms);
        self.script_ms = self
            .script_ms
            .max(if fits { dts_ms } else { self.newest.dts_ms });
        self.script_ms
    }
}

/// Whole milliseconds, at most what fits.
fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
