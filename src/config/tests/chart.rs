//! What the chart shows of settings and values is made from them.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::Config;

fn chart(file: &str) -> PathBuf {
    Path::new("charts/headwater").join(file)
}

/// Compares `file` of the chart with what was `made`, or writes it.
fn compare(file: &str, made: &str) {
    let path = chart(file);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == made,
        "charts/headwater/{file} is out of date; run `UPDATE_DOCS=1 cargo test -p headwater chart`"
    );
}

/// The template is the generated definition between a switch for clusters where somebody else installs it.
#[test]
fn the_charts_custom_resource_definitions_are_up_to_date() {
    let definitions = headwater_operator::kube::definitions().unwrap();
    let made = format!(
        "{{{{- if .Values.crds.install }}}}\n# Made by `headwater crds` from the types in operator/src/kube/policy.rs.\n\
         {definitions}{{{{- end }}}}\n"
    );
    compare("templates/crds.yaml", &made);
}

/// An object schema that knows the settings under `prefix` and no other.
fn settings(prefix: &str) -> Value {
    let mut root = json!({"type": "object", "additionalProperties": false, "properties": {}});
    for leaf in Config::schema().unwrap().leaves() {
        let Some(path) = leaf.path.strip_prefix(prefix) else {
            continue;
        };
        let mut at = root["properties"].as_object_mut().unwrap();
        let parts: Vec<&str> = path.split('.').collect();
        let (last, groups) = parts.split_last().unwrap();
        for group in groups {
            let closed = json!({"type": "object", "additionalProperties": false, "properties": {}});
            let entry = at.entry((*group).to_owned()).or_insert(closed);
            at = entry["properties"].as_object_mut().unwrap();
        }
        at.insert((*last).to_owned(), json!({}));
    }
    root
}

/// The schema of the chart's values lets through what the configuration has, so that a misspelt setting is refused before
/// a pod starts.
#[test]
fn the_charts_schema_knows_every_setting() {
    let text = std::fs::read_to_string(chart("values.schema.json")).unwrap();
    let mut schema: Value = serde_json::from_str(&text).unwrap();
    let definitions = schema["$defs"].as_object_mut().unwrap();
    for (name, prefix) in [
        ("config", ""),
        ("originConfig", "origin."),
        ("edgeConfig", "edge."),
        ("operatorConfig", "operator."),
    ] {
        definitions.insert(name.to_owned(), settings(prefix));
    }
    let made = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    compare("values.schema.json", &made);
}

/// A value of the chart: its path, its default as it stands in the file, and what the comment before it says.
struct Described {
    path: String,
    default: String,
    text: String,
}

/// Reads the values file by its layout: two spaces a level, `# -- ` before each value.
fn values() -> Vec<Described> {
    let text = std::fs::read_to_string(chart("values.yaml")).unwrap();
    let mut path: Vec<String> = Vec::new();
    let mut comment = String::new();
    let mut values = Vec::new();
    for line in text.lines() {
        let trimmed = line.trim_start();
        if let Some(said) = trimmed.strip_prefix('#') {
            match said.strip_prefix(" -- ") {
                Some(first) => comment = first.to_owned(),
                None if comment.is_empty() => {}
                None => comment = format!("{comment} {}", said.trim()),
            }
            continue;
        }
        let Some((key, value)) = trimmed.split_once(':') else {
            continue;
        };
        if trimmed.starts_with('-') {
            continue;
        }
        path.truncate((line.len() - trimmed.len()) / 2);
        path.push(key.to_owned());
        if !comment.is_empty() {
            let value = value.trim();
            values.push(Described {
                path: path.join("."),
                default: if value.is_empty() || value.starts_with('&') || value.starts_with('*') {
                    "see values.yaml".to_owned()
                } else {
                    format!("`{value}`")
                },
                text: std::mem::take(&mut comment),
            });
        }
    }
    values
}

const INTRODUCTION: &str = "\
# The Headwater chart

    helm install headwater charts/headwater --values my-values.yaml

Helm refuses values that are not in this table. Settings of the processes go under `config` and the roles' own `config`;
their names are those of [configuration.md](../../docs/configuration.md). What `edge` says holds for every pool of
`edgePools` that does not say otherwise. How to run it: [operations.md](../../docs/operations.md).

| Value | Default | Meaning |
| --- | --- | --- |
";

#[test]
fn the_charts_page_of_values_is_up_to_date() {
    let rows = values().into_iter().map(|value| {
        format!(
            "| `{}` | {} | {} |\n",
            value.path, value.default, value.text
        )
    });
    let made: String = std::iter::once(INTRODUCTION.to_owned())
        .chain(rows)
        .collect();
    compare("README.md", &made);
}

/// Every object of the schema is closed, and every value of the file stands in it.
#[test]
fn the_charts_schema_is_strict_and_complete() {
    let text = std::fs::read_to_string(chart("values.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&text).unwrap();
    let open = [
        "affinity", "behavior", "claims", "global", "limits", "requests",
    ];
    fn walk(at: &str, schema: &Map<String, Value>, open: &[&str], found: &mut Vec<String>) {
        if let Some(Value::Object(properties)) = schema.get("properties") {
            if schema.get("additionalProperties") != Some(&Value::Bool(false)) {
                found.push(at.to_owned());
            }
            for (name, property) in properties {
                if let Value::Object(property) = property
                    && !open.contains(&name.as_str())
                {
                    walk(&format!("{at}.{name}"), property, open, found);
                }
            }
        }
    }
    let mut found = Vec::new();
    walk("", schema.as_object().unwrap(), &open, &mut found);
    assert!(found.is_empty(), "these objects take anything: {found:?}");

    let described = values();
    assert!(described.len() > 80, "only {} values read", described.len());
    for value in described {
        let mut at = &schema;
        for part in value.path.split('.') {
            at = &at["properties"][part];
        }
        assert!(
            at.is_object(),
            "{} is not in values.schema.json",
            value.path
        );
    }
}
