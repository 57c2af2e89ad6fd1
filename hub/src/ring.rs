//! The ring of one stream: a bounded run of tags, addressed by position.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use headwater_media::{Dts, Tag, TagKind};

use crate::headers::{HeaderSlot, Headers, Role};
use crate::late::LatePolicy;
use crate::limits::{RingLimits, StreamRules};

/// A ring holds no more tags than if each had so many bytes: a tag takes memory of its own beside its payload.
const TAG_MIN_BYTES: usize = 1_024;
/// So many it holds however few bytes it may hold.
const TAGS_MIN: usize = 256;

/// One publish session as this ring saw it.
#[derive(Debug, PartialEq, Eq)]
pub struct Span {
    /// The session.
    pub epoch: u64,
    /// What makes the session's DTS the stream's.
    pub dts_offset: Dts,
}

/// A tag in the ring with all that readers need to know of it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its number in its session.
    pub sequence: u64,
    /// The tag, in the session's time.
    pub tag: Tag,
    setting: Arc<Setting>,
    arrived_ns: u64,
    /// What it means to the ring.
    pub role: Role,
    /// A header that a new session repeats unchanged: viewers who have it are not sent it again.
    pub repeated_header: bool,
    /// The tag before it in the ring is not the one before it in its session: there is a hole, or a new session begins.
    pub discontinuous: bool,
}

/// What runs of tags have in common. An entry is small because of it: rings of many small tags are mostly entries.
#[derive(Debug)]
struct Setting {
    span: Arc<Span>,
    headers: Arc<Headers>,
}

impl Entry {
    /// What a ring takes for a tag beside its payload.
    pub const BYTES: usize = size_of::<Entry>();

    /// Its session.
    pub fn span(&self) -> &Arc<Span> {
        &self.setting.span
    }

    /// The headers in force before it.
    pub fn headers(&self) -> &Arc<Headers> {
        &self.setting.headers
    }

    /// Its time in the stream's time, the one viewers see.
    pub fn at(&self) -> Dts {
        self.tag.dts + self.setting.span.dts_offset
    }

    /// When it came here, on the process's clock.
    pub fn arrived(&self) -> Duration {
        Duration::from_nanos(self.arrived_ns)
    }
}

/// The ring. Positions count up by one a tag and never restart, over sessions too.
#[derive(Debug)]
pub struct Ring {
    entries: VecDeque<Entry>,
    first_position: u64,
    keyframes: VecDeque<u64>,
    payload_bytes: usize,
    headers: Arc<Headers>,
    /// What the session before had in force, as long as this one may repeat it.
    inherited: Arc<Headers>,
    span: Arc<Span>,
    /// That of the newest tag.
    setting: Arc<Setting>,
    seen: Kinds,
    last_at: Option<Dts>,
    began_at: Dts,
    bytes_at_keyframe: u64,
    bytes_total: u64,
    limits: RingLimits,
    /// In place of the late-viewer policy's own.
    live_max_ms: Option<i64>,
}

/// Which kinds of tag a session has had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds {
    /// It has audio.
    pub audio: bool,
    /// It has video.
    pub video: bool,
    /// It has had a keyframe.
    pub keyframe: bool,
}

impl Ring {
    /// An empty ring.
    pub fn new(limits: RingLimits) -> Ring {
        let headers = Arc::<Headers>::default();
        let span = Arc::new(Span {
            epoch: 0,
            dts_offset: Dts(0),
        });
        Ring {
            entries: VecDeque::new(),
            first_position: 0,
            keyframes: VecDeque::new(),
            payload_bytes: 0,
            inherited: Arc::default(),
            setting: Arc::new(Setting {
                span: Arc::clone(&span),
                headers: Arc::clone(&headers),
            }),
            headers,
            span,
            seen: Kinds::default(),
            last_at: None,
            began_at: Dts(0),
            bytes_at_keyframe: 0,
            bytes_total: 0,
            limits,
            live_max_ms: None,
        }
    }

    /// Begins session `epoch`. Tags of earlier ones stay for those who still have to read them.
    pub fn begin(&mut self, epoch: u64, dts_offset: Dts) {
        self.inherited = Headers::overlay(&self.inherited, &self.headers);
        self.headers = Arc::default();
        self.span = Arc::new(Span { epoch, dts_offset });
        self.seen = Kinds::default();
    }

