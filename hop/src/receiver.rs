//! The receiving end as a pure machine: from bytes, however they are split, to events.

use bytes::Bytes;
use headwater_media::flv::{FlvError, Reader, WireTag};
use headwater_media::{Dts, Tag, TagKind};

use crate::control::{CONTROL_MAX_BYTES, CONTROL_STREAM_ID, Control, ControlError, EndReason};
use crate::head::{PREFACE_MAX_TAGS, PullHead};

/// What a pull brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A header in force before the next tag. It has no number; its stamp is about the next tag's.
    Header(Tag),
    /// The next tag, in the session's time.
    Tag {
        /// Its number in the session.
        sequence: u64,
        /// The tag.
        tag: Tag,
    },
    /// The sender is alive and has nothing to send.
    Heartbeat,
    /// The last event: nothing comes any more.
    Ended(EndReason),
    /// The sender knows this higher term now.
    Term(u64),
    /// The sender will close: the stream goes on at `to`.
    Moved {
        /// `host:port` of the internal port there.
        to: String,
        /// The number of the next tag.
        next: u64,
    },
    /// Tags were lost. [`Event::Header`]s follow, then tag `next`.
    Gap {
        /// How many.
        tags: u64,
        /// The number of the next tag.
        next: u64,
    },
}

/// What is wrong with the bytes of a pull, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault} (where tag {next} was next)")]
pub struct ReceiveError {
    /// What is wrong.
    pub fault: Fault,
    /// The number of the tag that was next.
    pub next: u64,
}

/// What is wrong with the bytes of a pull.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not FLV, cut inside a tag, or a tag over the limit.
    #[error(transparent)]
    Flv(#[from] FlvError),
    /// Neither media nor control.
    #[error("tag has StreamID {0:#08x}")]
    StreamId(u32),
    /// A control tag that cannot be read.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The sender says that another tag is next.
    #[error("sender says that tag {said} is next")]
    Sequence {
        /// The number it says.
        said: u64,
    },
    /// The sender goes back to a lower term.
    #[error("term goes back from {current} to {said}")]
    TermBack {
        /// The term so far.
        current: u64,
        /// The lower one.
        said: u64,
    },
    /// More headers than a sender may put in front.
    #[error("{0} headers are announced, {PREFACE_MAX_TAGS} are allowed")]
    Preface(u32),
    /// A tag behind the end.
    #[error("a tag follows the end")]
    AfterEnd,
    /// The body ended between two tags, without a control tag that says so.
    #[error("body is cut behind a tag, without an end")]
    NoEnd,
}

impl ReceiveError {
    /// The label for logs and metrics.
    pub fn reason(&self) -> &'static str {
        match &self.fault {
            Fault::Flv(error) => error.reason(),
            Fault::StreamId(_) => "stream_id",
            Fault::Control(_) => "control",
            Fault::Sequence { .. } => "sequence",
            Fault::TermBack { .. } => "term_back",
            Fault::Preface(_) => "preface",
            Fault::AfterEnd => "after_end",
            Fault::NoEnd => "no_end",
        }
    }
}

/// A payload that lies whole in what the connection handed over is shared with it only if it is at least this large: a
/// smaller one would hold a whole read buffer for as long as the ring holds the tag.
const SHARE_MIN_BYTES: usize = 16 << 10;

/// The receiver of one pull.
#[derive(Debug)]
pub struct Receiver {
    reader: Reader,
    next_sequence: u64,
    last_dts: Dts,
    term: u64,
    preface_left: u32,
    ended: bool,
    failed: Option<ReceiveError>,
}

impl Receiver {
    /// A receiver of what follows `head`; payloads over `tag_max_bytes` are refused.
    pub fn new(head: &PullHead, tag_max_bytes: usize) -> Receiver {
        Receiver {
            reader: Reader::new(tag_max_bytes.max(CONTROL_MAX_BYTES)),
            next_sequence: head.first_sequence,
            last_dts: head.first_dts,
            term: head.term,
            preface_left: head.preface,
            ended: false,
            failed: None,
        }
    }

