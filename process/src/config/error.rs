//! What is wrong with a configuration, for the person who wrote it.

use std::io;

use thiserror::Error;

/// Why a configuration was refused: one sentence that says where, what and what would be right.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {path}: {cause}")]
    Unreadable {
        /// As given.
        path: String,
        /// What the system said.
        cause: io::Error,
    },
    /// The text is not YAML.
    #[error("{place}: not valid YAML: {what}")]
    Syntax {
        /// File and line, or the name of the variable or flag.
        place: String,
        /// What the parser stumbled over.
        what: String,
    },
    /// No setting has this name.
    #[error("{place}: there is no setting `{name}`{}", suggestion(nearest.as_deref()))]
    Unknown {
        /// File and line, or the environment.
        place: String,
        /// As written.
        name: String,
        /// The known name that looks most like it.
        nearest: Option<String>,
    },
    /// A single value stands where a group of settings belongs.
    #[error(
        "{place}: `{path}` is a group of settings, such as `{path}.{example}`, and not a value"
    )]
    Group {
        /// File and line.
        place: String,
        /// The group.
        path: String,
        /// One of its settings.
        example: String,
    },
    /// The value does not suit the setting.
    #[error("{place}: `{path}` cannot be `{value}`: {expected}")]
    Value {
        /// File and line, or the name of the variable or flag.
        place: String,
        /// The setting.
        path: String,
        /// As written; masked for secrets.
        value: String,
        /// What is expected.
        expected: String,
    },
    /// The type of the configuration does not serialize, or not to a tree of settings: a mistake in the program.
    #[error("the configuration's type is unsuitable: {0}")]
    Program(String),
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(
        || "; `--print-config` shows all settings".to_owned(),
        |name| format!("; did you mean `{name}`?"),
    )
}
