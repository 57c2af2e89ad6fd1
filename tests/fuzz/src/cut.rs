//! Bytes in pieces, as a network may deliver them.

/// The pieces of `bytes`, the same for the same `seed`: mostly short ones, some of a whole segment.
pub(crate) fn pieces(bytes: &[u8], seed: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    let mut state = u32::from(seed) | 0x100;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        // Seed 0 stands for byte by byte.
        let length = if seed == 0 {
            1
        } else {
            next_length(&mut state)
        };
        let (piece, left) = rest.split_at(length.min(rest.len()));
        rest = left;
        Some(piece)
    })
}

/// Xorshift, by Marsaglia.
fn next_length(state: &mut u32) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    let bits = *state >> 8;
    let length = match bits & 7 {
        0..=3 => (bits >> 3) & 0x7,
        4..=6 => (bits >> 3) & 0x7F,
        _ => (bits >> 3) & 0x7FF,
    };
    length as usize + 1
}
