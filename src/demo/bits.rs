//! Writing bits, as the video and audio formats count them.

/// Bits, the most significant of a byte first.
#[derive(Debug, Default)]
pub(super) struct Bits {
    bytes: Vec<u8>,
    /// Bits of the last byte that are taken, 0 if it is full or there is none.
    taken: u32,
}

impl Bits {
    /// The `count` low bits of `value`.
    pub(super) fn put(&mut self, value: u32, count: u32) {
        for shift in (0..count).rev() {
            if self.taken == 0 {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut()
                && value.checked_shr(shift).unwrap_or(0) & 1 == 1
            {
                *last |= 0x80 >> self.taken;
            }
            self.taken = (self.taken + 1) % 8;
        }
    }

    /// An unsigned Exp-Golomb code, `ue(v)` (H.264 9.1).
    pub(super) fn ue(&mut self, value: u32) {
        let code = value.saturating_add(1);
        let length = code.ilog2();
        self.put(0, length);
        self.put(code, length + 1);
    }

    /// Zeros up to the next byte.
    pub(super) fn align(&mut self) {
        self.taken = 0;
    }

    /// Whole bytes; the position must be aligned.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// What was written, with zeros in the rest of the last byte.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// A NAL unit (H.264 7.3.1): its header, then these bits with their stop bit, escaped so that no start code occurs.
    pub(super) fn into_nal(mut self, header: u8) -> Vec<u8> {
        self.put(1, 1);
        let mut nal = vec![header];
        let mut zeros = 0;
        for byte in self.bytes {
            if zeros >= 2 && byte <= 3 {
                nal.push(3);
                zeros = 0;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            nal.push(byte);
        }
        nal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_golomb_codes_are_those_of_table_9_2() {
        let mut bits = Bits::default();
        for value in [0, 1, 2, 3, 7] {
            bits.ue(value);
        }
        // 1 010 011 00100 0001000
        assert_eq!(bits.into_bytes(), [0b1010_0110, 0b0100_0001, 0b0000_0000]);
    }

    #[test]
    fn a_nal_unit_holds_no_start_code() {
        let mut bits = Bits::default();
        bits.bytes(&[0, 0, 0, 0, 0, 1, 0, 0, 4]);
        let nal = bits.into_nal(0x65);
        assert_eq!(nal, [0x65, 0, 0, 3, 0, 0, 3, 0, 1, 0, 0, 4, 0x80]);
    }
}
