//! Windows: the new tags of a stream, encoded once for all viewers in step.

use std::cell::RefCell;
use std::collections::VecDeque;

use headwater_hub::{Cursor, LatePolicy, Ring};

use crate::format::Format;
use crate::run::Run;

/// The new tags between two closings, in every format that somebody needs.
#[derive(Debug)]
pub struct Window {
    /// The cursor of whoever stands right before it.
    pub start: Cursor,
    /// The cursor of whoever has it all.
    pub end: Cursor,
    runs: [Option<Run>; Format::COUNT],
}

impl Window {
    /// The window's bytes in `format`; `None` if nobody needed that format when it was closed.
    pub fn run(&self, format: Format) -> Option<&Run> {
        self.runs.get(format as usize)?.as_ref()
    }
}

/// Which formats a stream's viewers need.
#[derive(Clone, Copy, Debug, Default)]
pub struct Needs([usize; Format::COUNT]);

impl Needs {
    /// One more viewer of `format`.
    pub fn add(&mut self, format: Format) {
        if let Some(count) = self.0.get_mut(format as usize) {
            *count = count.saturating_add(1);
        }
    }

    /// One viewer of `format` less.
    pub fn remove(&mut self, format: Format) {
        if let Some(count) = self.0.get_mut(format as usize) {
            *count = count.saturating_sub(1);
        }
    }
}

const FORMATS: [Format; Format::COUNT] = [
    Format::FlvChunked,
    Format::FlvPlain,
    Format::Rtmp,
    Format::FlvWebSocket,
];

/// Only buffers of a usual window's size are worth keeping.
const SPARE_MAX_BYTES: usize = 128 << 10;
/// So many are kept.
const SPARE_MAX: usize = 8;

thread_local! {
    /// Buffers for the next windows, of whichever stream: most have none open most of the time.
    static SPARE: RefCell<Vec<Run>> = RefCell::default();
}

/// Builds windows and keeps those that some viewer in step has yet to send.
#[derive(Debug)]
pub struct Windows {
    leader: Cursor,
    open: VecDeque<Window>,
}

impl Windows {
    /// Windows that begin at the end of `ring`.
    pub fn follow(ring: &Ring) -> Windows {
        Windows {
            leader: Cursor::follow(ring),
            open: VecDeque::new(),
        }
    }

    /// Closes a window over everything new in `ring`; returns whether there was anything.
    pub fn close(&mut self, ring: &Ring, needs: &Needs, policy: &LatePolicy) -> bool {
        let end = ring.next_position();
        if self.leader.next_position() >= end {
            return false;
        }
        if self.leader.next_position() < ring.first_position() {
            // So much came at once that the ring is past it: nobody can be in step.
            self.open.clear();
            self.leader = Cursor::follow(ring);
            return true;
        }
        let start = self.leader.clone();
        let mut runs = [const { None }; Format::COUNT];
        let mut after = None;
        for format in FORMATS {
            let needed = needs.0.get(format as usize).copied().unwrap_or(0) > 0;
            if !needed {
                continue;
            }
            let mut run = SPARE.with_borrow_mut(Vec::pop).unwrap_or_default();
            let mut cursor = start.clone();
            run.extend(&mut cursor, ring, end, format, policy, usize::MAX);
            after = Some(cursor);
            if let Some(slot) = runs.get_mut(format as usize) {
                *slot = Some(run);
            }
        }
        self.leader = after.unwrap_or_else(|| {
            let mut cursor = start.clone();
            while let Some(item) = cursor.next_item(ring, end, policy) {
                cursor.sent(&item);
            }
            cursor
        });
        self.open.push_back(Window {
            start,
            end: self.leader.clone(),
            runs,
        });
        true
    }

    /// Windows that begin where those of `others` have come to.
    pub(crate) fn behind(others: &Windows) -> Windows {
        Windows {
            leader: others.leader.clone(),
            open: VecDeque::new(),
        }
    }

    /// Forgets the windows that are open: all viewers in step have them.
    pub fn clear(&mut self) {
        while let Some(window) = self.open.pop_front() {
            for mut run in window.runs.into_iter().flatten() {
                run.clear();
                if run.bytes.capacity() > SPARE_MAX_BYTES {
                    continue;
                }
                SPARE.with_borrow_mut(|spare| {
                    if spare.len() < SPARE_MAX {
                        spare.push(run);
                    }
                });
            }
        }
    }

    /// The position up to which windows have been closed.
    pub fn end(&self) -> u64 {
        self.leader.next_position()
    }

    /// Where viewers stand who have been sent everything.
    pub fn leader(&self) -> &Cursor {
        &self.leader
    }

    /// The open windows from the one on which `cursor` stands; empty if it is in step with none.
    pub fn from<'w>(
        &'w self,
        cursor: &Cursor,
    ) -> impl Iterator<Item = &'w Window> + Clone + use<'w> {
        let first = self
            .open
            .partition_point(|window| window.start.next_position() < cursor.next_position());
        let in_step = self
            .open
            .get(first)
            .is_some_and(|window| cursor.in_step_with(&window.start));
        self.open
            .iter()
            .skip(if in_step { first } else { usize::MAX })
    }
}
