//! The `admission` section of the configuration.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use headwater_process::config::{Secret, time};
use headwater_process::documented;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Kind;
use crate::pattern::{Pattern, PatternError};
use crate::target::Target;

documented! {
    /// Who may publish and play. Without `keys` and without `callback.url` everybody may.
    #[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct AdmissionConfig {
        /// Signing keys by app. The most specific pattern that matches decides alone, the vhost before the app.
        pub keys: Vec<KeyRule>,
        /// Apps that no pattern covers, for publishing and playing each as soon as any rule has a key for it.
        pub unmatched: Unmatched,
        /// The HTTP callback that is asked after the signature was found good.
        pub callback: CallbackConfig,
    }
}

/// What happens to an app that no pattern covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unmatched {
    /// Refused: a misspelt pattern leaves nothing open.
    #[default]
    Deny,
    /// Open to everybody.
    Allow,
}

/// The keys of the apps that one pattern covers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeyRule {
    /// `vhost/app` with `*` for any run of characters, or `*` for everything; without an instance it covers the app's
    /// instances too.
    pub pattern: String,
    /// Which signatures are taken.
    pub scheme: TakenSchemes,
    /// The keys for publishing; none: open to everybody.
    pub publish: KeyPair,
    /// The keys for playing; none: open to everybody.
    pub play: KeyPair,
}

/// Which signatures a rule takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TakenSchemes {
    /// `txSecret` and `hwSign`.
    #[default]
    Any,
    /// Only `txSecret` (MD5).
    Tx,
    /// Only `hwSign` (HMAC-SHA-256).
    Hmac,
}

/// Two keys for one purpose, both in force, so that one can be replaced while the other signs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeyPair {
    /// The key that signs, at most 1,024 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub main: Option<Secret>,
    /// Another key that is still, or already, good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<Secret>,
}

documented! {
    /// An HTTP server that decides, and hears of the ends.
    #[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct CallbackConfig {
        /// Where to POST, `http://host:port/path`; empty: nobody is asked.
        pub url: String,
        /// What to ask and tell.
        pub events: Vec<CallbackEvent>,
        /// How long a question may take altogether, from `1ms` to `60s`.
        #[serde(with = "headwater_process::config::time")]
        pub timeout: Duration,
        /// What counts while the callback cannot be asked or its answer cannot be read.
        pub on_error: OnError,
        /// Questions under way at once; more wait, within the timeout. Ends have a quarter of it on top.
        pub max_in_flight: usize,
        /// Ends that wait to be told; more are dropped and counted.
        pub max_queued_ends: usize,
    }
}

impl Default for CallbackConfig {
    fn default() -> Self {
        CallbackConfig {
            url: String::new(),
            events: CallbackEvent::ALL.to_vec(),
            timeout: Duration::from_secs(2),
            on_error: OnError::Deny,
            max_in_flight: 256,
            max_queued_ends: 4_096,
        }
    }
}

/// What the callback hears of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CallbackEvent {
    /// Somebody wants to publish; the answer decides.
    Publish,
    /// Somebody wants to play; the answer decides.
    Play,
    /// An admitted publisher is gone.
    PublishEnd,
    /// An admitted viewer is gone.
    PlayEnd,
}

impl CallbackEvent {
    /// All four.
    pub const ALL: [CallbackEvent; 4] = [
        CallbackEvent::Publish,
        CallbackEvent::Play,
        CallbackEvent::PublishEnd,
        CallbackEvent::PlayEnd,
    ];

    pub(crate) fn begin(kind: Kind) -> Self {
        match kind {
            Kind::Publish => CallbackEvent::Publish,
            Kind::Play => CallbackEvent::Play,
        }
    }

    pub(crate) fn end(kind: Kind) -> Self {
        match kind {
            Kind::Publish => CallbackEvent::PublishEnd,
            Kind::Play => CallbackEvent::PlayEnd,
        }
    }
}

/// What a callback that fails means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// Whoever asked may, with the configuration's settings.
    Allow,
    /// Whoever asked is refused.
    #[default]
    Deny,
}

