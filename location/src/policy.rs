//! What holds for streams by their names, in place of the members' own settings.

use std::cmp::Reverse;
use std::fmt;
use std::time::Duration;

use headwater_admission::PolicyKeys;
use headwater_media::{StreamKey, wildcard};
use serde::Serialize;

use crate::claim::OnDuplicate;

/// Which streams; in each part `*` stands for any run of characters, also for none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StreamPattern {
    /// The virtual host.
    pub vhost: String,
    /// The application; without a slash it covers the application's instances too.
    pub app: String,
    /// The stream's own name.
    pub stream: String,
}

impl StreamPattern {
    /// Whether it covers `key`.
    pub fn covers(&self, key: &StreamKey) -> bool {
        let app = if self.app.contains('/') {
            key.app()
        } else {
            key.app().split_once('/').map_or(key.app(), |(app, _)| app)
        };
        wildcard(&self.vhost, key.vhost())
            && wildcard(&self.app, app)
            && wildcard(&self.stream, key.stream())
    }

    /// The order of precedence, most specific first: the vhost decides before the app, the app before the stream, a
    /// literal before a wildcard, more literal characters before fewer.
    pub fn precedence(&self) -> impl Ord + use<> {
        let specific = |part: &str| {
            let literal = part.bytes().filter(|byte| *byte != b'*').count();
            Reverse((!part.contains('*'), literal))
        };
        [&self.vhost, &self.app, &self.stream].map(|part| specific(part))
    }
}

impl fmt::Display for StreamPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.vhost, self.app, self.stream)
    }
}

/// How viewers are served who ask for no mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PlayMode {
    /// At once, and perhaps a few seconds late.
    Live,
    /// With next to nothing kept.
    Rtc,
}

/// Settings of one stream; `None` leaves the member's own in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StreamSettings {
    /// The mode of viewers who ask for none.
    pub mode: Option<PlayMode>,
    /// Pictures between two keyframes that are kept for those who join, in media time.
    pub gop_max: Option<Duration>,
    /// The same in bytes.
    pub gop_max_bytes: Option<u64>,
    /// A live viewer who is later than this skips to the newest keyframe.
    pub max_cache: Option<Duration>,
    /// What the publisher may send, in bits per second.
    pub max_bitrate_bps: Option<u64>,
    /// What happens when the name is published a second time.
    pub on_duplicate: Option<OnDuplicate>,
    /// How long the stream stays after its publisher has left.
    pub linger: Option<Duration>,
}

/// Settings for the streams that a pattern covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// What people call it.
    pub name: String,
    /// Which streams; not empty.
    pub streams: Vec<StreamPattern>,
    /// What holds for them.
    pub settings: StreamSettings,
    /// Who may publish and play them, in place of the members' own keys.
    pub keys: Option<PolicyKeys>,
}

/// All policies: for each stream the one with the most specific pattern decides alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Policies(Vec<Policy>);

impl Policies {
    /// The policies in any order; of two that are equally specific for a stream, the first by name decides.
    pub fn new(mut policies: Vec<Policy>) -> Policies {
        policies.sort_by(|a, b| a.name.cmp(&b.name));
        Policies(policies)
    }

    /// By name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Policy> {
        self.0.iter()
    }

    /// By name.
    pub fn as_slice(&self) -> &[Policy] {
        &self.0
    }

    /// The policy that decides for `key`.
    pub fn of(&self, key: &StreamKey) -> Option<&Policy> {
        self.0
            .iter()
            .filter_map(|policy| {
                let covering = policy.streams.iter().filter(|it| it.covers(key));
                Some((covering.map(StreamPattern::precedence).min()?, policy))
            })
            .min_by(|(a, _), (b, _)| a.cmp(b))
            .map(|(_, policy)| policy)
    }

    /// What holds for `key`.
    pub fn settings(&self, key: &StreamKey) -> StreamSettings {
        self.of(key)
            .map(|policy| policy.settings)
            .unwrap_or_default()
    }

    /// The keys of `key`, if a policy gives it any.
    pub fn keys(&self, key: &StreamKey) -> Option<&PolicyKeys> {
        self.of(key)?.keys.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(name: &str, patterns: &[[&str; 3]]) -> Policy {
        Policy {
            name: name.to_owned(),
            streams: patterns
                .iter()
                .map(|[vhost, app, stream]| StreamPattern {
                    vhost: (*vhost).to_owned(),
                    app: (*app).to_owned(),
                    stream: (*stream).to_owned(),
                })
                .collect(),
            settings: StreamSettings::default(),
            keys: None,
        }
    }

    #[test]
    fn the_most_specific_policy_decides() {
        let policies = Policies::new(vec![
            policy("z-all", &[["*", "*", "*"]]),
            policy("a-all", &[["*", "*", "*"]]),
            policy("live", &[["*", "live", "*"]]),
            policy("rooms", &[["*", "live", "room-*"], ["*", "shop", "*"]]),
            policy("room-1", &[["*", "live", "room-1"]]),
            policy("eu", &[["*", "live/eu", "*"]]),
            policy("vhost", &[["tv.example", "*", "*"]]),
        ]);
        for (key, decides) in [
            ("default/chat/x", "a-all"),
            ("default/live/x", "live"),
            ("default/live/us/x", "live"),
            ("default/live/eu/x", "eu"),
            ("default/live/room-2", "rooms"),
            ("default/shop/x", "rooms"),
            ("default/live/room-1", "room-1"),
            ("tv.example/live/room-1", "vhost"),
        ] {
            let key = key.parse().unwrap();
            assert_eq!(policies.of(&key).unwrap().name, decides, "{key}");
        }
        assert_eq!(
            Policies::default().of(&"default/live/x".parse().unwrap()),
            None
        );
    }
}
