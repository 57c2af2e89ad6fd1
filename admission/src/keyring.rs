//! The keys in force, by app.

use crate::config::{AdmissionConfig, ConfigError, KeyPair, TakenSchemes, Unmatched};
use crate::keys::{PolicyKeys, SigningKeys};
use crate::pattern::Pattern;
use crate::signature::{Fault, Presented, Subject, hmac, tx};
use crate::{Kind, Reason, Refusal};

/// The rules of [`AdmissionConfig::keys`], most specific first.
#[derive(Debug)]
pub(crate) struct Keyring {
    rules: Vec<Rule>,
    unmatched: Unmatched,
}

#[derive(Debug)]
struct Rule {
    pattern: Pattern,
    keys: SigningKeys,
}

impl SigningKeys {
    fn of(&self, kind: Kind) -> &KeyPair {
        match kind {
            Kind::Publish => &self.publish,
            Kind::Play => &self.play,
        }
    }
}

/// What the keyring says of an app.
pub(crate) enum Lock<'a> {
    /// No signature is needed.
    Open,
    /// One of these keys must have signed.
    Keys(&'a KeyPair, TakenSchemes),
    /// Nobody may: keys are configured, and none is for this app.
    Unmatched,
    /// Nobody may: a policy gives keys, and they are not known.
    Unread,
}

impl Keyring {
    /// # Errors
    /// If the configuration is one that [`AdmissionConfig::check`] refuses.
    pub(crate) fn new(config: &AdmissionConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let mut rules = Vec::new();
        for (rule, keys) in config.keys.iter().enumerate() {
            rules.push(Rule {
                pattern: Pattern::parse(&keys.pattern)
                    .map_err(|source| ConfigError::Pattern { rule, source })?,
                keys: SigningKeys {
                    scheme: keys.scheme,
                    publish: keys.publish.clone(),
                    play: keys.play.clone(),
                },
            });
        }
        rules.sort_by_cached_key(|rule| rule.pattern.precedence());
        Ok(Keyring {
            rules,
            unmatched: config.unmatched,
        })
    }

    /// Whether any rule has a key for `kind`.
    pub(crate) fn signs(&self, kind: Kind) -> bool {
        self.rules
            .iter()
            .any(|rule| rule.keys.of(kind).main.is_some())
    }

    /// The patterns with a key for `kind`, most specific first.
    pub(crate) fn patterns(&self, kind: Kind) -> impl Iterator<Item = &Pattern> {
        self.rules
            .iter()
            .filter(move |rule| rule.keys.of(kind).main.is_some())
            .map(|rule| &rule.pattern)
    }

    /// What stands before `kind` of `app` (with its instance) on `vhost`; what a policy says of the stream decides alone.
    pub(crate) fn lock<'a>(
        &'a self,
        kind: Kind,
        vhost: &str,
        app: &str,
        policy: Option<&'a PolicyKeys>,
    ) -> Lock<'a> {
        let keys = match policy {
            Some(PolicyKeys::Unread) => return Lock::Unread,
            Some(PolicyKeys::Known(keys)) => Some(keys),
            None => {
                let mut rules = self.rules.iter();
                let rule = rules.find(|rule| rule.pattern.matches(vhost, app));
                rule.map(|rule| &rule.keys)
            }
        };
        match keys {
            Some(keys) if keys.of(kind).main.is_some() => Lock::Keys(keys.of(kind), keys.scheme),
            Some(_) => Lock::Open,
            None if self.unmatched == Unmatched::Deny && self.signs(kind) => Lock::Unmatched,
            None => Lock::Open,
        }
    }

    /// Judges a signature. `Ok(true)`: a key was needed and fitted; `Ok(false)`: none was needed.
    pub(crate) fn judge(
        &self,
        subject: Subject<'_>,
        vhost: &str,
        app: &str,
        policy: Option<&PolicyKeys>,
        presented: Presented<'_>,
        now_unix_s: u64,
    ) -> Result<bool, Refusal> {
        let (keys, taken) = match self.lock(subject.kind, vhost, app, policy) {
            Lock::Open => return Ok(false),
            Lock::Unmatched => {
                return Err(Refusal::new(
                    Reason::Unmatched,
                    format!(
                        "there is no {} key for the app {vhost}/{app}: check the app's name, or have a key configured for it",
                        subject.kind
                    ),
                ));
            }
            Lock::Unread => {
                return Err(Refusal::new(
                    Reason::KeysUnread,
                    "the keys of this stream could not be read, so nobody may: try again later, or see what its StreamPolicy's status says",
                ));
            }
            Lock::Keys(keys, taken) => (keys, taken),
        };
        let verdict = match (presented, taken) {
            (Presented::Tx { time, secret }, TakenSchemes::Any | TakenSchemes::Tx) => {
                tx::verify(keys.in_force(), subject, time, secret, now_unix_s)
            }
            (Presented::Hmac { expires, sign }, TakenSchemes::Any | TakenSchemes::Hmac) => {
                hmac::verify(keys.in_force(), subject, expires, sign, now_unix_s)
            }
            (Presented::Nothing | Presented::Tx { .. } | Presented::Hmac { .. }, _) => {
                return Err(Refusal::new(
                    Reason::Missing,
                    format!(
                        "a signed address is needed to {} here: add {} to the address (`headwater sign` prints one)",
                        subject.kind,
                        match taken {
                            TakenSchemes::Any => "txSecret and txTime, or hwSign and hwExpires,",
                            TakenSchemes::Tx => "txSecret and txTime",
                            TakenSchemes::Hmac => "hwSign and hwExpires",
                        }
                    ),
                ));
            }
        };
        verdict
            .map(|()| true)
            .map_err(|fault| explain(fault, subject.kind))
    }
}

