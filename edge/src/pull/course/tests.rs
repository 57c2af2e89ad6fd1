use proptest::prelude::*;

use super::paths::PATHS_MAX;
use super::*;

const MS: Duration = Duration::from_millis(1);

/// A course, what it has asked for, and a clock.
struct Scenario {
    course: Course,
    now: Duration,
    /// Paths that are open, in the order of opening.
    open: Vec<(PathId, String)>,
    fed: Vec<PathId>,
    locates: usize,
    finished: bool,
}

fn at(term: u64, epoch: u64, addresses: &[&str]) -> Located {
    Located::At {
        term,
        epoch,
        addresses: addresses.iter().map(|a| (*a).to_owned()).collect(),
    }
}

fn guessed(addresses: &[&str]) -> Located {
    Located::Guessed {
        addresses: addresses.iter().map(|a| (*a).to_owned()).collect(),
    }
}

fn not_here() -> Ending {
    Ending::NotHere {
        term: 0,
        addresses: Vec::new(),
    }
}

impl Scenario {
    fn new() -> Scenario {
        let times = Times {
            linger: Duration::from_secs(10),
            grace: Duration::from_secs(30),
        };
        let now = Duration::from_secs(100);
        let mut scenario = Scenario {
            course: Course::new(times, now),
            now,
            open: Vec::new(),
            fed: Vec::new(),
            locates: 0,
            finished: false,
        };
        scenario.act();
        scenario
    }

    /// One that is fed by `home`, with `ingress` as the second source.
    fn carried() -> Scenario {
        let mut scenario = Scenario::new();
        scenario.located(at(5, 5, &["home", "ingress"]));
        scenario.deliver("home", 5, 5);
        scenario
    }

    fn act(&mut self) {
        while let Some(action) = self.course.next_action() {
            match action {
                Action::Locate => self.locates += 1,
                Action::Open { path, address } => self.open.push((path, address)),
                Action::Feed { path } => self.fed.push(path),
                Action::Drop { path } => self.open.retain(|(id, _)| *id != path),
                Action::Finish => self.finished = true,
            }
        }
    }

    fn path(&self, address: &str) -> PathId {
        let found = self.open.iter().rev().find(|(_, a)| a == address);
        found
            .unwrap_or_else(|| panic!("no path to {address}: {:?}", self.open))
            .0
    }

    fn addresses(&self) -> Vec<&str> {
        self.open
            .iter()
            .map(|(_, address)| address.as_str())
            .collect()
    }

    fn located(&mut self, located: Located) {
        self.course.located(located, self.now);
        self.act();
    }

    fn answer(&mut self, address: &str, term: u64, epoch: u64) {
        let path = self.path(address);
        self.course.answered(path, term, epoch, self.now);
        self.act();
    }

    fn hear(&mut self, address: &str) {
        let path = self.path(address);
        self.course.heard(path, self.now);
        self.act();
    }

    fn deliver(&mut self, address: &str, term: u64, epoch: u64) {
        self.answer(address, term, epoch);
        self.hear(address);
    }

    fn silence(&mut self, address: &str) {
        let path = self.path(address);
        self.course.silent(path, self.now);
        self.act();
    }

    fn end(&mut self, address: &str, ending: Ending) {
        let path = self.path(address);
        self.open.retain(|(id, _)| *id != path);
        self.course.ended(path, ending, self.now);
        self.act();
    }

    /// Lets time pass, from timeout to timeout.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..100_000 {
            match self.course.next_timeout(self.now).filter(|due| *due <= end) {
                Some(due) => {
                    assert!(due > self.now, "time stands still");
                    self.now = due;
                    self.course.tick(self.now);
                    self.act();
                }
                None => break,
            }
        }
        self.now = end;
        self.course.tick(self.now);
        self.act();
    }
}

