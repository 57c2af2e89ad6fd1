//! The writer property: every viewer gets a start-up burst and then a gap-free run, or a counted skip that begins at a
//! keyframe, whatever its socket does.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test"
)]

use std::io::IoSlice;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use headwater_delivery::{Format, Needs, Next, Run, Source, Windows, Writer};
use headwater_hub::{Cursor, LatePolicy, Liveness, Mode, Ring, RingLimits};
use headwater_media::{Dts, Tag, TagKind};
use proptest::prelude::*;

const POLICY: LatePolicy = LatePolicy {
    live_max_ms: 3_000,
    rtc_max_ms: 400,
    rtc_start_ms: 300,
    audio_start_ms: 1_000,
};

/// What the publisher and the viewer's socket do next.
#[derive(Clone, Debug)]
enum Action {
    /// Tags arrive, 20 ms each: audio and video in turn, a keyframe every `gop`.
    Push(u8),
    /// A new publisher takes over.
    Session,
    /// The tick comes.
    Tick,
    /// The socket takes this many bytes more and wakes the writer.
    Room(u16),
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => (1_u8..40).prop_map(Action::Push),
        1 => Just(Action::Session),
        6 => Just(Action::Tick),
        6 => any::<u16>().prop_map(Action::Room),
    ]
}

/// A tag whose payload names it: its number over all sessions, and whether it is a keyframe.
fn tag(number: u64, dts: i64, keyframe: bool) -> Tag {
    let video = number.is_multiple_of(2);
    let mut payload = BytesMut::new();
    payload.put_slice(match (video, keyframe) {
        (true, true) => &[0x17, 1, 0, 0, 0],
        (true, false) => &[0x27, 1, 0, 0, 0],
        (false, _) => &[0xAF, 1],
    });
    payload.put_u64(number);
    payload.put_bytes(0xEE, usize::try_from(number % 300).unwrap());
    let kind = if video {
        TagKind::Video
    } else {
        TagKind::Audio
    };
    Tag {
        kind,
        dts: Dts(dts),
        payload: payload.freeze(),
    }
}

struct World {
    ring: Ring,
    windows: Windows,
    needs: Needs,
    writer: Writer,
    run: Run,
    room: usize,
    received: Vec<u8>,
    number: u64,
    sequence: u64,
    now_ms: u64,
    gop: u64,
    epoch: u64,
}

impl World {
    fn push(&mut self) {
        let keyframe = self.number.is_multiple_of(2 * self.gop);
        let dts = i64::try_from(self.sequence).unwrap() * 20;
        self.now_ms += 20;
        self.ring.push(
            self.sequence,
            tag(self.number, dts, keyframe),
            false,
            Duration::from_millis(self.now_ms),
        );
        self.number += 1;
        self.sequence += 1;
    }

    fn session(&mut self) {
        self.epoch += 1;
        self.ring
            .begin(self.epoch, Dts(i64::try_from(self.now_ms).unwrap()));
        self.sequence = 0;
    }

    fn close_window(&mut self) {
        self.windows.close(&self.ring, &self.needs, &POLICY);
    }

    /// What the shell does for one viewer, with a socket that has `room` bytes.
    fn write(&mut self, liveness: Liveness) {
        loop {
            if self.writer.blocked_since().is_none() && self.writer.in_step(&self.windows) {
                let mut slices = [IoSlice::new(&[]); 8];
                let used = self.writer.window_slices(&self.windows, &mut slices);
                let bytes: Vec<u8> = slices[..used].iter().flat_map(|s| s.to_vec()).collect();
                let taken = bytes.len().min(self.room);
                if taken == 0 && !bytes.is_empty() {
                    self.writer.blocked(Duration::from_millis(self.now_ms));
                    return;
                }
                self.received.extend_from_slice(&bytes[..taken]);
                self.room -= taken;
                self.writer.wrote_windows(taken, &self.windows);
                continue;
            }
            let source = Source {
                ring: &self.ring,
                windows: &self.windows,
                policy: &POLICY,
                liveness,
            };
            match self.writer.next(&source, &mut self.run) {
                Next::Idle | Next::Done => return,
                Next::Bytes => {}
            }
            let bytes = self.writer.bytes(&self.run);
            let taken = bytes.len().min(self.room);
            if taken == 0 {
                self.writer.blocked(Duration::from_millis(self.now_ms));
                return;
            }
            self.received.extend_from_slice(&bytes[..taken]);
            self.room -= taken;
            self.writer.wrote(taken, &self.run);
        }
    }
}

/// Takes chunk framing off and reads the FLV tags: (kind, stamp, number, keyframe).
fn read(mut bytes: &[u8]) -> Vec<(u8, u32, u64, bool)> {
    let mut tags = Vec::new();
    let mut first = true;
    loop {
        let line = bytes.iter().position(|b| *b == b'\n').unwrap();
        let size =
            usize::from_str_radix(std::str::from_utf8(&bytes[..line - 1]).unwrap(), 16).unwrap();
        if size == 0 {
            assert_eq!(&bytes[line + 1..], b"\r\n", "nothing follows the end");
            return tags;
        }
        let chunk = &bytes[line + 1..line + 1 + size];
        assert_eq!(&bytes[line + 1 + size..][..2], b"\r\n");
        bytes = &bytes[line + 3 + size..];
        if std::mem::take(&mut first) {
            assert_eq!(&chunk[..3], b"FLV");
            continue;
        }
        let payload = &chunk[11..size - 4];
        let stamp = u32::from_be_bytes([chunk[7], chunk[4], chunk[5], chunk[6]]);
        let at = if chunk[0] == 9 { 5 } else { 2 };
        let number = u64::from_be_bytes(payload[at..at + 8].try_into().unwrap());
        tags.push((chunk[0], stamp, number, payload[0] == 0x17));
    }
}

