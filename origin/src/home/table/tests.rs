use headwater_location::Seen;
use headwater_location::claim::Standing;
use proptest::prelude::*;

use super::*;

const NOW: Duration = Duration::from_secs(100);
const SOON: Duration = Duration::from_secs(9);
const UNIX_MS: u64 = 1_000;
const CLOCK: u64 = UNIX_MS << 16;

fn claim(epoch: u64, term: u64, publisher: &str) -> Claim {
    Claim {
        key: "default/live/room".parse().unwrap(),
        epoch,
        term,
        ingress: Endpoint {
            member: "in".into(),
            address: "in:7000".to_owned(),
        },
        publisher: publisher.to_owned(),
        on_duplicate: OnDuplicate::Replace,
        last: None,
        standing: None,
    }
}

fn taken(decision: Decision) -> (Home, Option<u64>) {
    let Decision::Taken { home, replaced, .. } = decision else {
        panic!("{decision:?}")
    };
    (home, replaced.map(|home| home.epoch))
}

#[test]
fn a_new_session_gets_a_term_above_all_that_was_seen_and_the_stream_goes_on_in_time() {
    for (name, term, known, last, want_term, want_offset) in [
        ("nothing known", 0, Known::default(), None, CLOCK + 1, 0),
        (
            "the ingress knows a term",
            CLOCK + 4,
            Known::default(),
            None,
            CLOCK + 11,
            0,
        ),
        (
            "shown here",
            0,
            Known {
                highest: CLOCK + 9,
                time: Some(Dts(70)),
                ..Known::default()
            },
            None,
            CLOCK + 11,
            70,
        ),
        (
            "shown elsewhere",
            0,
            Known::default(),
            Some(Seen {
                stream_dts_ms: 500,
                unix_ms: 400,
            }),
            CLOCK + 1,
            1_100,
        ),
    ] {
        let epoch = if want_term == CLOCK + 1 {
            7
        } else {
            CLOCK + 10
        };
        let asked = Claim {
            last,
            ..claim(epoch, term, "a")
        };
        let (home, replaced) = taken(Homes::default().decide(&asked, known, NOW, UNIX_MS));
        let want_term = want_term.max(if term == 0 { want_term } else { epoch + 1 });
        assert_eq!(
            (home.term, home.dts_offset, replaced),
            (want_term, Dts(want_offset), None),
            "{name}"
        );
    }
}

#[test]
fn what_is_fenced_is_told_the_term_that_fences_it() {
    let homes = Homes::default();
    let decide = |claim: &Claim, known| homes.decide(claim, known, NOW, UNIX_MS);
    let known = Known {
        highest: 50,
        ..Known::default()
    };
    assert_eq!(
        decide(&claim(50, 0, "a"), known),
        Decision::Stale(50),
        "an epoch that is not the newest"
    );
    let (home, _) = taken(decide(&claim(60, 0, "a"), known));
    assert_eq!(
        decide(&claim(60, home.term, "a"), known),
        Decision::Again(home.clone()),
        "asked twice"
    );
    assert_eq!(
        decide(&claim(60, home.term - 1, "a"), known),
        Decision::Stale(home.term)
    );
    assert_eq!(
        decide(&claim(61, 0, "b"), known),
        Decision::Stale(home.term),
        "older than the term"
    );
    let raised = claim(60, home.term + 5, "a");
    assert!(matches!(decide(&raised, known), Decision::Again(home) if home.term == raised.term));
}

#[test]
fn a_session_that_lost_its_home_keeps_the_term_that_its_ingress_raised() {
    let homes = Homes::default();
    let known = Known {
        highest: 60,
        time: Some(Dts(5)),
        ..Known::default()
    };
    let refusing = Claim {
        on_duplicate: OnDuplicate::Refuse,
        ..claim(60, 70, "a")
    };
    let (home, _) = taken(homes.decide(&refusing, known, NOW, UNIX_MS));
    assert_eq!(home.term, 70);
}

#[test]
fn a_session_that_lost_its_home_does_not_come_back_where_a_newer_one_has_been() {
    let known = Known {
        highest: 65,
        epoch: 61,
        ..Known::default()
    };
    let decide = |epoch| Homes::default().decide(&claim(epoch, 70, "a"), known, NOW, UNIX_MS);
    assert_eq!(decide(60), Decision::Stale(65), "whatever its term");
    assert_eq!(taken(decide(61)).0.term, 70);
}