#[test]
fn a_pull_begins_with_one_lookup_and_one_path() {
    let mut s = Scenario::new();
    assert_eq!((s.locates, s.course.standing()), (1, Standing::Seeking));
    s.located(at(5, 5, &["home", "ingress"]));
    assert_eq!(s.addresses(), ["home"]);
    s.answer("home", 5, 5);
    assert_eq!((s.fed.len(), s.course.standing()), (1, Standing::Live));
    s.hear("home");
    assert_eq!((s.course.term(), s.course.upstream()), (5, Some("home")));
    s.pass(Duration::from_secs(60));
    assert_eq!(
        (s.locates, s.addresses()),
        (1, vec!["home"]),
        "nothing else while it delivers"
    );
}

#[test]
fn a_dead_source_is_followed_by_the_next_at_once() {
    let mut s = Scenario::carried();
    s.pass(Duration::from_secs(1));
    s.end("home", Ending::Broken);
    assert_eq!(s.addresses(), ["ingress"]);
    assert_eq!(s.course.standing(), Standing::Lost);
    s.deliver("ingress", 5, 5);
    assert_eq!(s.course.standing(), Standing::Live);
    assert_eq!(s.locates, 2, "and where it is now is asked beside");
}

#[test]
fn a_source_that_answers_slowly_is_not_waited_for() {
    let mut s = Scenario::new();
    s.located(at(5, 5, &["home", "ingress"]));
    s.pass(399 * MS);
    assert_eq!(s.addresses(), ["home"]);
    s.pass(2 * MS);
    assert_eq!(s.addresses(), ["home", "ingress"]);
    s.deliver("ingress", 5, 5);
    assert_eq!(s.addresses(), ["ingress"], "the first that delivers wins");
}

#[test]
fn beside_a_suspect_source_another_is_asked_and_the_first_that_delivers_wins() {
    for winner in ["home", "ingress"] {
        let mut s = Scenario::carried();
        s.silence("home");
        assert_eq!(s.addresses(), ["home", "ingress"]);
        assert_eq!(s.course.standing(), Standing::Live);
        s.answer("ingress", 5, 5);
        s.hear(winner);
        assert_eq!(s.addresses(), [winner]);
    }
}

#[test]
fn beside_a_slow_source_another_is_asked_once_and_the_first_that_delivers_wins() {
    let mut scenario = Scenario::carried();
    let home = scenario.path("home");
    scenario.course.slow(home, scenario.now);
    scenario.act();
    assert_eq!(scenario.addresses(), ["home", "ingress"]);
    scenario.end("ingress", Ending::Refused);
    scenario.pass(Duration::from_secs(5));
    assert_eq!(scenario.addresses(), ["home"], "until it is said again");
    scenario.course.slow(home, scenario.now);
    scenario.act();
    scenario.deliver("ingress", 5, 5);
    assert_eq!(scenario.addresses(), ["ingress"]);
}

#[test]
fn a_source_without_another_is_asked_anew_beside_itself() {
    let mut s = Scenario::new();
    s.located(at(5, 5, &["home"]));
    s.deliver("home", 5, 5);
    s.silence("home");
    assert_eq!(s.addresses(), ["home", "home"]);
}

#[test]
fn a_lossy_source_does_not_make_the_paths_flap() {
    let mut s = Scenario::carried();
    let mut opened = 0;
    for _ in 0..60 {
        let before = s.open.len();
        s.silence("home");
        opened += s.open.len() - before;
        s.hear("home");
        s.pass(450 * MS);
    }
    assert!(
        (1..=9).contains(&opened),
        "{opened} paths in 27 s of silences"
    );
}

#[test]
fn a_lower_term_is_never_gone_back_to() {
    let mut s = Scenario::carried();
    s.located(at(4, 9, &["old"]));
    s.end("home", Ending::Broken);
    assert_eq!(
        s.addresses(),
        ["ingress"],
        "what a lower term says is not heard"
    );
    s.answer("ingress", 4, 5);
    assert_eq!(s.fed.len(), 1, "nor a source of a lower term taken");
    s.pass(Duration::from_secs(1));
    s.answer("home", 6, 5);
    assert_eq!((s.fed.len(), s.course.term()), (2, 6));
}

