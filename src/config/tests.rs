use std::collections::BTreeSet;
use std::path::Path;

use headwater_process::config::page;

use super::*;

mod chart;

const INTRODUCTION: &str = "\
# Configuration

Every setting has one name: `log.level` in the YAML file is `HEADWATER_LOG_LEVEL` in the environment and `--log-level` on
the command line. A flag beats the environment, which beats the file (`--config FILE` or `HEADWATER_CONFIG`), which beats
the default. Durations have a unit (`250ms`, `3s`, `5m`), sizes are bytes or have one (`65536`, `64KiB`, `16MiB`); lists and
mappings are YAML text in the environment and on the command line. `headwater --print-config` shows what is in force.
";

#[test]
fn the_page_of_settings_is_up_to_date() {
    let page = INTRODUCTION.to_owned() + &page(&Config::schema().unwrap(), &Config::described());
    let path = Path::new("docs/configuration.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        kept == page,
        "docs/configuration.md is out of date; run `UPDATE_DOCS=1 cargo test -p headwater settings`"
    );
}

#[test]
fn every_setting_is_described() {
    let described: BTreeSet<String> = Config::described()
        .into_iter()
        .filter(|one| !one.text.is_empty())
        .map(|one| one.path)
        .collect();
    let missing: Vec<String> = Config::schema()
        .unwrap()
        .leaves()
        .iter()
        .map(|leaf| leaf.path.clone())
        .filter(|path| !described.contains(path))
        .collect();
    assert!(
        missing.is_empty(),
        "wrap the structs of these settings in `headwater_process::documented!`: {missing:?}"
    );
}

#[test]
fn no_two_settings_share_a_variable_or_flag() {
    let schema = Config::schema().unwrap();
    let variables: BTreeSet<String> = schema.leaves().iter().map(|leaf| leaf.env()).collect();
    assert_eq!(variables.len(), schema.leaves().len());
    assert!(!variables.contains(FILE_VARIABLE));
    let flags: BTreeSet<String> = schema.leaves().iter().map(|leaf| leaf.flag()).collect();
    assert_eq!(flags.len(), schema.leaves().len());
}

#[test]
fn the_default_is_sound() {
    Config::default().check().unwrap();
}

#[test]
fn what_a_type_cannot_check_is_refused_at_load() {
    for (path, text, says) in [
        ("log.level", "loud", "log.level"),
        (
            "admission.callback.url",
            "https://auth/",
            "admission.callback.url",
        ),
    ] {
        let flags = vec![(path.to_owned(), text.to_owned())];
        let Err(Exit::Usage(error)) = Config::load(&[], None, vec![], flags) else {
            panic!("{path} was taken");
        };
        assert!(error.to_string().contains(says), "{error}");
    }
}
