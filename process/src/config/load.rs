//! From file, environment and flags to one checked value.

use std::fs;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::nearest::nearest;
use super::node::{Entry, Node};
use super::schema::{is_secret, joined};
use super::secret::MASK;
use super::{ConfigError, ENV_PREFIX, Leaf, Schema};

/// A configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// How messages call it.
    pub name: String,
    /// What it says.
    pub text: String,
}

impl File {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// If that cannot be read as UTF-8.
    pub fn read(path: &str) -> Result<Self, ConfigError> {
        match fs::read_to_string(path) {
            Ok(text) => Ok(File {
                name: path.to_owned(),
                text,
            }),
            Err(cause) => Err(ConfigError::Unreadable {
                path: path.to_owned(),
                cause,
            }),
        }
    }
}

/// Where settings come from; later ones win.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Other defaults that suit what the process was started as, as (path of the setting, text).
    pub preset: &'static [(&'static str, &'static str)],
    /// The file, if one was named.
    pub file: Option<File>,
    /// Environment variables as (name, value); those that do not begin with `HEADWATER_` are not looked at.
    pub env: Vec<(String, String)>,
    /// Variables that begin with `HEADWATER_` and mean something else, such as the file's name.
    pub env_reserved: &'static [&'static str],
    /// Flags as (path of the setting, text).
    pub flags: Vec<(String, String)>,
}

/// A setting as somebody gave it.
struct Given {
    place: String,
    path: String,
    value: Value,
    /// What stands there, if the value was text that had to be read as YAML.
    text: Option<String>,
}

/// Reads `T` from its sources. `T` and the structs in it need `#[serde(deny_unknown_fields, default)]`.
///
/// # Errors
/// The first thing that is wrong, in the order file, environment, flags.
pub fn load<T>(sources: &Sources) -> Result<T, ConfigError>
where
    T: Serialize + DeserializeOwned + Default,
{
    let schema = Schema::of::<T>()?;
    let mut given = Vec::new();
    for (path, text) in sources.preset {
        given.push(from_text(known(&schema, path)?, "preset".to_owned(), text)?);
    }
    if let Some(file) = &sources.file {
        from_file(&schema, file, &mut given)?;
    }
    for (name, text) in &sources.env {
        let known = schema.leaves().iter().find(|leaf| leaf.env() == *name);
        match known {
            _ if !name.starts_with(ENV_PREFIX)
                || sources.env_reserved.contains(&name.as_str())
                || is_service_link(name, text) => {}
            Some(leaf) => given.push(from_text(leaf, name.clone(), text)?),
            None => return Err(unknown_variable(&schema, name)),
        }
    }
    for (path, text) in &sources.flags {
        let leaf = known(&schema, path)?;
        given.push(from_text(leaf, format!("--{}", leaf.flag()), text)?);
    }

    let mut tree = Map::new();
    for setting in given {
        let suited = suited::<T>(&schema, setting)?;
        insert(&mut tree, &suited.path, suited.value);
    }
    // Each setting suits by itself, so together they do.
    serde_json::from_value(Value::Object(tree))
        .map_err(|error| ConfigError::Program(error.to_string()))
}

/// The configuration as YAML, secrets masked.
///
/// # Errors
/// If it does not serialize.
pub fn show<T: Serialize>(config: &T) -> Result<String, ConfigError> {
    let mut tree =
        serde_json::to_value(config).map_err(|error| ConfigError::Program(error.to_string()))?;
    mask(&mut tree);
    serde_saphyr::to_string(&tree).map_err(|error| ConfigError::Program(error.to_string()))
}

fn known<'a>(schema: &'a Schema, path: &str) -> Result<&'a Leaf, ConfigError> {
    schema
        .leaf(path)
        .ok_or_else(|| ConfigError::Program(format!("no setting `{path}`")))
}

fn from_file(schema: &Schema, file: &File, given: &mut Vec<Given>) -> Result<(), ConfigError> {
    let place = |line: Option<u64>| match line {
        Some(line) => format!("{}:{line}", file.name),
        None => file.name.clone(),
    };
    match Node::parse(&file.text) {
        Ok(Node::Value(Value::Null)) => Ok(()),
        Ok(Node::Map(entries)) => walk(schema, "", entries, &|line| place(Some(line)), given),
        Ok(Node::Value(_)) => Err(ConfigError::Syntax {
            place: file.name.clone(),
            what: "a configuration is a mapping, such as `log: {level: info}`".to_owned(),
        }),
        Err(error) => Err(ConfigError::Syntax {
            place: place(error.line),
            what: error.what,
        }),
    }
}

fn walk(
    schema: &Schema,
    group: &str,
    entries: Vec<Entry>,
    place: &dyn Fn(u64) -> String,
    given: &mut Vec<Given>,
) -> Result<(), ConfigError> {
    for Entry { key, line, value } in entries {
        let path = joined(group, &key);
        if schema.leaf(&path).is_some() {
            given.push(Given {
                place: place(line),
                path,
                value: value.into_value(),
                text: None,
            });
            continue;
        }
        let Some(example) = schema.children(&path).next() else {
            return Err(ConfigError::Unknown {
                place: place(line),
                nearest: meant(schema, group, &key),
                name: path,
            });
        };
        match value {
            Node::Map(entries) => walk(schema, &path, entries, place, given)?,
            Node::Value(Value::Null) => {}
            Node::Value(_) => {
                return Err(ConfigError::Group {
                    place: place(line),
                    example: example.to_owned(),
                    path,
                });
            }
        }
    }
    Ok(())
}