    /// Appends `tag` as number `sequence` of the current session and drops what the limits no longer allow.
    ///
    /// Returns its position. The stream's time never steps back behind what this ring has shown before the session:
    /// where `dts_offset` would make it, the first tag decides a larger one for this ring.
    pub fn push(&mut self, sequence: u64, tag: Tag, after_gap: bool, now: Duration) -> u64 {
        let role = Role::of(&tag);
        let first_of_span = self
            .entries
            .back()
            .is_none_or(|e| !Arc::ptr_eq(e.span(), &self.span));
        if first_of_span {
            self.start_span(&tag);
        }
        let at = tag.dts + self.span.dts_offset;
        let repeated_header = matches!(role, Role::Header(slot) if self.is_inherited(slot, &tag));
        let setting = self.setting();
        let position = self.next_position();
        match role {
            Role::Header(slot) => {
                let mut headers = Headers::clone(&self.headers);
                headers.set(slot, tag.clone());
                self.headers = Arc::new(headers);
            }
            Role::Keyframe => {
                self.keyframes.push_back(position);
                self.bytes_at_keyframe = self.bytes_total;
                self.seen.keyframe = true;
            }
            Role::Plain => {}
        }
        match tag.kind {
            TagKind::Audio => self.seen.audio = true,
            TagKind::Video => self.seen.video = true,
            TagKind::Script => {}
        }
        let size = tag.payload.len();
        self.payload_bytes = self.payload_bytes.saturating_add(size);
        self.bytes_total = self.bytes_total.saturating_add(size as u64);
        self.last_at = Some(self.last_at.map_or(at, |last| last.max(at)));
        self.entries.push_back(Entry {
            sequence,
            tag,
            setting,
            arrived_ns: u64::try_from(now.as_nanos()).unwrap_or(u64::MAX),
            role,
            repeated_header,
            discontinuous: after_gap || first_of_span,
        });
        self.trim();
        position
    }

    /// Puts `tags` in force in place of what was, without giving them a position: the headers at the place where the
    /// current session is joined. Tags that are no headers are left out.
    pub fn adopt_headers(&mut self, tags: &[Tag]) {
        let mut headers = Headers::default();
        for tag in tags {
            let Role::Header(slot) = Role::of(tag) else {
                continue;
            };
            self.seen.audio |= tag.kind == TagKind::Audio;
            self.seen.video |= tag.kind == TagKind::Video;
            headers.set(slot, tag.clone());
        }
        // Readers tell by the pointer that nothing has changed.
        if headers != *self.headers {
            self.headers = Arc::new(headers);
        }
    }

    fn setting(&mut self) -> Arc<Setting> {
        if !Arc::ptr_eq(&self.setting.span, &self.span)
            || !Arc::ptr_eq(&self.setting.headers, &self.headers)
        {
            self.setting = Arc::new(Setting {
                span: Arc::clone(&self.span),
                headers: Arc::clone(&self.headers),
            });
        }
        Arc::clone(&self.setting)
    }

    fn start_span(&mut self, first: &Tag) {
        let mut offset = self.span.dts_offset;
        if let Some(last) = self.last_at {
            offset = offset.max(last - first.dts);
        }
        self.span = Arc::new(Span {
            epoch: self.span.epoch,
            dts_offset: offset,
        });
        self.began_at = first.dts + offset;
    }

    fn is_inherited(&self, slot: HeaderSlot, tag: &Tag) -> bool {
        self.headers.get(slot).is_none() && self.inherited.repeats(slot, tag)
    }

    fn trim(&mut self) {
        while self.entries.len() > 1
            && (self.payload_bytes > self.limits.bytes_max
                || self.entries.len() > (self.limits.bytes_max / TAG_MIN_BYTES).max(TAGS_MIN)
                || self.oldest_is_spent())
        {
            let Some(entry) = self.entries.pop_front() else {
                return;
            };
            self.payload_bytes = self.payload_bytes.saturating_sub(entry.tag.payload.len());
            self.first_position = self.first_position.saturating_add(1);
            while self
                .keyframes
                .front()
                .is_some_and(|k| *k < self.first_position)
            {
                self.keyframes.pop_front();
            }
        }
    }

