//! Where a pull starts: the decision of a sender about a request.

use std::sync::Arc;

use headwater_hub::{Headers, Kinds, Liveness, Progress, Ring};
use headwater_media::Dts;

use crate::head::{Previous, PullHead};
use crate::refusal::{Elsewhere, Refusal};
use crate::request::StartAt;

/// What a sender does about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// Answer 200 and begin.
    At(Begin),
    /// Nothing to send yet: decide again when the stream has gone on, and refuse after a while.
    Wait,
    /// Answer that.
    Refused(Refusal),
}

/// A place in the ring with all that the answer says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begin {
    /// The head of the answer.
    pub head: PullHead,
    /// The ring position of the first tag, which may still have to come.
    pub position: u64,
    /// The headers in force there, which go first; empty where the receiver has them.
    pub headers: Arc<Headers>,
    /// The kinds of tag that the session has had.
    pub kinds: Kinds,
}

/// Decides where `asked` starts in `ring`.
///
/// `progress` and `next_sequence` are the stream's, read before the ring.
pub fn decide(ring: &Ring, progress: Progress, next_sequence: u64, asked: StartAt) -> Start {
    let place = Place {
        ring,
        progress,
        next_sequence,
        epoch: ring.span().epoch,
    };
    let resumes = matches!(asked, StartAt::After { .. });
    match progress.liveness {
        Liveness::Waiting => return Start::Wait,
        Liveness::Closed => return Start::Refused(Refusal::NotHere(Elsewhere::default())),
        Liveness::Ended if !resumes => {
            return Start::Refused(Refusal::NotHere(Elsewhere::default()));
        }
        Liveness::Ended | Liveness::Live => {}
    }
    match asked {
        StartAt::After { epoch, sequence } if epoch == place.epoch => place.resume(sequence),
        StartAt::After { epoch, .. } if epoch > place.epoch => Start::Refused(Refusal::Behind {
            epoch: place.epoch,
            term: progress.term,
        }),
        StartAt::After { epoch, .. } => {
            place.at(place.oldest(), 0, Some(place.previous(epoch)), true)
        }
        StartAt::Oldest => place.at(place.oldest(), 0, None, true),
        StartAt::Live => place.at(place.live(), 0, None, true),
    }
}

struct Place<'r> {
    ring: &'r Ring,
    progress: Progress,
    next_sequence: u64,
    epoch: u64,
}

impl Place<'_> {
    /// The oldest tag of the current session, or the one to come.
    fn oldest(&self) -> u64 {
        self.ring
            .position_of(self.epoch, 0)
            .unwrap_or_else(|| self.ring.next_position())
    }

    /// Where a receiver starts who has nothing.
    fn live(&self) -> u64 {
        match self.ring.newest_gop() {
            Some(keyframe) => keyframe,
            // Without keyframes there is nothing to wait for, so more is better.
            None if !self.ring.kinds().video || self.ring.keyframeless() => self.oldest(),
            // A GOP too long to begin with: headers now, and video from the next keyframe on.
            None => self.ring.next_position(),
        }
    }

    fn previous(&self, epoch: u64) -> Previous {
        let last = self.ring.entries().rev().find(|e| e.span().epoch == epoch);
        Previous {
            epoch,
            last: last.map(|e| e.sequence),
        }
    }

    /// Goes on behind tag `sequence` of the current session.
    fn resume(&self, sequence: u64) -> Start {
        let Some(target) = sequence.checked_add(1) else {
            return Start::Wait;
        };
        let Some(position) = self.ring.position_of(self.epoch, target) else {
            return match target.cmp(&self.next_sequence) {
                std::cmp::Ordering::Equal => self.at(self.ring.next_position(), 0, None, false),
                std::cmp::Ordering::Greater => Start::Wait,
                std::cmp::Ordering::Less => {
                    let gap = self.next_sequence.saturating_sub(target);
                    self.at(self.ring.next_position(), gap, None, true)
                }
            };
        };
        if self.sequence_at(position) == Some(target) {
            return self.at(position, 0, None, false);
        }
        let start = resume_point(self.ring, self.epoch, position);
        let first = self.sequence_at(start).unwrap_or(self.next_sequence);
        self.at(start, first.saturating_sub(target), None, true)
    }

    fn sequence_at(&self, position: u64) -> Option<u64> {
        self.ring.get(position).map(|e| e.sequence)
    }

    fn at(&self, position: u64, gap: u64, previous: Option<Previous>, preface: bool) -> Start {
        let last = self
            .ring
            .entries()
            .next_back()
            .filter(|e| e.span().epoch == self.epoch);
        let (first_sequence, first_dts) = match (self.ring.get(position), last) {
            (Some(first), _) => (first.sequence, first.tag.dts),
            (None, Some(last)) => (self.next_sequence, last.tag.dts),
            (None, None) if self.next_sequence == 0 => (0, Dts(0)),
            // Joined mid-way without a tag so far: its time is not known.
            (None, None) => return Start::Wait,
        };
        let dts_offset = match last {
            Some(last) => last.span().dts_offset,
            // What the ring will make of it: a stream's time does not step back, and a session's begins at 0.
            None => self
                .ring
                .last_at()
                .map_or(self.ring.span().dts_offset, |at| {
                    at.max(self.ring.span().dts_offset)
                }),
        };
        let headers = if preface {
            Arc::clone(self.ring.headers_at(position))
        } else {
            Arc::default()
        };
        Start::At(Begin {
            head: PullHead {
                epoch: self.epoch,
                term: self.progress.term,
                first_sequence,
                dts_offset,
                first_dts,
                gap,
                previous,
                preface: u32::try_from(headers.iter().count()).unwrap_or(u32::MAX),
            },
            position,
            headers,
            kinds: self.ring.kinds(),
        })
    }
}

/// Where a receiver goes on whose next tag is gone, when `position` is the first one held behind the hole: the newest
/// keyframe, else there.
pub(crate) fn resume_point(ring: &Ring, epoch: u64, position: u64) -> u64 {
    ring.newest_keyframe()
        .filter(|keyframe| *keyframe >= position)
        .filter(|keyframe| ring.get(*keyframe).is_some_and(|e| e.span().epoch == epoch))
        .unwrap_or(position)
}
