//! A viewer's place in the ring: where it starts, what it gets next, and what it loses when it is late.

use std::sync::Arc;

use headwater_media::{Dts, Tag, TagKind};

use crate::headers::{HeaderSlot, Headers, Role};
use crate::ring::{Entry, Ring, Span};

/// How a viewer trades delay for completeness.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// A few seconds of delay, nothing lost while they last.
    #[default]
    Live,
    /// As little delay as the network has; video is given up first.
    Rtc,
}

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
    fn add(&mut self, reason: DropReason, tags: u64) {
        if let Some(count) = self.0.get_mut(reason as usize) {
            *count = count.saturating_add(u32::try_from(tags).unwrap_or(u32::MAX));
        }
    }

    fn add_difference(&mut self, before: &Dropped, after: &Dropped) {
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

/// Something to send, in order.
#[derive(Clone, Copy, Debug)]
pub struct Item<'r> {
    /// The tag.
    pub tag: &'r Tag,
    /// The stamp that the viewer sees.
    pub at: Dts,
    /// The position after which the cursor stands once this is sent; `None` for a header that is sent again.
    pub position: Option<u64>,
}

/// Whether video passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    Open,
    /// Closed until a keyframe, for this reason.
    Closed(DropReason),
}

/// A viewer's cursor. Pure: it reads a ring that it is handed.
#[derive(Clone, Debug)]
pub struct Cursor {
    next: u64,
    /// What the viewer starts with ends here: until then it is behind by intention.
    burst_end: u64,
    mode: Mode,
    gate: Gate,
    /// The session of the tag before; a hole is one too.
    span: Option<Arc<Span>>,
    /// What the viewer has been sent.
    sent: Arc<Headers>,
    /// The ring's headers that `sent` was last compared with.
    compared: Arc<Headers>,
    dropped: Dropped,
}

impl Cursor {
    /// A viewer that joins now: at the newest GOP or, where there is none to start with, at the end of the ring.
    pub fn join(ring: &Ring, mode: Mode, policy: &LatePolicy) -> Cursor {
        let (next, gate) = start(ring, mode, policy);
        Cursor {
            next,
            burst_end: ring.next_position(),
            mode,
            gate,
            span: ring
                .get(next)
                .map(|e| Arc::clone(e.span()))
                .or_else(|| Some(Arc::clone(ring.span()))),
            sent: Arc::default(),
            compared: Arc::default(),
            dropped: Dropped::default(),
        }
    }

    /// A reader that begins at the end of the ring and is never late: what windows are built with.
    pub fn follow(ring: &Ring) -> Cursor {
        let decodable = ring.kinds().keyframe || ring.keyframeless();
        Cursor {
            next: ring.next_position(),
            burst_end: 0,
            mode: Mode::Live,
            gate: if decodable {
                Gate::Open
            } else {
                Gate::Closed(DropReason::WaitKeyframe)
            },
            span: Some(Arc::clone(ring.span())),
            sent: Arc::clone(ring.headers()),
            compared: Arc::clone(ring.headers()),
            dropped: Dropped::default(),
        }
    }

    /// The position of the next tag to look at.
    pub fn next_position(&self) -> u64 {
        self.next
    }

    /// The mode it joined with.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// What it has lost.
    pub fn dropped(&self) -> &Dropped {
        &self.dropped
    }

    /// Whether it is to be sent exactly what `other`, which stands at the same place, is sent from here on.
    pub fn in_step_with(&self, other: &Cursor) -> bool {
        self.next == other.next && (self.gate == Gate::Open) == (other.gate == Gate::Open)
    }

    /// Goes on as `leader` did from `start`, where `self` stands in step with it.
    pub fn follow_leader(&mut self, start: &Cursor, leader: &Cursor) {
        if leader.dropped != start.dropped {
            self.dropped.add_difference(&start.dropped, &leader.dropped);
        }
        self.next = leader.next;
        self.gate = leader.gate;
        if !Arc::ptr_eq(&self.compared, &leader.compared) {
            self.sent = Headers::overlay(&self.sent, &leader.sent);
            self.compared = Arc::clone(&leader.compared);
        }
        if !same_span(self.span.as_ref(), leader.span.as_ref()) {
            self.span.clone_from(&leader.span);
        }
    }