#[test]
fn a_suspect_that_comes_back_does_not_win_over_a_higher_term() {
    let mut s = Scenario::carried();
    s.silence("home");
    s.answer("ingress", 6, 5);
    s.hear("home");
    assert_eq!(s.addresses(), ["home", "ingress"]);
    s.hear("ingress");
    assert_eq!(s.addresses(), ["ingress"]);
}

#[test]
fn a_higher_term_elsewhere_moves_the_pull_without_a_gap() {
    let mut s = Scenario::carried();
    s.course.moved(at(8, 5, &["successor", "ingress"]), s.now);
    s.act();
    assert_eq!(s.addresses(), ["home", "successor"]);
    s.deliver("successor", 8, 5);
    assert_eq!(s.addresses(), ["successor"]);
}

#[test]
fn the_same_source_under_a_higher_term_stays() {
    let mut s = Scenario::carried();
    s.course.moved(at(8, 5, &["home", "ingress"]), s.now);
    s.act();
    assert_eq!(s.addresses(), ["home"]);
}

#[test]
fn a_source_that_closes_names_its_successor() {
    let mut s = Scenario::carried();
    let now = s.now;
    s.course.redirected("successor".to_owned(), now);
    s.act();
    assert_eq!(s.addresses(), ["home", "successor"]);
    s.deliver("successor", 5, 5);
    assert_eq!(s.addresses(), ["successor"]);
}

#[test]
fn guessed_sources_are_asked_together_and_the_highest_term_wins() {
    let mut s = Scenario::new();
    s.located(guessed(&["a", "b", "c"]));
    assert_eq!(s.addresses(), ["a", "b", "c"]);
    s.answer("a", 3, 3);
    assert!(s.fed.is_empty(), "the others may know better");
    s.end("b", not_here());
    let best = s.path("c");
    s.answer("c", 4, 4);
    assert_eq!((s.fed.clone(), s.addresses()), (vec![best], vec!["c"]));
}

#[test]
fn a_guessed_source_that_does_not_answer_is_not_waited_for_long() {
    let mut s = Scenario::new();
    s.located(guessed(&["a", "dead"]));
    let path = s.path("a");
    s.answer("a", 3, 3);
    s.pass(149 * MS);
    assert!(s.fed.is_empty());
    s.pass(2 * MS);
    assert_eq!(s.fed, [path]);
}

#[test]
fn what_nobody_has_is_missing_and_looked_for_each_second() {
    for (name, located) in [
        ("nowhere", Located::Nowhere),
        ("guessed", guessed(&["a"])),
        ("found", at(1, 1, &["a"])),
    ] {
        let mut s = Scenario::new();
        s.located(located.clone());
        if located != Located::Nowhere {
            assert_eq!(s.course.standing(), Standing::Seeking, "{name}");
            s.end("a", not_here());
        }
        assert_eq!(s.course.standing(), Standing::Missing, "{name}");
        let before = s.locates;
        for _ in 0..5 {
            s.pass(Duration::from_secs(1));
            s.located(Located::Nowhere);
        }
        assert!(
            (4..=6).contains(&(s.locates - before)),
            "{name}: {}",
            s.locates - before
        );
        s.located(at(7, 7, &["home"]));
        s.deliver("home", 7, 7);
        assert_eq!(s.course.standing(), Standing::Live, "{name}");
    }
}

#[test]
fn where_a_source_says_it_is_it_is_looked_for() {
    let mut s = Scenario::new();
    s.located(at(5, 5, &["home"]));
    s.end(
        "home",
        Ending::NotHere {
            term: 6,
            addresses: vec!["there".to_owned()],
        },
    );
    assert_eq!(s.addresses(), ["there"]);
}

