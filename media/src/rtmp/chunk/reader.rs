//! Chunks to messages: a buffer for each chunk stream, so that they may interleave.

use bytes::Bytes;

use super::DEFAULT_CHUNK_SIZE;
use super::error::ChunkError;
use super::header::{Basic, Fields, MAX_HEADER_BYTES};
use super::input::Input;
use super::stream::{ChunkStream, skip_repeated_time};
use super::whole::{self, Shape};
use crate::rtmp::limits::Limits;
use crate::rtmp::message::{Message, MessageError, message_type};

/// The payload of one chunk that is being read.
#[derive(Clone, Copy, Debug)]
struct Body {
    /// An index into `streams`.
    stream: usize,
    left: usize,
}

/// A chunk's header, as read and not yet applied.
struct Header {
    basic: Basic,
    /// `None` for format 3.
    fields: Option<Fields>,
    stream: Option<usize>,
    bytes: usize,
}

/// What a step has come to.
enum Step {
    Message(Message),
    /// The end of a chunk that ends no message.
    Chunk,
    /// All bytes are taken.
    Hungry,
}

/// Reads chunks and gives messages.
///
/// Payload bytes are copied once, from the input into a buffer of exactly the message's length; or not at all, where a
/// large message lies whole in an input that was given away. Idle, it holds about 60 bytes a chunk stream.
#[derive(Debug)]
pub struct Reader {
    limits: Limits,
    chunk_size: usize,
    streams: Vec<ChunkStream>,
    buffered_bytes: usize,
    body: Option<Body>,
    /// The beginning of a header whose end has not come.
    carry: [u8; MAX_HEADER_BYTES],
    carry_bytes: usize,
}

impl Reader {
    /// A reader at the first chunk after the handshake.
    pub fn new(limits: Limits) -> Reader {
        Reader {
            limits,
            chunk_size: DEFAULT_CHUNK_SIZE,
            streams: Vec::new(),
            buffered_bytes: 0,
            body: None,
            carry: [0; MAX_HEADER_BYTES],
            carry_bytes: 0,
        }
    }

    /// The peer's chunk size in bytes.
    pub fn chunk_size(&self) -> usize {
        self.chunk_size
    }

    /// Whether a message has begun and not ended.
    pub fn inside_message(&self) -> bool {
        self.carry_bytes > 0 || self.buffered_bytes > 0
    }

    /// Takes bytes from the front of `input` up to the end of a message; `None` when all bytes are taken and
    /// no message is whole. Applies the peer's chunk size and aborts (types 1 and 2) before it returns them.
    ///
    /// # Errors
    /// As [`ChunkError`] says; nothing can be read after it.
    pub fn read(&mut self, input: &mut Input<'_>) -> Result<Option<Message>, ChunkError> {
        loop {
            if let Some(message) = self.read_whole(input)? {
                return Ok(Some(message));
            }
            match input.lend(|bytes| self.step(bytes))? {
                Step::Message(message) => return Ok(Some(message)),
                Step::Chunk => {}
                Step::Hungry => return Ok(None),
            }
        }
    }

    /// The next message without a copy, if all of it lies in an input that was given away, and it is worth that.
    fn read_whole(&mut self, input: &mut Input<'_>) -> Result<Option<Message>, ChunkError> {
        let Input::Given(given) = input else {
            return Ok(None);
        };
        if self.body.is_some() || self.carry_bytes > 0 {
            return Ok(None);
        }
        let Some(header) = self.parse_header(&given.bytes)? else {
            return Ok(None);
        };
        let Some(stream) = header.stream.and_then(|index| self.streams.get_mut(index)) else {
            return Ok(None);
        };
        let Some(length) = stream.next_length(header.fields) else {
            return Ok(None);
        };
        // Copied or not, a message counts alike, so that what a peer may send does not hang on how it was read.
        let buffered_bytes = self.buffered_bytes.saturating_add(length);
        if length > self.limits.max_message_bytes || buffered_bytes > self.limits.max_buffered_bytes
        {
            return Ok(None);
        }
        let shape = Shape {
            header: header.bytes,
            length,
            chunk_size: self.chunk_size,
        };
        let Some(payload) = whole::take(&mut given.bytes, shape) else {
            return Ok(None);
        };
        given.kept_bytes = given.kept_bytes.saturating_add(length);
        stream.apply(header.fields);
        Ok(Some(stream.message(payload)))
    }

