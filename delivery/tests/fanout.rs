//! The fan-out of a stream: when its viewers get what comes, and that they get the end.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test"
)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headwater_delivery::{
    Cadence, DeliveryMetrics, Fanout, FanoutSettings, Format, Releases, Viewer,
};
use headwater_hub::{HubMetrics, LatePolicy, Mode, Opening, RingLimits, Stream};
use headwater_media::{Dts, StreamKey, Tag, TagKind};
use headwater_process::clock;
use headwater_process::net::{TcpStream, connect, listen};
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

/// A stream with one tag, and a viewer who has been sent it.
struct Scene {
    stream: Arc<Stream>,
    near: TcpStream,
    got: Vec<u8>,
    _fanout: Fanout,
}

impl Scene {
    async fn with_tick(tick: Duration) -> Scene {
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
            cadence: Arc::new(Cadence::new(Some(tick))),
            policy: LatePolicy::default(),
            stuck_max: SOON,
            hub_metrics,
            metrics: Arc::new(DeliveryMetrics::register(&registry).unwrap()),
            releases: Releases::default(),
        };
        let fanout = Fanout::start(Arc::clone(&stream), Arc::new(settings));

        let listener = listen("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap().to_string();
        let near = connect(&to, SOON).await.unwrap();
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
        let mut scene = Scene {
            stream,
            near,
            got: Vec::new(),
            _fanout: fanout,
        };
        scene.read_until(b"00000000").await;
        scene
    }

    async fn read_until(&mut self, part: &[u8]) {
        let reading = tokio::time::timeout(SOON, async {
            while !contains(&self.got, part) {
                assert!(self.near.read_buf(&mut self.got).await.unwrap() > 0);
            }
        });
        reading.await.expect("it comes");
    }
}

#[tokio::test]
async fn a_stream_that_is_closed_with_its_last_tag_ends_for_a_viewer_in_step() {
    let mut scene = Scene::with_tick(Duration::from_millis(50)).await;
    // Nothing else runs between the two, so one tick sees both.
    push(&scene.stream, 1);
    scene.stream.close();
    let rest = tokio::time::timeout(SOON, scene.near.read_to_end(&mut scene.got));
    rest.await.expect("the end comes").unwrap();
    assert!(contains(&scene.got, b"00000001"));
    assert!(scene.got.ends_with(b"0\r\n\r\n"));
}

#[tokio::test]
async fn what_comes_by_the_tick_does_not_wait_for_another() {
    let mut scene = Scene::with_tick(3 * SOON).await;
    assert_eq!(scene.stream.pacing().wanted(), Some(3 * SOON));
    push(&scene.stream, 1);
    scene.stream.pacing().set_paced(true);
    push(&scene.stream, 2);
    scene.read_until(b"00000001").await;
    scene.read_until(b"00000002").await;
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
