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
    Cadence, DeliveryMetrics, Fanout, FanoutSettings, Format, Releases, Viewer, WriterThreads,
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

/// A stream with one tag.
struct Scene {
    stream: Arc<Stream>,
    fanout: Fanout,
    registry: prometheus::Registry,
}

/// The far end of a viewer's connection.
struct Watching {
    near: TcpStream,
    got: Vec<u8>,
}

impl Scene {
    fn new(tick: Duration, threads: usize) -> Scene {
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
        let metrics = Arc::new(DeliveryMetrics::register(&registry).unwrap());
        let settings = FanoutSettings {
            cadence: Arc::new(Cadence::new(Some(tick))),
            policy: LatePolicy::default(),
            stuck_max: SOON,
            hub_metrics,
            metrics: Arc::clone(&metrics),
            releases: Releases::default(),
            threads: WriterThreads::new(threads, metrics),
        };
        Scene {
            fanout: Fanout::start(Arc::clone(&stream), Arc::new(settings)),
            stream,
            registry,
        }
    }

    /// A viewer who has been sent the first tag.
    async fn watch(&self) -> Watching {
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
        self.fanout.join(viewer).await.unwrap();
        let mut watching = Watching {
            near,
            got: Vec::new(),
        };
        watching.read_until(b"00000000").await;
        watching
    }

    /// What each writer thread says to have sent.
    fn sent_by_thread(&self) -> Vec<f64> {
        let families = self.registry.gather();
        let sent = families
            .iter()
            .find(|family| family.name() == "headwater_delivery_thread_sent_bytes_total");
        sent.map_or_else(Vec::new, |family| {
            let samples = family.get_metric().iter();
            samples.map(|m| m.get_counter().get_value()).collect()
        })
    }
}

impl Watching {
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
async fn many_viewers_of_a_stream_are_shared_out_over_the_threads() {
    // Two sockets each: that many are open in one process, beside those of other tests.
    const VIEWERS: usize = 300;
    let scene = Scene::new(Duration::from_millis(5), 2);
    let mut watching = Vec::new();
    for _ in 0..VIEWERS {
        watching.push(scene.watch().await);
    }
    let before = scene.sent_by_thread();
    assert_eq!(before.len(), 2);
    for sequence in 1..=100 {
        push(&scene.stream, sequence);
    }
    for viewer in &mut watching {
        viewer.read_until(b"00000100").await;
    }
    let all: usize = watching.iter().map(|viewer| viewer.got.len()).sum();
    // What was written is counted a moment after it was.
    let counted = tokio::time::timeout(SOON, async {
        loop {
            let after = scene.sent_by_thread();
            if after.iter().sum::<f64>() >= f64::from(u32::try_from(all).unwrap()) {
                return after;
            }
            tokio::task::yield_now().await;
        }
    });
    let after = counted.await.expect("all is counted");
    let sent: Vec<f64> = after.iter().zip(&before).map(|(a, b)| a - b).collect();
    let share = sent[0] / sent.iter().sum::<f64>();
    assert!((0.48..=0.52).contains(&share), "{share}");
}

#[tokio::test]
async fn a_stream_that_is_closed_with_its_last_tag_ends_for_a_viewer_in_step() {
    let scene = Scene::new(Duration::from_millis(50), 1);
    let mut viewer = scene.watch().await;
    // Nothing else runs between the two, so one tick sees both.
    push(&scene.stream, 1);
    scene.stream.close();
    let rest = tokio::time::timeout(SOON, viewer.near.read_to_end(&mut viewer.got));
    rest.await.expect("the end comes").unwrap();
    assert!(contains(&viewer.got, b"00000001"));
    assert!(viewer.got.ends_with(b"0\r\n\r\n"));
}

#[tokio::test]
async fn what_comes_by_the_tick_does_not_wait_for_another() {
    let scene = Scene::new(3 * SOON, 1);
    let mut viewer = scene.watch().await;
    assert_eq!(scene.stream.pacing().wanted(), Some(3 * SOON));
    push(&scene.stream, 1);
    scene.stream.pacing().set_paced(true);
    push(&scene.stream, 2);
    viewer.read_until(b"00000001").await;
    viewer.read_until(b"00000002").await;
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
