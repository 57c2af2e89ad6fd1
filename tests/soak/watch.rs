//! What one connection of a viewer has got, without a record of it: whether it is whole so far.

use headwater_media::flv::WireTag;
use headwater_rig::identity;

/// One connection.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Session and number of the last tag.
    last: Option<(u64, u64)>,
    /// The last stamps of sound and picture.
    stamps: [u32; 2],
    pub(crate) tags: u64,
}

impl Watch {
    /// Takes what came.
    ///
    /// # Errors
    /// What was lost, doubled or out of order.
    pub(crate) fn take(&mut self, tags: &[WireTag]) -> Result<(), String> {
        for tag in tags {
            let Some((session, number)) = identity::read(&tag.payload) else {
                continue;
            };
            self.tags += 1;
            let stamp = &mut self.stamps[usize::from(tag.kind as u8 == 9)];
            if tag.wire_ms < *stamp {
                return Err(format!("time went back from {stamp} to {} ms", tag.wire_ms));
            }
            *stamp = tag.wire_ms;
            let follows = match self.last {
                None => true,
                Some((of, last)) if of == session => number == last + 1,
                // A session is seen from its first picture on.
                Some((of, _)) => session > of && number == 0,
            };
            let last = self.last.replace((session, number));
            if !follows {
                return Err(format!("{session}:{number} after {last:?}"));
            }
        }
        Ok(())
    }
}
