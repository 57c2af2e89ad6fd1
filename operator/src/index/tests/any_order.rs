//! What holds whatever happens to members and streams, in any order.

use headwater_location::ring::cap;
use headwater_location::{Exception, Exceptions};
use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Join(usize),
    Leave(usize),
    Publish(usize),
    End(usize),
    Cordon(usize, bool),
    Tick,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => (0..6_usize).prop_map(Step::Join),
        1 => (0..6_usize).prop_map(Step::Leave),
        8 => (0..60_usize).prop_map(Step::Publish),
        3 => (0..60_usize).prop_map(Step::End),
        1 => (0..6_usize, any::<bool>()).prop_map(|(index, on)| Step::Cordon(index, on)),
        2 => Just(Step::Tick),
    ];
    prop::collection::vec(step, 1..120)
}

/// What an edge that heard every message would hold.
#[derive(Default)]
struct Heard(BTreeMap<StreamKey, Exception>);

impl Heard {
    fn take(&mut self, effects: &[Effect]) {
        for effect in effects {
            let Effect::Broadcast(down) = effect else {
                continue;
            };
            if let Down::Exceptions(Exceptions { set, removed, .. }) = &**down {
                for key in removed {
                    self.0.remove(key);
                }
                self.0.extend(set.iter().cloned());
            }
        }
    }
}

fn homes(index: &Index, now: Duration) -> BTreeMap<String, String> {
    let rows = index.listing(now).streams.into_iter();
    rows.map(|row| (row.key, row.homes[0].to_string()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn streams_stay_where_they_are_and_no_placement_goes_to_a_member_at_its_cap(steps in steps()) {
        let mut scenario = Scenario::new();
        let mut heard = Heard::default();
        let mut term = 0;
        for step in steps {
            let before = homes(&scenario.index, scenario.now);
            let mut changing: Option<String> = None;
            let mut leaver: Option<String> = None;
            let effects = match step {
                Step::Join(index) => {
                    let id = format!("origin-{index}");
                    if scenario.sessions.contains_key(&id) { continue; }
                    scenario.join(&id, Role::Origin)
                }
                Step::Leave(index) => {
                    let id = format!("origin-{index}");
                    if !scenario.sessions.contains_key(&id) { continue; }
                    leaver = Some(id.clone());
                    scenario.leave(&id)
                }
                Step::Publish(index) => {
                    let key = key(&index.to_string());
                    let loads: BTreeMap<String, u64> = scenario.index.members().iter()
                        .filter(|it| it.takes_work())
                        .map(|it| {
                            let load = scenario.index.ledger.homes(&it.id)
                                + scenario.index.reservations.count(&it.id);
                            (it.id.to_string(), load)
                        })
                        .collect();
                    let reply = scenario.place(&key, &[]);
                    prop_assert_eq!(&scenario.place(&key, &[]).candidates, &reply.candidates);
                    let Some(home) = reply.candidates.first().map(|it| it.member.to_string()) else {
                        prop_assert!(loads.is_empty());
                        continue;
                    };
                    match before.get(key.as_str()) {
                        Some(old) => prop_assert_eq!(&home, old),
                        None => {
                            let cap = cap(loads.values().sum(), loads.len());
                            prop_assert!(loads[&home] < cap, "{} at {:?}, cap {}", home, loads, cap);
                        }
                    }
                    term += 1;
                    changing = Some(key.to_string());
                    scenario.report(&home, carried(&key, Part::Home, term, term, &home), false)
                }
                Step::End(index) => {
                    let key = key(&index.to_string());
                    let Some(home) = before.get(key.as_str()) else { continue };
                    changing = Some(key.to_string());
                    scenario.report(home, carried(&key, Part::Home, term, term, home), true)
                }
                Step::Cordon(index, on) => {
                    scenario.apply(Event::Cordon(format!("origin-{index}").as_str().into(), on))
                }
                Step::Tick => scenario.apply(Event::Tick),
            };
            heard.take(&effects);

            // Only the stream of the step moves, and only the leaver's streams are given up.
            let after = homes(&scenario.index, scenario.now);
            for (key, home) in &before {
                if changing.as_ref() != Some(key) {
                    let want = (leaver.as_ref() != Some(home)).then_some(home);
                    prop_assert_eq!(after.get(key), want);
                }
            }
            for home in after.values() {
                prop_assert!(scenario.sessions.contains_key(home));
            }
        }
        heard.take(&scenario.apply(Event::Tick));
        let ring = scenario.index.members().origin_ring();
        for (key, home) in homes(&scenario.index, scenario.now) {
            let exception = heard.0.remove(&key.parse::<StreamKey>().unwrap());
            let want = (ring.first(&key) != Some(home.as_str())).then_some(home);
            prop_assert_eq!(exception.map(|it| it.home.to_string()), want);
        }
        prop_assert!(heard.0.is_empty(), "{:?}", heard.0);
    }
}
