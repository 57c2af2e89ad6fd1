//! Percent-encoding as names and queries use it (RFC 3986, section 2.1): strict, and `+` is a plus.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// All but the unreserved characters (RFC 3986, section 2.3), so that no router or shell sees a delimiter.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Why a text could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DecodeError {
    /// A `%` without two hexadecimal digits behind it.
    Escape,
    /// The bytes are not UTF-8.
    Utf8,
}

/// Decodes every escape of `text` once.
pub(crate) fn decode(text: &str) -> Result<Cow<'_, str>, DecodeError> {
    let escapes_whole = text.split('%').skip(1).all(|behind| {
        matches!(behind.as_bytes(), [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit())
    });
    if !escapes_whole {
        return Err(DecodeError::Escape);
    }
    percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| DecodeError::Utf8)
}

/// Appends `text` to `out`, its reserved characters escaped.
pub(crate) fn encode_into(out: &mut String, text: &str) {
    out.extend(utf8_percent_encode(text, RESERVED));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_are_decoded_once_and_strictly() {
        for (text, expected) in [
            ("", Ok("")),
            ("a+b", Ok("a+b")),
            ("%E6%88%BF", Ok("房")),
            ("房%20间", Ok("房 间")),
            ("%2541", Ok("%41")),
            ("%", Err(DecodeError::Escape)),
            ("%4", Err(DecodeError::Escape)),
            ("%4g", Err(DecodeError::Escape)),
            ("%%41", Err(DecodeError::Escape)),
            ("%é", Err(DecodeError::Escape)),
            ("%FF", Err(DecodeError::Utf8)),
            ("%C0%80", Err(DecodeError::Utf8)),
        ] {
            assert_eq!(
                decode(text).as_deref().map_err(|error| *error),
                expected,
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_itself(text in any::<String>()) {
            let mut encoded = String::new();
            encode_into(&mut encoded, &text);
            prop_assert!(encoded.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b)));
            prop_assert_eq!(decode(&encoded).unwrap(), text);
        }
    }
}
