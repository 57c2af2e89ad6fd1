//! How often something is looked after, as the configuration says it.

use std::fmt;
use std::time::Duration;

use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::time;

/// `auto`, or a fixed time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tick(pub Option<Duration>);

impl fmt::Display for Tick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("auto"),
            Some(fixed) => f.write_str(&time::format(fixed)),
        }
    }
}

impl Serialize for Tick {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Tick {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Tick, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "auto" {
            return Ok(Tick(None));
        }
        let fixed = time::parse(&text).filter(|fixed| (1..=1_000).contains(&fixed.as_millis()));
        fixed.map(|fixed| Tick(Some(fixed))).ok_or_else(|| {
            D::Error::invalid_value(
                Unexpected::Str(&text),
                &"`auto` or a time from `1ms` to `1s`",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_auto_or_a_time() {
        for (text, tick) in [
            ("\"auto\"", Some(Tick(None))),
            ("\"50ms\"", Some(Tick(Some(Duration::from_millis(50))))),
            ("\"1s\"", Some(Tick(Some(Duration::from_secs(1))))),
            ("\"0\"", None),
            ("\"2s\"", None),
            ("\"often\"", None),
        ] {
            assert_eq!(serde_json::from_str(text).ok(), tick, "{text}");
            if let Some(tick) = tick {
                assert_eq!(serde_json::to_string(&tick).unwrap(), text);
            }
        }
    }
}