    /// Applies the late-viewer policy. To be called before tags are taken, between two tags.
    pub fn catch_up(&mut self, ring: &Ring, policy: &LatePolicy) {
        if self.next < ring.first_position() {
            let lost = ring.first_position().saturating_sub(self.next);
            self.dropped.add(DropReason::Evicted, lost);
            self.next = ring.first_position();
            self.resume(ring, DropReason::Evicted);
            return;
        }
        if self.next < self.burst_end {
            return;
        }
        let Some(lag_ms) = self.lag_ms(ring) else {
            return;
        };
        match self.mode {
            Mode::Live if lag_ms > ring.live_max_ms(policy) => {
                self.resume(ring, DropReason::SkipToKeyframe)
            }
            Mode::Rtc if lag_ms > ring.live_max_ms(policy) => {
                self.resume(ring, DropReason::SkipToKeyframe)
            }
            Mode::Rtc if lag_ms > policy.rtc_max_ms => self.close(ring, DropReason::DropToKeyframe),
            Mode::Live | Mode::Rtc => {}
        }
    }

    /// How long its next tag has been waiting behind the newest, in milliseconds; `None` if it has all.
    ///
    /// Arrival times, not stamps: they tell the viewer's delay from the publisher's (bursts, audio/video skew).
    pub fn lag_ms(&self, ring: &Ring) -> Option<i64> {
        let waiting = ring
            .last_arrived()
            .saturating_sub(ring.get(self.next)?.arrived());
        i64::try_from(waiting.as_millis()).ok()
    }

    /// Goes to the newest GOP if that is nearer to live, else leaves out video until the next keyframe.
    fn resume(&mut self, ring: &Ring, reason: DropReason) {
        match ring.newest_gop() {
            Some(keyframe) if keyframe > self.next => {
                self.dropped.add(reason, keyframe.saturating_sub(self.next));
                self.next = keyframe;
                self.gate = Gate::Open;
                self.span = ring.get(keyframe).map(|e| Arc::clone(e.span()));
            }
            Some(keyframe) if keyframe == self.next => self.gate = Gate::Open,
            Some(_) | None => self.close(ring, DropReason::DropToKeyframe),
        }
    }

    fn close(&mut self, ring: &Ring, reason: DropReason) {
        if self.gate == Gate::Open && !ring.keyframeless() {
            self.gate = Gate::Closed(reason);
        }
    }

    /// The next thing to send before position `end`, or `None`. Call [`Cursor::sent`] with it before asking again.
    ///
    /// Tags that are not for this viewer are stepped over, and counted where that is a loss.
    pub fn next_item<'r>(
        &mut self,
        ring: &'r Ring,
        end: u64,
        policy: &LatePolicy,
    ) -> Option<Item<'r>> {
        while self.next < end {
            let entry = ring.get(self.next)?;
            if entry.discontinuous && !same_span(self.span.as_ref(), Some(entry.span())) {
                self.enter_span(ring, entry);
            } else if entry.discontinuous {
                self.close(ring, DropReason::WaitKeyframe);
                self.span = Some(Arc::clone(entry.span()));
            }
            if let Some(item) = self.missing_header(entry) {
                return Some(item);
            }
            if self.wants(ring, entry, policy) {
                return Some(Item {
                    tag: &entry.tag,
                    at: entry.at(),
                    position: Some(self.next),
                });
            }
            self.next = self.next.saturating_add(1);
        }
        None
    }

    fn enter_span(&mut self, ring: &Ring, entry: &Entry) {
        self.span = Some(Arc::clone(entry.span()));
        self.close(ring, DropReason::WaitKeyframe);
    }

    fn missing_header<'r>(&mut self, entry: &'r Entry) -> Option<Item<'r>> {
        if Arc::ptr_eq(&self.compared, entry.headers()) {
            return None;
        }
        let joining = self.sent.iter().next().is_none();
        if let Some((slot, tag)) = self.sent.missing_of(entry.headers()).first() {
            // Script data with a time of its own shows as a subtitle track in players built on FFmpeg.
            let at = if joining && *slot == HeaderSlot::Metadata {
                Dts(0)
            } else {
                entry.at()
            };
            return Some(Item {
                tag,
                at,
                position: None,
            });
        }
        self.sent = Headers::overlay(&self.sent, entry.headers());
        self.compared = Arc::clone(entry.headers());
        None
    }

    fn wants(&mut self, ring: &Ring, entry: &Entry, policy: &LatePolicy) -> bool {
        if let Role::Header(slot) = entry.role {
            return !(entry.repeated_header && self.sent.repeats(slot, &entry.tag));
        }
        let Gate::Closed(reason) = self.gate else {
            return true;
        };
        if entry.tag.kind != TagKind::Video {
            return true;
        }
        let late =
            self.mode == Mode::Rtc && self.lag_ms(ring).is_some_and(|lag| lag > policy.rtc_max_ms);
        if (entry.role == Role::Keyframe && !late) || ring.keyframeless() {
            self.gate = Gate::Open;
            return true;
        }
        self.dropped.add(reason, 1);
        false
    }

    /// Notes that `item` has been sent, or begun to be.
    pub fn sent(&mut self, item: &Item<'_>) {
        if let Role::Header(slot) = Role::of(item.tag) {
            let mut sent = Headers::clone(&self.sent);
            sent.set(slot, item.tag.clone());
            self.sent = Arc::new(sent);
        }
        if let Some(position) = item.position {
            self.next = position.saturating_add(1);
        }
    }
}

