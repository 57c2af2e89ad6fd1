//! Which settings there are: the leaves of the default configuration's tree.

use serde::Serialize;
use serde_json::Value;

use super::{ConfigError, ENV_PREFIX};

/// A setting.
#[derive(Clone, Debug, PartialEq)]
pub struct Leaf {
    /// `origin.ring_max_bytes`.
    pub path: String,
    /// What it is if nobody says otherwise.
    pub default: Value,
}

impl Leaf {
    /// `HEADWATER_ORIGIN_RING_MAX_BYTES`.
    pub fn env(&self) -> String {
        format!("{ENV_PREFIX}{}", self.path.replace('.', "_").to_uppercase())
    }

    /// `origin-ring-max-bytes`, without the two dashes.
    pub fn flag(&self) -> String {
        self.path.replace(['.', '_'], "-")
    }

    /// `origin`.
    pub fn group(&self) -> &str {
        self.path.split('.').next().unwrap_or(&self.path)
    }

    /// Whether the value must not be shown, by its name.
    pub fn is_secret(&self) -> bool {
        self.path.rsplit('.').next().is_some_and(is_secret)
    }
}

/// All settings, in alphabetical order of their groups and names.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    leaves: Vec<Leaf>,
}

impl Schema {
    /// The settings of `T`: a struct of structs. Whatever serializes to anything but a mapping with entries is
    /// one setting, so a map of the user's own keys has to be empty by default.
    ///
    /// # Errors
    /// If the default does not serialize to a mapping.
    pub fn of<T: Serialize + Default>() -> Result<Self, ConfigError> {
        let tree = serde_json::to_value(T::default())
            .map_err(|error| ConfigError::Program(error.to_string()))?;
        if !tree.is_object() {
            return Err(ConfigError::Program("it is not a struct".to_owned()));
        }
        let mut leaves = Vec::new();
        collect("", &tree, &mut leaves);
        Ok(Schema { leaves })
    }

    /// Every setting.
    pub fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }

    /// The setting with this path.
    pub fn leaf(&self, path: &str) -> Option<&Leaf> {
        self.leaves.iter().find(|leaf| leaf.path == path)
    }

    /// The names directly below the group `path` (`""` is the root); none if there is no such group.
    pub(super) fn children<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a str> {
        self.leaves.iter().filter_map(move |leaf| {
            let rest = if path.is_empty() {
                leaf.path.as_str()
            } else {
                leaf.path.strip_prefix(path)?.strip_prefix('.')?
            };
            rest.split('.').next()
        })
    }
}

fn collect(path: &str, tree: &Value, leaves: &mut Vec<Leaf>) {
    match tree.as_object() {
        Some(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                collect(&joined(path, name), value, leaves);
            }
        }
        _ => leaves.push(Leaf {
            path: path.to_owned(),
            default: tree.clone(),
        }),
    }
}

pub(super) fn joined(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// Whether a setting of this name holds what must not be shown.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["key", "secret", "password", "token"].iter().any(|word| {
        name.strip_suffix('s').unwrap_or(&name).ends_with(word) && {
            let rest = name
                .strip_suffix('s')
                .unwrap_or(&name)
                .strip_suffix(word)
                .unwrap_or_default();
            rest.is_empty() || rest.ends_with('_')
        }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Serialize, Default)]
    struct Root {
        origin: Origin,
        hosts: BTreeMap<String, String>,
    }

    #[derive(Serialize)]
    struct Origin {
        ring_max_bytes: u64,
        congestion: Option<String>,
        deeper: Deeper,
    }

    #[derive(Serialize, Default)]
    struct Deeper {
        on: bool,
    }

    impl Default for Origin {
        fn default() -> Self {
            Origin {
                ring_max_bytes: 16,
                congestion: None,
                deeper: Deeper::default(),
            }
        }
    }

    #[test]
    fn settings_and_their_names_come_from_the_default() {
        let schema = Schema::of::<Root>().unwrap();
        let names: Vec<(String, String, String)> = schema
            .leaves()
            .iter()
            .map(|leaf| (leaf.path.clone(), leaf.env(), leaf.flag()))
            .collect();
        let expected = [
            ("hosts", "HEADWATER_HOSTS", "hosts"),
            (
                "origin.congestion",
                "HEADWATER_ORIGIN_CONGESTION",
                "origin-congestion",
            ),
            (
                "origin.deeper.on",
                "HEADWATER_ORIGIN_DEEPER_ON",
                "origin-deeper-on",
            ),
            (
                "origin.ring_max_bytes",
                "HEADWATER_ORIGIN_RING_MAX_BYTES",
                "origin-ring-max-bytes",
            ),
        ];
        assert_eq!(
            names,
            expected.map(|(path, env, flag)| (path.to_owned(), env.to_owned(), flag.to_owned()))
        );
        assert_eq!(schema.leaf("origin.deeper.on").unwrap().group(), "origin");
        assert!(schema.leaf("origin").is_none());
        assert!(Schema::of::<u32>().is_err());
    }

    #[test]
    fn secrets_are_known_by_name() {
        for (name, secret) in [
            ("key", true),
            ("keys", true),
            ("backup_key", true),
            ("secret", true),
            ("Password", true),
            ("api_tokens", true),
            ("keyframe_ms", false),
            ("monkey", false),
            ("listen", false),
        ] {
            assert_eq!(is_secret(name), secret, "{name}");
        }
    }
}
