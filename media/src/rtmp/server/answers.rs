//! What the connection's owner decides, and how the peer hears of it.

use std::time::Duration;

use super::{Activity, ServerSession};
use crate::amf0::Value;
use crate::rtmp::control::Control;
use crate::rtmp::play;
use crate::rtmp::status::{code, status};

impl ServerSession {
    /// Grants the publish that was asked for: media that came meanwhile, and all that follows, become events.
    /// Does nothing if the publisher has given up meanwhile. Each [`Publish`](super::ServerEvent::Publish) is answered
    /// once, in order, so that an answer never goes to another ask than its own.
    pub fn accept_publish(&mut self, now: Duration) {
        if take_one(&mut self.publishes_taken_back) {
            return;
        }
        let Activity::Asked(stream_id) = self.publishing else {
            return;
        };
        self.publishing = Activity::Active(stream_id);
        self.last_media = now;
        if std::mem::take(&mut self.fc_publish) {
            self.send_command(0, &status("onFCPublish", code::PUBLISH_START, "publishing"));
        }
        self.link.send_control(Control::StreamBegin { stream_id });
        self.send_command(
            stream_id,
            &status("onStatus", code::PUBLISH_START, "publishing"),
        );
        for event in std::mem::take(&mut self.held) {
            self.events.push(event);
        }
        self.held_bytes = 0;
    }

    /// Refuses the publish that was asked for. `code` is one of [`code`](crate::rtmp::code), such as
    /// [`PUBLISH_BAD_NAME`](code::PUBLISH_BAD_NAME); encoders show `description`, or at least log it.
    pub fn refuse_publish(&mut self, code: &str, description: &str, now: Duration) {
        if take_one(&mut self.publishes_taken_back) {
            return;
        }
        if let Activity::Asked(stream_id) = self.publishing {
            self.stop_publishing(now);
            self.send_command(stream_id, &status("onStatus", code, description));
        }
    }

    /// Ends the publish that was accepted, for instance because a newer one replaces it. What the publisher
    /// still sends is ignored.
    pub fn end_publish(&mut self, code: &str, description: &str, now: Duration) {
        if let Activity::Active(stream_id) = self.publishing {
            self.stop_publishing(now);
            self.send_command(stream_id, &status("onStatus", code, description));
        }
    }

    /// Asks the client to connect again, to `tc_url` if given, else where it is now (Enhanced RTMP v2,
    /// "Reconnect Request"). Clients whose capabilities lack the bit ignore it.
    pub fn request_reconnect(&mut self, tc_url: Option<&str>, description: &str) {
        let mut request = status("onStatus", code::RECONNECT_REQUEST, description);
        if let (Some(tc_url), Some(Value::Object(information))) =
            (tc_url, request.arguments.first_mut())
        {
            information.push(("tcUrl".to_owned(), Value::string(tc_url)));
        }
        self.send_command(0, &request);
    }

    /// Grants the play that was asked for, as [`accept_publish`](ServerSession::accept_publish) does. After the output that this makes, messages of
    /// [`play`] may follow on the connection, between pieces of output.
    pub fn accept_play(&mut self) {
        if take_one(&mut self.plays_taken_back) {
            return;
        }
        let Activity::Asked(stream_id) = self.playing else {
            return;
        };
        self.playing = Activity::Active(stream_id);
        self.link.set_chunk_size(play::CHUNK_SIZE);
        self.link.send_control(Control::StreamBegin { stream_id });
        self.send_command(stream_id, &status("onStatus", code::PLAY_RESET, "starting"));
        self.send_command(stream_id, &status("onStatus", code::PLAY_START, "playing"));
    }

    /// Refuses the play that was asked for, as [`refuse_publish`](ServerSession::refuse_publish) does.
    pub fn refuse_play(&mut self, code: &str, description: &str, now: Duration) {
        if take_one(&mut self.plays_taken_back) {
            return;
        }
        if let Activity::Asked(stream_id) = self.playing {
            self.playing = Activity::Over;
            self.waiting_since = now;
            self.send_command(stream_id, &status("onStatus", code, description));
        }
    }

    /// Ends the play that was accepted, with [`PLAY_STOP`](code::PLAY_STOP),
    /// [`PLAY_UNPUBLISH_NOTIFY`](code::PLAY_UNPUBLISH_NOTIFY) or a failure.
    pub fn end_play(&mut self, code: &str, description: &str, now: Duration) {
        if let Activity::Active(stream_id) = self.playing {
            self.playing = Activity::Over;
            self.waiting_since = now;
            self.link.send_control(Control::StreamEof { stream_id });
            self.send_command(stream_id, &status("onStatus", code, description));
        }
    }

    pub(super) fn stop_publishing(&mut self, now: Duration) {
        self.publishing = Activity::Over;
        self.waiting_since = now;
        self.held = Vec::new();
        self.held_bytes = 0;
    }
}

/// Counts `count` down; returns whether there was one.
fn take_one(count: &mut u32) -> bool {
    let had = *count > 0;
    *count = count.saturating_sub(1);
    had
}