fn explain(fault: Fault, kind: Kind) -> Refusal {
    match fault {
        Fault::Missing(parameter) => Refusal::new(
            Reason::Missing,
            format!(
                "the signed address is not whole: {parameter} is missing; copy the address again"
            ),
        ),
        Fault::Malformed(shape) => Refusal::new(
            Reason::Malformed,
            format!("the signature cannot be read: {shape}"),
        ),
        Fault::Foreign => Refusal::new(
            Reason::Foreign,
            format!(
                "the signature does not fit: it must be made with this app's {kind} key, for exactly this stream and time (`headwater sign` prints one)"
            ),
        ),
        Fault::Expired { ago_s } => Refusal::new(
            Reason::Expired,
            format!("the signed address expired {ago_s} s ago: get a new one"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::KeyRule;
    use crate::signature::to_hex;
    use headwater_process::config::Secret;

    fn pair(main: &str, backup: &str) -> KeyPair {
        let key = |text: &str| (!text.is_empty()).then(|| Secret::new(text.to_owned()));
        KeyPair {
            main: key(main),
            backup: key(backup),
        }
    }

    fn ring(unmatched: Unmatched, scheme: TakenSchemes) -> Keyring {
        let rule = |pattern: &str, publish, play| KeyRule {
            pattern: pattern.into(),
            scheme,
            publish,
            play,
        };
        let keys = vec![
            rule("default/*", pair("wide", ""), pair("", "")),
            rule("default/live", pair("pub", "pub2"), pair("see", "see2")),
        ];
        let config = AdmissionConfig {
            keys,
            unmatched,
            ..AdmissionConfig::default()
        };
        Keyring::new(&config).unwrap()
    }

    const NOW: u64 = 1_000_000_000;

    fn judge(ring: &Keyring, kind: Kind, app: &str, signed_with: &str) -> Result<bool, Reason> {
        judge_under(ring, kind, app, None, signed_with)
    }

    fn judge_under(
        ring: &Keyring,
        kind: Kind,
        app: &str,
        policy: Option<&PolicyKeys>,
        signed_with: &str,
    ) -> Result<bool, Reason> {
        let secret = to_hex(&tx::digest(signed_with, "room", "5C271099"));
        let subject = Subject {
            kind,
            key: "",
            stream: "room",
        };
        let presented = match signed_with {
            "" => Presented::Nothing,
            _ => Presented::Tx {
                time: Some("5C271099"),
                secret: Some(&secret),
            },
        };
        let vhost = app.split_once(':').map_or("default", |(vhost, _)| vhost);
        let app = app.split_once(':').map_or(app, |(_, app)| app);
        ring.judge(subject, vhost, app, policy, presented, NOW)
            .map_err(|refusal| refusal.reason)
    }

    #[test]
    fn each_app_and_purpose_has_its_own_keys() {
        use Kind::{Play, Publish};
        let ring = ring(Unmatched::Deny, TakenSchemes::Any);
        for (kind, app, signed_with, verdict) in [
            (Publish, "live", "pub", Ok(true)),
            (Publish, "live", "pub2", Ok(true)),
            (Publish, "live/eu", "pub", Ok(true)),
            (Publish, "live", "see", Err(Reason::Foreign)),
            (Publish, "live", "wide", Err(Reason::Foreign)),
            (Publish, "live", "", Err(Reason::Missing)),
            (Publish, "other", "wide", Ok(true)),
            (Publish, "other", "pub", Err(Reason::Foreign)),
            (Play, "live", "see", Ok(true)),
            (Play, "live", "see2", Ok(true)),
            (Play, "live", "pub", Err(Reason::Foreign)),
            (Play, "live", "", Err(Reason::Missing)),
            (Play, "other", "", Ok(false)),
            (Publish, "cdn:live", "pub", Err(Reason::Unmatched)),
            (Play, "cdn:live", "see", Err(Reason::Unmatched)),
        ] {
            let got = judge(&ring, kind, app, signed_with);
            assert_eq!(got, verdict, "{kind} {app} with `{signed_with}`");
        }
    }

    #[test]
    fn apps_without_a_pattern_can_be_left_open() {
        let ring = ring(Unmatched::Allow, TakenSchemes::Any);
        assert_eq!(judge(&ring, Kind::Publish, "cdn:live", ""), Ok(false));
        assert_eq!(
            judge(&ring, Kind::Publish, "live", ""),
            Err(Reason::Missing)
        );
    }

    #[test]
    fn a_rule_can_insist_on_the_stronger_scheme() {
        let ring = ring(Unmatched::Deny, TakenSchemes::Hmac);
        assert_eq!(
            judge(&ring, Kind::Publish, "live", "pub"),
            Err(Reason::Missing)
        );
        let subject = Subject {
            kind: Kind::Publish,
            key: "default/live/room",
            stream: "room",
        };
        let sign = to_hex(&hmac::digest("pub2", subject, NOW));
        let expires = NOW.to_string();
        let presented = Presented::Hmac {
            expires: Some(&expires),
            sign: Some(&sign),
        };
        assert_eq!(
            ring.judge(subject, "default", "live", None, presented, NOW),
            Ok(true)
        );
        let late = ring.judge(subject, "default", "live", None, presented, NOW + 1);
        assert_eq!(
            late.unwrap_err().text,
            "the signed address expired 1 s ago: get a new one"
        );
    }

    #[test]
    fn what_a_policy_says_of_a_stream_decides_alone() {
        let given = PolicyKeys::Known(SigningKeys {
            scheme: TakenSchemes::Any,
            publish: pair("lesson", "lesson2"),
            play: pair("", ""),
        });
        let ring = ring(Unmatched::Deny, TakenSchemes::Any);
        for (kind, app, policy, signed_with, verdict) in [
            (Kind::Publish, "live", &given, "lesson", Ok(true)),
            (Kind::Publish, "live", &given, "lesson2", Ok(true)),
            (Kind::Publish, "live", &given, "pub", Err(Reason::Foreign)),
            (Kind::Publish, "live", &given, "", Err(Reason::Missing)),
            // An app that no rule covers, and a purpose that the policy leaves open.
            (Kind::Publish, "cdn:live", &given, "lesson", Ok(true)),
            (Kind::Play, "live", &given, "", Ok(false)),
            // What cannot be read opens nothing, not even with a key of the configuration.
            (
                Kind::Publish,
                "live",
                &PolicyKeys::Unread,
                "pub",
                Err(Reason::KeysUnread),
            ),
            (
                Kind::Play,
                "other",
                &PolicyKeys::Unread,
                "",
                Err(Reason::KeysUnread),
            ),
        ] {
            let got = judge_under(&ring, kind, app, Some(policy), signed_with);
            assert_eq!(
                got, verdict,
                "{kind} {app} with `{signed_with}` under {policy:?}"
            );
        }
    }

    #[test]
    fn an_empty_ring_locks_nothing() {
        let ring = Keyring::new(&AdmissionConfig::default()).unwrap();
        assert_eq!(judge(&ring, Kind::Publish, "live", ""), Ok(false));
        assert!(!ring.signs(Kind::Play));
    }
}
