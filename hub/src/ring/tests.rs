use bytes::Bytes;
use proptest::prelude::*;

use super::*;

fn video(dts: i64, keyframe: bool, size: usize) -> Tag {
    let mut payload = vec![0_u8; size.max(5)];
    payload[0] = if keyframe { 0x17 } else { 0x27 };
    payload[1] = 1;
    Tag {
        kind: TagKind::Video,
        dts: Dts(dts),
        payload: Bytes::from(payload),
    }
}

fn header(byte: u8) -> Tag {
    Tag {
        kind: TagKind::Video,
        dts: Dts(0),
        payload: Bytes::from(vec![0x17, 0, 0, 0, 0, byte]),
    }
}

fn audio(dts: i64) -> Tag {
    Tag {
        kind: TagKind::Audio,
        dts: Dts(dts),
        payload: Bytes::from_static(&[0xAF, 1, 7]),
    }
}

fn push(ring: &mut Ring, sequence: u64, tag: Tag) -> u64 {
    let now = Duration::from_millis(tag.dts.0.max(0).unsigned_abs());
    ring.push(sequence, tag, false, now)
}

#[test]
fn the_newest_whole_gop_and_five_seconds_are_kept() {
    let mut ring = Ring::new(RingLimits::default());
    ring.begin(1, Dts(0));
    for n in 0..500_i64 {
        push(
            &mut ring,
            n.unsigned_abs(),
            video(n * 40, n % 200 == 0, 100),
        );
    }
    let oldest = ring.get(ring.first_position()).unwrap();
    assert_eq!(
        oldest.at(),
        Dts(400 * 40 - 1_000 - 40),
        "five seconds before the newest tag, the GOP begins later"
    );
    assert_eq!(ring.newest_gop(), Some(400));
}

#[test]
fn a_gop_longer_than_ten_seconds_serves_no_joiner_and_is_not_kept_whole() {
    let mut ring = Ring::new(RingLimits::default());
    ring.begin(1, Dts(0));
    for n in 0..1_500_i64 {
        push(&mut ring, n.unsigned_abs(), video(n * 40, n == 0, 100));
    }
    assert_eq!(ring.newest_gop(), None);
    let held_ms = (ring.last_at().unwrap() - ring.get(ring.first_position()).unwrap().at()).0;
    assert_eq!(
        held_ms, 5_000,
        "only what late viewers and resuming pulls need"
    );
}

#[test]
fn what_comes_at_once_stays_until_its_readers_have_had_a_turn() {
    let mut ring = Ring::new(RingLimits::default());
    ring.begin(1, Dts(0));
    let second = Duration::from_secs(1);
    // Thirty seconds of media within an instant, as after a stall of the uplink.
    for n in 0..750_i64 {
        let tag = video(n * 40, n % 25 == 0, 100);
        ring.push(n.unsigned_abs(), tag, false, second);
    }
    assert_eq!(ring.first_position(), 0);
    let next = video(30_000, true, 100);
    ring.push(750, next, false, 2 * second);
    let oldest = ring.get(ring.first_position()).unwrap();
    assert_eq!(
        oldest.at(),
        Dts(25_000),
        "a second later only five are left"
    );
}

#[test]
fn what_holds_for_one_stream_bounds_its_gop_and_ends_with_the_rule() {
    let defaults = RingLimits::default();
    let mut ring = Ring::new(defaults);
    ring.begin(1, Dts(0));
    for n in 0..200_i64 {
        push(&mut ring, n.unsigned_abs(), video(n * 40, n == 0, 100));
    }
    assert_eq!(ring.newest_gop(), Some(0), "eight seconds");
    let short = StreamRules {
        gop_max_ms: Some(2_000),
        ..StreamRules::default()
    };
    ring.rule(short, &defaults);
    assert_eq!(ring.newest_gop(), None);
    ring.rule(StreamRules::default(), &defaults);
    push(&mut ring, 200, video(8_000, true, 100));
    assert_eq!(ring.newest_gop(), Some(200));
    let policy = LatePolicy::default();
    assert_eq!(ring.live_max_ms(&policy), policy.live_max_ms);
    let late = StreamRules {
        live_max_ms: Some(500),
        ..StreamRules::default()
    };
    ring.rule(late, &defaults);
    assert_eq!(ring.live_max_ms(&policy), 500);
}

