//! A limit on everything that one connection may ask for.

/// What one connection may use. Each limit that is passed ends that connection with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest message, in bytes. The wire allows 16,777,215.
    pub max_message_bytes: usize,
    /// Sum of the lengths of messages that have begun and not ended, in bytes.
    pub max_buffered_bytes: usize,
    /// Chunk streams in use. The wire allows 65,597; encoders use three to six.
    pub max_chunk_streams: usize,
    /// Answers that wait for [`take_output`](super::ServerSession::take_output), in bytes.
    pub max_output_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_message_bytes: 8 << 20,
            max_buffered_bytes: 12 << 20,
            max_chunk_streams: 64,
            max_output_bytes: 256 << 10,
        }
    }
}
