//! What has happened on a connection and has not been taken yet.

use std::collections::VecDeque;

use super::event::ServerEvent;
use super::media;
use crate::rtmp::message::Aggregate;

/// Room that is kept when all is taken.
const ROOM_KEPT: usize = 64;

/// Events in order. The parts of an aggregate are split off when they are taken: as events they would have many times its
/// size.
#[derive(Debug, Default)]
pub(super) struct EventQueue(VecDeque<Queued>);

#[derive(Debug)]
enum Queued {
    Event(ServerEvent),
    Parts(Aggregate),
}

impl EventQueue {
    pub(super) fn push(&mut self, event: ServerEvent) {
        self.0.push_back(Queued::Event(event));
    }

    pub(super) fn push_parts(&mut self, parts: Aggregate) {
        self.0.push_back(Queued::Parts(parts));
    }

    /// The events of messages; of aggregates the parts are copied when they are taken.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut ServerEvent> {
        self.0.iter_mut().filter_map(|queued| match queued {
            Queued::Event(event) => Some(event),
            Queued::Parts(_) => None,
        })
    }

    /// The next event. `ignored` counts the parts that hold nothing to pass on.
    pub(super) fn pop(&mut self, ignored: &mut u64) -> Option<ServerEvent> {
        loop {
            if let Some(Queued::Parts(parts)) = self.0.front_mut()
                && let Some(part) = parts.part()
            {
                if let (_, Some(event)) = media::tag(part) {
                    return Some(event);
                }
                *ignored = ignored.saturating_add(1);
                continue;
            }
            match self.0.pop_front() {
                Some(Queued::Event(event)) => return Some(event),
                Some(Queued::Parts(_)) => {}
                None => {
                    // A burst of small messages must not stay as memory.
                    if self.0.capacity() > ROOM_KEPT {
                        self.0 = VecDeque::new();
                    }
                    return None;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtmp::message::{Message, message_type};

    #[test]
    fn an_aggregate_takes_the_room_of_one_event_until_its_parts_are_taken() {
        let mut part = vec![message_type::AUDIO, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0x2F];
        part.extend_from_slice(&[0, 0, 0, 12]);
        let (parts, ends) = Aggregate::new(Message {
            chunk_stream_id: 4,
            timestamp: 0,
            type_id: message_type::AGGREGATE,
            stream_id: 1,
            payload: part.repeat(10_000).into(),
        });
        assert!(ends.is_ok());
        let mut queue = EventQueue::default();
        queue.push_parts(parts);
        queue.push(ServerEvent::Unpublish);
        let mut ignored = 0;
        let mut media = 0;
        while let Some(ServerEvent::Media { .. }) = queue.pop(&mut ignored) {
            media += 1;
            assert_eq!(queue.0.len(), 2, "whatever is left of it");
        }
        assert_eq!((media, ignored), (10_000, 0));
        assert_eq!(queue.pop(&mut ignored), None, "the unpublish came last");
    }
}
