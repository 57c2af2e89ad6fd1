use headwater_process::config::{self, File, Sources};

use super::*;

fn rule(pattern: &str, main: Option<&str>, backup: Option<&str>) -> KeyRule {
    KeyRule {
        pattern: pattern.to_owned(),
        publish: KeyPair {
            main: main.map(|key| Secret::new(key.to_owned())),
            backup: backup.map(|key| Secret::new(key.to_owned())),
        },
        ..KeyRule::default()
    }
}

#[test]
fn what_cannot_be_used_is_named_with_its_place() {
    let long = "k".repeat(1025);
    for (keys, says) in [
        (
            vec![rule("live", Some("k"), None)],
            "keys[0].pattern: `live` names no app",
        ),
        (
            vec![rule("*", Some("k"), None), rule("a/b", None, None)],
            "keys[1]: neither publish.main nor play.main",
        ),
        (
            vec![rule("*", Some("k"), None), rule("*/*", Some("k"), None)],
            "keys[1].pattern: `*/*` is already in admission.keys[0]",
        ),
        (
            vec![rule("*", Some(""), None)],
            "keys[0].publish.main: the key is empty",
        ),
        (
            vec![rule("*", Some("k"), Some(""))],
            "keys[0].publish.backup: the key is empty",
        ),
        (
            vec![rule("*", None, Some("k"))],
            "keys[0].publish.main: there is a backup key",
        ),
        (
            vec![rule("*", Some("se3\n"), None)],
            "keys[0].publish.main: the key begins or ends",
        ),
        (
            vec![rule("*", Some(&long), None)],
            "keys[0].publish.main: the key is longer",
        ),
    ] {
        let config = AdmissionConfig {
            keys,
            ..AdmissionConfig::default()
        };
        let error = config.check().unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
        assert!(!error.contains("se3"), "{error}");
    }
}

#[test]
fn numbers_have_their_range() {
    AdmissionConfig::default().check().unwrap();
    let base = CallbackConfig::default;
    for (callback, says) in [
        (
            CallbackConfig {
                timeout: Duration::from_secs(61),
                ..base()
            },
            "callback.timeout is 61s; it must be from 1ms to 60s",
        ),
        (
            CallbackConfig {
                timeout: Duration::ZERO,
                ..base()
            },
            "callback.timeout is 0s",
        ),
        (
            CallbackConfig {
                max_in_flight: 0,
                ..base()
            },
            "callback.max_in_flight is 0; it must be from 1 to 10000",
        ),
        (
            CallbackConfig {
                max_queued_ends: 0,
                ..base()
            },
            "callback.max_queued_ends is 0",
        ),
    ] {
        let config = AdmissionConfig {
            callback,
            ..AdmissionConfig::default()
        };
        let error = config.check().unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn unknown_fields_are_refused_and_keys_are_not_shown() {
    let text = r#"{"keys": [{"pattern": "*/live", "scheme": "hmac", "publish": {"main": "s3cret", "backup": "0ther"}}],
        "callback": {"url": "http://auth/", "events": ["publish", "play_end"], "on_error": "allow", "timeout": "500ms"}}"#;
    let config: AdmissionConfig = serde_json::from_str(text).unwrap();
    config.check().unwrap();
    let shown = format!("{config:?}{}", serde_json::to_string(&config).unwrap());
    assert!(
        !shown.contains("s3cret") && !shown.contains("0ther"),
        "{shown}"
    );
    for unknown in [
        r#"{"key": []}"#,
        r#"{"keys": [{"patern": "*"}]}"#,
        r#"{"keys": [{"publish": {"mian": "x"}}]}"#,
        r#"{"callback": {"uri": "x"}}"#,
    ] {
        serde_json::from_str::<AdmissionConfig>(unknown).unwrap_err();
    }
}

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Whole {
    admission: AdmissionConfig,
}

fn load(text: &str) -> Result<Whole, String> {
    let file = File {
        name: "headwater.yaml".to_owned(),
        text: text.to_owned(),
    };
    let sources = Sources {
        file: Some(file),
        ..Sources::default()
    };
    config::load(&sources).map_err(|error| error.to_string())
}

#[test]
fn the_documented_configuration_is_one() {
    let page = include_str!("../../../docs/signed-urls.md");
    let (_, yaml) = page.split_once("```yaml\n").unwrap();
    let (yaml, _) = yaml.split_once("```").unwrap();
    let whole = load(yaml).unwrap();
    let AdmissionConfig { keys, callback, .. } = &whole.admission;
    whole.admission.check().unwrap();
    assert_eq!((keys.len(), callback.events.len()), (2, 4));
    let shown = config::show(&whole).unwrap();
    assert!(
        !shown.contains("e12c46") && !shown.contains("the-key-before"),
        "{shown}"
    );
}

#[test]
fn a_mistake_in_the_file_shows_no_key() {
    for (text, says) in [
        ("admission: {keys: [{publish: {mian: s3cret}}]}", "main"),
        ("admission: {keys: [{publish: s3cret}]}", "admission.keys"),
        ("admission: {keys: s3cret}", "a list"),
        ("admission: {keys: [{scheme: s3cret}]}", "any"),
    ] {
        let error = load(text).err().unwrap();
        assert!(error.contains(says) && !error.contains("s3cret"), "{error}");
    }
}
