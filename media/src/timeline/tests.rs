//! Clocks of publishers, good and bad.

use proptest::prelude::*;

use super::*;
use TagKind::{Audio, Script, Video};

/// Places messages of (kind, stamp, arrival in milliseconds).
fn place(timeline: &mut Timeline, messages: &[(TagKind, u32, u64)]) -> Vec<i64> {
    let at = Duration::from_millis;
    messages
        .iter()
        .map(|(kind, wire_ms, now)| timeline.dts(*kind, *wire_ms, at(*now)).0)
        .collect()
}

#[test]
fn stamps_become_a_dts_that_never_goes_back() {
    for (name, messages, dts_ms) in [
        (
            "starts at 0",
            vec![(Video, 90_000, 7), (Video, 90_040, 47)],
            vec![0, 40],
        ),
        (
            "equal stamps stay equal",
            vec![(Video, 5, 0), (Video, 5, 30), (Video, 5, 60)],
            vec![0, 0, 0],
        ),
        (
            "rolls over 2^32",
            vec![
                (Video, 0xFFFF_FFF0, 0),
                (Audio, 0xFFFF_FFFF, 15),
                (Video, 0x10, 32),
            ],
            vec![0, 15, 32],
        ),
        (
            "steps back across zero (jitter)",
            vec![(Video, 0, 0), (Video, 0xFFFF_FFF0, 16), (Video, 40, 40)],
            vec![0, 0, 40],
        ),
        (
            "steps back by 1 s: stands still, then goes on",
            vec![
                (Video, 0, 0),
                (Video, 2000, 2000),
                (Video, 1000, 2040),
                (Video, 2040, 3080),
            ],
            vec![0, 2000, 2000, 2040],
        ),
        (
            "steps back by more: goes on by wall time",
            vec![
                (Video, 0, 0),
                (Video, 2000, 2000),
                (Video, 999, 2040),
                (Video, 1039, 2080),
            ],
            vec![0, 2000, 2040, 2080],
        ),
        (
            "steps forward by 10 s in no time: believed",
            vec![(Video, 0, 0), (Video, 10_000, 0)],
            vec![0, 10_000],
        ),
        (
            "steps forward by more in no time: goes on, at least 1 ms",
            vec![(Video, 0, 0), (Video, 10_001, 0), (Video, 10_041, 40)],
            vec![0, 1, 41],
        ),
        (
            "is silent for an hour while its clock runs",
            vec![(Video, 0, 0), (Video, 3_600_000, 3_600_000)],
            vec![0, 3_600_000],
        ),
        (
            "is silent for an hour while its clock stands",
            vec![(Video, 0, 0), (Video, 40, 3_600_000)],
            vec![0, 40],
        ),
        (
            "jumps forward by hours, then back",
            vec![
                (Video, 0, 0),
                (Video, 7_200_000, 40),
                (Video, 7_200_040, 80),
                (Video, 120, 120),
            ],
            vec![0, 40, 80, 120],
        ),
        (
            "jumps by half the circle",
            vec![
                (Video, 0, 0),
                (Video, 0x8000_0000, 40),
                (Video, 0x8000_0028, 80),
            ],
            vec![0, 40, 80],
        ),
        (
            "skew of audio and video is kept",
            vec![
                (Video, 500, 0),
                (Audio, 3_000, 0),
                (Video, 540, 40),
                (Audio, 3_021, 40),
            ],
            vec![0, 2_500, 40, 2_521],
        ),
        (
            "a kind begins before the first message",
            vec![
                (Video, 80, 0),
                (Audio, 40, 0),
                (Audio, 61, 21),
                (Audio, 101, 61),
            ],
            vec![0, 0, 0, 21],
        ),
        (
            "audio has another clock from the start",
            vec![
                (Video, 0, 0),
                (Audio, 900_000, 0),
                (Video, 40, 40),
                (Audio, 900_040, 40),
                (Video, 80, 5_080),
                (Audio, 900_080, 5_080),
            ],
            vec![0, 0, 40, 40, 80, 80],
        ),
        (
            "headers at 0, then media at any time",
            vec![
                (Script, 0, 0),
                (Video, 0, 0),
                (Audio, 0, 0),
                (Video, 5_000_000, 10),
                (Audio, 5_000_021, 12),
                (Video, 5_000_040, 50),
            ],
            vec![0, 0, 0, 10, 31, 50],
        ),
        (
            "audio pauses in a stream that is sent fast",
            vec![
                (Video, 0, 0),
                (Audio, 0, 0),
                (Video, 9_000, 1),
                (Video, 18_000, 2),
                (Audio, 18_010, 3),
            ],
            vec![0, 0, 9_000, 18_000, 18_010],
        ),
    ] {
        assert_eq!(place(&mut Timeline::new(), &messages), dts_ms, "{name}");
    }
}

