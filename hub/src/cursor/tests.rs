use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::limits::RingLimits;

const POLICY: LatePolicy = LatePolicy {
    live_max_ms: 3_000,
    rtc_max_ms: 200,
    rtc_start_ms: 300,
    audio_start_ms: 1_000,
};

/// A stream in words: `M`etadata, `H`eader of video, `h`eader of audio, `C`olours, s`p`eakers, `K`eyframe, `v`ideo,
/// `a`udio; 40 ms each.
fn ring(words: &str) -> Ring {
    let mut ring = Ring::new(RingLimits::default());
    ring.begin(1, Dts(0));
    extend(&mut ring, words);
    ring
}

fn extend(ring: &mut Ring, words: &str) {
    let first = ring.entries().next_back().map_or(0, |e| e.sequence + 1);
    for (sequence, word) in (first..).zip(words.chars()) {
        let at = i64::try_from(ring.next_position()).unwrap() * 40 - ring.span().dts_offset.0;
        let tag = tag_of(word, at);
        let now = Duration::from_millis(ring.next_position() * 40);
        ring.push(sequence, tag, false, now);
    }
}

fn tag_of(word: char, dts: i64) -> Tag {
    let (kind, payload): (_, &[u8]) = match word {
        'M' => (TagKind::Script, b"\x02\x00\x0AonMetaData"),
        'H' => (TagKind::Video, &[0x17, 0, 0, 0, 0, 1]),
        'J' => (TagKind::Video, &[0x17, 0, 0, 0, 0, 2]),
        'h' => (TagKind::Audio, &[0xAF, 0, 1]),
        'C' => (TagKind::Video, b"\xD4hvc1\x02"),
        'p' => (TagKind::Audio, b"\x94Opus\x01\x02"),
        'K' => (TagKind::Video, &[0x17, 1, 0, 0, 0, 9]),
        'v' => (TagKind::Video, &[0x27, 1, 0, 0, 0, 9]),
        _ => (TagKind::Audio, &[0xAF, 1, 9]),
    };
    Tag {
        kind,
        dts: Dts(dts),
        payload: Bytes::from_static(payload),
    }
}

fn word(tag: &Tag) -> char {
    "MHJhCpKva"
        .chars()
        .find(|w| tag_of(*w, 0).payload == tag.payload)
        .unwrap()
}

fn take(cursor: &mut Cursor, ring: &Ring) -> String {
    let mut words = String::new();
    while let Some(item) = cursor.next_item(ring, ring.next_position(), &POLICY) {
        words.push(word(item.tag));
        cursor.sent(&item);
    }
    words
}

#[test]
fn a_joiner_gets_the_headers_in_force_and_then_the_newest_gop() {
    for (name, stream, mode, gets) in [
        ("live", "MHhKvavKav", Mode::Live, "MHhKav"),
        ("rtc, keyframe 80 ms old", "MHhKvavKav", Mode::Rtc, "MHhKav"),
        ("rtc, keyframe 400 ms old", "MHhKavavavavav", Mode::Rtc, ""),
        (
            "colours and speakers are headers",
            "HhpaCKvaKv",
            Mode::Live,
            "HChpKv",
        ),
        ("all keyframes", "HKKK", Mode::Live, "HK"),
        (
            "audio only: the last second",
            &format!("Mh{}", "a".repeat(60)),
            Mode::Live,
            &format!("Mh{}", "a".repeat(25)),
        ),
        ("audio only, rtc", "Mhaaa", Mode::Rtc, ""),
        (
            "the header that was in force, not a newer one",
            "HKvJ",
            Mode::Live,
            "HKvJ",
        ),
        ("nothing there", "", Mode::Live, ""),
    ] {
        let ring = ring(stream);
        assert_eq!(
            take(&mut Cursor::join(&ring, mode, &POLICY), &ring),
            gets,
            "{name}"
        );
    }
}

#[test]
fn of_a_gop_that_is_too_long_a_joiner_gets_headers_and_audio_until_the_next_keyframe() {
    let mut ring = ring(&format!("HhK{}", "va".repeat(200)));
    let mut cursor = Cursor::join(&ring, Mode::Live, &POLICY);
    extend(&mut ring, "avavK");
    assert_eq!(take(&mut cursor, &ring), "HhaaK");
    assert_eq!(cursor.dropped().get(DropReason::WaitKeyframe), 2);
}

#[test]
fn video_that_never_has_a_keyframe_is_shown_after_ten_seconds() {
    let mut ring = ring("H");
    let mut early = Cursor::join(&ring, Mode::Live, &POLICY);
    let mut seen = String::new();
    for _ in 0..240 {
        extend(&mut ring, "v");
        seen += &take(&mut early, &ring);
    }
    assert_eq!(seen, "H");
    extend(&mut ring, &"v".repeat(20));
    let after = take(&mut early, &ring);
    assert!(after.starts_with('v'), "{after}");
    let mut late = Cursor::join(&ring, Mode::Live, &POLICY);
    extend(&mut ring, "v");
    assert_eq!(take(&mut late, &ring), "Hv");
}