/// A value of the `admission` section that cannot be used. Keys are never quoted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// A pattern is not one.
    #[error("admission.keys[{rule}].pattern: {source}")]
    Pattern {
        /// The place of the rule, from 0.
        rule: usize,
        /// What is wrong with it.
        source: PatternError,
    },
    /// A pattern is there twice.
    #[error(
        "admission.keys[{rule}].pattern: `{pattern}` is already in admission.keys[{first}]; put both keys in one rule as main and backup"
    )]
    PatternTwice {
        /// The place of the second rule, from 0.
        rule: usize,
        /// The place of the first rule, from 0.
        first: usize,
        /// The pattern.
        pattern: String,
    },
    /// A rule signs nothing.
    #[error(
        "admission.keys[{0}]: neither publish.main nor play.main is set; set one, or remove the rule"
    )]
    NoKey(usize),
    /// A key is no key.
    #[error("admission.keys[{rule}].{which}: {problem}")]
    Key {
        /// The place of the rule, from 0.
        rule: usize,
        /// Which key, as a path.
        which: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The callback's URL is not one.
    #[error("admission.callback.url: {0}")]
    Url(&'static str),
    /// The callback's time is out of its range.
    #[error("admission.callback.timeout is {}; it must be from 1ms to 60s", time::format(*.0))]
    Timeout(Duration),
    /// A number of the callback is out of its range.
    #[error("admission.callback.{field} is {value}; it must be from {min} to {max}")]
    Range {
        /// The field's name.
        field: &'static str,
        /// What it is.
        value: u64,
        /// The least that it may be.
        min: u64,
        /// The most that it may be.
        max: u64,
    },
}

const KEY_MAX_BYTES: usize = 1024;
const TIMEOUT_RANGE: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(60);

impl AdmissionConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// The first value that cannot be used.
    pub fn check(&self) -> Result<(), ConfigError> {
        let mut seen: Vec<Pattern> = Vec::new();
        for (rule, keys) in self.keys.iter().enumerate() {
            let pattern = Pattern::parse(&keys.pattern)
                .map_err(|source| ConfigError::Pattern { rule, source })?;
            if let Some(first) = seen.iter().position(|earlier| *earlier == pattern) {
                return Err(ConfigError::PatternTwice {
                    rule,
                    first,
                    pattern: pattern.to_string(),
                });
            }
            seen.push(pattern);
            keys.publish.check(rule, "publish")?;
            keys.play.check(rule, "play")?;
            if keys.publish.main.is_none() && keys.play.main.is_none() {
                return Err(ConfigError::NoKey(rule));
            }
        }
        self.callback.check()
    }
}

impl KeyPair {
    fn check(&self, rule: usize, purpose: &str) -> Result<(), ConfigError> {
        self.usable().map_err(|(name, problem)| ConfigError::Key {
            rule,
            which: format!("{purpose}.{name}"),
            problem,
        })
    }

    /// # Errors
    /// Which of the two keys cannot be used, and why.
    pub(crate) fn usable(&self) -> Result<(), (&'static str, &'static str)> {
        let error = |name, problem| Err((name, problem));
        for (name, key) in [("main", &self.main), ("backup", &self.backup)] {
            let Some(key) = key else { continue };
            let key = key.expose();
            if key.is_empty() {
                return error(name, "the key is empty; set it or remove it");
            }
            if key.len() > KEY_MAX_BYTES {
                return error(name, "the key is longer than 1,024 bytes");
            }
            if key.trim() != key.as_str() || key.chars().any(char::is_control) {
                return error(
                    name,
                    "the key begins or ends with white space or holds a control character, such as a line end from a file",
                );
            }
        }
        if self.main.is_none() && self.backup.is_some() {
            return error("main", "there is a backup key and no main key");
        }
        Ok(())
    }

    /// The keys in force, the main one first.
    pub(crate) fn in_force(&self) -> impl Iterator<Item = &str> {
        self.main
            .iter()
            .chain(&self.backup)
            .map(|key| key.expose().as_str())
    }
}

impl CallbackConfig {
    fn check(&self) -> Result<(), ConfigError> {
        if !self.url.is_empty() {
            Target::parse(&self.url).map_err(ConfigError::Url)?;
        }
        if !TIMEOUT_RANGE.contains(&self.timeout) {
            return Err(ConfigError::Timeout(self.timeout));
        }
        let size = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        for (field, value, min, max) in [
            ("max_in_flight", size(self.max_in_flight), 1, 10_000),
            ("max_queued_ends", size(self.max_queued_ends), 1, 1_000_000),
        ] {
            if !(min..=max).contains(&value) {
                return Err(ConfigError::Range {
                    field,
                    value,
                    min,
                    max,
                });
            }
        }
        Ok(())
    }

    /// The events without repetition.
    pub(crate) fn wanted(&self) -> HashSet<CallbackEvent> {
        self.events.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests;
