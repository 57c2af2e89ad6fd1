//! Logs on standard error: text for a person at a terminal, one JSON object a line for everything else.

use std::io::{self, IsTerminal};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::documented;

documented! {
    /// What is logged and how.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct LogConfig {
        /// `error`, `warn`, `info`, `debug` or `trace`; or directives by part, such as `info,headwater_edge=debug`.
        pub level: String,
        /// The shape of a line: `text`, `json`, or `auto`, which is text on a terminal and JSON otherwise.
        pub format: LogFormat,
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        LogConfig {
            level: "info".to_owned(),
            format: LogFormat::Auto,
        }
    }
}

/// The shape of a line of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text if standard error is a terminal, else JSON.
    Auto,
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// Why logging could not start.
#[derive(Debug, Error)]
pub enum LogError {
    /// `log.level` is no filter.
    #[error(
        "log.level: `{level}` is not understood: {why}; write `info`, or directives such as `info,headwater_edge=debug`"
    )]
    Level {
        /// As configured.
        level: String,
        /// What is wrong with it.
        why: String,
    },
    /// Something in this process logs already.
    #[error("logging has been started before")]
    Started,
}

impl LogConfig {
    /// Checks what a type cannot.
    ///
    /// # Errors
    /// If `level` is no filter.
    pub fn check(&self) -> Result<(), LogError> {
        self.filter().map(|_| ())
    }

    fn filter(&self) -> Result<EnvFilter, LogError> {
        let refused = |why: String| LogError::Level {
            level: self.level.clone(),
            why,
        };
        // A bare word that is no level would pass as the name of a part, and silence everything else.
        for directive in self.level.split(',') {
            let level = directive.rsplit('=').next().unwrap_or(directive).trim();
            if level.is_empty()
                || level
                    .parse::<tracing_subscriber::filter::LevelFilter>()
                    .is_err()
            {
                return Err(refused(format!("`{level}` is not a level")));
            }
        }
        EnvFilter::builder()
            .parse(&self.level)
            .map_err(|error| refused(error.to_string()))
    }
}

/// Sends the process's events to standard error, from now on.
///
/// # Errors
/// If `log.level` is no filter, or something logs already.
pub fn init(config: &LogConfig) -> Result<(), LogError> {
    let terminal = io::stderr().is_terminal();
    let json = match config.format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    subscriber(config.filter()?, json, terminal, io::stderr)
        .try_init()
        .map_err(|_| LogError::Started)
}

fn subscriber<W>(
    filter: EnvFilter,
    json: bool,
    colour: bool,
    writer: W,
) -> Box<dyn tracing::Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // A line that cannot be written, as on a full disk, is lost: telling so on the same full disk would end the
        // process.
        .log_internal_errors(false)
        .with_writer(writer);
    if json {
        Box::new(builder.json().flatten_event(true).finish())
    } else {
        let colour = colour && std::env::var_os("NO_COLOR").is_none();
        Box::new(builder.with_ansi(colour).finish())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: &str, json: bool) -> String {
        let config = LogConfig {
            level: level.to_owned(),
            ..LogConfig::default()
        };
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = subscriber(config.filter().unwrap(), json, false, move || {
            writer.clone()
        });
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(viewers = 3, "play ended");
            tracing::debug!("detail");
        });
        String::from_utf8(lines.0.lock().clone()).unwrap()
    }

    #[test]
    fn json_lines_carry_fields_at_the_top() {
        let line: serde_json::Value = serde_json::from_str(&logged("info", true)).unwrap();
        assert_eq!(line["message"], "play ended");
        assert_eq!(line["viewers"], 3);
        assert_eq!(line["level"], "INFO");
    }

    #[test]
    fn text_lines_are_for_people_and_the_level_decides() {
        let text = logged("info", false);
        assert!(text.contains("play ended viewers=3"), "{text}");
        assert!(!text.contains("detail"));
        assert!(logged("warn,headwater_process=debug", false).contains("detail"));
    }

    #[test]
    fn a_level_that_is_none_is_refused_with_an_example() {
        for level in ["loud", "info,edge=loud", "", "info,,debug"] {
            let config = LogConfig {
                level: level.to_owned(),
                ..LogConfig::default()
            };
            let error = config.check().unwrap_err().to_string();
            assert!(
                error.contains("log.level") && error.contains("`info`"),
                "{error}"
            );
        }
    }
}
