//! YAML as a tree that remembers the line of each key.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;

/// A value of a YAML document.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    /// Anything but a mapping.
    Value(Value),
    /// A mapping, in the order of the document.
    Map(Vec<Entry>),
}

/// A key of a mapping with its value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    /// Counted from 1.
    pub(super) line: u64,
    pub(super) value: Node,
}

/// What is not YAML, in one line.
pub(super) struct SyntaxError {
    /// Counted from 1, where it is known.
    pub(super) line: Option<u64>,
    pub(super) what: String,
}

impl Node {
    /// Reads one document; an empty text is null.
    pub(super) fn parse(text: &str) -> Result<Self, SyntaxError> {
        let options = serde_saphyr::options! { with_snippet: false };
        serde_saphyr::from_str_with_options(text, options).map_err(|error| SyntaxError {
            line: error.location().map(|location| location.line()),
            what: error
                .to_string()
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" "),
        })
    }

    pub(super) fn into_value(self) -> Value {
        match self {
            Node::Value(value) => value,
            Node::Map(entries) => Value::Object(
                entries
                    .into_iter()
                    .map(|entry| (entry.key, entry.value.into_value()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Value(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Value(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Value(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Value(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Value(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Value(
            Number::from_f64(value).map_or(Value::Null, Value::Number),
        ))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Value(Value::String(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = seq.next_element::<Node>()? {
            list.push(item.into_value());
        }
        Ok(Node::Value(Value::Array(list)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            entries.push(Entry {
                line: key.referenced.line(),
                key: key.value,
                value: map.next_value()?,
            });
        }
        Ok(Node::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn parse(text: &str) -> Node {
        Node::parse(text).unwrap_or_else(|error| panic!("{}", error.what))
    }

    #[test]
    fn keys_know_their_lines() {
        let Node::Map(top) = parse(
            "# first\norigin:\n  listen: ':1935'\n  # why\n  apps: [a, b]\nlog: {level: info}\n",
        ) else {
            panic!("not a mapping");
        };
        let lines = |entries: &[Entry]| -> Vec<(String, u64)> {
            entries
                .iter()
                .map(|entry| (entry.key.clone(), entry.line))
                .collect()
        };
        assert_eq!(
            lines(&top),
            [("origin".to_owned(), 2), ("log".to_owned(), 6)]
        );
        let Node::Map(origin) = &top[0].value else {
            panic!("not a mapping");
        };
        assert_eq!(
            lines(origin),
            [("listen".to_owned(), 3), ("apps".to_owned(), 5)]
        );
    }

    #[test]
    fn scalars_keep_their_types() {
        for (text, value) in [
            ("", Value::Null),
            ("~", Value::Null),
            ("true", json!(true)),
            ("-3", json!(-3)),
            ("18446744073709551615", json!(u64::MAX)),
            ("1.5", json!(1.5)),
            ("3s", json!("3s")),
            ("'3'", json!("3")),
            ("[1, {a: b}]", json!([1, {"a": "b"}])),
            ("{a: {b: 1}}", json!({"a": {"b": 1}})),
        ] {
            assert_eq!(parse(text).into_value(), value, "{text}");
        }
    }

    #[test]
    fn what_is_not_yaml_is_named_with_its_line() {
        for (text, line) in [
            ("a: 1\nb: [1,\n", None),
            ("a: 1\na: 2\n", Some(2)),
            ("a: 1\n b: 2\n", Some(2)),
        ] {
            let error = Node::parse(text).err().unwrap_or_else(|| panic!("{text}"));
            assert!(
                line.is_none() || error.line == line,
                "{text}: {:?}",
                error.line
            );
            assert!(!error.what.contains('\n'));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_tree_or_an_error(text in "\\PC{0,200}") {
            let _ = Node::parse(&text);
        }

        #[test]
        fn any_text_of_yaml_signs_is_a_tree_or_an_error(text in "[-:{}\\[\\]&*!|>'\"%@`?#,a1 \n\t]{0,80}") {
            let _ = Node::parse(&text);
        }
    }
}