#[test]
fn the_byte_bound_holds_whatever_comes() {
    let limits = RingLimits {
        bytes_max: 10_000,
        ..RingLimits::default()
    };
    let mut ring = Ring::new(limits);
    ring.begin(1, Dts(0));
    for n in 0..100_i64 {
        push(&mut ring, n.unsigned_abs(), video(n, n == 0, 999));
        assert!(ring.kept_bytes() <= 10_000);
    }
}

#[test]
fn tiny_tags_are_bounded_in_number_where_their_bytes_would_not_bound_them() {
    for (bytes_max, tags) in [(1 << 20, 1 << 10), (10_000, 256)] {
        let mut ring = Ring::new(RingLimits {
            bytes_max,
            ..RingLimits::default()
        });
        ring.begin(1, Dts(0));
        for n in 0..3_000 {
            push(&mut ring, n, audio(0));
        }
        assert_eq!(ring.entries().len(), tags, "{bytes_max}");
    }
}

#[test]
fn headers_that_change_with_each_tag_count_with_the_lists_that_they_leave() {
    let bytes_max = 64 << 10;
    let mut ring = Ring::new(RingLimits {
        bytes_max,
        ..RingLimits::default()
    });
    ring.begin(1, Dts(0));
    for n in 0..3_000 {
        push(&mut ring, n, header(u8::try_from(n % 100).unwrap()));
    }
    let lists: usize = ring.entries().map(|it| it.headers().list_bytes()).sum();
    assert!(ring.entries().len() > 64 && lists <= bytes_max, "{lists}");
}

#[test]
fn a_header_that_a_new_session_repeats_is_marked_and_a_changed_one_is_not() {
    let mut ring = Ring::new(RingLimits::default());
    ring.begin(1, Dts(0));
    let first = push(&mut ring, 0, header(1));
    ring.begin(2, Dts(1_000));
    let same = push(&mut ring, 0, header(1));
    let again = push(&mut ring, 1, header(1));
    ring.begin(3, Dts(2_000));
    let changed = push(&mut ring, 0, header(2));
    let marks: Vec<bool> = [first, same, again, changed]
        .iter()
        .map(|p| ring.get(*p).unwrap().repeated_header)
        .collect();
    assert_eq!(
        marks,
        [false, true, false, false],
        "within a session everything passes untouched"
    );
}

#[test]
fn positions_are_found_by_session_and_sequence() {
    let mut ring = Ring::new(RingLimits::default());
    ring.begin(7, Dts(0));
    let tenth = push(&mut ring, 10, audio(0));
    ring.begin(9, Dts(100));
    let zeroth = push(&mut ring, 0, audio(0));
    let fifth = ring.push(5, audio(20), true, Duration::ZERO);
    for (epoch, sequence, position) in [
        (7, 10, Some(tenth)),
        (7, 11, None),
        (9, 0, Some(zeroth)),
        (9, 3, Some(fifth)),
        (9, 6, None),
        (8, 0, None),
    ] {
        assert_eq!(
            ring.position_of(epoch, sequence),
            position,
            "{epoch}/{sequence}"
        );
    }
}

#[test]
fn a_ring_counts_its_table_and_a_tag_takes_eighty_bytes_of_it_at_most() {
    let mut ring = Ring::new(RingLimits::default());
    ring.begin(1, Dts(0));
    for n in 0..100 {
        push(&mut ring, n, audio(0));
    }
    assert_eq!(ring.kept_bytes(), 300);
    assert!(ring.bytes() >= 300 + 100 * Entry::BYTES, "{}", ring.bytes());
    const { assert!(Entry::BYTES <= 80) };
}

proptest! {
    #[test]
    fn stream_time_never_steps_back_at_a_session_however_small_its_offset(
        sessions in prop::collection::vec((-10_000_i64..10_000, 0_i64..5_000, 1_usize..20), 1..8)
    ) {
        let mut ring = Ring::new(RingLimits::default());
        let mut last = None;
        for (epoch, (offset, first, tags)) in (1_u64..).zip(sessions) {
            ring.begin(epoch, Dts(offset));
            for n in 0..tags {
                let dts = first + i64::try_from(n).unwrap() * 20;
                let position = push(&mut ring, n as u64, audio(dts));
                let at = ring.get(position).unwrap().at();
                prop_assert!(last.is_none_or(|last| at >= last), "{last:?} then {at}");
                last = Some(at);
            }
        }
    }
}