#[test]
fn a_backup_goes_on_when_the_other_is_silent_and_the_stream_has_its_time() {
    let homes = Homes::default();
    let backup = |epoch, ready| Claim {
        on_duplicate: OnDuplicate::Backup,
        standing: Some(Standing {
            ready: Some(Duration::from_millis(ready)),
        }),
        ..claim(epoch, 0, "a")
    };
    let heard = |ms| Known {
        heard: Some(NOW - Duration::from_millis(ms)),
        time: Some(Dts(3_000)),
        ..Known::default()
    };
    let (main, _) = taken(homes.decide(&claim(1, 0, "a"), Known::default(), NOW - SOON, 0));
    let ingress = Some(main.ingress.clone());
    let epoch = main.term + 1;
    assert_eq!(
        homes.decide(&backup(epoch, 10), heard(499), NOW, UNIX_MS),
        Decision::StandsBy {
            ingress,
            silent: Some(Duration::from_millis(499))
        }
    );
    let decision = homes.decide(&backup(epoch, 10), heard(500), NOW, UNIX_MS);
    assert!(matches!(
        &decision,
        Decision::Taken { stood_by: true, home, replaced: Some(replaced) }
            if home.dts_offset == Dts(3_000) && *replaced == main
    ));
    let (home, _) = taken(decision);
    assert!(home.term > main.term);
    assert!(
        matches!(
            homes.decide(&backup(home.term + 1, 0), heard(9_000), NOW, UNIX_MS),
            Decision::StandsBy {
                silent: Some(Duration::ZERO),
                ..
            }
        ),
        "who has just gone on has time to send"
    );
    homes.over(&claim(1, 0, "a").key, home.epoch);
    let ingress = Known {
        is_ingress: true,
        ..heard(20)
    };
    assert!(
        matches!(
            homes.decide(&backup(home.term + 1, 0), ingress, NOW, UNIX_MS),
            Decision::StandsBy { ingress: None, .. }
        ),
        "a session that is on here has its home elsewhere"
    );
}

#[test]
fn no_room_is_no_reason_to_refuse_a_stream_that_is_here() {
    let homes = Homes::default();
    let full = Known {
        full: true,
        ..Known::default()
    };
    assert_eq!(
        homes.decide(&claim(1, 0, "a"), full, NOW, UNIX_MS),
        Decision::AtCap
    );
    let (first, _) = taken(homes.decide(&claim(1, 0, "a"), Known::default(), NOW, UNIX_MS));
    let (_, replaced) = taken(homes.decide(&claim(first.term + 1, 0, "b"), full, NOW, UNIX_MS));
    assert_eq!(replaced, Some(1));
}

#[test]
fn only_the_session_that_is_on_can_end_and_names_are_forgotten() {
    let homes = Homes::default();
    let key = claim(1, 0, "a").key;
    let (first, _) = taken(homes.decide(&claim(1, 0, "a"), Known::default(), NOW, UNIX_MS));
    let (second, _) = taken(homes.decide(
        &claim(first.term + 1, 0, "b"),
        Known::default(),
        NOW,
        UNIX_MS,
    ));
    assert_eq!(homes.over(&key, 1), None);
    assert_eq!(homes.over(&key, second.epoch), Some(second));
    homes.forget(NOW);
    assert_eq!(homes.0.lock().len(), 1, "an eviction is remembered");
    homes.forget(NOW + Duration::from_secs(30));
    assert!(homes.0.lock().is_empty());
}

proptest! {
    #[test]
    fn terms_only_grow_and_epochs_never_go_back(
        claims in prop::collection::vec((0..2u64, 0..40u64, 0..40u64, "[abc]", any::<bool>()), 1..60),
    ) {
        let homes = Homes::default();
        let (mut epoch, mut term) = (0, 0);
        for (index, (base, more_epoch, more_term, publisher, ends)) in claims.into_iter().enumerate() {
            let base = if base == 0 { 0 } else { term };
            let asked = claim(base + more_epoch, base + more_term, &publisher);
            let now = Duration::from_secs(index as u64);
            let known = Known { highest: epoch.max(term), ..Known::default() };
            match homes.decide(&asked, known, now, index as u64) {
                Decision::Taken { home, .. } => {
                    prop_assert!(home.term >= term, "{home:?}");
                    prop_assert!(home.epoch == asked.epoch);
                    (epoch, term) = (home.epoch, home.term);
                }
                Decision::Again(home) => {
                    prop_assert_eq!(home.epoch, epoch);
                    prop_assert!(home.term >= term);
                    term = home.term;
                }
                Decision::Stale(higher) => prop_assert!(higher >= asked.epoch.min(asked.term)),
                Decision::AtCap | Decision::Refused(_) | Decision::StandsBy { .. } => {}
            }
            if ends {
                homes.over(&asked.key, epoch);
            }
        }
    }
}