#[test]
fn a_joiner_is_not_late_with_the_gop_that_it_starts_with() {
    let ring = ring(&format!("HK{}", "v".repeat(200)));
    let mut cursor = Cursor::join(&ring, Mode::Live, &POLICY);
    for _ in 0..3 {
        let item = cursor
            .next_item(&ring, ring.next_position(), &POLICY)
            .unwrap();
        cursor.sent(&item);
    }
    cursor.catch_up(&ring, &POLICY);
    assert_eq!(take(&mut cursor, &ring), "v".repeat(199));
}

#[test]
fn a_late_live_viewer_skips_to_the_newest_keyframe_and_is_sent_headers_only_where_they_changed() {
    for (name, missed, gets) in [
        ("same headers", "v".repeat(80) + "Kv", "Kv"),
        (
            "a changed one",
            "v".repeat(40) + "J" + &"v".repeat(40) + "Kv",
            "JKv",
        ),
    ] {
        let mut ring = ring("MHhKv");
        let mut cursor = Cursor::join(&ring, Mode::Live, &POLICY);
        take(&mut cursor, &ring);
        extend(&mut ring, &missed);
        cursor.catch_up(&ring, &POLICY);
        assert_eq!(take(&mut cursor, &ring), gets, "{name}");
        assert_eq!(cursor.dropped().total(), missed.len() as u64 - 2, "{name}");
    }
}

#[test]
fn a_late_live_viewer_without_a_newer_keyframe_loses_video_only() {
    let mut ring = ring("HhKv");
    let mut cursor = Cursor::join(&ring, Mode::Live, &POLICY);
    take(&mut cursor, &ring);
    extend(&mut ring, &"va".repeat(45));
    cursor.catch_up(&ring, &POLICY);
    assert_eq!(take(&mut cursor, &ring), "a".repeat(45));
    assert_eq!(cursor.dropped().get(DropReason::DropToKeyframe), 45);
    extend(&mut ring, "vKv");
    assert_eq!(take(&mut cursor, &ring), "Kv");
}

#[test]
fn a_late_rtc_viewer_loses_video_keeps_audio_and_returns_at_a_fresh_keyframe() {
    let mut ring = ring("HhKv");
    let mut cursor = Cursor::join(&ring, Mode::Rtc, &POLICY);
    take(&mut cursor, &ring);
    extend(&mut ring, "vaKavavaKv");
    cursor.catch_up(&ring, &POLICY);
    assert_eq!(
        take(&mut cursor, &ring),
        "aaaaKv",
        "the first keyframe was 280 ms old, the second is fresh"
    );
}

#[test]
fn who_falls_off_the_ring_goes_on_at_the_newest_keyframe() {
    let mut ring = ring("HKv");
    let mut cursor = Cursor::join(&ring, Mode::Live, &POLICY);
    take(&mut cursor, &ring);
    extend(&mut ring, &("K".to_string() + &"v".repeat(49)).repeat(6));
    assert!(ring.first_position() > cursor.next_position());
    cursor.catch_up(&ring, &POLICY);
    assert!(take(&mut cursor, &ring).starts_with('K'));
    assert!(cursor.dropped().get(DropReason::Evicted) > 0);
}

#[test]
fn a_viewer_who_stays_over_a_new_session_sees_no_header_twice_and_no_video_before_a_keyframe() {
    let mut ring = ring("MHhKva");
    let mut cursor = Cursor::join(&ring, Mode::Live, &POLICY);
    take(&mut cursor, &ring);
    ring.begin(2, Dts(6 * 40));
    for (sequence, w) in "MHhvaKva".chars().enumerate() {
        let tag = tag_of(w, i64::try_from(sequence).unwrap() * 40);
        ring.push(
            sequence as u64,
            tag,
            false,
            Duration::from_millis(ring.next_position() * 40),
        );
    }
    assert_eq!(take(&mut cursor, &ring), "aKva");
    let mut joiner = Cursor::join(&ring, Mode::Live, &POLICY);
    assert_eq!(take(&mut joiner, &ring), "MHhKva");
}

#[test]
fn after_a_hole_video_waits_for_a_keyframe() {
    let mut ring = ring("HhKv");
    let mut cursor = Cursor::join(&ring, Mode::Live, &POLICY);
    take(&mut cursor, &ring);
    ring.push(10, tag_of('v', 400), true, Duration::from_millis(400));
    extend(&mut ring, "avK");
    assert_eq!(take(&mut cursor, &ring), "aK");
    assert_eq!(cursor.dropped().get(DropReason::WaitKeyframe), 2);
}
