//! What the parts on a tag's way cost by themselves. Compare runs on one machine; the whole is measured by
//! `headwater bench`.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::IoSlice;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use headwater_bench::stream::Shape;
use headwater_delivery::{Format, Needs, Run, Source, Windows, Writer};
use headwater_hub::{LatePolicy, Liveness, Mode, Ring, RingLimits};
use headwater_location::ring;
use headwater_media::rtmp::{Head, Limits, chunk};
use headwater_media::{Dts, Tag};
use headwater_operator::placement::{View, solve};

/// The tags of some seconds, with the time at which each comes.
fn tags(seconds: u64) -> Vec<(Duration, Tag)> {
    let headers = Shape::headers().map(|(kind, payload)| {
        let payload = Bytes::from_static(payload);
        (
            Duration::ZERO,
            Tag {
                kind,
                dts: Dts(0),
                payload,
            },
        )
    });
    let frames = Shape::HD
        .frames()
        .take_while(|frame| frame.due_ns < seconds * 1_000_000_000);
    let frames = frames.map(|frame| {
        let mut payload = Vec::new();
        frame.fill(0, &mut payload);
        let tag = Tag {
            kind: frame.kind,
            dts: Dts(frame.wire_ms().into()),
            payload: payload.into(),
        };
        (Duration::from_nanos(frame.due_ns), tag)
    });
    headers.into_iter().chain(frames).collect()
}

fn filled(tags: &[(Duration, Tag)]) -> Ring {
    let mut ring = Ring::new(RingLimits::default());
    ring.begin(1, Dts(0));
    for (sequence, (at, tag)) in (0..).zip(tags) {
        ring.push(sequence, tag.clone(), false, *at);
    }
    ring
}

fn chunk_reader(c: &mut Criterion) {
    let mut group = c.benchmark_group("chunk_reader");
    for chunk_size in [128, 4_096] {
        let mut wire = BytesMut::new();
        let mut writer = chunk::Writer::default();
        writer.set_chunk_size(&mut wire, chunk_size);
        for (_, tag) in tags(2) {
            let head = Head {
                chunk_stream_id: 4,
                timestamp: tag.dts.wire_ms(),
                type_id: tag.kind as u8,
                stream_id: 1,
            };
            assert!(writer.write(&mut wire, head, &tag.payload));
        }
        group.throughput(Throughput::Bytes(wire.len() as u64));
        group.bench_function(format!("chunks_of_{chunk_size}"), |b| {
            b.iter(|| {
                let mut reader = chunk::Reader::new(Limits::default());
                let mut input = chunk::Input::Lent(&wire);
                while let Some(message) = reader.read(&mut input).unwrap() {
                    black_box(message);
                }
            });
        });
    }
    group.finish();
}

fn ring_push(c: &mut Criterion) {
    let tags = tags(10);
    let mut group = c.benchmark_group("ring");
    group.throughput(Throughput::Elements(tags.len() as u64));
    group.bench_function("push", |b| b.iter(|| black_box(filled(&tags))));
    group.finish();
}

/// A ring and windows that follow it: closed before the last eight of `tags`, a tenth of a second.
fn window_scene(tags: &[(Duration, Tag)]) -> (Ring, Windows, Needs) {
    let (before, window) = tags.split_at(tags.len() - 8);
    let mut ring = filled(before);
    let windows = Windows::follow(&ring);
    for (sequence, (at, tag)) in (before.len() as u64..).zip(window) {
        ring.push(sequence, tag.clone(), false, *at);
    }
    let mut needs = Needs::default();
    needs.add(Format::FlvChunked);
    (ring, windows, needs)
}

fn window_build(c: &mut Criterion) {
    let tags = tags(4);
    let policy = LatePolicy::default();
    c.bench_function("window/build", |b| {
        b.iter_batched(
            || window_scene(&tags),
            |(ring, mut windows, needs)| {
                windows.close(&ring, &needs, &policy);
                (ring, windows)
            },
            BatchSize::SmallInput,
        );
    });
}

fn writer(c: &mut Criterion) {
    let policy = LatePolicy::default();
    let (ring, mut windows, needs) = window_scene(&tags(4));
    windows.close(&ring, &needs, &policy);
    c.bench_function("writer/join_and_burst", |b| {
        let mut run = Run::default();
        let source = Source {
            ring: &ring,
            windows: &windows,
            policy: &policy,
            liveness: Liveness::Live,
        };
        b.iter(|| {
            let mut writer =
                Writer::join(&ring, Mode::Live, Format::FlvChunked, &policy, Bytes::new());
            while writer.next(&source, &mut run) == headwater_delivery::Next::Bytes {
                let bytes = writer.bytes(&run).len();
                writer.wrote(bytes, &run);
            }
            writer
        });
    });
    // One in step, for whom a window is a matter of a few comparisons.
    let mut in_step = Writer::join(&ring, Mode::Live, Format::FlvChunked, &policy, Bytes::new());
    let mut run = Run::default();
    let source = Source {
        ring: &ring,
        windows: &windows,
        policy: &policy,
        liveness: Liveness::Live,
    };
    while !in_step.in_step(&windows)
        && in_step.next(&source, &mut run) == headwater_delivery::Next::Bytes
    {
        let bytes = in_step.bytes(&run).len().min(16 << 10);
        in_step.wrote(bytes, &run);
    }
    c.bench_function("writer/window", |b| {
        b.iter(|| {
            let mut slices = [IoSlice::new(&[]); 8];
            let used = in_step.window_slices(&windows, &mut slices);
            let bytes: usize = slices.iter().take(used).map(|slice| slice.len()).sum();
            black_box((in_step.in_step(&windows), bytes))
        });
    });
}

fn placement(c: &mut Criterion) {
    let ids: Vec<String> = (0..50).map(|n| format!("origin-{n}")).collect();
    let ring = ring::Ring::new(ids.clone());
    let loads: BTreeMap<&str, u64> = ids.iter().map(|id| (id.as_str(), 400)).collect();
    let view = View {
        ring: &ring,
        loads: &loads,
        home: None,
        reserved: None,
    };
    c.bench_function("placement/solve_50_origins", |b| {
        b.iter(|| black_box(solve(&view, "default/live/room")));
    });
}

criterion_group!(
    parts,
    chunk_reader,
    ring_push,
    window_build,
    writer,
    placement
);
criterion_main!(parts);
