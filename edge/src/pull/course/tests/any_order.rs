//! What holds whatever is heard, in any order.

use proptest::prelude::*;

use super::super::paths::PATHS_MAX;
use super::*;

#[derive(Clone, Debug)]
enum Step {
    Located(u8, u8, Vec<u8>, bool),
    ServesEdges(bool),
    Dry(u8, bool),
    Beyond(Vec<u8>),
    Guessed(Vec<u8>),
    Nowhere(Vec<u8>),
    Failed,
    Answered(u8, u8, u8),
    Heard(u8),
    Silent(u8),
    Term(u8),
    Redirected(u8),
    Ended(u8, u8),
    Wanted(bool),
    Pass(u16),
}

fn steps() -> impl Strategy<Value = Step> {
    let addresses = || prop::collection::vec(0..5_u8, 0..4);
    prop_oneof![
        (0..6_u8, 0..6_u8, addresses(), any::<bool>())
            .prop_map(|(t, e, a, s)| Step::Located(t, e, a, s)),
        any::<bool>().prop_map(Step::ServesEdges),
        (0..4_u8, any::<bool>()).prop_map(|(p, dry)| Step::Dry(p, dry)),
        addresses().prop_map(Step::Beyond),
        addresses().prop_map(Step::Guessed),
        addresses().prop_map(Step::Nowhere),
        Just(Step::Failed),
        (0..4_u8, 0..6_u8, 0..6_u8).prop_map(|(p, t, e)| Step::Answered(p, t, e)),
        (0..4_u8).prop_map(Step::Heard),
        (0..4_u8).prop_map(Step::Silent),
        (0..6_u8).prop_map(Step::Term),
        (0..5_u8).prop_map(Step::Redirected),
        (0..4_u8, 0..7_u8).prop_map(|(p, e)| Step::Ended(p, e)),
        any::<bool>().prop_map(Step::Wanted),
        (0..3_000_u16).prop_map(Step::Pass),
    ]
}

proptest! {
    /// Whatever happens: few paths, never one to a lower term or an older session, and time never stands still.
    #[test]
    fn the_rules_hold_whatever_happens(steps in prop::collection::vec(steps(), 1..80)) {
        let mut s = Scenario::new();
        let (mut term, mut epoch) = (0, 0);
        for step in steps {
            let names = |addresses: Vec<u8>| addresses.iter().map(|a| format!("s{a}")).collect::<Vec<_>>();
            let path = |n: u8| s.open.get(usize::from(n)).map(|(id, _)| *id);
            let fed = s.fed.len();
            match step {
                Step::Dry(p, dry) => if let Some(path) = path(p).filter(|id| s.fed.contains(id)) {
                    s.course.dry(path, dry, s.now);
                },
                Step::Beyond(a) => s.course.beyond(names(a), s.now),
                Step::ServesEdges(serves) => s.course.serves_edges(serves, s.now),
                Step::Located(t, e, a, shielded) => {
                    let addresses = names(a);
                    let shield = addresses.first().filter(|_| shielded).cloned();
                    let located = Located::At { term: t.into(), epoch: e.into(), addresses, shield };
                    s.course.located(located, s.now);
                }
                Step::Guessed(a) => s.course.located(Located::Guessed { addresses: names(a) }, s.now),
                Step::Nowhere(a) => s.course.located(Located::Nowhere { lost: names(a), left_ago: None }, s.now),
                Step::Failed => s.course.located(Located::Failed, s.now),
                Step::Answered(p, t, e) => if let Some(path) = path(p).filter(|id| !s.fed.contains(id)) {
                    s.course.answered(path, t.into(), e.into(), s.now);
                    s.act();
                    if s.fed.len() > fed && s.fed.last() == Some(&path) {
                        prop_assert!(u64::from(t) >= term && u64::from(e) >= epoch);
                        (term, epoch) = (t.into(), e.into());
                    }
                },
                Step::Heard(p) => if let Some(path) = path(p).filter(|id| s.fed.contains(id)) {
                    s.course.heard(path, s.now);
                },
                Step::Silent(p) => if let Some(path) = path(p).filter(|id| s.fed.contains(id)) {
                    s.course.silent(path, s.now);
                },
                Step::Term(t) => s.course.term_heard(t.into(), s.now),
                Step::Redirected(a) => s.course.redirected(format!("s{a}"), s.now),
                Step::Ended(p, e) => if let Some(path) = path(p) {
                    let endings = [Ending::Broken, not_here(), Ending::Refused, Ending::Stale, Ending::PublisherLeft,
                        Ending::Replaced, Ending::Closed];
                    s.open.retain(|(id, _)| *id != path);
                    s.course.ended(path, endings[usize::from(e)].clone(), s.now);
                },
                Step::Wanted(wanted) => s.course.wanted(wanted, s.now),
                Step::Pass(ms) => s.pass(MS * u32::from(ms)),
            }
            s.act();
            prop_assert!(s.open.len() <= PATHS_MAX, "{:?}", s.open);
            prop_assert!(s.course.term() >= term);
            if s.finished {
                prop_assert!(s.open.is_empty());
            }
        }
    }
}
