//! Which known name somebody meant.

/// The candidate with the least edit distance from `name`, if it is near enough to be a slip.
pub(super) fn nearest<'a>(
    name: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let tolerated = (name.chars().count() / 3).clamp(1, 3);
    candidates
        .map(|candidate| {
            // Who leaves the unit out, or the beginning, means that name.
            let part =
                name.len() >= 4 && (candidate.starts_with(name) || candidate.ends_with(name));
            let edits = if part { 1 } else { distance(name, candidate) };
            (edits, candidate)
        })
        .filter(|(distance, _)| *distance <= tolerated)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance, where a swap of neighbours counts as one step, too.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    let mut previous = None;
    for (row, letter) in from.chars().enumerate() {
        let mut current = vec![row + 1];
        for (column, other) in to.iter().enumerate() {
            let at =
                |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX / 2);
            let kept = at(&last, column) + usize::from(letter != *other);
            let mut best = kept
                .min(at(&last, column + 1) + 1)
                .min(at(&current, column) + 1);
            let swapped =
                column > 0 && previous == Some(*other) && to.get(column - 1) == Some(&letter);
            if swapped {
                best = best.min(at(&before, column - 1) + 1);
            }
            current.push(best);
        }
        before = std::mem::replace(&mut last, current);
        previous = Some(letter);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_edits() {
        for (from, to, edits) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("ring", "rnig", 1),
            ("listen", "lisen", 1),
            ("bytes", "byte", 1),
        ] {
            assert_eq!(distance(from, to), edits, "{from} {to}");
        }
    }

    #[test]
    fn only_slips_are_suggested() {
        let known = ["ring_max_bytes", "listen", "grace"];
        for (name, meant) in [
            ("ring_max_byte", Some("ring_max_bytes")),
            ("lisetn", Some("listen")),
            ("gracee", Some("grace")),
            ("ring_max", Some("ring_max_bytes")),
            ("max_bytes", Some("ring_max_bytes")),
            ("colour", None),
            ("x", None),
        ] {
            assert_eq!(nearest(name, known.into_iter()), meant, "{name}");
        }
    }
}
