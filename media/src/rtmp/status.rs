//! Answers to commands: results, errors and `onStatus`.

use super::command::Command;
use super::message::{Head, message_type};
use crate::amf0::Value;

/// Codes of `onStatus`, for people who read them in their encoder.
pub mod code {
    /// `connect` is granted.
    pub const CONNECT_SUCCESS: &str = "NetConnection.Connect.Success";
    /// The connection, or what it asks for, is not allowed.
    pub const CONNECT_REJECTED: &str = "NetConnection.Connect.Rejected";
    /// The connection is closed by the server.
    pub const CONNECT_CLOSED: &str = "NetConnection.Connect.Closed";
    /// The client is asked to connect again (Enhanced RTMP v2).
    pub const RECONNECT_REQUEST: &str = "NetConnection.Connect.ReconnectRequest";
    /// `publish` is granted.
    pub const PUBLISH_START: &str = "NetStream.Publish.Start";
    /// The stream's name is taken, or not a name.
    pub const PUBLISH_BAD_NAME: &str = "NetStream.Publish.BadName";
    /// `publish` is refused for another reason.
    pub const PUBLISH_DENIED: &str = "NetStream.Publish.Denied";
    /// The publisher has ended its stream.
    pub const UNPUBLISH_SUCCESS: &str = "NetStream.Unpublish.Success";
    /// A playlist was reset; encoders' libraries expect it before the start.
    pub const PLAY_RESET: &str = "NetStream.Play.Reset";
    /// `play` is granted.
    pub const PLAY_START: &str = "NetStream.Play.Start";
    /// The stream has ended.
    pub const PLAY_STOP: &str = "NetStream.Play.Stop";
    /// The stream's publisher has gone.
    pub const PLAY_UNPUBLISH_NOTIFY: &str = "NetStream.Play.UnpublishNotify";
    /// There is no such stream.
    pub const PLAY_STREAM_NOT_FOUND: &str = "NetStream.Play.StreamNotFound";
    /// `play` is refused for another reason.
    pub const PLAY_FAILED: &str = "NetStream.Play.Failed";
    /// The viewer has paused.
    pub const PAUSE_NOTIFY: &str = "NetStream.Pause.Notify";
    /// The viewer goes on.
    pub const UNPAUSE_NOTIFY: &str = "NetStream.Unpause.Notify";
    /// `seek` cannot be done, live.
    pub const SEEK_FAILED: &str = "NetStream.Seek.Failed";
}

/// The chunk stream of commands about the connection.
const CONNECTION_CHUNK_STREAM: u32 = 3;
/// The chunk stream of commands about one message stream.
const STREAM_CHUNK_STREAM: u32 = 5;

/// The head of a command message about this message stream; 0 is the connection.
pub(super) fn command_head(stream_id: u32) -> Head {
    let chunk_stream_id = if stream_id == 0 {
        CONNECTION_CHUNK_STREAM
    } else {
        STREAM_CHUNK_STREAM
    };
    Head {
        chunk_stream_id,
        timestamp: 0,
        type_id: message_type::COMMAND,
        stream_id,
    }
}

/// `_result` to `transaction`.
pub(super) fn result(transaction: f64, object: Value, argument: Value) -> Command {
    Command {
        name: "_result".into(),
        transaction,
        object,
        arguments: vec![argument],
    }
}

/// `onStatus`, or another command with an information object.
pub(super) fn status(name: &str, code: &str, description: &str) -> Command {
    let information = Value::object([
        ("level", Value::string(level(code))),
        ("code", Value::string(code)),
        ("description", Value::string(description)),
    ]);
    Command {
        name: name.into(),
        transaction: 0.0,
        object: Value::Null,
        arguments: vec![information],
    }
}

/// `status` or `error`, from the last part of the code.
fn level(code: &str) -> &'static str {
    match code.rsplit('.').next().unwrap_or_default() {
        "Start" | "Stop" | "Reset" | "Success" | "Notify" | "UnpublishNotify" | "Closed"
        | "ReconnectRequest" => "status",
        _ => "error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_errors_and_the_rest_is_status() {
        for (code, expected) in [
            (code::PUBLISH_START, "status"),
            (code::RECONNECT_REQUEST, "status"),
            (code::PLAY_UNPUBLISH_NOTIFY, "status"),
            (code::PUBLISH_BAD_NAME, "error"),
            (code::CONNECT_REJECTED, "error"),
            (code::PLAY_STREAM_NOT_FOUND, "error"),
            ("whatever", "error"),
        ] {
            assert_eq!(level(code), expected, "{code}");
        }
    }
}