    /// The number of the tag that is next.
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// Adds the next bytes of the body. Take the events before adding more.
    pub fn feed(&mut self, bytes: Bytes) {
        self.reader.feed(bytes);
    }

    /// The next event; `None` until more bytes come.
    ///
    /// # Errors
    /// What is wrong with the bytes; the same again from then on.
    pub fn next_event(&mut self) -> Result<Option<Event>, ReceiveError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.read().map_err(|fault| self.fail(fault))
    }

    /// The body has ended.
    ///
    /// # Errors
    /// [`FlvError::Cut`] if that was inside a tag, [`Fault::NoEnd`] if it was without an end.
    pub fn finish(&mut self) -> Result<(), ReceiveError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        match self.reader.finish() {
            Err(error) => Err(self.fail(Fault::Flv(error))),
            Ok(()) if self.ended => Ok(()),
            Ok(()) => Err(self.fail(Fault::NoEnd)),
        }
    }

    fn fail(&mut self, fault: Fault) -> ReceiveError {
        let error = ReceiveError {
            fault,
            next: self.next_sequence,
        };
        self.failed = Some(error.clone());
        error
    }

    fn read(&mut self) -> Result<Option<Event>, Fault> {
        while let Some(tag) = self.reader.next_tag()? {
            if self.ended {
                return Err(Fault::AfterEnd);
            }
            let event = match tag.stream_id {
                0 => Some(self.media(tag)),
                CONTROL_STREAM_ID if tag.kind == TagKind::Script => self.control(&tag.payload)?,
                other => return Err(Fault::StreamId(other)),
            };
            if event.is_some() {
                return Ok(event);
            }
        }
        Ok(None)
    }

    fn media(&mut self, tag: WireTag) -> Event {
        // The signed distance on the 32-bit circle: a step back across zero stays a step back.
        let distance = tag
            .wire_ms
            .wrapping_sub(self.last_dts.wire_ms())
            .cast_signed();
        let dts = self.last_dts + Dts(i64::from(distance));
        let tag = Tag {
            kind: tag.kind,
            dts,
            payload: own(tag.payload),
        };
        if self.preface_left > 0 {
            self.preface_left = self.preface_left.saturating_sub(1);
            return Event::Header(tag);
        }
        self.last_dts = dts;
        let sequence = self.next_sequence;
        self.next_sequence = sequence.saturating_add(1);
        Event::Tag { sequence, tag }
    }

    fn control(&mut self, body: &[u8]) -> Result<Option<Event>, Fault> {
        let Some(control) = Control::decode(body)? else {
            return Ok(None);
        };
        Ok(Some(match control {
            Control::Heartbeat { next } => {
                self.expect_next(next)?;
                Event::Heartbeat
            }
            Control::End { reason, next } => {
                self.expect_next(next)?;
                self.ended = true;
                Event::Ended(reason)
            }
            Control::Term { term } if term < self.term => {
                return Err(Fault::TermBack {
                    current: self.term,
                    said: term,
                });
            }
            Control::Term { term } => {
                self.term = term;
                Event::Term(term)
            }
            Control::Moved { to, next } => {
                self.expect_next(next)?;
                Event::Moved { to, next }
            }
            Control::Gap { preface, .. } if preface > PREFACE_MAX_TAGS => {
                return Err(Fault::Preface(preface));
            }
            Control::Gap {
                tags,
                next,
                dts,
                preface,
            } => {
                if self.next_sequence.checked_add(tags) != Some(next) {
                    return Err(Fault::Sequence { said: next });
                }
                self.next_sequence = next;
                self.last_dts = dts;
                self.preface_left = preface;
                Event::Gap { tags, next }
            }
        }))
    }

    fn expect_next(&self, said: u64) -> Result<(), Fault> {
        if said == self.next_sequence {
            Ok(())
        } else {
            Err(Fault::Sequence { said })
        }
    }
}

/// `payload`, out of the read buffer if it is small; see [`SHARE_MIN_BYTES`].
fn own(payload: Bytes) -> Bytes {
    if payload.len() >= SHARE_MIN_BYTES || payload.is_unique() {
        return payload;
    }
    Bytes::copy_from_slice(&payload)
}
