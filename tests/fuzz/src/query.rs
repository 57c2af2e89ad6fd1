//! Queries and percent-encoding.

use headwater_media::{Query, StreamKey};

use crate::input::lines;

const PAIRS_MAX: usize = 64;

/// The query that reads as `query`.
fn written(query: &Query) -> String {
    let escape =
        |text: &str| -> String { text.bytes().map(|byte| format!("%{byte:02x}")).collect() };
    let pairs: Vec<String> = query
        .iter()
        .map(|(name, value)| format!("{}={}", escape(name), escape(value)))
        .collect();
    pairs.join("&")
}

/// Lines: two queries, and a text for a name.
pub(crate) fn run(bytes: &[u8]) {
    let Some([first, second, name]) = lines(bytes) else {
        return;
    };
    if let Ok(query) = Query::parse(first) {
        assert!(query.iter().count() <= PAIRS_MAX);
        for (name, _) in query.iter() {
            let found = query
                .iter()
                .find(|(other, _)| *other == name)
                .map(|(_, value)| value);
            assert_eq!(query.get(name), found, "the first of a name counts");
        }
        let text = written(&query);
        if text.len() <= 4_096 {
            assert_eq!(
                Query::parse(&text).as_ref(),
                Ok(&query),
                "what was written reads differently"
            );
        }
        if let Ok(later) = Query::parse(second)
            && let Ok(both) = query.clone().then(later.clone())
        {
            assert!(
                both.iter().eq(query.iter().chain(later.iter())),
                "pairs are lost or made up"
            );
        }
    }
    if let Ok(key) = StreamKey::new("default", "live", name) {
        let path = key.path();
        assert_eq!(
            StreamKey::from_internal_path(&path),
            Ok(key),
            "{path} reads differently"
        );
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "txSecret=f85a2ab363fe4deaffef9754d79da6fe&txTime=5C271099\nbizid=1\nroom",
        "a=%41%20+&a=2&b&=c&&%C3%A4=\nx=y=z\nräum %",
        "a=%\n%zz\n%2F",
        "%FF=1\n\n\u{7f}",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into_iter()
    .chain([
        vec![b'&'; 70],
        [&b"a="[..], &[b'x'; 4_100]].concat(),
        "a=1&".repeat(65).into_bytes(),
    ])
    .collect()
}