    fn oldest_is_spent(&self) -> bool {
        let (Some(oldest), Some(last_at)) = (self.entries.front(), self.last_at) else {
            return false;
        };
        let age_ms = (last_at - oldest.at()).0;
        let before_newest_gop = self
            .newest_keyframe()
            .is_none_or(|k| self.first_position < k);
        age_ms > self.limits.gop_max_ms.max(self.limits.keep_ms)
            || (age_ms > self.limits.keep_ms && before_newest_gop)
    }

    /// Changes the byte bound, for the process-wide budget.
    pub fn set_bytes_max(&mut self, bytes_max: usize) {
        self.limits.bytes_max = bytes_max;
        self.trim();
    }

    /// Changes what holds for this stream alone, in place of what holds for all.
    pub fn rule(&mut self, rules: StreamRules, defaults: &RingLimits) {
        self.limits.gop_max_ms = rules.gop_max_ms.unwrap_or(defaults.gop_max_ms);
        self.limits.gop_max_bytes = rules.gop_max_bytes.unwrap_or(defaults.gop_max_bytes);
        self.live_max_ms = rules.live_max_ms;
        self.trim();
    }

    /// How far behind a live viewer of this stream may be, in milliseconds of media.
    pub(crate) fn live_max_ms(&self, policy: &LatePolicy) -> i64 {
        self.live_max_ms.unwrap_or(policy.live_max_ms)
    }

    /// The tag at `position`, if it is held.
    pub fn get(&self, position: u64) -> Option<&Entry> {
        let index = position.checked_sub(self.first_position)?;
        self.entries.get(usize::try_from(index).ok()?)
    }

    /// The position of the oldest tag held, or of the next to come where none is.
    pub fn first_position(&self) -> u64 {
        self.first_position
    }

    /// The position that the next tag will have.
    pub fn next_position(&self) -> u64 {
        self.first_position
            .saturating_add(self.entries.len() as u64)
    }

    /// The position of sequence number `sequence` of session `epoch`, or of the first one after it that is held.
    ///
    /// `None` if the ring holds no such tag.
    pub fn position_of(&self, epoch: u64, sequence: u64) -> Option<u64> {
        let index = self
            .entries
            .partition_point(|e| (e.span().epoch, e.sequence) < (epoch, sequence));
        let entry = self.entries.get(index)?;
        (entry.span().epoch == epoch).then(|| self.first_position.saturating_add(index as u64))
    }

    /// The position of the newest keyframe held.
    pub fn newest_keyframe(&self) -> Option<u64> {
        self.keyframes.back().copied()
    }

    /// The position of the first keyframe at or after `position` that is held.
    pub fn keyframe_from(&self, position: u64) -> Option<u64> {
        let index = self.keyframes.partition_point(|k| *k < position);
        self.keyframes.get(index).copied()
    }

    /// The position where a joiner may start: the newest keyframe of the current session, if its GOP is within the limits.
    pub fn newest_gop(&self) -> Option<u64> {
        let position = self.newest_keyframe()?;
        let entry = self.get(position)?;
        let short = (self.last_at? - entry.at()).0 <= self.limits.gop_max_ms;
        let small = self.bytes_total.saturating_sub(self.bytes_at_keyframe)
            <= self.limits.gop_max_bytes as u64;
        let current = entry.span().epoch == self.span.epoch;
        (short && small && current).then_some(position)
    }

    /// The newest stream time held.
    pub fn last_at(&self) -> Option<Dts> {
        self.last_at
    }

    /// When the newest tag came.
    pub fn last_arrived(&self) -> Duration {
        self.entries.back().map_or(Duration::ZERO, |e| e.arrived())
    }

    /// The stream time at which the current session began.
    pub fn began_at(&self) -> Dts {
        self.began_at
    }

    /// The kinds of tag that the current session has had.
    pub fn kinds(&self) -> Kinds {
        self.seen
    }

    /// Whether video can be shown without waiting for a keyframe: the session has run longer than any GOP that is
    /// waited for and has never had one (intra refresh, or a codec that is not known here).
    pub fn keyframeless(&self) -> bool {
        let age_ms = self.last_at.map_or(0, |last| (last - self.began_at).0);
        self.seen.video && !self.seen.keyframe && age_ms > self.limits.gop_max_ms
    }

