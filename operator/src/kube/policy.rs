//! `StreamPolicy`, the custom resource by which people say what holds for streams.

#![allow(
    unreachable_pub,
    reason = "KubeSchema puts copies of these types where nobody sees them"
)]
#![allow(
    clippy::duplicated_attributes,
    reason = "several columns are of one type"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use headwater_location::claim::OnDuplicate;
use headwater_location::policy::{PlayMode, Policy, StreamPattern, StreamSettings};
use headwater_process::config::time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::index::{Restriction, Rule};

/// What holds for the streams that a pattern covers. Of several policies the one with the most specific pattern decides
/// alone: the vhost counts before the app, the app before the name, a literal before a wildcard.
#[derive(
    CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize,
)]
#[kube(
    group = "headwater.dev",
    version = "v1alpha1",
    kind = "StreamPolicy",
    namespaced,
    status = "StreamPolicyStatus",
    derive = "PartialEq",
    shortname = "sp",
    shortname = "streampol",
    category = "headwater",
    printcolumn(
        name = "Accepted",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Accepted\")].status"
    ),
    printcolumn(
        name = "Placeable",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Placeable\")].status"
    ),
    printcolumn(
        name = "Streams",
        type_ = "integer",
        json_path = ".status.matchedStreams"
    ),
    printcolumn(
        name = "Mode",
        type_ = "string",
        json_path = ".spec.mode",
        priority = 1
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("has(self.placement) || has(self.mode) || has(self.gopCache) || has(self.latency) || has(self.bitrate) || has(self.onDuplicate) || has(self.linger) || has(self.keySecret)")
        .message("the policy sets nothing: give at least one of placement, mode, gopCache, latency, bitrate, onDuplicate, linger and keySecret"),
    validation = Rule::new("!(has(self.mode) && self.mode == 'rtc' && has(self.latency))")
        .message("mode rtc keeps nothing that latency could bound: remove latency, or set mode to live")
)]
pub struct StreamPolicySpec {
    /// Which streams it is for.
    #[schemars(length(min = 1, max = 32))]
    pub streams: Vec<Streams>,
    /// Which origins may be home of these streams. Counts when a stream is placed; a live one stays where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    /// How viewers are served who ask for no mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Pictures that are kept for those who join.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gop_cache: Option<GopCache>,
    /// How late viewers may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// What publishers may send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bitrate: Option<Bitrate>,
    /// What happens when a name is published a second time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_duplicate: Option<Duplicate>,
    /// How long a stream stays after its publisher has left, such as `10s`; at most an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9]{1,7}(ms|s|m)$"))]
    pub linger: Option<String>,
    /// The Secret with the keys that their addresses are signed with, in place of the members' own keys. Its entries are
    /// `publish`, `publish-backup`, `play`, `play-backup` (keys as they are) and `scheme` (`any`, `tx` or `hmac`). A purpose
    /// without a key is open to everybody; while the Secret cannot be read, nobody may publish or play.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_secret: Option<KeySecret>,
}

/// A Secret in the policy's namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeySecret {
    /// Its name, one of those that the operator may read (`operator.kubernetes.keySecrets` of the chart).
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// A pattern of stream names; `*` stands for any run of characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Streams {
    /// The virtual host.
    #[serde(default = "any")]
    #[schemars(length(min = 1, max = 128))]
    pub vhost: String,
    /// The app; without a slash it covers the app's instances too.
    #[schemars(length(min = 1, max = 128))]
    pub app: String,
    /// The stream's name.
    #[serde(default = "any")]
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

fn any() -> String {
    "*".to_owned()
}

/// Which origins may be home; all that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("has(self.regions) || has(self.zones) || has(self.nodeSelector)")
        .message("placement restricts nothing: give regions, zones or nodeSelector, or remove it")
)]
pub struct Placement {
    /// The origin's region is one of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    pub regions: Option<Vec<String>>,
    /// The origin's zone is one of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    pub zones: Option<Vec<String>>,
    /// The origin's node has all these labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_selector: Option<BTreeMap<String, String>>,
}

/// How viewers are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// At once, and perhaps a few seconds late.
    Live,
    /// With next to nothing kept.
    Rtc,
}

/// Pictures between two keyframes that are kept for those who join.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("has(self.maxDuration) || has(self.maxBytes)")
        .message("gopCache limits nothing: give maxDuration or maxBytes, or remove it")
)]
pub struct GopCache {
    /// In media time, such as `10s`, from a second to a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9]{1,7}(ms|s|m)$"))]
    pub max_duration: Option<String>,
    /// In bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 65_536, max = 1_073_741_824))]
    pub max_bytes: Option<i64>,
}

/// How late viewers may be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Latency {
    /// A live viewer who is later than this skips to the newest keyframe, such as `3s`; from 100ms to a minute.
    #[schemars(regex(pattern = r"^[0-9]{1,7}(ms|s|m)$"))]
    pub max_cache: String,
}

/// What publishers may send.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bitrate {
    /// Bits per second, on the average of a few seconds.
    #[schemars(range(min = 1_000, max = 10_000_000_000_i64))]
    pub max_bits_per_second: i64,
}

/// What happens when a name is published a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Duplicate {
    /// The newest wins.
    Replace,
    /// The one that is on stays.
    Refuse,
    /// The one that is on stays as long as it has media, and the newcomer stands by to go on in its place.
    Backup,
}

