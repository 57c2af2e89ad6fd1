//! Which apps a rule covers.

use std::cmp::Reverse;

use headwater_media::wildcard;
use thiserror::Error;

/// A `vhost/app` pattern in which `*` stands for any run of characters, also for none.
///
/// An app pattern without `/` covers the app's instances too (`default/live` matches `live` and `live/eu`); one with
/// `/` is held against app and instance together. `*` alone is `*/*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    vhost: String,
    app: String,
}

/// A pattern that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PatternError {
    /// Nothing stands for the app.
    #[error(
        "`{0}` names no app: write vhost/app, for example default/live, */live or * for everything"
    )]
    NoApp(String),
    /// A part is empty, too long or holds what no name holds.
    #[error(
        "`{0}` can match no name: parts must not be empty, `.` or `..`, or hold control characters, and the whole is at most 512 bytes"
    )]
    NoName(String),
}

const PATTERN_MAX_BYTES: usize = 512;

impl Pattern {
    pub(crate) fn parse(text: &str) -> Result<Pattern, PatternError> {
        let (vhost, app) = match text {
            "*" => ("*", "*"),
            _ => text
                .split_once('/')
                .ok_or_else(|| PatternError::NoApp(shown(text)))?,
        };
        if app.is_empty() {
            return Err(PatternError::NoApp(shown(text)));
        }
        let bad_part = |part: &str| matches!(part, "" | "." | "..");
        if vhost.is_empty()
            || text.len() > PATTERN_MAX_BYTES
            || text.chars().any(char::is_control)
            || bad_part(vhost)
            || app.split('/').any(bad_part)
        {
            return Err(PatternError::NoName(shown(text)));
        }
        Ok(Pattern {
            vhost: vhost.to_owned(),
            app: app.to_owned(),
        })
    }

    /// Whether this covers `app` (with its instance) on `vhost`.
    pub(crate) fn matches(&self, vhost: &str, app: &str) -> bool {
        if !wildcard(&self.vhost, vhost) {
            return false;
        }
        if self.app.contains('/') {
            return wildcard(&self.app, app);
        }
        let without_instance = app.split_once('/').map_or(app, |(first, _)| first);
        wildcard(&self.app, without_instance)
    }

    /// The order of precedence, most specific first: the vhost decides before the app, a literal before a wildcard,
    /// more literal characters before fewer.
    pub(crate) fn precedence(&self) -> impl Ord + use<> {
        let specific = |part: &str| {
            Reverse((
                !part.contains('*'),
                part.bytes().filter(|b| *b != b'*').count(),
            ))
        };
        (specific(&self.vhost), specific(&self.app))
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.vhost, self.app)
    }
}

/// A pattern as an error quotes it: one line, not endless.
fn shown(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pattern_covers_its_apps_and_their_instances() {
        for (pattern, vhost, app, covered) in [
            ("*", "default", "live", true),
            ("*", "cdn.example", "live/eu", true),
            ("default/live", "default", "live", true),
            ("default/live", "default", "live/eu", true),
            ("default/live", "default", "live2", false),
            ("default/live", "other", "live", false),
            ("default/live/eu", "default", "live/eu", true),
            ("default/live/eu", "default", "live", false),
            ("default/live/*", "default", "live/eu", true),
            ("default/live/*", "default", "live", false),
            ("*/live", "other", "live", true),
            ("*.example/li*e", "cdn.example", "lie", true),
            ("*.example/li*e", "cdn.example.org", "lie", false),
            ("default/*a*b*", "default", "xaxbx", true),
            ("default/*a*b*", "default", "xbxax", false),
            ("default/a*a", "default", "a", false),
            ("default/a**a", "default", "aa", true),
            ("default/ж*", "default", "живо", true),
        ] {
            let got = Pattern::parse(pattern).unwrap().matches(vhost, app);
            assert_eq!(got, covered, "{pattern} on {vhost}/{app}");
        }
    }

    #[test]
    fn the_more_specific_pattern_goes_first() {
        let ordered = [
            "default/live/eu",
            "default/live",
            "default/live*",
            "default/l*",
            "default/*",
            "*.example/live",
            "*/live",
            "*/*",
        ];
        for pair in ordered.windows(2) {
            let precedence = |at: usize| Pattern::parse(pair[at]).unwrap().precedence();
            assert!(precedence(0) < precedence(1), "{pair:?}");
        }
    }

    #[test]
    fn a_pattern_that_matches_nothing_is_refused() {
        for (text, no_app) in [
            ("", true),
            ("live", true),
            ("default/", true),
            ("/live", false),
            ("default//live", false),
            ("default/../live", false),
            ("default/li\nve", false),
        ] {
            let error = Pattern::parse(text).unwrap_err();
            assert_eq!(matches!(error, PatternError::NoApp(_)), no_app, "{text:?}");
            assert!(!error.to_string().contains('\n'));
        }
        assert!(Pattern::parse(&format!("default/{}", "a".repeat(600))).is_err());
    }

    /// The definition, without regard to time.
    fn by_definition(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|at| by_definition(rest, &text[at..])),
            Some((first, rest)) => text
                .split_first()
                .is_some_and(|(t, text)| t == first && by_definition(rest, text)),
        }
    }

    proptest! {
        #[test]
        fn wildcards_match_what_the_definition_says(pattern in "[ab*é]{0,8}", text in "[abé]{0,10}") {
            let chars = |s: &str| s.chars().collect::<Vec<_>>();
            prop_assert_eq!(wildcard(&pattern, &text), by_definition(&chars(&pattern), &chars(&text)));
        }

        #[test]
        fn any_pattern_is_an_error_or_a_pattern(pattern in ".*", vhost in ".*", app in ".*") {
            if let Ok(pattern) = Pattern::parse(&pattern) {
                pattern.matches(&vhost, &app);
            }
        }
    }
}
