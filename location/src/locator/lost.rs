//! Origins that the operators have lost sight of: dead, or only cut off from them.
//!
//! Nobody can report a stream of an origin that reaches no operator, yet edges may reach it. So whoever has viewers that
//! wait asks these too, where operators know of no source.

use std::sync::Arc;
use std::time::Duration;

use crate::limits::SOURCES_MAX;
use crate::member::{Member, MemberList, Role};

/// An origin counts as lost for so long; viewers do not wait for longer.
const KEPT: Duration = Duration::from_secs(300);

/// The newest of them, each with the time when it was lost.
#[derive(Debug, Default)]
pub(super) struct Lost(Vec<(Duration, Arc<Member>)>);

impl Lost {
    /// The list of members has changed. Who drains has told that it goes, and what it had has gone elsewhere.
    pub(super) fn changed(&mut self, before: &MemberList, members: &MemberList, now: Duration) {
        self.0
            .retain(|(at, it)| members.get(&it.id).is_none() && now < *at + KEPT);
        let gone = before
            .iter()
            .filter(|it| it.role == Role::Origin && !it.draining && members.get(&it.id).is_none());
        self.0.extend(gone.map(|it| (now, it.clone())));
        let old = self.0.len().saturating_sub(SOURCES_MAX);
        self.0.drain(..old);
    }

    /// Those that are lost, the newest first.
    pub(super) fn members(&self, now: Duration) -> impl Iterator<Item = &Arc<Member>> {
        let lost = self.0.iter().rev();
        lost.filter(move |(at, _)| now < *at + KEPT)
            .map(|(_, member)| member)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(ids: &[&str]) -> MemberList {
        let member = |id: &&str| {
            let role = if id.starts_with("edge") {
                Role::Edge
            } else {
                Role::Origin
            };
            let mut member = Member::new(id, role, "x:1");
            member.draining = id.starts_with("draining");
            Arc::new(member)
        };
        MemberList::new(ids.iter().map(member))
    }

    fn ids(lost: &Lost, now: Duration) -> Vec<String> {
        lost.members(now).map(|it| it.id.to_string()).collect()
    }

    #[test]
    fn origins_that_go_without_a_word_are_lost_until_they_are_back_or_forgotten() {
        let second = Duration::from_secs(1);
        let mut lost = Lost::default();
        let all = list(&["a", "b", "c", "draining", "edge"]);
        lost.changed(&all, &list(&["b", "c"]), second);
        assert_eq!(ids(&lost, second), ["a"], "not who drained, nor an edge");
        lost.changed(&list(&["b", "c"]), &list(&["c"]), 2 * second);
        assert_eq!(ids(&lost, 2 * second), ["b", "a"]);
        assert_eq!(ids(&lost, second + KEPT), ["b"]);
        lost.changed(&list(&["c"]), &list(&["b", "c"]), 3 * second);
        assert_eq!(ids(&lost, 3 * second), ["a"], "one is back");
    }

    #[test]
    fn the_newest_are_kept_where_very_many_are_lost() {
        let names: Vec<String> = (10..50).map(|it| format!("origin-{it}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut lost = Lost::default();
        for left in (0..names.len()).rev() {
            let (before, after) = (list(&names[..=left]), list(&names[..left]));
            lost.changed(&before, &after, Duration::from_secs(1));
        }
        let kept = ids(&lost, Duration::from_secs(1));
        assert_eq!(kept.len(), SOURCES_MAX);
        assert_eq!(kept[0], "origin-10");
    }
}
