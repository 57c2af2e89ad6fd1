//! The Secrets that policies name: who may publish and play their streams.
//!
//! Each is read by its name and again now and then, so that no right to list or watch Secrets is needed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use headwater_admission::{SigningKeys, TakenSchemes};
use headwater_process::config::Secret;
use k8s_openapi::ByteString;
use kube::{Api, Client};

use super::rights::Troubles;
use super::watching::Seen;

/// How old what is known of a Secret may be.
const AGAIN: Duration = Duration::from_secs(10);

const ENTRIES: &str = "publish, publish-backup, play, play-backup and scheme";

/// Keeps the picture's keys like the Secrets that its policies name, for ever.
pub(super) async fn keep(
    client: Client,
    namespace: &str,
    seen: Arc<Seen>,
    troubles: Arc<Troubles>,
) {
    let secrets: Api<k8s_openapi::api::core::v1::Secret> = Api::namespaced(client, namespace);
    let mut ticks = tokio::time::interval(AGAIN);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let all = tokio::select! {
            _ = ticks.tick() => true,
            () = seen.named.notified() => false,
        };
        let names = seen.picture.lock().key_secrets();
        for (name, is_known) in names {
            if is_known && !all {
                continue;
            }
            let keys = match secrets.get(&name).await {
                Ok(secret) => read(&name, secret.data.unwrap_or_default()),
                Err(error) => match missing(&name, &error) {
                    Some(problem) => Err(problem),
                    None => {
                        // What was known stays in force, and what was not is waited for.
                        troubles.failed("secrets", "get secrets", &error);
                        continue;
                    }
                },
            };
            troubles.well("secrets");
            let problem = keys.as_ref().err().cloned();
            if seen.picture.lock().show_keys(name, keys) {
                if let Some(problem) = problem {
                    tracing::warn!("nobody may publish or play under these keys: {problem}");
                }
                seen.changed.notify_one();
            }
        }
    }
}

/// Why there are no keys, if the API server said so.
fn missing(name: &str, error: &kube::Error) -> Option<String> {
    let kube::Error::Api(status) = error else {
        return None;
    };
    match status.code {
        404 => Some(format!(
            "there is no Secret {name}: create it with the entries {ENTRIES}, of which publish or play must be there"
        )),
        403 => Some(format!(
            "the operator may not read the Secret {name}: add it to the chart's operator.kubernetes.keySecrets"
        )),
        _ => None,
    }
}

/// The keys in a Secret's entries.
fn read(name: &str, entries: BTreeMap<String, ByteString>) -> Result<SigningKeys, String> {
    let mut keys = SigningKeys::default();
    for (entry, ByteString(bytes)) in entries {
        let text = String::from_utf8(bytes)
            .map_err(|_| format!("the entry {entry} of the Secret {name} is not UTF-8"))?;
        // Files end with a line end, and `kubectl create secret --from-file` keeps it.
        let text = text.strip_suffix('\n').unwrap_or(&text).to_owned();
        let place = match entry.as_str() {
            "publish" => &mut keys.publish.main,
            "publish-backup" => &mut keys.publish.backup,
            "play" => &mut keys.play.main,
            "play-backup" => &mut keys.play.backup,
            "scheme" => {
                keys.scheme = match text.as_str() {
                    "any" => TakenSchemes::Any,
                    "tx" => TakenSchemes::Tx,
                    "hmac" => TakenSchemes::Hmac,
                    _ => {
                        return Err(format!(
                            "the entry scheme of the Secret {name} is none of any, tx and hmac"
                        ));
                    }
                };
                continue;
            }
            // A misspelt entry must not leave a stream open.
            _ => {
                return Err(format!(
                    "the Secret {name} has an entry `{entry}`, which means nothing: the entries are {ENTRIES}"
                ));
            }
        };
        *place = Some(Secret::new(text));
    }
    keys.check()
        .map_err(|error| format!("the Secret {name}: {error}"))?;
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use headwater_admission::KeyPair;

    use super::*;

    fn entries(entries: &[(&str, &str)]) -> BTreeMap<String, ByteString> {
        let entry = |(name, text): &(&str, &str)| {
            ((*name).to_owned(), ByteString(text.as_bytes().to_vec()))
        };
        entries.iter().map(entry).collect()
    }

    #[test]
    fn a_secret_gives_both_pairs_and_the_scheme() {
        let keys = read(
            "k",
            entries(&[
                ("publish", "one\n"),
                ("publish-backup", "two"),
                ("play", "three"),
                ("scheme", "hmac\n"),
            ]),
        );
        let key = |text: &str| Some(Secret::new(text.to_owned()));
        assert_eq!(
            keys.unwrap(),
            SigningKeys {
                scheme: TakenSchemes::Hmac,
                publish: KeyPair {
                    main: key("one"),
                    backup: key("two")
                },
                play: KeyPair {
                    main: key("three"),
                    backup: None
                },
            }
        );
    }

    #[test]
    fn what_cannot_be_a_key_is_named_and_never_quoted() {
        for (given, names) in [
            (&[][..], "neither a key for publishing nor one for playing"),
            (&[("scheme", "any")], "neither a key"),
            (&[("pubilsh", "hush")], "`pubilsh`"),
            (
                &[("publish", "hush"), ("scheme", "md5")],
                "any, tx and hmac",
            ),
            (
                &[("publish", "")],
                "the main key for publish: the key is empty",
            ),
            (&[("play", "hush\nhush")], "the main key for play"),
            (&[("play-backup", "hush")], "no main key"),
        ] {
            let error = read("lesson-keys", entries(given)).unwrap_err();
            assert!(error.contains(names), "{error}");
            assert!(error.contains("lesson-keys"), "{error}");
            assert!(!error.contains("hush"), "{error}");
        }
    }
}
