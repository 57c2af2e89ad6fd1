//! Audio, video and data: from messages to tags.

use std::time::Duration;

use bytes::Bytes;

use super::{Activity, ServerEvent, ServerSession};
use crate::TagKind;
use crate::rtmp::error::RtmpError;
use crate::rtmp::message::{Aggregate, Message, message_type};

/// The AMF0 string that tells a server to keep the data that follows it: marker, length, text.
const SET_DATA_FRAME: &[u8] = b"\x02\x00\x0D@setDataFrame";
/// Its opposite. Nothing is kept here, so there is nothing to clear.
const CLEAR_DATA_FRAME: &[u8] = b"\x02\x00\x0F@clearDataFrame";

impl ServerSession {
    /// Acts on a message that is not a command.
    pub(super) fn media(&mut self, message: Message, now: Duration) -> Result<(), RtmpError> {
        if message.type_id != message_type::AGGREGATE {
            return self.single(message, now);
        }
        let (mut parts, ends) = Aggregate::new(message);
        if matches!(self.publishing, Activity::Active(_)) {
            let mut seen = parts.clone();
            if std::iter::from_fn(|| seen.part()).any(|part| tag(part).1.is_some()) {
                self.last_media = now;
                self.events.push_parts(parts);
            }
        } else {
            while let Some(part) = parts.part() {
                self.single(part, now)?;
            }
        }
        Ok(ends?)
    }

    fn single(&mut self, message: Message, now: Duration) -> Result<(), RtmpError> {
        let (kind, event) = tag(message);
        let Some(event) = event else {
            return self.ignore(kind);
        };
        match self.publishing {
            Activity::Active(_) => {
                self.last_media = now;
                self.events.push(event);
                Ok(())
            }
            Activity::Asked(_) => self.hold(event),
            Activity::Never | Activity::Over => self.ignore(kind),
        }
    }

    /// Some encoders send media right behind `publish`; its first tags are those that nobody can do without.
    fn hold(&mut self, event: ServerEvent) -> Result<(), RtmpError> {
        let ServerEvent::Media { payload, .. } = &event else {
            return Ok(());
        };
        let cost = payload.len().saturating_add(size_of::<ServerEvent>());
        self.held_bytes = self.held_bytes.saturating_add(cost);
        let limit = self.config.limits.max_buffered_bytes;
        if self.held_bytes > limit {
            return Err(RtmpError::MediaBeforeAnswer(limit));
        }
        self.held.push(event);
        Ok(())
    }

    /// Media after the end of a publish was on its way; before any publish it is a mistake.
    fn ignore(&mut self, kind: TagKind) -> Result<(), RtmpError> {
        if self.publishing == Activity::Never && kind != TagKind::Script {
            return Err(RtmpError::MediaBeforePublish);
        }
        self.ignored_messages = self.ignored_messages.saturating_add(1);
        Ok(())
    }
}

/// The kind of tag that `message` is, and the event; none where it holds nothing to pass on.
pub(super) fn tag(message: Message) -> (TagKind, Option<ServerEvent>) {
    let (kind, payload) = match message.type_id {
        message_type::AUDIO => (TagKind::Audio, Some(message.payload)),
        message_type::VIDEO => (TagKind::Video, Some(message.payload)),
        message_type::DATA => (TagKind::Script, script_body(message.payload)),
        message_type::DATA_AMF3 => (
            TagKind::Script,
            script_body(without_format(message.payload)),
        ),
        // Shared objects and what no specification names.
        _ => (TagKind::Script, None),
    };
    // Encoders send empty messages to keep a connection up.
    let payload = payload.filter(|payload| !payload.is_empty());
    let event = payload.map(|payload| ServerEvent::Media {
        kind,
        wire_ms: message.timestamp,
        payload,
    });
    (kind, event)
}

/// The body of a script tag from a data message; `None` for what is not an event with a name.
fn script_body(payload: Bytes) -> Option<Bytes> {
    if payload.starts_with(CLEAR_DATA_FRAME) {
        return None;
    }
    let body = if payload.starts_with(SET_DATA_FRAME) {
        payload.slice(SET_DATA_FRAME.len()..)
    } else {
        payload
    };
    (body.first() == Some(&2)).then_some(body)
}

/// Data of type 15 begins with one byte of format, which is 0 for AMF0; some encoders leave it out.
fn without_format(payload: Bytes) -> Bytes {
    if payload.first() == Some(&0) {
        payload.slice(1..)
    } else {
        payload
    }
}
