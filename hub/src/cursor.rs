//! A viewer's place in the ring: where it starts, what it gets next, and what it loses when it is late.

use std::sync::Arc;

use headwater_media::{Dts, Tag, TagKind};

use crate::headers::{HeaderSlot, Headers, Role};
use crate::late::{DropReason, Dropped, LatePolicy};
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
mod tests;