fn same_span(a: Option<&Arc<Span>>, b: Option<&Arc<Span>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        _ => false,
    }
}

fn start(ring: &Ring, mode: Mode, policy: &LatePolicy) -> (u64, Gate) {
    let end = ring.next_position();
    let closed = Gate::Closed(DropReason::WaitKeyframe);
    if ring.kinds().video {
        if ring.keyframeless() {
            return (end, Gate::Open);
        }
        let keyframe = ring.newest_gop().filter(|position| match mode {
            Mode::Live => true,
            Mode::Rtc => ring
                .get(*position)
                .zip(ring.last_at())
                .is_some_and(|(entry, last)| (last - entry.at()).0 <= policy.rtc_start_ms),
        });
        return keyframe.map_or((end, closed), |position| (position, Gate::Open));
    }
    let Some(last) = ring.last_at() else {
        return (end, closed);
    };
    let back_ms = match mode {
        Mode::Live => policy.audio_start_ms,
        Mode::Rtc => 0,
    };
    let newer = ring
        .entries()
        .rev()
        .take_while(|e| (last - e.at()).0 < back_ms && Arc::ptr_eq(e.span(), ring.span()))
        .count();
    (end.saturating_sub(newer as u64), closed)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::limits::RingLimits;

    const POLICY: LatePolicy = LatePolicy {
        live_max_ms: 3_000,
        rtc_max_ms: 200,
        rtc_start_ms: 300,
        audio_start_ms: 1_000,
    };

    /// A stream in words: `M`etadata, `H`eader of video, `h`eader of audio, `C`olours, s`p`eakers, `K`eyframe, `v`ideo,
    /// `a`udio; 40 ms each.
    fn ring(words: &str) -> Ring {
        let mut ring = Ring::new(RingLimits::default());
        ring.begin(1, Dts(0));
        extend(&mut ring, words);
        ring
    }

    fn extend(ring: &mut Ring, words: &str) {
        let first = ring.entries().next_back().map_or(0, |e| e.sequence + 1);
        for (sequence, word) in (first..).zip(words.chars()) {
            let at = i64::try_from(ring.next_position()).unwrap() * 40 - ring.span().dts_offset.0;
            let tag = tag_of(word, at);
            let now = Duration::from_millis(ring.next_position() * 40);
            ring.push(sequence, tag, false, now);
        }
    }

    fn tag_of(word: char, dts: i64) -> Tag {
        let (kind, payload): (_, &[u8]) = match word {
            'M' => (TagKind::Script, b"\x02\x00\x0AonMetaData"),
            'H' => (TagKind::Video, &[0x17, 0, 0, 0, 0, 1]),
            'J' => (TagKind::Video, &[0x17, 0, 0, 0, 0, 2]),
            'h' => (TagKind::Audio, &[0xAF, 0, 1]),
            'C' => (TagKind::Video, b"\xD4hvc1\x02"),
            'p' => (TagKind::Audio, b"\x94Opus\x01\x02"),
            'K' => (TagKind::Video, &[0x17, 1, 0, 0, 0, 9]),
            'v' => (TagKind::Video, &[0x27, 1, 0, 0, 0, 9]),
            _ => (TagKind::Audio, &[0xAF, 1, 9]),
        };
        Tag {
            kind,
            dts: Dts(dts),
            payload: Bytes::from_static(payload),
        }
    }

    fn word(tag: &Tag) -> char {
        "MHJhCpKva"
            .chars()
            .find(|w| tag_of(*w, 0).payload == tag.payload)
            .unwrap()
    }

    fn take(cursor: &mut Cursor, ring: &Ring) -> String {
        let mut words = String::new();
        while let Some(item) = cursor.next_item(ring, ring.next_position(), &POLICY) {
            words.push(word(item.tag));
            cursor.sent(&item);
        }
        words
    }

    #[test]
    fn a_joiner_gets_the_headers_in_force_and_then_the_newest_gop() {
        for (name, stream, mode, gets) in [
            ("live", "MHhKvavKav", Mode::Live, "MHhKav"),
            ("rtc, keyframe 80 ms old", "MHhKvavKav", Mode::Rtc, "MHhKav"),
            ("rtc, keyframe 400 ms old", "MHhKavavavavav", Mode::Rtc, ""),
            (
                "colours and speakers are headers",
                "HhpaCKvaKv",
                Mode::Live,
                "HChpKv",
            ),
            ("all keyframes", "HKKK", Mode::Live, "HK"),
            (
                "audio only: the last second",
                &format!("Mh{}", "a".repeat(60)),
                Mode::Live,
                &format!("Mh{}", "a".repeat(25)),
            ),
            ("audio only, rtc", "Mhaaa", Mode::Rtc, ""),
            (
                "the header that was in force, not a newer one",
                "HKvJ",
                Mode::Live,
                "HKvJ",
            ),
            ("nothing there", "", Mode::Live, ""),
        ] {
            let ring = ring(stream);
            assert_eq!(
                take(&mut Cursor::join(&ring, mode, &POLICY), &ring),
                gets,
                "{name}"
            );
        }
    }

    #[test]
    fn of_a_gop_that_is_too_long_a_joiner_gets_headers_and_audio_until_the_next_keyframe() {
        let mut ring = ring(&format!("HhK{}", "va".repeat(200)));
        let mut cursor = Cursor::join(&ring, Mode::Live, &POLICY);
        extend(&mut ring, "avavK");
        assert_eq!(take(&mut cursor, &ring), "HhaaK");
        assert_eq!(cursor.dropped().get(DropReason::WaitKeyframe), 2);
    }

    #[test]
    fn video_that_never_has_a_keyframe_is_shown_after_ten_seconds() {
        let mut ring = ring("H");
        let mut early = Cursor::join(&ring, Mode::Live, &POLICY);
        let mut seen = String::new();
        for _ in 0..240 {
            extend(&mut ring, "v");
            seen += &take(&mut early, &ring);
        }
        assert_eq!(seen, "H");
        extend(&mut ring, &"v".repeat(20));
        let after = take(&mut early, &ring);
        assert!(after.starts_with('v'), "{after}");
        let mut late = Cursor::join(&ring, Mode::Live, &POLICY);
        extend(&mut ring, "v");
        assert_eq!(take(&mut late, &ring), "Hv");
    }

    #[test]
    fn a_joiner_is_not_late_with_the_gop_that_it_starts_with() {
        let ring = ring(&format!("HK{}", "v".repeat(200)));
        let mut cursor = Cursor::join(&ring, Mode::Live, &POLICY);
        for _ in 0..3 {
            let item = cursor
                .next_item(&ring, ring.next_position(), &POLICY)
                .unwrap();
            cursor.sent(&item);
        }
        cursor.catch_up(&ring, &POLICY);
        assert_eq!(take(&mut cursor, &ring), "v".repeat(199));
    }

    #[test]
    fn a_late_live_viewer_skips_to_the_newest_keyframe_and_is_sent_headers_only_where_they_changed()
    {
        for (name, missed, gets) in [
            ("same headers", "v".repeat(80) + "Kv", "Kv"),
            (
                "a changed one",
                "v".repeat(40) + "J" + &"v".repeat(40) + "Kv",
                "JKv",
            ),
        ] {
            let mut ring = ring("MHhKv");
            let mut cursor = Cursor::join(&ring, Mode::Live, &POLICY);
            take(&mut cursor, &ring);
            extend(&mut ring, &missed);
            cursor.catch_up(&ring, &POLICY);
            assert_eq!(take(&mut cursor, &ring), gets, "{name}");
            assert_eq!(cursor.dropped().total(), missed.len() as u64 - 2, "{name}");
        }
    }

    #[test]
    fn a_late_live_viewer_without_a_newer_keyframe_loses_video_only() {
        let mut ring = ring("HhKv");
        let mut cursor = Cursor::join(&ring, Mode::Live, &POLICY);
        take(&mut cursor, &ring);
        extend(&mut ring, &"va".repeat(45));
        cursor.catch_up(&ring, &POLICY);
        assert_eq!(take(&mut cursor, &ring), "a".repeat(45));
        assert_eq!(cursor.dropped().get(DropReason::DropToKeyframe), 45);
        extend(&mut ring, "vKv");
        assert_eq!(take(&mut cursor, &ring), "Kv");
    }

    #[test]
    fn a_late_rtc_viewer_loses_video_keeps_audio_and_returns_at_a_fresh_keyframe() {
        let mut ring = ring("HhKv");
        let mut cursor = Cursor::join(&ring, Mode::Rtc, &POLICY);
        take(&mut cursor, &ring);
        extend(&mut ring, "vaKavavaKv");
        cursor.catch_up(&ring, &POLICY);
        assert_eq!(
            take(&mut cursor, &ring),
            "aaaaKv",
            "the first keyframe was 280 ms old, the second is fresh"
        );
    }

    #[test]
    fn who_falls_off_the_ring_goes_on_at_the_newest_keyframe() {
        let mut ring = ring("HKv");
        let mut cursor = Cursor::join(&ring, Mode::Live, &POLICY);
        take(&mut cursor, &ring);
        extend(&mut ring, &("K".to_string() + &"v".repeat(49)).repeat(6));
        assert!(ring.first_position() > cursor.next_position());
        cursor.catch_up(&ring, &POLICY);
        assert!(take(&mut cursor, &ring).starts_with('K'));
        assert!(cursor.dropped().get(DropReason::Evicted) > 0);
    }

    #[test]
    fn a_viewer_who_stays_over_a_new_session_sees_no_header_twice_and_no_video_before_a_keyframe() {
        let mut ring = ring("MHhKva");
        let mut cursor = Cursor::join(&ring, Mode::Live, &POLICY);
        take(&mut cursor, &ring);
        ring.begin(2, Dts(6 * 40));
        for (sequence, w) in "MHhvaKva".chars().enumerate() {
            let tag = tag_of(w, i64::try_from(sequence).unwrap() * 40);
            ring.push(
                sequence as u64,
                tag,
                false,
                Duration::from_millis(ring.next_position() * 40),
            );
        }
        assert_eq!(take(&mut cursor, &ring), "aKva");
        let mut joiner = Cursor::join(&ring, Mode::Live, &POLICY);
        assert_eq!(take(&mut joiner, &ring), "MHhKva");
    }

    #[test]
    fn after_a_hole_video_waits_for_a_keyframe() {
        let mut ring = ring("HhKv");
        let mut cursor = Cursor::join(&ring, Mode::Live, &POLICY);
        take(&mut cursor, &ring);
        ring.push(10, tag_of('v', 400), true, Duration::from_millis(400));
        extend(&mut ring, "avK");
        assert_eq!(take(&mut cursor, &ring), "aK");
        assert_eq!(cursor.dropped().get(DropReason::WaitKeyframe), 2);
    }
}