    /// The headers in force at the end of the ring.
    pub fn headers(&self) -> &Arc<Headers> {
        &self.headers
    }

    /// The headers in force at `position`: those before the tag there, or at the end those of the session.
    pub fn headers_at(&self, position: u64) -> &Arc<Headers> {
        self.get(position).map_or(&self.headers, Entry::headers)
    }

    /// The current session.
    pub fn span(&self) -> &Arc<Span> {
        &self.span
    }

    /// Payload bytes held.
    pub fn payload_bytes(&self) -> usize {
        self.payload_bytes
    }

    /// What it takes: payloads, and a table of entries that grows to what was needed at most.
    pub fn bytes(&self) -> usize {
        let table = self.entries.capacity().saturating_mul(Entry::BYTES);
        self.payload_bytes.saturating_add(table)
    }

    /// Tags held, oldest first.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> + ExactSizeIterator {
        self.entries.iter()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn video(dts: i64, keyframe: bool, size: usize) -> Tag {
        let mut payload = vec![0_u8; size.max(5)];
        payload[0] = if keyframe { 0x17 } else { 0x27 };
        payload[1] = 1;
        Tag {
            kind: TagKind::Video,
            dts: Dts(dts),
            payload: Bytes::from(payload),
        }
    }

    fn header(byte: u8) -> Tag {
        Tag {
            kind: TagKind::Video,
            dts: Dts(0),
            payload: Bytes::from(vec![0x17, 0, 0, 0, 0, byte]),
        }
    }

    fn audio(dts: i64) -> Tag {
        Tag {
            kind: TagKind::Audio,
            dts: Dts(dts),
            payload: Bytes::from_static(&[0xAF, 1, 7]),
        }
    }

    fn push(ring: &mut Ring, sequence: u64, tag: Tag) -> u64 {
        let now = Duration::from_millis(tag.dts.0.max(0).unsigned_abs());
        ring.push(sequence, tag, false, now)
    }

    #[test]
    fn the_newest_whole_gop_and_five_seconds_are_kept() {
        let mut ring = Ring::new(RingLimits::default());
        ring.begin(1, Dts(0));
        for n in 0..500_i64 {
            push(
                &mut ring,
                n.unsigned_abs(),
                video(n * 40, n % 200 == 0, 100),
            );
        }
        let oldest = ring.get(ring.first_position()).unwrap();
        assert_eq!(
            oldest.at(),
            Dts(400 * 40 - 1_000 - 40),
            "five seconds before the newest tag, the GOP begins later"
        );
        assert_eq!(ring.newest_gop(), Some(400));
    }

    #[test]
    fn a_gop_longer_than_ten_seconds_serves_no_joiner_and_is_not_kept_whole() {
        let mut ring = Ring::new(RingLimits::default());
        ring.begin(1, Dts(0));
        for n in 0..1_500_i64 {
            push(&mut ring, n.unsigned_abs(), video(n * 40, n == 0, 100));
        }
        assert_eq!(ring.newest_gop(), None);
        let held_ms = (ring.last_at().unwrap() - ring.get(ring.first_position()).unwrap().at()).0;
        assert_eq!(
            held_ms, 5_000,
            "only what late viewers and resuming pulls need"
        );
    }

    #[test]
    fn what_holds_for_one_stream_bounds_its_gop_and_ends_with_the_rule() {
        let defaults = RingLimits::default();
        let mut ring = Ring::new(defaults);
        ring.begin(1, Dts(0));
        for n in 0..200_i64 {
            push(&mut ring, n.unsigned_abs(), video(n * 40, n == 0, 100));
        }
        assert_eq!(ring.newest_gop(), Some(0), "eight seconds");
        let short = StreamRules {
            gop_max_ms: Some(2_000),
            ..StreamRules::default()
        };
        ring.rule(short, &defaults);
        assert_eq!(ring.newest_gop(), None);
        ring.rule(StreamRules::default(), &defaults);
        push(&mut ring, 200, video(8_000, true, 100));
        assert_eq!(ring.newest_gop(), Some(200));
        let policy = LatePolicy::default();
        assert_eq!(ring.live_max_ms(&policy), policy.live_max_ms);
        let late = StreamRules {
            live_max_ms: Some(500),
            ..StreamRules::default()
        };
        ring.rule(late, &defaults);
        assert_eq!(ring.live_max_ms(&policy), 500);
    }

