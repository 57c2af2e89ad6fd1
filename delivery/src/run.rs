//! A run: consecutive items of a stream, encoded. Shared by all viewers in step (a window), or one viewer's own.

use bytes::BytesMut;
use headwater_hub::{Cursor, LatePolicy, Ring};

use crate::format::Format;

/// Where an item of a run ends, and the cursor of whoever has sent that far.
#[derive(Clone, Debug)]
pub struct Mark {
    /// Offset of the first byte after the item.
    pub end: usize,
    /// The cursor after the item.
    pub cursor: Cursor,
}

/// Encoded items with their borders.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// The items' bytes.
    pub bytes: BytesMut,
    /// One for each item, in order.
    pub marks: Vec<Mark>,
}

impl Run {
    /// Empties it, keeping its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.marks.clear();
    }

    /// Appends what `cursor` is to get before position `end`, until at least `bytes_max` bytes are there.
    ///
    /// Moves `cursor` on; returns whether there may be more before `end`.
    pub fn extend(
        &mut self,
        cursor: &mut Cursor,
        ring: &Ring,
        end: u64,
        format: Format,
        policy: &LatePolicy,
        bytes_max: usize,
    ) -> bool {
        while self.bytes.len() < bytes_max {
            let Some(item) = cursor.next_item(ring, end, policy) else {
                return false;
            };
            format.encode(item.tag, item.at, &mut self.bytes);
            cursor.sent(&item);
            self.marks.push(Mark {
                end: self.bytes.len(),
                cursor: cursor.clone(),
            });
        }
        true
    }

    /// The item that byte `offset` belongs to.
    pub fn mark_at(&self, offset: usize) -> Option<&Mark> {
        self.marks
            .get(self.marks.partition_point(|mark| mark.end <= offset))
    }
}