/// The setting or group that `key` in `group` was meant to be: a sibling of nearly its name, or a setting
/// elsewhere of exactly its name.
fn meant(schema: &Schema, group: &str, key: &str) -> Option<String> {
    nearest(key, schema.children(group))
        .map(|name| joined(group, name))
        .or_else(|| {
            let elsewhere = |leaf: &&Leaf| leaf.path.rsplit('.').next() == Some(key);
            Some(schema.leaves().iter().find(elsewhere)?.path.clone())
        })
        .or_else(|| {
            let paths = schema.leaves().iter().map(|leaf| leaf.path.as_str());
            nearest(&joined(group, key), paths).map(str::to_owned)
        })
}

fn unknown_variable(schema: &Schema, name: &str) -> ConfigError {
    let names: Vec<String> = schema.leaves().iter().map(Leaf::env).collect();
    ConfigError::Unknown {
        place: "environment".to_owned(),
        name: name.to_owned(),
        nearest: nearest(name, names.iter().map(String::as_str)).map(str::to_owned),
    }
}

/// What Kubernetes sets for each Service in the namespace: `HEADWATER_EDGE_PORT=tcp://…` for one called
/// `headwater-edge`. Nobody means those as settings.
fn is_service_link(name: &str, text: &str) -> bool {
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || (name.contains("_PORT") && (text.starts_with("tcp://") || text.starts_with("udp://")))
        || [
            "_TCP_PROTO",
            "_TCP_PORT",
            "_TCP_ADDR",
            "_UDP_PROTO",
            "_UDP_PORT",
            "_UDP_ADDR",
        ]
        .iter()
        .any(|end| name.ends_with(end) && name.contains("_PORT_"))
}

/// A setting from the text of a variable or flag: as it stands where text is wanted, else as YAML.
fn from_text(leaf: &Leaf, place: String, text: &str) -> Result<Given, ConfigError> {
    let value = if leaf.default.is_string() {
        Value::String(text.to_owned())
    } else {
        Node::parse(text)
            .map_err(|error| ConfigError::Syntax {
                place: place.clone(),
                what: if leaf.is_secret() {
                    "a secret that is not given as plain text has to be YAML".to_owned()
                } else {
                    error.what
                },
            })?
            .into_value()
    };
    Ok(Given {
        place,
        path: leaf.path.clone(),
        value,
        text: Some(text.to_owned()),
    })
}

/// Tries the setting by itself, so that what is wrong can be said of it by name.
fn suited<T: DeserializeOwned>(schema: &Schema, given: Given) -> Result<Given, ConfigError> {
    let attempt = |value: &Value| {
        let mut tree = Map::new();
        insert(&mut tree, &given.path, value.clone());
        serde_json::from_value::<T>(Value::Object(tree)).map(drop)
    };
    let Err(error) = attempt(&given.value) else {
        return Ok(given);
    };
    // An optional text that looks like a number in a variable or flag.
    if let Some(text) = &given.text {
        let value = Value::String(text.clone());
        if attempt(&value).is_ok() {
            return Ok(Given { value, ..given });
        }
    }
    let secret = schema.leaf(&given.path).is_some_and(Leaf::is_secret);
    Err(ConfigError::Value {
        value: if secret {
            MASK.to_owned()
        } else {
            shown(&given.value)
        },
        expected: expected(&error.to_string(), secret),
        place: given.place,
        path: given.path,
    })
}

fn shown(value: &Value) -> String {
    const LIMIT: usize = 80;
    let mut value = value.clone();
    mask(&mut value);
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    if text.chars().count() <= LIMIT {
        return text;
    }
    let beginning: String = text.chars().take(LIMIT).collect();
    format!("{beginning}…")
}

/// What serde expected, in the user's words.
fn expected(message: &str, secret: bool) -> String {
    let Some((found, wanted)) = message.split_once(", expected ") else {
        // A message of a type's own, which may cite the value.
        let own = if secret {
            "that is not understood"
        } else {
            message
        };
        return own.to_owned();
    };
    let wanted = match wanted {
        "u64" | "usize" => "a whole number from 0",
        "i64" | "isize" => "a whole number",
        "u32" => "a whole number from 0 to 4294967295",
        "u16" => "a whole number from 0 to 65535",
        "u8" => "a whole number from 0 to 255",
        "f32" | "f64" => "a number",
        "a boolean" => "`true` or `false`",
        "a string" => "text (in quotes if it looks like a number)",
        "a sequence" => "a list, such as `[a, b]`",
        "a map" => "a mapping, such as `{a: b}`",
        other => other,
    };
    let nested = found.starts_with("unknown field") || found.starts_with("unknown variant");
    if nested && !secret {
        format!("{found}, expected {wanted}")
    } else {
        format!("expected {wanted}")
    }
}

fn insert(tree: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            tree.insert(path.to_owned(), value);
        }
        Some((group, rest)) => {
            let below = tree
                .entry(group.to_owned())
                .or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(below) = below {
                insert(below, rest, value);
            }
        }
    }
}

fn mask(tree: &mut Value) {
    match tree {
        Value::Object(fields) => {
            for (name, value) in fields {
                if is_secret(name) {
                    mask_all(value);
                } else {
                    mask(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Masks the value of a secret's name: a text, or each text of a list or mapping. An empty one stays, as it says that
/// there is no secret; mappings in a list are masked by their own names.
fn mask_all(tree: &mut Value) {
    let mask_text = |value: &mut Value| match value {
        Value::String(text) if !text.is_empty() => MASK.clone_into(text),
        Value::Number(_) => *value = Value::String(MASK.to_owned()),
        Value::String(_) | Value::Null | Value::Bool(_) => {}
        Value::Array(_) | Value::Object(_) => mask(value),
    };
    match tree {
        Value::Object(fields) => fields.values_mut().for_each(mask_text),
        Value::Array(items) => items.iter_mut().for_each(mask_text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => mask_text(tree),
    }
}

#[cfg(test)]
mod tests;