/// What the operator says of a policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StreamPolicyStatus {
    /// The generation of the spec that this is about.
    #[serde(default)]
    pub observed_generation: i64,
    /// Live streams for which this policy decides.
    #[serde(default)]
    pub matched_streams: i64,
    /// The first few of them.
    #[serde(default)]
    pub examples: Vec<String>,
    /// Origins that may be homes of these streams and take new ones.
    #[serde(default)]
    pub origins: i64,
    /// `Accepted`: it is in force. `Placeable`: there is an origin that may be a home. `Keys`: the Secret that it names
    /// could be read.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// One thing that is so or is not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Which thing.
    #[serde(rename = "type")]
    pub kind: String,
    /// True, False or Unknown.
    pub status: String,
    /// A word for programs.
    pub reason: String,
    /// A sentence for people: what is wrong and what to do.
    pub message: String,
    /// Since when, RFC 3339.
    pub last_transition_time: String,
    /// The generation of the spec that this is about.
    #[serde(default)]
    pub observed_generation: i64,
}

impl StreamPolicySpec {
    /// What the operator does by this spec, under `name`.
    ///
    /// # Errors
    /// What is wrong with it and what to do, in a sentence.
    pub fn rule(&self, name: &str) -> Result<Rule, String> {
        let gop = self.gop_cache.as_ref();
        let seconds = Duration::from_secs;
        let settings = StreamSettings {
            mode: self.mode.map(|mode| match mode {
                Mode::Live => PlayMode::Live,
                Mode::Rtc => PlayMode::Rtc,
            }),
            gop_max: gop
                .and_then(|gop| gop.max_duration.as_deref())
                .map(|text| duration("gopCache.maxDuration", text, seconds(1), seconds(60)))
                .transpose()?,
            gop_max_bytes: gop
                .and_then(|gop| gop.max_bytes)
                .map(|bytes| u64::try_from(bytes).unwrap_or(0)),
            max_cache: self
                .latency
                .as_ref()
                .map(|it| {
                    let least = Duration::from_millis(100);
                    duration("latency.maxCache", &it.max_cache, least, seconds(60))
                })
                .transpose()?,
            max_bitrate_bps: self
                .bitrate
                .as_ref()
                .map(|it| u64::try_from(it.max_bits_per_second).unwrap_or(0)),
            on_duplicate: self.on_duplicate.map(|it| match it {
                Duplicate::Replace => OnDuplicate::Replace,
                Duplicate::Refuse => OnDuplicate::Refuse,
                Duplicate::Backup => OnDuplicate::Backup,
            }),
            linger: self
                .linger
                .as_deref()
                .map(|text| duration("linger", text, Duration::ZERO, seconds(3600)))
                .transpose()?,
        };
        let placement = self.placement.clone().unwrap_or_default();
        let mut rule = self.patterns(name);
        rule.policy.settings = settings;
        rule.placement = Restriction {
            regions: placement.regions.unwrap_or_default(),
            zones: placement.zones.unwrap_or_default(),
            node_labels: placement.node_selector.unwrap_or_default(),
        };
        Ok(rule)
    }

    /// A rule for the same streams that sets nothing.
    pub(super) fn patterns(&self, name: &str) -> Rule {
        let streams = self.streams.iter().map(|it| StreamPattern {
            vhost: it.vhost.clone(),
            app: it.app.clone(),
            stream: it.name.clone(),
        });
        Rule {
            policy: Policy {
                name: name.to_owned(),
                streams: streams.collect(),
                settings: StreamSettings::default(),
                keys: None,
            },
            placement: Restriction::default(),
        }
    }
}

fn duration(field: &str, text: &str, least: Duration, most: Duration) -> Result<Duration, String> {
    let value = time::parse(text)
        .ok_or_else(|| format!("spec.{field} `{text}` is no time: write for example `3s`"))?;
    if value < least || value > most {
        return Err(format!(
            "spec.{field} is {text}: it must be from {} to {}",
            time::format(least),
            time::format(most)
        ));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(yaml: serde_json::Value) -> StreamPolicySpec {
        serde_json::from_value(yaml).unwrap()
    }

    #[test]
    fn a_spec_becomes_what_members_are_told() {
        let rule = spec(serde_json::json!({
            "streams": [{"app": "live", "name": "room-*"}],
            "placement": {"zones": ["a"], "nodeSelector": {"disk": "fast"}},
            "mode": "rtc", "onDuplicate": "refuse", "linger": "2m",
            "gopCache": {"maxDuration": "4s"}, "bitrate": {"maxBitsPerSecond": 5_000_000},
        }))
        .rule("rooms")
        .unwrap();
        assert_eq!(rule.policy.streams[0].to_string(), "*/live/room-*");
        assert_eq!(
            rule.policy.settings,
            StreamSettings {
                mode: Some(PlayMode::Rtc),
                gop_max: Some(Duration::from_secs(4)),
                gop_max_bytes: None,
                max_cache: None,
                max_bitrate_bps: Some(5_000_000),
                on_duplicate: Some(OnDuplicate::Refuse),
                linger: Some(Duration::from_secs(120)),
            }
        );
        assert_eq!(rule.placement.zones, ["a"]);
        assert_eq!(rule.placement.node_labels["disk"], "fast");
    }

    #[test]
    fn a_time_out_of_range_is_a_sentence_that_names_it() {
        for (field, spec_of) in [
            ("linger", serde_json::json!({"linger": "61m"})),
            (
                "latency.maxCache",
                serde_json::json!({"latency": {"maxCache": "50ms"}}),
            ),
            (
                "gopCache.maxDuration",
                serde_json::json!({"gopCache": {"maxDuration": "2m"}}),
            ),
        ] {
            let mut whole = serde_json::json!({"streams": [{"app": "live"}]});
            let fields = spec_of.as_object().unwrap().clone();
            whole.as_object_mut().unwrap().extend(fields);
            let error = spec(whole).rule("x").unwrap_err();
            assert!(
                error.contains(field) && error.contains("must be from"),
                "{error}"
            );
        }
    }
}
