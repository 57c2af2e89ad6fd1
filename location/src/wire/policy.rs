//! Policies on the wire.

use std::time::Duration;

use headwater_admission::{KeyPair, PolicyKeys, SigningKeys, TakenSchemes};
use headwater_process::config::Secret;

use super::{WireError, list, word};
use crate::claim::OnDuplicate;
use crate::limits::{POLICIES_CHUNK_MAX, POLICY_PATTERNS_MAX};
use crate::policy::{PlayMode, Policy, StreamPattern, StreamSettings};
use crate::{PoliciesChunk, proto};

impl TryFrom<proto::StreamPattern> for StreamPattern {
    type Error = WireError;

    fn try_from(pattern: proto::StreamPattern) -> Result<StreamPattern, WireError> {
        Ok(StreamPattern {
            vhost: word(pattern.vhost, "pattern.vhost")?,
            app: word(pattern.app, "pattern.app")?,
            stream: word(pattern.stream, "pattern.stream")?,
        })
    }
}

impl TryFrom<proto::Policy> for Policy {
    type Error = WireError;

    fn try_from(policy: proto::Policy) -> Result<Policy, WireError> {
        let mode = match proto::PlayMode::try_from(policy.mode) {
            Ok(proto::PlayMode::Unspecified) => None,
            Ok(proto::PlayMode::Live) => Some(PlayMode::Live),
            Ok(proto::PlayMode::Rtc) => Some(PlayMode::Rtc),
            Err(_) => return Err(WireError::Meaningless("policy.mode")),
        };
        let on_duplicate = match proto::OnDuplicate::try_from(policy.on_duplicate) {
            Ok(proto::OnDuplicate::Unspecified) => None,
            Ok(proto::OnDuplicate::Replace) => Some(OnDuplicate::Replace),
            Ok(proto::OnDuplicate::Refuse) => Some(OnDuplicate::Refuse),
            Ok(proto::OnDuplicate::Backup) => Some(OnDuplicate::Backup),
            Err(_) => return Err(WireError::Meaningless("policy.on_duplicate")),
        };
        Ok(Policy {
            name: word(policy.name, "policy.name")?,
            streams: list(
                policy.streams,
                POLICY_PATTERNS_MAX,
                "policy.streams",
                StreamPattern::try_from,
            )?,
            settings: StreamSettings {
                mode,
                gop_max: policy.gop_max_ms.map(Duration::from_millis),
                gop_max_bytes: policy.gop_max_bytes,
                max_cache: policy.max_cache_ms.map(Duration::from_millis),
                max_bitrate_bps: policy.max_bitrate_bps,
                on_duplicate,
                linger: policy.linger_ms.map(Duration::from_millis),
            },
            keys: policy.keys.map(keys).transpose()?,
        })
    }
}

impl From<&Policy> for proto::Policy {
    fn from(policy: &Policy) -> proto::Policy {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let settings = &policy.settings;
        let mode = settings
            .mode
            .map_or(proto::PlayMode::Unspecified, |mode| match mode {
                PlayMode::Live => proto::PlayMode::Live,
                PlayMode::Rtc => proto::PlayMode::Rtc,
            });
        let on_duplicate = settings
            .on_duplicate
            .map_or(proto::OnDuplicate::Unspecified, |it| match it {
                OnDuplicate::Replace => proto::OnDuplicate::Replace,
                OnDuplicate::Refuse => proto::OnDuplicate::Refuse,
                OnDuplicate::Backup => proto::OnDuplicate::Backup,
            });
        proto::Policy {
            name: policy.name.clone(),
            streams: policy
                .streams
                .iter()
                .map(|pattern| proto::StreamPattern {
                    vhost: pattern.vhost.clone(),
                    app: pattern.app.clone(),
                    stream: pattern.stream.clone(),
                })
                .collect(),
            mode: mode.into(),
            gop_max_ms: settings.gop_max.map(millis),
            gop_max_bytes: settings.gop_max_bytes,
            max_cache_ms: settings.max_cache.map(millis),
            max_bitrate_bps: settings.max_bitrate_bps,
            on_duplicate: on_duplicate.into(),
            linger_ms: settings.linger.map(millis),
            keys: policy.keys.as_ref().map(Into::into),
        }
    }
}

fn keys(keys: proto::PolicyKeys) -> Result<PolicyKeys, WireError> {
    if keys.unread {
        return Ok(PolicyKeys::Unread);
    }
    let key = |text: String| (!text.is_empty()).then(|| Secret::new(text));
    let pair = |main, backup| KeyPair {
        main: key(main),
        backup: key(backup),
    };
    let given = SigningKeys {
        scheme: match proto::TakenSchemes::try_from(keys.scheme) {
            Ok(proto::TakenSchemes::Any) => TakenSchemes::Any,
            Ok(proto::TakenSchemes::Tx) => TakenSchemes::Tx,
            Ok(proto::TakenSchemes::Hmac) => TakenSchemes::Hmac,
            Err(_) => return Err(WireError::Meaningless("policy.keys.scheme")),
        },
        publish: pair(keys.publish_main, keys.publish_backup),
        play: pair(keys.play_main, keys.play_backup),
    };
    given
        .check()
        .map_err(|_| WireError::Meaningless("policy.keys"))?;
    Ok(PolicyKeys::Known(given))
}

impl From<&PolicyKeys> for proto::PolicyKeys {
    fn from(keys: &PolicyKeys) -> proto::PolicyKeys {
        let PolicyKeys::Known(keys) = keys else {
            return proto::PolicyKeys {
                unread: true,
                ..proto::PolicyKeys::default()
            };
        };
        let text = |key: &Option<Secret>| {
            key.as_ref()
                .map_or_else(String::new, |key| key.expose().clone())
        };
        let scheme = match keys.scheme {
            TakenSchemes::Any => proto::TakenSchemes::Any,
            TakenSchemes::Tx => proto::TakenSchemes::Tx,
            TakenSchemes::Hmac => proto::TakenSchemes::Hmac,
        };
        proto::PolicyKeys {
            unread: false,
            scheme: scheme.into(),
            publish_main: text(&keys.publish.main),
            publish_backup: text(&keys.publish.backup),
            play_main: text(&keys.play.main),
            play_backup: text(&keys.play.backup),
        }
    }
}

pub(super) fn chunk(policies: proto::Policies) -> Result<PoliciesChunk, WireError> {
    Ok(PoliciesChunk {
        begin: policies.begin,
        complete: policies.complete,
        policies: list(
            policies.policies,
            POLICIES_CHUNK_MAX,
            "policies",
            Policy::try_from,
        )?,
    })
}

impl From<&PoliciesChunk> for proto::Policies {
    fn from(chunk: &PoliciesChunk) -> proto::Policies {
        proto::Policies {
            begin: chunk.begin,
            complete: chunk.complete,
            policies: chunk.policies.iter().map(Into::into).collect(),
        }
    }
}