    #[test]
    fn the_byte_bound_holds_whatever_comes() {
        let limits = RingLimits {
            bytes_max: 10_000,
            ..RingLimits::default()
        };
        let mut ring = Ring::new(limits);
        ring.begin(1, Dts(0));
        for n in 0..100_i64 {
            push(&mut ring, n.unsigned_abs(), video(n, n == 0, 999));
            assert!(ring.payload_bytes() <= 10_000);
        }
    }

    #[test]
    fn tiny_tags_are_bounded_in_number_where_their_bytes_would_not_bound_them() {
        for (bytes_max, tags) in [(1 << 20, 1 << 10), (10_000, 256)] {
            let mut ring = Ring::new(RingLimits {
                bytes_max,
                ..RingLimits::default()
            });
            ring.begin(1, Dts(0));
            for n in 0..3_000 {
                push(&mut ring, n, audio(0));
            }
            assert_eq!(ring.entries().len(), tags, "{bytes_max}");
        }
    }

    #[test]
    fn a_header_that_a_new_session_repeats_is_marked_and_a_changed_one_is_not() {
        let mut ring = Ring::new(RingLimits::default());
        ring.begin(1, Dts(0));
        let first = push(&mut ring, 0, header(1));
        ring.begin(2, Dts(1_000));
        let same = push(&mut ring, 0, header(1));
        let again = push(&mut ring, 1, header(1));
        ring.begin(3, Dts(2_000));
        let changed = push(&mut ring, 0, header(2));
        let marks: Vec<bool> = [first, same, again, changed]
            .iter()
            .map(|p| ring.get(*p).unwrap().repeated_header)
            .collect();
        assert_eq!(
            marks,
            [false, true, false, false],
            "within a session everything passes untouched"
        );
    }

    #[test]
    fn positions_are_found_by_session_and_sequence() {
        let mut ring = Ring::new(RingLimits::default());
        ring.begin(7, Dts(0));
        let tenth = push(&mut ring, 10, audio(0));
        ring.begin(9, Dts(100));
        let zeroth = push(&mut ring, 0, audio(0));
        let fifth = ring.push(5, audio(20), true, Duration::ZERO);
        for (epoch, sequence, position) in [
            (7, 10, Some(tenth)),
            (7, 11, None),
            (9, 0, Some(zeroth)),
            (9, 3, Some(fifth)),
            (9, 6, None),
            (8, 0, None),
        ] {
            assert_eq!(
                ring.position_of(epoch, sequence),
                position,
                "{epoch}/{sequence}"
            );
        }
    }

    #[test]
    fn a_ring_counts_its_table_and_a_tag_takes_eighty_bytes_of_it_at_most() {
        let mut ring = Ring::new(RingLimits::default());
        ring.begin(1, Dts(0));
        for n in 0..100 {
            push(&mut ring, n, audio(0));
        }
        assert_eq!(ring.payload_bytes(), 300);
        assert!(ring.bytes() >= 300 + 100 * Entry::BYTES, "{}", ring.bytes());
        assert!(Entry::BYTES <= 80, "{}", Entry::BYTES);
    }

    proptest! {
        #[test]
        fn stream_time_never_steps_back_at_a_session_however_small_its_offset(
            sessions in prop::collection::vec((-10_000_i64..10_000, 0_i64..5_000, 1_usize..20), 1..8)
        ) {
            let mut ring = Ring::new(RingLimits::default());
            let mut last = None;
            for (epoch, (offset, first, tags)) in (1_u64..).zip(sessions) {
                ring.begin(epoch, Dts(offset));
                for n in 0..tags {
                    let dts = first + i64::try_from(n).unwrap() * 20;
                    let position = push(&mut ring, n as u64, audio(dts));
                    let at = ring.get(position).unwrap().at();
                    prop_assert!(last.is_none_or(|last| at >= last), "{last:?} then {at}");
                    last = Some(at);
                }
            }
        }
    }
}
