//! The end of a stream reaches its viewers, whatever comes together with it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headwater_delivery::{
    Cadence, DeliveryMetrics, Fanout, FanoutSettings, Format, Releases, Viewer,
};
use headwater_hub::{HubMetrics, LatePolicy, Mode, Opening, RingLimits, Stream};
use headwater_media::{Dts, StreamKey, Tag, TagKind};
use headwater_process::clock;
use headwater_process::net::{connect, listen};
use tokio::io::AsyncReadExt as _;

const SOON: Duration = Duration::from_secs(10);

fn push(stream: &Stream, sequence: u64) {
    let tag = Tag {
        kind: TagKind::Audio,
        dts: Dts(sequence.cast_signed() * 20),
        payload: Bytes::from(format!("\u{2f}\u{1}{sequence:08}")),
    };
    stream.push(1, sequence, tag, clock::now()).unwrap();
}

#[tokio::test]
async fn a_stream_that_is_closed_with_its_last_tag_ends_for_a_viewer_in_step() {
    let registry = prometheus::Registry::new();
    let hub_metrics = Arc::new(HubMetrics::register(&registry).unwrap());
    let key = StreamKey::new("default", "live", "room").unwrap();
    let limits = RingLimits::default();
    let stream = Arc::new(Stream::new(key, limits, Arc::clone(&hub_metrics)));
    let opening = Opening {
        epoch: 1,
        term: 1,
        dts_offset: Dts(0),
        first_sequence: 0,
    };
    stream.open(opening).unwrap();
    push(&stream, 0);
    let settings = FanoutSettings {
        cadence: Arc::new(Cadence::new(Some(Duration::from_millis(50)))),
        policy: LatePolicy::default(),
        stuck_max: SOON,
        hub_metrics,
        metrics: Arc::new(DeliveryMetrics::register(&registry).unwrap()),
        releases: Releases::default(),
    };
    let fanout = Fanout::start(Arc::clone(&stream), Arc::new(settings));

    let listener = listen("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap().to_string();
    let mut near = connect(&to, SOON).await.unwrap();
    let (socket, _) = listener.accept().await.unwrap();
    let viewer = Viewer {
        socket: socket.into(),
        mode: Mode::Live,
        format: Format::FlvChunked,
        head: Bytes::new(),
        tail: Bytes::new(),
        release: Bytes::new(),
        inbound: None,
        on_end: Box::new(drop),
    };
    fanout.join(viewer).await.unwrap();
    let mut got = Vec::new();
    while !contains(&got, b"00000000") {
        assert!(near.read_buf(&mut got).await.unwrap() > 0);
    }

    // Nothing else runs between the two, so one tick sees both.
    push(&stream, 1);
    stream.close();
    let rest = tokio::time::timeout(SOON, near.read_to_end(&mut got));
    rest.await.expect("the end comes").unwrap();
    assert!(contains(&got, b"00000001"));
    assert!(got.ends_with(b"0\r\n\r\n"));
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
