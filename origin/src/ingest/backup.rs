//! A publisher that stands by: what came of it lately, ready to go on with, and when it is its turn.

use std::sync::Arc;
use std::time::Duration;

use headwater_hub::{FeedError, Headers, Opening, RegistryError, Ring, Role, Stream};
use headwater_location::MemberId;
use headwater_media::{Dts, Tag};
use parking_lot::Mutex;

use super::publisher::Publisher;
use crate::home::SILENT;
use crate::shared::Shared;

/// The one session of a ring that nobody else reads.
const SESSION: u64 = 1;

/// A publisher that stands by.
#[derive(Debug)]
pub(crate) struct Backup {
    pub(crate) publisher: Arc<Publisher>,
    /// Its newest tags.
    pub(crate) stream: Arc<Stream>,
    /// The origin that says who is on.
    home: Mutex<MemberId>,
}

/// Where a publisher could begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ready {
    /// The place in its ring.
    pub(super) position: u64,
    /// When that tag came.
    pub(super) arrived: Duration,
}

impl Backup {
    /// A publisher that stands by from now on; `headers` are what it has in force.
    pub(super) fn new(
        shared: &Shared,
        publisher: &Arc<Publisher>,
        headers: &Headers,
        home: MemberId,
    ) -> Result<Backup, RegistryError> {
        let stream = shared.hub.aside(&publisher.key)?;
        let opening = Opening {
            epoch: SESSION,
            term: SESSION,
            dts_offset: Dts(0),
            first_sequence: 0,
        };
        let headers: Vec<Tag> = headers.iter().map(|(_, tag)| tag.clone()).collect();
        // Nobody else opens or closes it.
        let opened = stream.open(opening);
        debug_assert!(opened.is_ok(), "{opened:?}");
        let adopted = stream.adopt_headers(SESSION, 0, &headers);
        debug_assert!(adopted.is_ok(), "{adopted:?}");
        Ok(Backup {
            publisher: Arc::clone(publisher),
            stream,
            home: Mutex::new(home),
        })
    }

    /// Takes the next tag, in the publisher's time.
    pub(super) fn push(&self, tag: Tag, now: Duration) -> Result<(), FeedError> {
        let sequence = self.stream.next_sequence();
        self.stream.push(SESSION, sequence, tag, now).map(drop)
    }

    pub(crate) fn home(&self) -> MemberId {
        self.home.lock().clone()
    }

    pub(super) fn set_home(&self, home: MemberId) {
        *self.home.lock() = home;
    }

    /// Where it could begin without showing anything from before `since`. Nowhere, if it is silent itself.
    pub(super) fn ready(&self, since: Duration, now: Duration) -> Option<Ready> {
        self.stream.with_ring(|ring| ready(ring, since, now))
    }

    /// What a session begins with at `from`: the time of its first tag, then the headers in force there, at that time,
    /// and all that has come since.
    pub(super) fn take_from(&self, from: u64) -> (Dts, Vec<Tag>) {
        self.stream.with_ring(|ring| {
            let from = from.max(ring.first_position());
            let tags = || (from..ring.next_position()).filter_map(|at| ring.get(at));
            let start = tags().next().map_or(Dts(0), |first| first.tag.dts);
            let headers = ring.headers_at(from).iter().map(|(_, tag)| Tag {
                dts: start,
                ..tag.clone()
            });
            let tags = tags().map(|entry| entry.tag.clone());
            (start, headers.chain(tags).collect())
        })
    }
}

fn ready(ring: &Ring, since: Duration, now: Duration) -> Option<Ready> {
    if now.saturating_sub(ring.last_arrived()) >= SILENT {
        return None;
    }
    let any = !ring.kinds().video || ring.keyframeless();
    let mut next = Some(ring.first_position());
    loop {
        let position = match next? {
            position if any => position,
            position => ring.keyframe_from(position)?,
        };
        let entry = ring.get(position)?;
        let arrived = entry.arrived();
        if arrived >= since && matches!(entry.role, Role::Keyframe | Role::Plain) {
            return Some(Ready { position, arrived });
        }
        next = position.checked_add(1);
    }
}

/// All publishers that stand by here.
#[derive(Debug, Default)]
pub(crate) struct Backups(Mutex<Vec<Arc<Backup>>>);

impl Backups {
    pub(super) fn add(&self, backup: &Arc<Backup>) {
        self.0.lock().push(Arc::clone(backup));
    }

    pub(super) fn remove(&self, backup: &Arc<Backup>) {
        self.0.lock().retain(|it| !Arc::ptr_eq(it, backup));
    }

    pub(crate) fn all(&self) -> Vec<Arc<Backup>> {
        self.0.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use headwater_hub::RingLimits;
    use headwater_media::TagKind;

    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A ring of `tags`: when each came, and its first two bytes.
    fn ring(tags: &[(u64, TagKind, [u8; 2])]) -> Ring {
        let mut ring = Ring::new(RingLimits::default());
        ring.begin(SESSION, Dts(0));
        for (sequence, (at, kind, payload)) in (0..).zip(tags) {
            let tag = Tag {
                kind: *kind,
                dts: Dts(i64::try_from(*at).unwrap()),
                payload: Bytes::from([&payload[..], &[0; 8]].concat()),
            };
            ring.push(sequence, tag, false, ms(*at));
        }
        ring
    }

    #[test]
    fn a_backup_begins_with_the_first_keyframe_that_came_since() {
        use TagKind::{Audio, Video};
        const HEADER: [u8; 2] = [0x17, 0];
        const KEY: [u8; 2] = [0x17, 1];
        const INTER: [u8; 2] = [0x27, 1];
        const SOUND: [u8; 2] = [0xAF, 1];
        let video = ring(&[
            (1_000, Video, HEADER),
            (1_000, Video, KEY),
            (1_040, Video, INTER),
            (1_500, Video, KEY),
            (1_510, Audio, SOUND),
            (1_700, Video, KEY),
            (1_740, Video, INTER),
        ]);
        let audio = ring(&[
            (1_000, Audio, [0xAF, 0]),
            (1_020, Audio, SOUND),
            (1_040, Audio, SOUND),
        ]);
        for (name, ring, since, now, want) in [
            ("all of it", &video, 0, 1_750, Some(1)),
            ("that came just then", &video, 1_500, 1_750, Some(3)),
            ("the first one since", &video, 1_200, 1_750, Some(3)),
            ("not the sound before it", &video, 1_501, 1_750, Some(5)),
            ("none since", &video, 1_701, 1_750, None),
            ("it is silent itself", &video, 1_200, 2_240, None),
            ("no video: not the header", &audio, 0, 1_050, Some(1)),
            ("no video: the first since", &audio, 1_021, 1_050, Some(2)),
            ("nothing at all", &ring_of_nothing(), 0, 100, None),
        ] {
            let position = ready(ring, ms(since), ms(now)).map(|ready| ready.position);
            assert_eq!(position, want, "{name}");
        }
    }

    fn ring_of_nothing() -> Ring {
        ring(&[])
    }
}
