//! The sending end as a pure machine: from a place in the ring to bytes of FLV.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use headwater_hub::{Entry, Liveness, Progress, Ring};
use headwater_media::flv::{
    HEADER_BYTES, PREVIOUS_TAG_SIZE_BYTES, TAG_HEAD_BYTES, TAG_PAYLOAD_MAX_BYTES, header,
    previous_tag_size, tag_head,
};
use headwater_media::{Dts, Tag};

use crate::control::{Control, EndReason};
use crate::start::{Begin, resume_point};

/// A batch ends behind the tag that makes it as large as this.
const BATCH_BYTES: usize = 64 << 10;
/// What a tag's head and size add to its payload.
const AROUND_BYTES: usize = TAG_HEAD_BYTES + PREVIOUS_TAG_SIZE_BYTES;
/// How long a receiver may read nothing while the ring goes on without it: what a ring keeps at least.
const STALL_MAX: Duration = Duration::from_secs(5);

/// The receiver has read nothing for longer than the ring holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the receiver has read nothing for {} ms, longer than the ring holds", .0.as_millis())]
pub struct TooSlow(pub Duration);

/// What is sent next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    items: Vec<Item>,
    bytes: usize,
    wire_ms: u32,
    /// Tags with a number in it.
    pub tags: u64,
    /// Tags that it declares lost.
    pub gap_tags: u64,
    /// Nothing follows.
    pub end: Option<EndReason>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Tag(Tag),
    /// A header in force, stamped like the tag behind it.
    Preface(Tag, Dts),
    Control(Control),
}

/// The sender of one pull.
#[derive(Clone, Debug)]
pub struct Sender {
    epoch: u64,
    term: u64,
    position: u64,
    next_sequence: u64,
    wire_ms: u32,
    collected: Duration,
    moved: Option<String>,
}

impl Sender {
    /// A sender that begins at `begin`, and its first bytes: the FLV header and the preface. `now` is the process's clock.
    pub fn begin(begin: &Begin, now: Duration) -> (Sender, Bytes) {
        let head = &begin.head;
        let mut preface = Batch {
            wire_ms: head.first_dts.wire_ms(),
            ..Batch::default()
        };
        for (_, tag) in begin.headers.iter() {
            preface.push_preface(tag, head.first_dts);
        }
        let mut out = BytesMut::with_capacity(preface.bytes.saturating_add(HEADER_BYTES));
        out.put_slice(&header(begin.kinds.audio, begin.kinds.video));
        preface.encode_into(&mut out);
        let sender = Sender {
            epoch: head.epoch,
            term: head.term,
            position: begin.position,
            next_sequence: head.first_sequence,
            wire_ms: head.first_dts.wire_ms(),
            collected: now,
            moved: None,
        };
        (sender, out.freeze())
    }

    /// Tells the receiver with the next batch to go on from `to`.
    pub fn moved(&mut self, to: String) {
        self.moved = Some(to);
    }

    /// Takes what is there to send from `ring`: up to 64 KiB, or one larger tag. Encode it outside the ring's lock.
    ///
    /// `progress` is the stream's, read before the ring; `now` is the process's clock. An empty batch without an end
    /// means that there is nothing yet.
    ///
    /// # Errors
    /// [`TooSlow`] if the receiver is to be dropped.
    pub fn collect(
        &mut self,
        ring: &Ring,
        progress: Progress,
        now: Duration,
    ) -> Result<Batch, TooSlow> {
        let stalled = now.saturating_sub(self.collected);
        self.collected = now;
        let mut batch = Batch {
            wire_ms: self.wire_ms,
            ..Batch::default()
        };
        self.say_news(progress, &mut batch);
        if self.position < ring.first_position() {
            if stalled >= STALL_MAX {
                return Err(TooSlow(stalled));
            }
            self.position = resume_point(ring, self.epoch, ring.first_position());
        }
        while batch.bytes < BATCH_BYTES {
            let Some(entry) = ring.get(self.position) else {
                batch.end = self.end(progress);
                break;
            };
            if entry.span().epoch != self.epoch {
                batch.end = Some(EndReason::Replaced);
                break;
            }
            self.take(entry, &mut batch);
        }
        if let Some(reason) = batch.end {
            batch.push_control(Control::End {
                reason,
                next: self.next_sequence,
            });
        }
        self.wire_ms = batch.last_wire_ms();
        Ok(batch)
    }