    /// Goes on to the end of a chunk.
    fn step(&mut self, input: &mut &[u8]) -> Result<Step, ChunkError> {
        let body = match self.body {
            Some(body) => body,
            None => match self.read_header(input)? {
                Some(body) => body,
                None => return Ok(Step::Hungry),
            },
        };
        let left = self.read_body(body, input);
        if left > 0 {
            self.body = Some(Body { left, ..body });
            return Ok(Step::Hungry);
        }
        self.body = None;
        let message = self.finish(body.stream)?;
        Ok(message.map_or(Step::Chunk, Step::Message))
    }

    /// The body of the next chunk; `None` if the header is not whole, which is then carried over.
    fn read_header(&mut self, input: &mut &[u8]) -> Result<Option<Body>, ChunkError> {
        if self.carry_bytes == 0 {
            if let Some(header) = self.parse_header(input)? {
                *input = input.get(header.bytes..).unwrap_or_default();
                return self.begin(&header).map(Some);
            }
            self.carry_over(input);
            return Ok(None);
        }
        let carried = self.carry_bytes;
        let before = *input;
        self.carry_over(input);
        let carry = self.carry;
        let Some(header) = self.parse_header(carry.get(..self.carry_bytes).unwrap_or_default())?
        else {
            return Ok(None);
        };
        if let Some(taken) = header.bytes.checked_sub(carried) {
            *input = before.get(taken..).unwrap_or_default();
            self.carry_bytes = 0;
        } else {
            // The carried bytes were kept to look for an extended time that is not there.
            *input = before;
            self.carry.copy_within(header.bytes..carried, 0);
            self.carry_bytes = carried.saturating_sub(header.bytes);
        }
        self.begin(&header).map(Some)
    }

    fn carry_over(&mut self, input: &mut &[u8]) {
        let room = self.carry.get_mut(self.carry_bytes..).unwrap_or_default();
        let taken = room.len().min(input.len());
        let (head, rest) = input.split_at(taken);
        room.iter_mut().zip(head).for_each(|(to, from)| *to = *from);
        self.carry_bytes = self.carry_bytes.saturating_add(taken);
        *input = rest;
    }

    fn parse_header(&self, bytes: &[u8]) -> Result<Option<Header>, ChunkError> {
        let Some((basic, rest)) = Basic::parse(bytes) else {
            return Ok(None);
        };
        let stream = self
            .streams
            .iter()
            .position(|stream| stream.id == basic.chunk_stream_id);
        if basic.format >= 2 && stream.is_none() {
            let Basic {
                format,
                chunk_stream_id,
            } = basic;
            return Err(ChunkError::NoHeader {
                chunk_stream_id,
                format,
            });
        }
        let (fields, rest) = if basic.format < 3 {
            let Some((fields, rest)) = Fields::parse(basic.format, rest) else {
                return Ok(None);
            };
            (Some(fields), rest)
        } else {
            let known = stream.and_then(|index| self.streams.get(index));
            let Some(rest) = skip_repeated_time(known, rest) else {
                return Ok(None);
            };
            (None, rest)
        };
        Ok(Some(Header {
            basic,
            fields,
            stream,
            bytes: bytes.len().saturating_sub(rest.len()),
        }))
    }