#[test]
fn both_kinds_move_to_a_new_clock_with_their_skew() {
    let before = [
        (Video, 3_600_000, 0),
        (Audio, 3_600_300, 0),
        (Video, 3_600_040, 40),
    ];
    for (name, after, dts_ms) in [
        (
            "video first",
            vec![(Video, 0, 80), (Audio, 300, 80), (Video, 40, 120)],
            vec![80, 380, 120],
        ),
        (
            "audio first",
            vec![(Audio, 260, 80), (Video, 0, 80), (Audio, 300, 120)],
            vec![380, 120, 420],
        ),
        (
            "late messages of the old clock between",
            vec![
                (Video, 0, 80),
                (Audio, 3_600_321, 80),
                (Video, 40, 120),
                (Audio, 342, 120),
            ],
            vec![80, 321, 120, 422],
        ),
        (
            "two jumps before audio speaks",
            vec![
                (Video, 0, 80),
                (Video, 40, 120),
                (Video, 9_000_000, 160),
                (Video, 9_000_040, 200),
                (Audio, 9_000_340, 200),
            ],
            vec![80, 120, 160, 200, 500],
        ),
    ] {
        let mut timeline = Timeline::new();
        assert_eq!(place(&mut timeline, &before), [0, 300, 40], "{name}");
        assert_eq!(place(&mut timeline, &after), dts_ms, "{name}");
    }
}

#[test]
fn a_stamp_that_is_wrong_once_leaves_no_trace() {
    for (name, at_ms, wrong_ms) in [
        ("header at 0 after 5 s", 5_000, 0),
        ("header at 0 after an hour", 3_600_000, 0),
        ("header at 0 after 30 days", 2_592_000_000, 0),
        ("an hour ahead", 5_000, 3_605_000),
    ] {
        let mut timeline = Timeline::new();
        let at = u64::from(at_ms);
        let got = place(
            &mut timeline,
            &[
                (Video, at_ms, at),
                (Audio, at_ms, at),
                (Video, at_ms + 40, at + 40),
                (Video, wrong_ms, at + 50),
                (Audio, at_ms + 60, at + 60),
                (Video, at_ms + 80, at + 80),
                (Audio, at_ms + 81, at + 81),
                (Video, at_ms + 120, at + 120),
            ],
        );
        assert_eq!(got, [0, 0, 40, 50, 60, 80, 81, 120], "{name}");
        assert_eq!(timeline.health(Duration::ZERO).jumps, 1, "{name}");
    }
}

#[test]
fn audio_follows_a_video_clock_that_stays_moved() {
    let got = place(
        &mut Timeline::new(),
        &[
            (Video, 0, 0),
            (Audio, 0, 0),
            (Video, 6_000, 40),
            (Video, 80, 80),
            (Video, 120, 120),
            (Audio, 130, 130),
        ],
    );
    assert_eq!(got, [0, 0, 6_000, 6_040, 6_080, 6_090]);
}

#[test]
fn script_stamps_move_nothing() {
    for (name, script_ms, dts_ms) in [
        ("in time", 20_010, 10),
        ("a little ahead", 20_500, 500),
        ("metadata repeated with stamp 0", 0, 40),
        ("far ahead", 9_000_000, 40),
    ] {
        let got = place(
            &mut Timeline::new(),
            &[
                (Script, 20_000, 0),
                (Video, 20_000, 0),
                (Video, 20_040, 40),
                (Script, script_ms, 40),
                (Video, 20_080, 80),
                (Script, 20_090, 90),
            ],
        );
        assert_eq!(got, [0, 0, 40, dts_ms, 80, dts_ms.max(90)], "{name}");
    }
}

#[test]
fn health_counts_gaps_and_jumps() {
    let mut timeline = Timeline::new();
    place(
        &mut timeline,
        &[(Video, 0, 1_000), (Video, 499, 1_499), (Video, 999, 1_999)],
    );
    assert_eq!(
        timeline.health(Duration::from_secs(2)),
        UplinkHealth {
            late_ms: 0,
            gaps: 1,
            jumps: 0
        }
    );
    place(
        &mut timeline,
        &[(Video, 900_000, 2_000), (Audio, 900_000, 2_500)],
    );
    let health = timeline.health(Duration::from_millis(2_500));
    assert_eq!(
        health,
        UplinkHealth {
            late_ms: 0,
            gaps: 2,
            jumps: 1
        }
    );
}

#[test]
fn late_is_measured_from_the_best_moment_after_the_warm_up() {
    let late = |timeline: &Timeline, now| timeline.health(Duration::from_millis(now)).late_ms;
    let mut timeline = Timeline::new();
    // The headers come 400 ms before the picture that has their stamp.
    place(
        &mut timeline,
        &[(Video, 0, 0), (Video, 0, 400), (Video, 4_000, 4_400)],
    );
    assert_eq!(late(&timeline, 4_900), 0, "warm-up");
    place(&mut timeline, &[(Video, 5_000, 5_400)]);
    assert_eq!(late(&timeline, 5_400), 0, "on time");
    assert_eq!(late(&timeline, 6_000), 600, "nothing comes");
    place(
        &mut timeline,
        &[(Video, 5_040, 7_000), (Video, 6_000, 7_600)],
    );
    assert_eq!(late(&timeline, 7_600), 1_200, "late");
    place(&mut timeline, &[(Video, 9_000, 9_400)]);
    assert_eq!(late(&timeline, 9_400), 0, "caught up");
}

