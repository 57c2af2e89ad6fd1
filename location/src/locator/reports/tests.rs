//! What a new replica is told, and what one that listens hears of.

use super::*;

const NOW: Duration = Duration::from_secs(1);

fn carried(name: &str, term: u64) -> Carried {
    Carried {
        key: format!("default/live/{name}").parse().unwrap(),
        part: Part::Home,
        epoch: 1,
        term,
        ingress: None,
        home: None,
        seen: None,
        viewers: 0,
    }
}

fn names(report: &Report) -> Vec<(String, bool)> {
    report
        .streams
        .iter()
        .map(|it| (it.carried.key.stream().to_owned(), it.ended))
        .collect()
}

#[test]
fn a_session_starts_with_a_snapshot_and_goes_on_with_changes() {
    let mut set = ReportSet::new(1);
    set.put(carried("a", 1));
    assert!(!set.pending(0), "nobody listens yet");
    set.begin(0, NOW);
    let first = set.next(0).unwrap();
    assert!(first.begin && first.complete);
    assert_eq!(names(&first), [("a".to_owned(), false)]);
    assert_eq!(set.next(0), None);

    assert!(set.put(carried("b", 1)));
    assert!(!set.put(carried("b", 1)), "nothing changed");
    assert!(set.end(&carried("a", 1).key, Part::Home, None, NOW));
    let delta = set.next(0).unwrap();
    assert!(!delta.begin && !delta.complete);
    assert_eq!(
        names(&delta),
        [("a".to_owned(), true), ("b".to_owned(), false)]
    );
    assert_eq!(set.next(0), None);
}

#[test]
fn an_empty_snapshot_is_one_message() {
    let mut set = ReportSet::new(1);
    set.begin(0, NOW);
    let only = set.next(0).unwrap();
    assert!(only.begin && only.complete && only.streams.is_empty());
    assert!(!set.pending(0));
}

#[test]
fn a_large_snapshot_comes_in_chunks_and_misses_nothing_that_changes_meanwhile() {
    let mut set = ReportSet::new(1);
    let count = CHUNK_MAX_ENTRIES * 3;
    for index in 0..count {
        set.put(carried(&index.to_string(), 1));
    }
    set.begin(0, NOW);
    let mut seen = BTreeSet::new();
    let first = set.next(0).unwrap();
    assert!(first.begin && !first.complete);
    seen.extend(names(&first));
    set.put(carried("late", 1));
    set.end(&carried("0", 1).key, Part::Home, None, NOW);
    let mut completes = 0;
    while let Some(report) = set.next(0) {
        assert!(report.streams.len() <= CHUNK_MAX_ENTRIES && !report.begin);
        completes += usize::from(report.complete);
        seen.extend(names(&report));
    }
    assert_eq!(completes, 1);
    assert!(seen.contains(&("late".to_owned(), false)));
    assert!(seen.contains(&("0".to_owned(), true)));
    assert!(seen.len() > count);
}

#[test]
fn viewers_and_time_wait_for_the_heartbeat_and_terms_do_not() {
    let mut set = ReportSet::new(1);
    assert!(set.put(carried("a", 1)));
    let busier = Carried {
        viewers: 5,
        ..carried("a", 1)
    };
    assert!(!set.put(busier.clone()));
    assert!(set.put(Carried { term: 2, ..busier }));
}

#[test]
fn time_that_goes_on_as_it_did_is_not_told_again() {
    let mut set = ReportSet::new(1);
    set.begin(0, NOW);
    assert!(set.next(0).is_some_and(|snapshot| snapshot.complete));
    let mut told = |stream_dts_ms, unix_ms| {
        set.put(Carried {
            seen: Some(Seen {
                stream_dts_ms,
                unix_ms,
            }),
            ..carried("a", 1)
        });
        let report = set.next(0)?;
        report.streams.first()?.carried.seen
    };
    assert!(told(0, 0).is_some());
    // Half a second behind in four steps is behind what was told, however small each step.
    for (stream_dts_ms, unix_ms) in [(1_000, 1_000), (1_880, 2_000), (2_760, 3_000)] {
        assert_eq!(told(stream_dts_ms, unix_ms), None, "{unix_ms}");
    }
    assert!(told(3_640, 4_000).is_some());
    assert!(told(4_641, 5_000).is_some(), "ahead by a millisecond");
}

#[test]
fn a_new_session_is_told_where_time_stands_on_the_line_that_the_others_know() {
    let mut set = ReportSet::new(2);
    let seen = |stream_dts_ms, unix_ms| {
        Some(Seen {
            stream_dts_ms,
            unix_ms,
        })
    };
    set.put(Carried {
        seen: seen(100, 1_000),
        ..carried("a", 1)
    });
    set.begin(0, NOW);
    assert!(set.next(0).is_some());
    // 200 ms behind what was told, a minute later.
    set.put(Carried {
        seen: seen(59_900, 61_000),
        ..carried("a", 1)
    });
    assert_eq!(set.next(0), None);
    set.begin(1, NOW);
    let snapshot = set.next(1).unwrap();
    assert_eq!(snapshot.streams[0].carried.seen, seen(60_100, 61_000));
}

#[test]
fn a_new_session_hears_of_what_ended_lately() {
    let mut set = ReportSet::new(1);
    set.put(carried("a", 1));
    set.end(&carried("a", 1).key, Part::Home, None, NOW);
    for (after, want) in [(0, 1), (600, 1), (601, 0)] {
        set.begin(0, NOW + Duration::from_secs(after));
        assert_eq!(set.next(0).unwrap().streams.len(), want, "after {after} s");
    }
    assert!(set.ended.is_empty() && set.ended_order.is_empty());
}

#[test]
fn ended_streams_are_bounded() {
    let mut set = ReportSet::new(1);
    for index in 0..ENDED_MAX + 10 {
        let carried = carried(&index.to_string(), 1);
        set.put(carried.clone());
        set.end(&carried.key, Part::Home, None, NOW);
    }
    assert_eq!(
        (set.ended.len(), set.ended_order.len()),
        (ENDED_MAX, ENDED_MAX)
    );
}
