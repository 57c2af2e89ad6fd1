//! What a peer sent, lent or given away.

use bytes::{Buf, BytesMut};

/// Bytes in the order in which they came.
#[derive(Debug)]
pub enum Input<'a> {
    /// They are their owner's: what is kept of them is copied.
    Lent(&'a [u8]),
    /// Payloads may be parts of this buffer, which lives as long as the longest of them.
    Given(Given),
}

/// A buffer that was given away.
#[derive(Debug, Default)]
pub struct Given {
    pub(super) bytes: BytesMut,
    pub(super) kept_bytes: usize,
}

impl Given {
    /// Bytes of payloads that are parts of the buffer.
    pub fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }
}

impl From<BytesMut> for Input<'_> {
    fn from(bytes: BytesMut) -> Self {
        Input::Given(Given {
            bytes,
            kept_bytes: 0,
        })
    }
}

impl Input<'_> {
    /// How many bytes are left.
    pub fn len(&self) -> usize {
        match self {
            Input::Lent(bytes) => bytes.len(),
            Input::Given(given) => given.bytes.len(),
        }
    }

    /// Whether none are left.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Has `take` take bytes from the front.
    pub fn lend<T>(&mut self, take: impl FnOnce(&mut &[u8]) -> T) -> T {
        match self {
            Input::Lent(bytes) => take(bytes),
            Input::Given(given) => {
                let mut rest = &given.bytes[..];
                let taken = take(&mut rest);
                let left = rest.len();
                given.bytes.advance(given.bytes.len().saturating_sub(left));
                taken
            }
        }
    }
}