/// Any kind, any stamp (near ones and odd ones often), any time until the next message.
fn message() -> impl Strategy<Value = (TagKind, u32, u64)> {
    let kind = prop_oneof![Just(Audio), Just(Video), Just(Script)];
    let wire_ms = prop_oneof![
        any::<u32>(),
        0u32..20_000,
        Just(0),
        Just(u32::MAX),
        0x7FFF_FF00u32..0x8000_0100,
    ];
    let wait_ms = prop_oneof![0u64..100, 0u64..20_000, Just(0)];
    (kind, wire_ms, wait_ms)
}

proptest! {
    #[test]
    fn any_stamps_give_times_that_never_go_back(messages in prop::collection::vec(message(), 1..200)) {
        let mut timeline = Timeline::new();
        let mut now = Duration::from_secs(100);
        let mut last = [(Audio, 0), (Video, 0), (Script, 0)];
        for (index, (kind, wire_ms, wait_ms)) in messages.into_iter().enumerate() {
            now += Duration::from_millis(wait_ms);
            let dts_ms = timeline.dts(kind, wire_ms, now).0;
            prop_assert!(index > 0 || dts_ms == 0);
            let last = last.iter_mut().find(|(of, _)| *of == kind).unwrap();
            prop_assert!(dts_ms >= last.1, "{} after {}", dts_ms, last.1);
            last.1 = dts_ms;
        }
        timeline.health(now);
    }

    #[test]
    fn extreme_times_do_not_overflow(messages in prop::collection::vec((message(), any::<u64>()), 1..50)) {
        let mut timeline = Timeline::new();
        for ((kind, wire_ms, _), now_s) in messages {
            prop_assert!(timeline.dts(kind, wire_ms, Duration::from_secs(now_s)).0 >= 0);
            timeline.health(Duration::MAX);
        }
    }

    #[test]
    fn a_clock_that_runs_is_kept_exactly_however_it_arrives(
        first_ms in prop_oneof![any::<u32>(), 0xFFFF_0000u32..],
        steps in prop::collection::vec((any::<bool>(), 0u32..9_000, 0u64..30_000), 1..200),
        skew_ms in 0u32..5_000,
    ) {
        let mut timeline = Timeline::new();
        let mut now_ms = 0;
        timeline.dts(Script, first_ms, Duration::ZERO);
        // As ffmpeg does: the headers of both kinds first.
        timeline.dts(Video, first_ms, Duration::ZERO);
        timeline.dts(Audio, first_ms, Duration::ZERO);
        let (mut audio_ms, mut video_ms) = (u64::from(skew_ms), 0);
        for (is_audio, step_ms, wait_ms) in steps {
            now_ms += wait_ms;
            let (kind, media_ms) = if is_audio { (Audio, &mut audio_ms) } else { (Video, &mut video_ms) };
            let wire_ms = u32::try_from((u64::from(first_ms) + *media_ms) & 0xFFFF_FFFF).unwrap();
            let dts = timeline.dts(kind, wire_ms, Duration::from_millis(now_ms));
            prop_assert_eq!(dts.0, i64::try_from(*media_ms).unwrap());
            *media_ms += u64::from(step_ms);
        }
        prop_assert_eq!(timeline.health(Duration::from_millis(now_ms)).jumps, 0);
    }

    #[test]
    fn after_any_jump_time_goes_on_by_wall_time_with_its_skew(
        to_ms in any::<u32>(),
        skew_ms in 0u32..500,
        wait_ms in 1u64..500,
    ) {
        let from_ms: u32 = 1_000_000;
        let step = to_ms.wrapping_sub(from_ms).cast_signed();
        prop_assume!(!(-1_500..=10_500).contains(&step));
        let skew = i64::from(skew_ms);
        let mut timeline = Timeline::new();
        let before = place(&mut timeline, &[(Video, from_ms, 0), (Audio, from_ms + skew_ms, 0)]);
        prop_assert_eq!(before, vec![0, skew]);
        let after = place(&mut timeline, &[
            (Video, to_ms, wait_ms),
            (Audio, to_ms.wrapping_add(skew_ms), wait_ms),
            (Video, to_ms.wrapping_add(40), wait_ms + 40),
        ]);
        let waited = i64::try_from(wait_ms).unwrap();
        prop_assert_eq!(after, vec![waited, waited + skew, waited + 40]);
        prop_assert_eq!(timeline.health(Duration::ZERO).jumps, 1);
    }
}
