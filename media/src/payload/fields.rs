//! The big-endian fields at the start of a tag's body, read one after another.

/// What is left to read; each reading takes its bytes away, or returns `None` where they are cut short.
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn of(payload: &'a [u8]) -> Fields<'a> {
        Fields(payload)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[value]| value)
    }

    /// The upper and the lower four bits of one byte.
    pub(super) fn nibbles(&mut self) -> Option<(u8, u8)> {
        self.u8().map(|value| (value >> 4, value & 0x0F))
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// A signed 24-bit number (`SI24`).
    pub(super) fn i24(&mut self) -> Option<i32> {
        let [a, b, c] = self.array()?;
        // In the upper 24 bits, so that the shift back extends the sign.
        Some(i32::from_be_bytes([a, b, c, 0]) >> 8)
    }

    pub(super) fn skip(&mut self, bytes: usize) -> Option<()> {
        self.0 = self.0.get(bytes..)?;
        Some(())
    }
}
