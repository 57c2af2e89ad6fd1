//! The configuration: a YAML file, and settings as the environment and flags give them.

use std::sync::OnceLock;

use headwater_admission::AdmissionConfig;
use headwater_edge::EdgeConfig;
use headwater_location::LocationConfig;
use headwater_origin::OriginConfig;
use headwater_process::admin::AdminConfig;
use headwater_process::config::{File, Leaf, Schema, Sources, load, show};
use headwater_process::drain::DrainConfig;
use headwater_process::log::LogConfig;
use serde::{Deserialize, Serialize};

/// What the roles are configured with, as the binary puts it together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Config {
    log: LogConfig,
    admin: AdminConfig,
    drain: DrainConfig,
    origin: OriginConfig,
    edge: EdgeConfig,
    location: LocationConfig,
    admission: AdmissionConfig,
}

fn settings() -> &'static [Leaf] {
    static SETTINGS: OnceLock<Vec<Leaf>> = OnceLock::new();
    SETTINGS.get_or_init(|| Schema::of::<Config>().expect("a schema").leaves().to_vec())
}

fn check(sources: &Sources) {
    match load::<Config>(sources) {
        Ok(config) => {
            let _ = config.log.check();
            let _ = config.origin.check();
            let _ = config.edge.check();
            let _ = config.location.check();
            let _ = config.admission.check();
            show(&config).expect("what was loaded can be shown");
        }
        Err(error) => assert!(!error.to_string().is_empty(), "an error without a sentence"),
    }
}

/// First byte: 0 for a file, 1 for a variable, 2 for a flag; those have the setting's number behind it.
pub(crate) fn run(bytes: &[u8]) {
    let [way, number, text @ ..] = bytes else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let leaf = &settings()[usize::from(*number) % settings().len()];
    check(&match way % 3 {
        0 => Sources {
            file: Some(File {
                name: "file".to_owned(),
                text: text.to_owned(),
            }),
            ..Sources::default()
        },
        1 => Sources {
            env: vec![(leaf.env(), text.to_owned())],
            ..Sources::default()
        },
        _ => Sources {
            flags: vec![(leaf.path.clone(), text.to_owned())],
            ..Sources::default()
        },
    });
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let all = show(&Config::default()).expect("the defaults can be shown");
    let mut seeds: Vec<Vec<u8>> = [
        "",
        "log: {level: debug}\norigin:\n  rtmp_listen: 0.0.0.0:1935\n",
        "edge: {limits: {head_timeout: 5s, viewers: 10}}",
        "orgin: {}",
        "admission:\n  keys:\n  - pattern: live/*\n    publish: {main: secret}\n",
        "location: {region: &a eu, zone: *a}\n",
        "a: [[[[[[[[1",
        "origin: {ring_max_bytes: 16MiB, ring_max_bytes: 1}",
        "\u{feff}log:\n\tlevel: info",
        "<<: {a: 1}\n--- \n...\n",
    ]
    .map(|text| [b"\0\0", text.as_bytes()].concat())
    .to_vec();
    seeds.push([b"\0\0", all.as_bytes()].concat());
    for (number, leaf) in settings().iter().enumerate() {
        let text = leaf
            .default
            .as_str()
            .map_or_else(|| leaf.default.to_string(), str::to_owned);
        let number = u8::try_from(number % 256).expect("a byte");
        seeds.push([&[1 + number % 2, number], text.as_bytes()].concat());
    }
    seeds
}
