//! Patterns in which a star stands for anything.

/// Whether `text` is `pattern` with each `*` replaced by some run of characters.
///
/// Works on the pieces between stars: the first is a prefix, the last a suffix, those between are found leftmost, so
/// the time is at most the product of the lengths.
pub fn wildcard(pattern: &str, text: &str) -> bool {
    let Some((prefix, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let (middle, suffix) = rest.rsplit_once('*').unwrap_or(("", rest));
    let Some(text) = text.strip_prefix(prefix) else {
        return false;
    };
    let Some(mut text) = text.strip_suffix(suffix) else {
        return false;
    };
    for piece in middle.split('*') {
        match text.split_once(piece) {
            Some((_, after)) => text = after,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        for (pattern, text, matches) in [
            ("room", "room", true),
            ("room", "rooms", false),
            ("room-*", "room-", true),
            ("*-hd", "room-hd", true),
            ("r*m*d", "room-1-hd", true),
            ("a*a", "a", false),
            ("*", "", true),
        ] {
            assert_eq!(wildcard(pattern, text), matches, "{pattern} {text}");
        }
    }
}
