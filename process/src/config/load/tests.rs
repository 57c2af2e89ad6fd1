use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use serde::Deserialize;

use super::super::Secret;
use super::*;

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Config {
    origin: Origin,
    edge: Edge,
    hosts: BTreeMap<String, String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Origin {
    listen: String,
    #[serde(with = "crate::config::size")]
    ring_max_bytes: u64,
    #[serde(with = "crate::config::time")]
    idle: Duration,
    #[serde(with = "crate::config::time::optional")]
    linger: Option<Duration>,
    on_duplicate: OnDuplicate,
    advertise: Option<String>,
}

impl Default for Origin {
    fn default() -> Self {
        Origin {
            listen: "[::]:1935".to_owned(),
            ring_max_bytes: 16 << 20,
            idle: Duration::from_secs(30),
            linger: None,
            on_duplicate: OnDuplicate::Replace,
            advertise: None,
        }
    }
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OnDuplicate {
    #[default]
    Replace,
    Refuse,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Edge {
    workers: u16,
    cors: bool,
    members: Vec<String>,
    rules: Vec<Rule>,
    secret: Secret,
    play_key: String,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Rule {
    app: String,
    key: Secret,
}

#[test]
fn lists_of_a_secret_name_are_masked_by_the_names_in_them() {
    let mut tree =
        serde_json::json!({"keys": [{"pattern": "*", "key": "k"}, "k"], "key": {"a": "k"}});
    mask(&mut tree);
    assert_eq!(
        tree,
        serde_json::json!({"keys": [{"pattern": "*", "key": "***"}, "***"], "key": {"a": "***"}})
    );
}

#[derive(Default)]
struct Scenario(Sources);

impl Scenario {
    fn file(mut self, text: &str) -> Self {
        self.0.file = Some(File {
            name: "headwater.yaml".to_owned(),
            text: text.to_owned(),
        });
        self
    }

    fn env(mut self, name: &str, text: &str) -> Self {
        self.0.env.push((name.to_owned(), text.to_owned()));
        self
    }

    fn flag(mut self, path: &str, text: &str) -> Self {
        self.0.flags.push((path.to_owned(), text.to_owned()));
        self
    }

    fn load(&self) -> Result<Config, ConfigError> {
        load(&self.0)
    }

    fn refused(&self) -> String {
        let text = self.load().unwrap_err().to_string();
        assert!(!text.contains('\n'), "{text}");
        text
    }
}

#[test]
fn nothing_given_is_the_default() {
    for text in ["", "# nothing\n", "origin:\n", "origin: {}\nedge: ~\n"] {
        assert_eq!(
            Scenario::default().file(text).load().unwrap(),
            Config::default()
        );
    }
}

#[test]
fn flag_beats_environment_beats_file_beats_default() {
    let file =
        || Scenario::default().file("origin: {ring_max_bytes: 1, idle: 1s}\nedge: {workers: 1}");
    assert_eq!(file().load().unwrap().origin.ring_max_bytes, 1);
    let env = || {
        file()
            .env("HEADWATER_ORIGIN_RING_MAX_BYTES", "2KiB")
            .env("HEADWATER_EDGE_WORKERS", "2")
    };
    assert_eq!(env().load().unwrap().origin.ring_max_bytes, 2048);
    let config = env().flag("origin.ring_max_bytes", "3").load().unwrap();
    assert_eq!(config.origin.ring_max_bytes, 3);
    assert_eq!(config.edge.workers, 2);
    assert_eq!(config.origin.idle, Duration::from_secs(1));
    assert_eq!(config.origin.listen, "[::]:1935");
}

#[test]
fn a_preset_gives_way_to_everything_else() {
    let mut scenario = Scenario::default().file("origin: {idle: 1s}");
    scenario.0.preset = &[("origin.idle", "9s"), ("origin.ring_max_bytes", "1KiB")];
    let config = scenario.load().unwrap();
    assert_eq!(config.origin.idle, Duration::from_secs(1));
    assert_eq!(config.origin.ring_max_bytes, 1024);
}

#[test]
fn lists_maps_texts_and_options_are_taken_from_variables() {
    let config = Scenario::default()
        .env("HEADWATER_EDGE_MEMBERS", "[a:1, 'b:2']")
        .env("HEADWATER_EDGE_RULES", "[{app: live, key: k}]")
        .env("HEADWATER_HOSTS", "{live.example.org: one}")
        .env("HEADWATER_ORIGIN_LISTEN", "[::]:1936")
        .env("HEADWATER_ORIGIN_ADVERTISE", "7")
        .env("HEADWATER_ORIGIN_LINGER", "250ms")
        .env("HEADWATER_EDGE_SECRET", "0123")
        .env("HEADWATER_EDGE_CORS", "true")
        .env("PATH", "/bin")
        .load()
        .unwrap();
    assert_eq!(config.edge.members, ["a:1", "b:2"]);
    assert_eq!(config.edge.rules[0].app, "live");
    assert_eq!(config.hosts["live.example.org"], "one");
    assert_eq!(config.origin.listen, "[::]:1936");
    assert_eq!(config.origin.advertise.as_deref(), Some("7"));
    assert_eq!(config.origin.linger, Some(Duration::from_millis(250)));
    assert_eq!(config.edge.secret.expose(), "0123");
    assert!(config.edge.cors);
}

#[test]
fn unknown_keys_of_the_file_are_refused_with_line_and_nearest_name() {
    for (text, line, nearest) in [
        (
            "origin:\n  ring_max_byte: 1\n",
            2,
            Some("origin.ring_max_bytes"),
        ),
        ("\n\norign:\n  idle: 1s\n", 3, Some("origin")),
        ("ring_max_bytes: 1\n", 1, Some("origin.ring_max_bytes")),
        ("edge:\n  idle: 1s\n", 2, Some("origin.idle")),
        ("edge:\n  colour: red\n", 2, None),
    ] {
        let refused = Scenario::default().file(text).refused();
        assert!(
            refused.starts_with(&format!("headwater.yaml:{line}: ")),
            "{refused}"
        );
        match nearest {
            Some(name) => assert!(
                refused.ends_with(&format!("did you mean `{name}`?")),
                "{refused}"
            ),
            None => assert!(refused.contains("--print-config"), "{refused}"),
        }
    }
}

#[test]
fn unknown_variables_are_refused_unless_they_are_reserved_or_of_kubernetes() {
    let refused = Scenario::default()
        .env("HEADWATER_ORIGIN_RING_MAX", "1")
        .refused();
    assert!(
        refused.contains("`HEADWATER_ORIGIN_RING_MAX_BYTES`"),
        "{refused}"
    );

    let mut reserved = Scenario::default().env("HEADWATER_CONFIG", "x.yaml");
    reserved.refused();
    reserved.0.env_reserved = &["HEADWATER_CONFIG"];
    reserved.load().unwrap();

    Scenario::default()
        .env("HEADWATER_EDGE_SERVICE_HOST", "10.0.0.1")
        .env("HEADWATER_EDGE_SERVICE_PORT", "8080")
        .env("HEADWATER_EDGE_SERVICE_PORT_HTTP", "8080")
        .env("HEADWATER_EDGE_PORT", "tcp://10.0.0.1:8080")
        .env("HEADWATER_EDGE_PORT_8080_TCP", "tcp://10.0.0.1:8080")
        .env("HEADWATER_EDGE_PORT_8080_TCP_PROTO", "tcp")
        .env("HEADWATER_EDGE_PORT_8080_TCP_ADDR", "10.0.0.1")
        .load()
        .unwrap();
}

#[test]
fn values_that_do_not_suit_are_refused_with_key_value_and_what_is_expected() {
    for (text, parts) in [
        (
            "edge: {workers: many}",
            ["`edge.workers`", "`many`", "0 to 65535"],
        ),
        (
            "edge: {workers: 70000}",
            ["`edge.workers`", "`70000`", "0 to 65535"],
        ),
        (
            "edge: {workers: -1}",
            ["`edge.workers`", "`-1`", "0 to 65535"],
        ),
        (
            "edge: {cors: 2}",
            ["`edge.cors`", "`2`", "`true` or `false`"],
        ),
        ("edge: {members: a}", ["`edge.members`", "`a`", "a list"]),
        ("origin: {idle: 3}", ["`origin.idle`", "`3`", "`250ms`"]),
        (
            "origin: {idle: 3 parsecs}",
            ["`origin.idle`", "`3 parsecs`", "`250ms`"],
        ),
        (
            "origin: {linger: soon}",
            ["`origin.linger`", "`soon`", "`250ms`"],
        ),
        (
            "origin: {ring_max_bytes: 16MB}",
            ["`origin.ring_max_bytes`", "`16MB`", "`16MiB`"],
        ),
        (
            "origin: {listen: 1935}",
            ["`origin.listen`", "`1935`", "in quotes"],
        ),
        (
            "origin: {on_duplicate: rplace}",
            ["`origin.on_duplicate`", "`rplace`", "`replace` or `refuse`"],
        ),
        (
            "edge: {rules: [{ap: live}]}",
            ["`edge.rules`", "unknown field `ap`", "`app`"],
        ),
        (
            "origin: [1]",
            ["`origin`", "group of settings", "origin.advertise"],
        ),
    ] {
        let refused = Scenario::default().file(text).refused();
        assert!(refused.starts_with("headwater.yaml:1: "), "{refused}");
        for part in parts {
            assert!(refused.contains(part), "{part} is not in: {refused}");
        }
    }
}

#[test]
fn variables_and_flags_are_named_where_their_value_does_not_suit() {
    let refused = Scenario::default()
        .env("HEADWATER_EDGE_WORKERS", "x")
        .refused();
    assert!(
        refused.starts_with("HEADWATER_EDGE_WORKERS: `edge.workers` cannot be `x`"),
        "{refused}"
    );
    let refused = Scenario::default().flag("edge.workers", "x").refused();
    assert!(refused.starts_with("--edge-workers: "), "{refused}");
    let refused = Scenario::default().flag("edge.members", "[a").refused();
    assert!(
        refused.starts_with("--edge-members: not valid YAML"),
        "{refused}"
    );
}

#[test]
fn a_file_that_is_no_mapping_is_refused() {
    for text in ["- a\n", "5", "a: 1\na: 2\n", "a: [", "\u{0}"] {
        let refused = Scenario::default().file(text).refused();
        assert!(refused.starts_with("headwater.yaml"), "{refused}");
    }
}

#[test]
fn an_unreadable_file_is_named() {
    let error = File::read("/no/such/file.yaml").unwrap_err().to_string();
    assert!(error.contains("/no/such/file.yaml"), "{error}");
}

#[test]
fn secrets_are_shown_nowhere() {
    let config = Scenario::default()
        .file("edge: {secret: open, play_key: sesame, rules: [{app: live, key: hidden}]}")
        .load()
        .unwrap();
    let shown = show(&config).unwrap();
    for secret in ["open", "sesame", "hidden"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(!format!("{:?}", config.edge.rules).contains("hidden"));

    for refused in [
        Scenario::default().file("edge: {secret: 12345}"),
        Scenario::default().file("edge: {rules: [{key: '12345', colour: red}]}"),
        Scenario::default().env("HEADWATER_EDGE_RULES", "[{key: '12345', colour: red}]"),
    ] {
        let refused = refused.refused();
        assert!(!refused.contains("12345"), "{refused}");
    }
}

#[test]
fn what_is_shown_can_be_loaded() {
    let config = Scenario::default()
        .file("origin: {idle: 1500ms, advertise: '7', ring_max_bytes: 5}\nhosts: {a: b}")
        .load()
        .unwrap();
    let shown = show(&config).unwrap();
    assert_eq!(
        Scenario::default().file(&shown).load().unwrap(),
        config,
        "{shown}"
    );
}

proptest! {
    #[test]
    fn any_file_is_a_configuration_or_an_error(text in "\\PC{0,100}|(origin|edge|hosts|idle|rules|[-:{}\\[\\],&*'\"0-9 \n]){0,30}") {
        let _ = Scenario::default().file(&text).load();
    }

    #[test]
    fn any_variable_is_a_configuration_or_an_error(name in "HEADWATER_[A-Z_]{0,20}", text in "\\PC{0,50}") {
        let _ = Scenario::default()
            .env(&name, &text)
            .env("HEADWATER_EDGE_RULES", &text)
            .load();
    }
}
