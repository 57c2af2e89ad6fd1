//! The chunk layer: messages cut into chunks that may interleave (section 5.3).

mod error;
mod header;
mod input;
mod reader;
mod stream;
mod whole;
mod writer;

pub use error::ChunkError;
pub use input::{Given, Input};
pub use reader::Reader;
pub use writer::{Writer, put_message};

/// The chunk size that both ends begin with (5.4.1), in bytes.
pub const DEFAULT_CHUNK_SIZE: usize = 128;

/// The value of the 24-bit time field that says that 32 more bits follow (5.3.1.3).
const EXTENDED: u32 = 0x00FF_FFFF;

#[cfg(test)]
mod tests;
