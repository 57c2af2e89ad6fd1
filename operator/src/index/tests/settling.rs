//! When a replica that starts knows enough to answer.

use super::*;

#[test]
fn a_replica_is_settled_once_all_snapshots_are_whole_and_soon_in_any_case() {
    let mut scenario = Scenario::with_origins(&["a"]);
    let half = Member::new("half", Role::Origin, "half:7000");
    scenario.apply(Event::Said(99, Up::Hello(half)));
    for (after, settled) in [(0, false), (2000, false), (3000, true)] {
        assert_eq!(
            scenario.index.settled(Duration::from_millis(after)),
            settled,
            "{after}"
        );
    }
    scenario.apply(Event::Lost(99));
    assert!(scenario.index.settled(SETTLE));
}

#[test]
fn a_replica_that_starts_waits_for_the_members_that_should_be_there() {
    let mut scenario = Scenario::new();
    scenario.index = Index::new("replica", 1, None, Duration::ZERO).expecting();
    scenario.join("a", Role::Origin);
    scenario.now = Duration::from_secs(4);
    assert!(
        !scenario.index.settled(scenario.now),
        "nobody said who should be there"
    );
    scenario.apply(Event::Expect(["a".into(), "b".into()].into()));
    assert!(!scenario.index.settled(scenario.now), "b is missing");
    scenario.join("b", Role::Origin);
    assert!(scenario.index.settled(scenario.now));
    scenario.leave("b");
    scenario.now = Duration::from_secs(11);
    assert!(
        scenario.index.settled(scenario.now),
        "one that never comes holds nobody up for ever"
    );
}
