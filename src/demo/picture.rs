//! What the demonstration shows: colour bars, and a square that moves to and fro.

/// Width in luma samples.
pub(super) const WIDTH: usize = 320;
/// Height in luma samples that are shown; the coded picture is a little higher.
pub(super) const HEIGHT: usize = 180;
/// Side of a macroblock in luma samples.
pub(super) const MACROBLOCK: usize = 16;
/// Bytes of a macroblock: 256 of luma, then 64 of each colour difference.
pub(super) const MACROBLOCK_BYTES: usize = 384;
/// Macroblocks in a row.
pub(super) const COLUMNS: usize = WIDTH.div_ceil(MACROBLOCK);
/// Rows of macroblocks.
pub(super) const ROWS: usize = HEIGHT.div_ceil(MACROBLOCK);

const SQUARE: usize = 28;
const STEP: usize = 4;

type Colour = [u8; 3];

/// Luma and colour differences of the bars (BT.601, 75 %), from left to right.
const BARS: [Colour; 8] = [
    [180, 128, 128],
    [162, 44, 142],
    [131, 156, 44],
    [112, 72, 58],
    [84, 184, 198],
    [65, 100, 212],
    [35, 212, 114],
    [24, 128, 128],
];
const WHITE: Colour = [235, 128, 128];

/// The samples of one macroblock of picture number `picture`, in the order of H.264's `I_PCM` (7.3.5).
pub(super) fn macroblock(picture: usize, column: usize, row: usize) -> [u8; MACROBLOCK_BYTES] {
    let mut samples = [0; MACROBLOCK_BYTES];
    let (left, top) = (column * MACROBLOCK, row * MACROBLOCK);
    let (luma, differences) = samples.split_at_mut(256);
    let (blue, red) = differences.split_at_mut(64);
    for (index, sample) in luma.iter_mut().enumerate() {
        let [y, _, _] = colour(picture, left + index % 16, top + index / 16);
        *sample = y;
    }
    for (index, (blue, red)) in blue.iter_mut().zip(red).enumerate() {
        let [_, cb, cr] = colour(picture, left + index % 8 * 2, top + index / 8 * 2);
        *blue = cb;
        *red = cr;
    }
    samples
}

fn colour(picture: usize, x: usize, y: usize) -> Colour {
    let left = to_and_fro(picture * STEP, WIDTH - SQUARE);
    let top = to_and_fro(picture * STEP / 2, HEIGHT - SQUARE);
    if (left..left + SQUARE).contains(&x) && (top..top + SQUARE).contains(&y) {
        return WHITE;
    }
    BARS.get(x * BARS.len() / WIDTH).copied().unwrap_or(WHITE)
}

/// A position that goes from 0 to `end` and back, again and again.
fn to_and_fro(way: usize, end: usize) -> usize {
    let there = way % (2 * end);
    there.min(2 * end - there)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_square_stays_inside_and_moves_in_every_picture() {
        for picture in 0..1000 {
            let at = |picture: usize| {
                (
                    to_and_fro(picture * STEP, WIDTH - SQUARE),
                    to_and_fro(picture * STEP / 2, HEIGHT - SQUARE),
                )
            };
            let (left, top) = at(picture);
            assert!(left + SQUARE <= WIDTH && top + SQUARE <= HEIGHT);
            assert_ne!(at(picture), at(picture + 1));
        }
    }
}
