//! What is said of each policy: what it matches, and what is wrong with it.

use headwater_process::clock;
use k8s_openapi::jiff::Timestamp;

use super::picture::Picture;
use super::policy::{Condition, StreamPolicyStatus};
use crate::index::{Index, Matched};

/// A write that is due.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Status {
    pub(super) name: String,
    pub(super) status: StreamPolicyStatus,
}

/// The statuses that differ from those that are shown.
pub(super) fn statuses(picture: &Picture, index: &Index) -> Vec<Status> {
    let matched = index.matched();
    picture
        .policies()
        .iter()
        .filter_map(|(name, facts)| {
            let shown = facts.shown.status.clone().unwrap_or_default();
            let matched = matched.get(name).cloned().unwrap_or_default();
            let said = Said {
                rule: facts.rule.as_ref().err().cloned(),
                shadow: picture.shadowed(name),
                keys: picture.keys_of(facts),
            };
            let status = status(facts.generation, said, &matched, &shown);
            (status != shown).then(|| Status {
                name: name.clone(),
                status,
            })
        })
        .collect()
}

/// What is wrong with a policy.
#[derive(Default)]
struct Said {
    /// With its text.
    rule: Option<String>,
    /// Another policy has the same pattern and decides.
    shadow: Option<(String, String)>,
    /// With the Secret that it names, if it has been read.
    keys: Option<Result<(), String>>,
}

fn status(
    generation: i64,
    said: Said,
    matched: &Matched,
    shown: &StreamPolicyStatus,
) -> StreamPolicyStatus {
    let in_force = said.rule.is_none();
    let elsewhere = said.shadow.clone();
    let accepted = match (said.rule, said.shadow) {
        (Some(problem), _) => (false, "Contradiction", problem),
        (None, Some((other, pattern))) => (
            false,
            "SamePattern",
            format!(
                "StreamPolicy {other} has the pattern {pattern} too and decides, being the first by name: remove the \
                 pattern from one of them"
            ),
        ),
        (None, None) => (true, "Valid", "the policy is in force".to_owned()),
    };
    let placeable = match in_force {
        false => (false, "NotAccepted", "the policy is not in force".to_owned()),
        true if matched.origins == 0 => (
            false,
            "NoOrigin",
            "no origin that takes new streams fits the placement, so publishers of these streams are refused: change \
             the placement or add origins there"
                .to_owned(),
        ),
        true => (
            true,
            "OriginsFit",
            format!("{} origins may be home", matched.origins),
        ),
    };
    let keys = said.keys.map(|keys| match (keys, elsewhere) {
        // Its own are not what holds there, so nobody may take these streams to be locked by them.
        (_, Some((other, pattern))) => (
            false,
            "SamePattern",
            format!("for {pattern} StreamPolicy {other} decides about keys, too"),
        ),
        (Ok(()), None) => (
            true,
            "KeysRead",
            "addresses must be signed with the Secret's keys".to_owned(),
        ),
        (Err(problem), None) => (
            false,
            "KeysUnread",
            format!("nobody may publish or play these streams: {problem}"),
        ),
    });
    let keys = keys.map(|keys| ("Keys", keys));
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    StreamPolicyStatus {
        observed_generation: generation,
        matched_streams: count(matched.streams),
        examples: matched.examples.clone(),
        origins: count(matched.origins),
        conditions: [("Accepted", accepted), ("Placeable", placeable)]
            .into_iter()
            .chain(keys)
            .map(|(kind, said)| condition(kind, said, generation, shown))
            .collect(),
    }
}

fn condition(
    kind: &str,
    (holds, reason, message): (bool, &str, String),
    generation: i64,
    shown: &StreamPolicyStatus,
) -> Condition {
    let status = if holds { "True" } else { "False" };
    let before = shown.conditions.iter().find(|it| it.kind == kind);
    let since = before.filter(|it| it.status == status);
    Condition {
        kind: kind.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message,
        last_transition_time: since.map_or_else(now, |it| it.last_transition_time.clone()),
        observed_generation: generation,
    }
}

fn now() -> String {
    let unix_s = i64::try_from(clock::unix_ms() / 1000).unwrap_or(0);
    Timestamp::from_second(unix_s)
        .map(|now| now.to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_what_is_wrong_and_keeps_the_time_of_what_stays() {
        let matched = Matched {
            streams: 2,
            origins: 0,
            examples: vec!["default/live/a".to_owned()],
        };
        let first = status(1, Said::default(), &matched, &StreamPolicyStatus::default());
        let by = |status: &StreamPolicyStatus, kind: &str| {
            let found = status.conditions.iter().find(|it| it.kind == kind);
            found.unwrap().clone()
        };
        assert_eq!(by(&first, "Accepted").status, "True");
        assert_eq!(by(&first, "Placeable").reason, "NoOrigin");
        assert_eq!((first.matched_streams, first.observed_generation), (2, 1));

        let mut shown = first.clone();
        shown.conditions[0].last_transition_time = "2026-01-01T00:00:00Z".to_owned();
        let again = status(2, Said::default(), &matched, &shown);
        assert_eq!(
            by(&again, "Accepted").last_transition_time,
            "2026-01-01T00:00:00Z"
        );
        let said = Said {
            shadow: Some(("a".to_owned(), "*/live/*".to_owned())),
            ..Said::default()
        };
        let shadowed = status(2, said, &matched, &shown);
        let accepted = by(&shadowed, "Accepted");
        assert_eq!(accepted.status, "False");
        assert_ne!(accepted.last_transition_time, "2026-01-01T00:00:00Z");
        assert!(
            accepted.message.contains("StreamPolicy a"),
            "{}",
            accepted.message
        );
    }

    #[test]
    fn keys_are_spoken_of_only_where_a_policy_names_some() {
        let beside = |shadow: Option<(String, String)>, keys: Option<Result<(), String>>| {
            let said = Said {
                keys,
                shadow,
                ..Said::default()
            };
            let said = status(1, said, &Matched::default(), &StreamPolicyStatus::default());
            let found = said.conditions.into_iter().find(|it| it.kind == "Keys");
            found.map(|it| (it.status, it.message))
        };
        let under = |keys| beside(None, keys);
        let other = Some(("a".to_owned(), "*/live/*".to_owned()));
        let (status, message) = beside(other, Some(Ok(()))).unwrap();
        assert_eq!(status, "False", "another policy decides");
        assert!(message.contains("StreamPolicy a"), "{message}");
        assert_eq!(under(None), None);
        assert_eq!(under(Some(Ok(()))).unwrap().0, "True");
        let (status, message) = under(Some(Err("there is no Secret x".to_owned()))).unwrap();
        assert_eq!(status, "False");
        assert!(
            message.contains("nobody may publish or play") && message.contains("no Secret x"),
            "{message}"
        );
    }
}
