//! The query of a publish or play address: ordered pairs, decoded, bounded.

use thiserror::Error;

use crate::percent::{self, DecodeError};

/// Most pairs in one query, also after merging.
const PAIRS_MAX: usize = 64;
/// Longest query in bytes, before decoding.
const QUERY_MAX_BYTES: usize = 4096;

/// The pairs of a query, percent-decoded, in the order in which they were written.
///
/// Names may come more than once; [`Query::get`] returns the first. `+` stands for itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    pairs: Vec<(String, String)>,
}

/// Why a query was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum QueryError {
    /// Longer than the limit.
    #[error("the query has {bytes} bytes: send at most {QUERY_MAX_BYTES}")]
    TooLong {
        /// Bytes before decoding.
        bytes: usize,
    },
    /// More pairs than the limit.
    #[error("the query has more than {PAIRS_MAX} parameters: send fewer")]
    TooMany,
    /// A `%` without two hexadecimal digits.
    #[error("the query has a % without two hexadecimal digits behind it: write a plain % as %25")]
    Escape,
    /// Not UTF-8.
    #[error("the query is not UTF-8 after its percent escapes are decoded: encode it as UTF-8")]
    Utf8,
}

impl QueryError {
    /// The kind of error, as a label.
    pub fn reason(&self) -> &'static str {
        match self {
            QueryError::TooLong { .. } => "query_too_long",
            QueryError::TooMany => "query_too_many_parameters",
            QueryError::Escape => "query_bad_escape",
            QueryError::Utf8 => "query_not_utf8",
        }
    }
}

impl From<DecodeError> for QueryError {
    fn from(error: DecodeError) -> QueryError {
        match error {
            DecodeError::Escape => QueryError::Escape,
            DecodeError::Utf8 => QueryError::Utf8,
        }
    }
}

impl Query {
    /// Reads what stands behind the `?` of an address: `name=value` pairs between `&`, of which empty ones are
    /// skipped; a name without `=` has the empty value.
    ///
    /// # Errors
    /// If the text is over 4,096 bytes or 64 pairs, has a broken escape, or is not UTF-8 when decoded.
    pub fn parse(text: &str) -> Result<Query, QueryError> {
        if text.len() > QUERY_MAX_BYTES {
            return Err(QueryError::TooLong { bytes: text.len() });
        }
        let mut pairs = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            if pairs.len() == PAIRS_MAX {
                return Err(QueryError::TooMany);
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decoded = (percent::decode(name)?, percent::decode(value)?);
            pairs.push((decoded.0.into_owned(), decoded.1.into_owned()));
        }
        Ok(Query { pairs })
    }

    /// The first value of `name`; names are compared exactly.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .find(|(have, _)| *have == name)
            .map(|(_, value)| value)
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there is no pair.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// These pairs, then those of `later`; so these win in [`Query::get`].
    ///
    /// # Errors
    /// If there are more than 64 pairs together.
    pub fn then(mut self, later: Query) -> Result<Query, QueryError> {
        if self.pairs.len().saturating_add(later.pairs.len()) > PAIRS_MAX {
            return Err(QueryError::TooMany);
        }
        self.pairs.extend(later.pairs);
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pairs_are_read_in_order() {
        for (text, expected) in [
            ("", vec![]),
            ("&&", vec![]),
            ("a", vec![("a", "")]),
            ("=b", vec![("", "b")]),
            ("a=1&b=2&a=3", vec![("a", "1"), ("b", "2"), ("a", "3")]),
            ("t=x=y==", vec![("t", "x=y==")]),
            ("t=a+b%2Bc", vec![("t", "a+b+c")]),
            ("%E6%88%BF=%26", vec![("房", "&")]),
            ("a=1?b=2", vec![("a", "1?b=2")]),
        ] {
            let query = Query::parse(text).unwrap();
            assert_eq!(query.iter().collect::<Vec<_>>(), expected, "{text}");
            assert_eq!(query.is_empty(), expected.is_empty(), "{text}");
        }
    }

    #[test]
    fn the_first_of_equal_names_is_taken() {
        let query = Query::parse("a=1&a=2").unwrap();
        assert_eq!(query.get("a"), Some("1"));
        assert_eq!(query.get("A"), None);
    }

    #[test]
    fn bad_queries_are_refused() {
        for (text, reason) in [
            ("a=%".to_owned(), "query_bad_escape"),
            ("%zz=1".to_owned(), "query_bad_escape"),
            ("a=%FF".to_owned(), "query_not_utf8"),
            ("a&".repeat(65), "query_too_many_parameters"),
            ("a".repeat(4097), "query_too_long"),
        ] {
            assert_eq!(Query::parse(&text).unwrap_err().reason(), reason, "{text}");
        }
        assert!(Query::parse(&"a&".repeat(64)).is_ok());
        assert!(Query::parse(&"a".repeat(4096)).is_ok());
    }

    #[test]
    fn a_merged_query_keeps_the_limit() {
        let forty = Query::parse(&"a=1&".repeat(40)).unwrap();
        let small = Query::parse("b=2&a=3").unwrap();
        assert_eq!(
            small.clone().then(forty.clone()).unwrap().get("a"),
            Some("3")
        );
        assert_eq!(forty.clone().then(small).unwrap().get("a"), Some("1"));
        assert_eq!(forty.clone().then(forty), Err(QueryError::TooMany));
    }

    proptest! {
        #[test]
        fn any_text_is_a_query_or_an_error(text in any::<String>()) {
            if let Ok(query) = Query::parse(&text) {
                prop_assert!(query.iter().count() <= PAIRS_MAX);
            }
        }
    }
}