    /// Applies a header to its chunk stream and says how much payload follows it.
    fn begin(&mut self, header: &Header) -> Result<Body, ChunkError> {
        let id = header.basic.chunk_stream_id;
        let index = match header.stream {
            Some(index) => index,
            None if self.streams.len() >= self.limits.max_chunk_streams => {
                return Err(ChunkError::TooManyChunkStreams(
                    self.limits.max_chunk_streams,
                ));
            }
            None => {
                self.streams.push(ChunkStream::new(id));
                self.streams.len().saturating_sub(1)
            }
        };
        let Some(stream) = self.streams.get_mut(index) else {
            return Err(ChunkError::TooManyChunkStreams(
                self.limits.max_chunk_streams,
            ));
        };
        let so_far = match stream.partial.as_ref().map(Vec::len) {
            Some(so_far) => {
                stream.check_repeated(header.fields)?;
                so_far
            }
            None => {
                stream.apply(header.fields);
                let (length, limit) = (stream.length, self.limits.max_message_bytes);
                if length > limit {
                    return Err(ChunkError::MessageTooLong { length, limit });
                }
                self.buffered_bytes = self.buffered_bytes.saturating_add(length);
                if self.buffered_bytes > self.limits.max_buffered_bytes {
                    return Err(ChunkError::BufferFull(self.limits.max_buffered_bytes));
                }
                stream.partial = Some(Vec::with_capacity(length));
                0
            }
        };
        Ok(Body {
            stream: index,
            left: stream.length.saturating_sub(so_far).min(self.chunk_size),
        })
    }

    /// Moves payload into the message's buffer and returns how much of the chunk is still to come.
    fn read_body(&mut self, body: Body, input: &mut &[u8]) -> usize {
        let Some(partial) = self
            .streams
            .get_mut(body.stream)
            .and_then(|stream| stream.partial.as_mut())
        else {
            return 0;
        };
        let mut left = body.left;
        if self.carry_bytes > 0 {
            let taken = left.min(self.carry_bytes);
            partial.extend_from_slice(self.carry.get(..taken).unwrap_or_default());
            self.carry.copy_within(taken..self.carry_bytes, 0);
            self.carry_bytes = self.carry_bytes.saturating_sub(taken);
            left = left.saturating_sub(taken);
        }
        let (taken, rest) = input.split_at(left.min(input.len()));
        partial.extend_from_slice(taken);
        *input = rest;
        left.saturating_sub(taken.len())
    }

    /// The message, if the chunk that has ended was its last one.
    fn finish(&mut self, index: usize) -> Result<Option<Message>, ChunkError> {
        let Some(stream) = self.streams.get_mut(index) else {
            return Ok(None);
        };
        let Some(payload) = stream
            .partial
            .take_if(|partial| partial.len() >= stream.length)
        else {
            return Ok(None);
        };
        self.buffered_bytes = self.buffered_bytes.saturating_sub(stream.length);
        let message = stream.message(Bytes::from(payload));
        match message.type_id {
            message_type::SET_CHUNK_SIZE => self.set_chunk_size(first_u32(&message)?)?,
            message_type::ABORT => self.abort(first_u32(&message)?),
            _ => {}
        }
        Ok(Some(message))
    }

    fn set_chunk_size(&mut self, size: u32) -> Result<(), ChunkError> {
        if size == 0 || size > 0x7FFF_FFFF {
            return Err(ChunkError::ChunkSize(size));
        }
        // No message is longer than 24 bits can tell, so no chunk is either.
        self.chunk_size = usize::try_from(size.min(0x00FF_FFFF)).unwrap_or(DEFAULT_CHUNK_SIZE);
        Ok(())
    }

    fn abort(&mut self, id: u32) {
        let stream = self.streams.iter_mut().find(|stream| stream.id == id);
        if let Some(stream) = stream.filter(|stream| stream.partial.is_some()) {
            stream.partial = None;
            self.buffered_bytes = self.buffered_bytes.saturating_sub(stream.length);
        }
    }
}

fn first_u32(message: &Message) -> Result<u32, MessageError> {
    let first = message
        .payload
        .first_chunk()
        .ok_or(MessageError::ControlCut(message.type_id))?;
    Ok(u32::from_be_bytes(*first))
}
