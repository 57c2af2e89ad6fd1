//! What an allowed publish or play may be told on top of the configuration.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

/// How a viewer who falls behind is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Starts at the newest keyframe and may lag a few seconds.
    Live,
    /// Keeps next to nothing for a viewer and drops video first.
    Rtc,
}

/// What happens to a publisher of a name that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDuplicate {
    /// The newest publisher wins.
    Replace,
    /// The one that is on stays.
    Refuse,
    /// The one that is on stays as long as it has media, and the newcomer stands by to go on in its place.
    Backup,
}

/// Overrides for one admitted publish or play; `None` leaves what the configuration says.
///
/// As JSON in the callback's answer: `{"mode": "rtc", "on_duplicate": "refuse", "max_bitrate_bps": 4000000}`, each
/// member optional. An unknown member is an error, so that a misspelt limit does not vanish.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Publish: the mode of viewers who ask for none. Play: this viewer's mode, whatever the address asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Publish: what happens if the name is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_duplicate: Option<OnDuplicate>,
    /// Publish: the bitrate above which the publisher is cut off, in bits per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bitrate_bps: Option<NonZeroU64>,
}
