//! Why a connection's chunks cannot be read on.

use crate::rtmp::message::MessageError;

/// Why bytes are not chunks, or more than this connection may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// One chunk stream more than the limit.
    #[error("more than {0} chunk streams")]
    TooManyChunkStreams(usize),
    /// The first chunk of a chunk stream leaves out what only a chunk before it could tell.
    #[error("chunk stream {chunk_stream_id} begins with a chunk of format {format}")]
    NoHeader {
        /// The chunk stream.
        chunk_stream_id: u32,
        /// 2 or 3.
        format: u8,
    },
    /// A message header inside a message, of another length or type.
    #[error("chunk stream {0} begins a message inside another one")]
    HeaderInsideMessage(u32),
    /// A message longer than the limit is announced.
    #[error("message of {length} bytes is longer than {limit}")]
    MessageTooLong {
        /// As announced, in bytes.
        length: usize,
        /// In bytes.
        limit: usize,
    },
    /// The messages that have begun are together longer than the limit.
    #[error("messages that have begun take more than {0} bytes")]
    BufferFull(usize),
    /// A chunk size of 0, or of 2^31 and more.
    #[error("chunk size of {0} is not allowed")]
    ChunkSize(u32),
    /// A control message of the chunk layer that is too short.
    #[error(transparent)]
    Message(#[from] MessageError),
}

impl ChunkError {
    /// A label for logs and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            ChunkError::TooManyChunkStreams(_) => "chunk_streams",
            ChunkError::NoHeader { .. } => "chunk_no_header",
            ChunkError::HeaderInsideMessage(_) => "chunk_header_inside_message",
            ChunkError::MessageTooLong { .. } => "message_too_long",
            ChunkError::BufferFull(_) => "messages_too_long",
            ChunkError::ChunkSize(_) => "chunk_size",
            ChunkError::Message(_) => "message_cut",
        }
    }
}
