//! The way in for fuzzing: a viewer's request from its bytes to what is asked for.

use std::time::Duration;

use headwater_media::{StreamKey, VirtualHosts};

use crate::play::ask::Ask;
use crate::play::http::head;

/// Reads a request's head and, if it names a stream, what is asked of that. Returns the bytes that the head took, `None`
/// if more is to come.
///
/// # Errors
/// The label of what is wrong with the head.
pub fn request(bytes: &[u8], max_bytes: usize) -> Result<Option<usize>, &'static str> {
    let Some((head, used)) = head::read(bytes, max_bytes).map_err(head::HeadError::reason)? else {
        return Ok(None);
    };
    let hosts = VirtualHosts::default();
    let named = StreamKey::from_play_path(&head.path, &head.query, "flv", &head.host, &hosts);
    if let Ok((_, query)) = named {
        let wait_max = Duration::from_secs(30);
        if let Ok(ask) = Ask::read(&query, wait_max) {
            assert!(ask.wait <= wait_max, "a longer wait than allowed");
        }
    }
    Ok(Some(used))
}