#[test]
fn viewers_are_kept_while_the_publisher_is_away() {
    let mut s = Scenario::carried();
    s.end("home", Ending::PublisherLeft);
    assert_eq!(
        (s.course.standing(), s.addresses()),
        (Standing::Left, vec![])
    );
    s.located(at(5, 5, &["home"]));
    assert!(s.addresses().is_empty(), "nothing new is known");
    s.pass(Duration::from_secs(2));
    s.answer("home", 5, 5);
    assert_eq!(
        s.fed.len(),
        1,
        "the session that is over is not taken again"
    );
    s.located(at(9, 9, &["other"]));
    assert_eq!(s.addresses(), ["other"], "at once");
    s.deliver("other", 9, 9);
    assert_eq!(s.course.standing(), Standing::Live);
    s.pass(Duration::from_secs(60));
    assert!(!s.finished);
}

#[test]
fn after_the_grace_the_stream_ends() {
    let mut s = Scenario::carried();
    s.end("home", Ending::PublisherLeft);
    s.located(Located::Nowhere);
    s.pass(29 * 1_000 * MS);
    assert!(!s.finished);
    s.pass(1_001 * MS);
    assert!(s.finished);
    assert_eq!(s.course.standing(), Standing::Over);
}

#[test]
fn the_grace_begins_when_the_silence_is_noticed() {
    let mut s = Scenario::carried();
    // The process was stopped, and hears of its sources' silence before it hears them.
    s.now += Duration::from_secs(60);
    s.silence("home");
    assert!(!s.finished);
    s.hear("home");
    assert_eq!(s.course.standing(), Standing::Live);
}

#[test]
fn a_stream_whose_sources_all_die_is_looked_for_until_the_grace_ends() {
    let mut s = Scenario::carried();
    s.end("home", Ending::Broken);
    s.end("ingress", Ending::Broken);
    for _ in 0..29 {
        s.pass(Duration::from_secs(1));
        let addresses: Vec<String> = s.open.iter().map(|(_, address)| address.clone()).collect();
        for address in addresses {
            s.end(&address, Ending::Broken);
        }
        s.located(Located::Failed);
    }
    assert_eq!((s.finished, s.course.standing()), (false, Standing::Lost));
    s.pass(Duration::from_secs(2));
    assert!(s.finished);
}

#[test]
fn a_replaced_session_is_asked_for_at_the_same_source() {
    let mut s = Scenario::carried();
    s.pass(Duration::from_secs(1));
    s.end("home", Ending::Replaced);
    assert_eq!(s.addresses(), ["home"]);
    s.deliver("home", 7, 7);
    assert_eq!(s.course.standing(), Standing::Live);
}

#[test]
fn a_source_that_lets_go_is_left_for_another() {
    let mut s = Scenario::carried();
    s.end("home", Ending::Closed);
    assert_eq!(s.addresses(), ["ingress"]);
}

#[test]
fn a_pull_lingers_after_its_last_viewer() {
    let mut s = Scenario::carried();
    s.course.wanted(false, s.now);
    s.pass(Duration::from_secs(9));
    s.course.wanted(true, s.now);
    s.pass(Duration::from_secs(60));
    assert!(!s.finished);
    s.course.wanted(false, s.now);
    s.pass(Duration::from_secs(11));
    assert!(s.finished && s.open.is_empty());
}

#[test]
fn what_never_came_does_not_linger() {
    let mut s = Scenario::new();
    s.course.wanted(false, s.now);
    s.act();
    assert!(s.finished);
}

#[derive(Clone, Debug)]
enum Step {
    Located(u8, u8, Vec<u8>),
    Guessed(Vec<u8>),
    Nowhere,
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
        (0..6_u8, 0..6_u8, addresses()).prop_map(|(t, e, a)| Step::Located(t, e, a)),
        addresses().prop_map(Step::Guessed),
        Just(Step::Nowhere),
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
                Step::Located(t, e, a) => {
                    let located = Located::At { term: t.into(), epoch: e.into(), addresses: names(a) };
                    s.course.located(located, s.now);
                }
                Step::Guessed(a) => s.course.located(Located::Guessed { addresses: names(a) }, s.now),
                Step::Nowhere => s.course.located(Located::Nowhere, s.now),
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
