//! The settings as flags of the command line.

use clap::{Arg, ArgAction, ArgMatches};

use super::{Described, Schema};

impl Schema {
    /// A flag for each setting, under a heading for each group; help shows `described` and the default.
    pub fn flags(&self, described: &[Described]) -> Vec<Arg> {
        self.leaves()
            .iter()
            .map(|leaf| {
                let text = described
                    .iter()
                    .find(|known| known.path == leaf.path)
                    .map_or("", |known| known.text.as_str());
                let default = match leaf.default.as_str() {
                    Some(text) if !text.is_empty() => text.to_owned(),
                    Some(_) => "none".to_owned(),
                    None if leaf.default.is_null() => "none".to_owned(),
                    None => leaf.default.to_string(),
                };
                Arg::new(leaf.path.clone())
                    .long(leaf.flag())
                    .value_name("VALUE")
                    .help(format!("{text} [default: {default}]"))
                    .help_heading(format!("Settings: {}", leaf.group()))
                    .action(ArgAction::Set)
                    .allow_hyphen_values(true)
                    .hide_short_help(true)
                    .global(true)
            })
            .collect()
    }

    /// The settings that the command line gives, as (path, text).
    pub fn given(&self, matches: &ArgMatches) -> Vec<(String, String)> {
        self.leaves()
            .iter()
            .filter_map(|leaf| {
                let text = matches.get_one::<String>(&leaf.path)?;
                Some((leaf.path.clone(), text.clone()))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use clap::Command;
    use serde::Serialize;

    use super::*;

    #[derive(Serialize, Default)]
    struct Root {
        edge: Edge,
    }

    #[derive(Serialize, Default)]
    struct Edge {
        max_viewers: u32,
    }

    #[test]
    fn flags_are_taken_before_and_after_the_subcommand() {
        let schema = Schema::of::<Root>().unwrap();
        for line in [
            ["headwater", "--edge-max-viewers", "-7", "up"],
            ["headwater", "up", "--edge-max-viewers", "-7"],
        ] {
            let matches = Command::new("headwater")
                .args(schema.flags(&[]))
                .subcommand(Command::new("up"))
                .try_get_matches_from(line)
                .unwrap();
            let (_, matches) = matches.subcommand().unwrap();
            assert_eq!(
                schema.given(matches),
                [("edge.max_viewers".to_owned(), "-7".to_owned())]
            );
        }
    }
}
