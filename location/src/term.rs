//! Epochs and terms: numbers that grow, even where the clocks of the members do not agree.

/// A new epoch or term: above `highest` (the highest one seen), and about the present where clocks are right.
///
/// `unix_ms` is the wall clock in milliseconds; a skewed one delays nobody, because what has been seen counts.
pub fn next(highest: u64, unix_ms: u64) -> u64 {
    let clock = unix_ms.checked_mul(1 << 16).unwrap_or(0);
    highest.max(clock).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_term_is_above_all_seen_and_follows_the_clock() {
        for (name, highest, unix_ms, want) in [
            ("nothing seen", 0, 1, 65_537),
            ("clock ahead of what was seen", 65_537, 2, 131_073),
            ("clock behind what was seen", 1 << 40, 2, (1 << 40) + 1),
            ("clock absurd", 5, u64::MAX, 6),
        ] {
            assert_eq!(next(highest, unix_ms), want, "{name}");
        }
    }
}