    fn say_news(&mut self, progress: Progress, batch: &mut Batch) {
        if progress.epoch == self.epoch && progress.term > self.term {
            self.term = progress.term;
            batch.push_control(Control::Term {
                term: progress.term,
            });
        }
        if let Some(to) = self.moved.take() {
            batch.push_control(Control::Moved {
                to,
                next: self.next_sequence,
            });
        }
    }

    fn end(&self, progress: Progress) -> Option<EndReason> {
        match progress.liveness {
            _ if progress.epoch > self.epoch => Some(EndReason::Replaced),
            Liveness::Ended => Some(EndReason::PublisherLeft),
            Liveness::Closed => Some(EndReason::Closed),
            Liveness::Waiting | Liveness::Live => None,
        }
    }

    fn take(&mut self, entry: &Entry, batch: &mut Batch) {
        self.position = self.position.saturating_add(1);
        // No FLV tag can carry it; the receiver hears of the hole with the tag behind it.
        if entry.tag.payload.len() > TAG_PAYLOAD_MAX_BYTES {
            return;
        }
        if entry.sequence != self.next_sequence {
            self.declare_gap(entry, batch);
        }
        batch.push_tag(&entry.tag);
        self.next_sequence = entry.sequence.saturating_add(1);
    }

    fn declare_gap(&mut self, entry: &Entry, batch: &mut Batch) {
        let tags = entry.sequence.saturating_sub(self.next_sequence);
        let preface = u32::try_from(entry.headers().iter().count()).unwrap_or(u32::MAX);
        batch.gap_tags = batch.gap_tags.saturating_add(tags);
        batch.push_control(Control::Gap {
            tags,
            next: entry.sequence,
            dts: entry.tag.dts,
            preface,
        });
        for (_, tag) in entry.headers().iter() {
            batch.push_preface(tag, entry.tag.dts);
        }
    }

    /// What is sent when there has been nothing to send for a while.
    pub fn heartbeat(&mut self, now: Duration) -> Bytes {
        self.collected = now;
        let mut out = BytesMut::with_capacity(64);
        Control::Heartbeat {
            next: self.next_sequence,
        }
        .encode(self.wire_ms, &mut out);
        out.freeze()
    }
}

impl Batch {
    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    fn push_tag(&mut self, tag: &Tag) {
        self.add(tag.payload.len());
        self.tags = self.tags.saturating_add(1);
        self.items.push(Item::Tag(tag.clone()));
    }

    fn push_preface(&mut self, tag: &Tag, at: Dts) {
        self.add(tag.payload.len());
        self.items.push(Item::Preface(tag.clone(), at));
    }

    fn push_control(&mut self, control: Control) {
        self.add(128);
        self.items.push(Item::Control(control));
    }

    fn add(&mut self, payload_bytes: usize) {
        self.bytes = self
            .bytes
            .saturating_add(payload_bytes)
            .saturating_add(AROUND_BYTES);
    }

    fn last_wire_ms(&self) -> u32 {
        let stamp = |item: &Item| match item {
            Item::Tag(tag) => Some(tag.dts.wire_ms()),
            Item::Preface(..) | Item::Control(_) => None,
        };
        self.items
            .iter()
            .rev()
            .find_map(stamp)
            .unwrap_or(self.wire_ms)
    }

    /// The bytes, in one buffer.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.bytes);
        self.encode_into(&mut out);
        out.freeze()
    }

    fn encode_into(&self, out: &mut BytesMut) {
        let mut wire_ms = self.wire_ms;
        for item in &self.items {
            match item {
                Item::Tag(tag) => {
                    wire_ms = tag.dts.wire_ms();
                    put_tag(tag, wire_ms, out);
                }
                Item::Preface(tag, at) => put_tag(tag, at.wire_ms(), out),
                Item::Control(control) => control.encode(wire_ms, out),
            }
        }
    }
}

/// Tags of more than 2^24 − 1 bytes never get here: [`Sender::take`] leaves them out.
fn put_tag(tag: &Tag, wire_ms: u32, out: &mut BytesMut) {
    if let Some(head) = tag_head(tag.kind, tag.payload.len(), wire_ms, 0) {
        out.put_slice(&head);
        out.put_slice(&tag.payload);
        out.put_slice(&previous_tag_size(tag.payload.len()));
    }
}
