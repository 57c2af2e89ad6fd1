//! The ring of one stream: a bounded run of tags, addressed by position.

mod entry;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use headwater_media::{Dts, Tag, TagKind};

use self::entry::Setting;
pub use self::entry::{Entry, Span};
use crate::headers::{HeaderSlot, Headers, Role};
use crate::late::LatePolicy;
use crate::limits::{RingLimits, StreamRules};

/// So long a tag stays that has just come, however far behind the newest one it is in media time: an uplink that comes
/// back from a stall sends many seconds at once, and readers have not had a turn yet.
const FRESH_NS: u64 = 1_000_000_000;
/// A ring holds no more tags than if each had so many bytes: a tag takes memory of its own beside its payload.
const TAG_MIN_BYTES: usize = 1_024;
/// So many it holds however few bytes it may hold.
const TAGS_MIN: usize = 256;

/// The ring. Positions count up by one a tag and never restart, over sessions too.
#[derive(Debug)]
pub struct Ring {
    entries: VecDeque<Entry>,
    first_position: u64,
    keyframes: VecDeque<u64>,
    /// Payloads, and lists of headers.
    kept_bytes: usize,
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
            kept_bytes: 0,
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
        self.bytes_total = self.bytes_total.saturating_add(size as u64);
        self.last_at = Some(self.last_at.map_or(at, |last| last.max(at)));
        let entry = Entry {
            sequence,
            tag,
            setting,
            arrived_ns: u64::try_from(now.as_nanos()).unwrap_or(u64::MAX),
            role,
            repeated_header,
            discontinuous: after_gap || first_of_span,
        };
        self.kept_bytes = self.kept_bytes.saturating_add(entry.kept_bytes());
        self.entries.push_back(entry);
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
            && (self.kept_bytes > self.limits.bytes_max
                || self.entries.len() > (self.limits.bytes_max / TAG_MIN_BYTES).max(TAGS_MIN)
                || self.oldest_is_spent())
        {
            let Some(entry) = self.entries.pop_front() else {
                return;
            };
            self.kept_bytes = self.kept_bytes.saturating_sub(entry.kept_bytes());
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
        let (Some(oldest), Some(newest), Some(last_at)) =
            (self.entries.front(), self.entries.back(), self.last_at)
        else {
            return false;
        };
        if newest.arrived_ns.saturating_sub(oldest.arrived_ns) < FRESH_NS {
            return false;
        }
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

    /// Bytes held: payloads, and of headers the list of those in force behind each.
    pub fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }

    /// What it takes: what its tags keep, and a table of entries that grows to what was needed at most.
    pub fn bytes(&self) -> usize {
        let table = self.entries.capacity().saturating_mul(Entry::BYTES);
        self.kept_bytes.saturating_add(table)
    }

    /// Tags held, oldest first.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> + ExactSizeIterator {
        self.entries.iter()
    }
}

#[cfg(test)]
mod tests;