fn run(mode: Mode, gop: u64, before: u8, actions: &[Action]) -> Result<(), TestCaseError> {
    let mut ring = Ring::new(RingLimits {
        bytes_max: 100_000,
        ..RingLimits::default()
    });
    ring.begin(1, Dts(0));
    let windows = Windows::follow(&ring);
    let writer = Writer::join(&ring, mode, Format::FlvChunked, &POLICY, Bytes::new());
    let mut needs = Needs::default();
    needs.add(Format::FlvChunked);
    let mut world = World {
        ring,
        windows,
        needs,
        writer,
        run: Run::default(),
        room: 0,
        received: Vec::new(),
        number: 0,
        sequence: 0,
        now_ms: 0,
        gop,
        epoch: 1,
    };
    for _ in 0..before {
        world.push();
    }
    world.close_window();
    world.windows.clear();
    world.writer = Writer::join(&world.ring, mode, Format::FlvChunked, &POLICY, Bytes::new());
    for action in actions {
        match action {
            Action::Push(tags) => (0..*tags).for_each(|_| world.push()),
            Action::Session => world.session(),
            Action::Tick => {
                world.close_window();
                if world.writer.blocked_since().is_none() {
                    world.write(Liveness::Live);
                }
                world.windows.clear();
            }
            Action::Room(bytes) => {
                world.room = usize::from(*bytes);
                world.write(Liveness::Live);
            }
        }
    }
    world.room = usize::MAX;
    world.close_window();
    while world.writer.blocked_since().is_some() {
        world.write(Liveness::Live);
    }
    world.write(Liveness::Live);
    world.write(Liveness::Closed);
    if !world.received.starts_with(b"0\r\n") {
        judge(&world)?;
    }
    Ok(())
}

fn judge(world: &World) -> Result<(), TestCaseError> {
    let tags = read(&world.received);
    let dropped = world.writer.dropped().total();
    let mut missing = 0;
    let mut last: Option<(u64, u32)> = None;
    let first = tags.first().map(|(_, _, number, _)| *number);
    let mut video_lost = false;
    for (kind, stamp, number, keyframe) in tags {
        if let Some((before, stamp_before)) = last {
            prop_assert!(number > before, "{number} after {before}");
            prop_assert!(
                stamp >= stamp_before,
                "time went back from {stamp_before} to {stamp}"
            );
            let lost: Vec<u64> = (before + 1..number).collect();
            video_lost |= lost.iter().any(|n| n % 2 == 0);
            missing += lost.len() as u64;
        }
        if kind == 9 {
            prop_assert!(
                !video_lost || keyframe,
                "video goes on at {number}, which is no keyframe"
            );
            video_lost = false;
        }
        last = Some((number, stamp));
    }
    if let Some((number, _)) = last {
        missing += world.number - 1 - number;
    }
    prop_assert!(
        missing <= dropped,
        "{missing} tags missing, {dropped} counted"
    );
    let before_first = first.unwrap_or(world.number);
    prop_assert!(
        dropped <= missing + before_first,
        "{dropped} counted, {missing} missing"
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_live_viewer_gets_a_burst_and_a_gap_free_run_or_counted_skips(
        gop in 1_u64..60, before in 0_u8..100, actions in prop::collection::vec(action(), 1..60)
    ) {
        run(Mode::Live, gop, before, &actions)?;
    }

    #[test]
    fn an_rtc_viewer_gets_a_burst_and_a_gap_free_run_or_counted_skips(
        gop in 1_u64..60, before in 0_u8..100, actions in prop::collection::vec(action(), 1..60)
    ) {
        run(Mode::Rtc, gop, before, &actions)?;
    }
}

#[test]
fn viewers_in_step_share_one_window_and_copy_nothing() {
    let mut ring = Ring::new(RingLimits::default());
    ring.begin(1, Dts(0));
    for n in 0..20 {
        ring.push(
            n,
            tag(n, i64::try_from(n).unwrap() * 20, n == 0),
            false,
            Duration::from_millis(n * 20),
        );
    }
    let mut needs = Needs::default();
    needs.add(Format::FlvChunked);
    let mut windows = Windows::follow(&ring);
    for n in 20..28 {
        ring.push(
            n,
            tag(n, i64::try_from(n).unwrap() * 20, false),
            false,
            Duration::from_millis(n * 20),
        );
    }
    windows.close(&ring, &needs, &POLICY);
    let follower = Cursor::follow(&ring);
    assert_eq!(windows.leader().next_position(), follower.next_position());
    assert_eq!(windows.from(&follower).count(), 0);
}
