//! What an origin does with a publisher's connection, without its socket and without other processes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use headwater_hub::{Cursor, HubMetrics, LatePolicy, Mode, Opening, Pushed, RingLimits, Stream};
use headwater_media::rtmp::{Limits, ServerConfig, ServerEvent, ServerSession, code};
use headwater_media::{Dts, StreamKey, Tag, TagKind, Timeline, VirtualHosts};

const RING: RingLimits = RingLimits {
    bytes_max: 64 << 10,
    keep_ms: 500,
    gop_max_ms: 1_000,
    gop_max_bytes: 16 << 10,
};
/// Streams of one script; the names that scripts use are fewer.
const STREAMS_MAX: usize = 4;
/// Long enough for every step of a script, short enough to come to an end in one.
const IDLE: Duration = Duration::from_secs(30);

/// A tag of a ring: its session, its number there, and what it shows.
type Shown = (u64, u64, TagKind, Dts, Bytes);

/// What came of a script, for comparing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Events and ends, in order.
    trace: String,
    /// Each stream's ring, tag by tag.
    rings: BTreeMap<StreamKey, Vec<Shown>>,
    /// What viewers got, by kind, with the stamps that they saw.
    viewed: Vec<(TagKind, Dts, usize)>,
}

struct Publish {
    stream: Arc<Stream>,
    epoch: u64,
    timeline: Timeline,
    sequence: u64,
}

struct Viewer {
    stream: Arc<Stream>,
    cursor: Cursor,
    last: [Option<Dts>; 3],
}

/// One connection and the streams that it publishes.
pub(super) struct Ingest {
    session: ServerSession,
    now: Duration,
    app: String,
    tc_url: String,
    publish: Option<Publish>,
    epoch: u64,
    streams: BTreeMap<StreamKey, Arc<Stream>>,
    /// The newest time shown of each kind, by stream.
    shown: BTreeMap<StreamKey, [Option<Dts>; 3]>,
    viewers: Vec<Viewer>,
    hosts: VirtualHosts,
    outcome: Outcome,
}

fn metrics() -> Arc<HubMetrics> {
    static METRICS: OnceLock<Arc<HubMetrics>> = OnceLock::new();
    Arc::clone(METRICS.get_or_init(|| {
        Arc::new(HubMetrics::register(&prometheus::Registry::new()).expect("an empty registry"))
    }))
}

impl Ingest {
    pub(super) fn new(limits: Limits, handshake: bool) -> Ingest {
        metrics();
        let now = Duration::from_secs(1);
        let config = ServerConfig {
            limits,
            idle_time: IDLE,
            command_time: IDLE,
            ping_interval: Some(Duration::from_secs(7)),
            ..ServerConfig::default()
        };
        let mut session = if handshake {
            ServerSession::new(config, now)
        } else {
            ServerSession::after_handshake(config, now)
        };
        if handshake {
            let mut hello = vec![0; 1 + 2 * 1_536];
            hello[0] = 3;
            session.input(&hello, now).expect("a handshake");
        }
        Ingest {
            session,
            now,
            app: String::new(),
            tc_url: String::new(),
            publish: None,
            epoch: 0,
            streams: BTreeMap::new(),
            shown: BTreeMap::new(),
            viewers: Vec::new(),
            hosts: VirtualHosts::default(),
            outcome: Outcome::default(),
        }
    }

    /// Takes `pieces` and answers what they ask for after the last one: an answer comes at the same byte however the bytes
    /// are cut. Returns whether the connection goes on.
    pub(super) fn input(&mut self, bytes: &[u8]) -> bool {
        let result = self.session.input(bytes, self.now);
        self.events();
        self.go_on(result)
    }

    /// The same in pieces, each in a buffer that is given away.
    pub(super) fn input_given<'a>(&mut self, mut pieces: impl Iterator<Item = &'a [u8]>) -> bool {
        let result =
            pieces.try_for_each(|piece| self.session.input_given(BytesMut::from(piece), self.now));
        self.events();
        self.go_on(result)
    }

    pub(super) fn pass(&mut self, time: Duration) -> bool {
        self.now += time;
        let mut result = Ok(());
        if self.session.next_timeout().is_some_and(|at| at <= self.now) {
            result = self.session.on_timeout(self.now);
        }
        self.go_on(result)
    }

    pub(super) fn view(&mut self) -> bool {
        for stream in self.streams.values() {
            let mode = if self.viewers.len() & 1 == 0 {
                Mode::Live
            } else {
                Mode::Rtc
            };
            let cursor = stream.with_ring(|ring| Cursor::join(ring, mode, &LatePolicy::default()));
            if self.viewers.len() < 8 {
                self.viewers.push(Viewer {
                    stream: Arc::clone(stream),
                    cursor,
                    last: [None; 3],
                });
            }
        }
        self.watch();
        true
    }

    /// What viewers get by now. Only at the script's own points, so that it does not depend on how bytes are cut.
    fn watch(&mut self) {
        for viewer in &mut self.viewers {
            let Viewer {
                stream,
                cursor,
                last,
            } = viewer;
            stream.with_ring(|ring| {
                let policy = LatePolicy::default();
                cursor.catch_up(ring, &policy);
                while let Some(item) = cursor.next_item(ring, ring.next_position(), &policy) {
                    let kind = item.tag.kind;
                    // A header that is sent again has the next tag's stamp, whatever kind that is of.
                    if item.position.is_some() {
                        let before = last[index(kind)].replace(item.at);
                        assert!(
                            before.is_none_or(|before| before <= item.at),
                            "a viewer's time went back"
                        );
                    }
                    self.outcome
                        .viewed
                        .push((kind, item.at, item.tag.payload.len()));
                    cursor.sent(&item);
                }
            });
        }
    }

    fn go_on(&mut self, result: Result<(), headwater_media::rtmp::RtmpError>) -> bool {
        while let Some(output) = self.session.take_output() {
            assert!(
                !output.is_empty(),
                "nothing to send, and yet a piece of output"
            );
        }
        if let Err(error) = &result {
            self.note(format_args!("error {error}"));
            self.unpublish();
        }
        result.is_ok()
    }

    fn note(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.outcome.trace, "{line}").expect("text grows");
    }

    fn events(&mut self) {
        while let Some(event) = self.session.next_event() {
            match event {
                ServerEvent::Media {
                    kind,
                    wire_ms,
                    payload,
                } => self.media(kind, wire_ms, payload),
                ServerEvent::Connected { app, tc_url, .. } => {
                    self.note(format_args!("connected {app:?} {tc_url:?}"));
                    self.app = app;
                    self.tc_url = tc_url.unwrap_or_default();
                }
                ServerEvent::Publish {
                    name,
                    message_stream_id,
                    publishing_type,
                } => {
                    self.note(format_args!(
                        "publish {name:?} {message_stream_id} {publishing_type:?}"
                    ));
                    self.begin(&name);
                }
                ServerEvent::Unpublish => {
                    self.note(format_args!("unpublish"));
                    self.unpublish();
                }
                ServerEvent::Play { name, .. } => {
                    self.note(format_args!("play {name:?}"));
                    self.session
                        .refuse_play(code::PLAY_FAILED, "play elsewhere", self.now);
                }
                ServerEvent::StopPlay => self.note(format_args!("stop play")),
                ServerEvent::Pause(paused) => self.note(format_args!("pause {paused}")),
            }
        }
    }

    fn begin(&mut self, name: &str) {
        assert!(
            self.publish.is_none(),
            "two publishes at once on one connection"
        );
        let key = StreamKey::from_rtmp(&self.app, &self.tc_url, name, &self.hosts);
        let Ok((key, _)) = key else {
            self.note(format_args!("refused"));
            return self
                .session
                .refuse_publish(code::PUBLISH_BAD_NAME, "bad name", self.now);
        };
        if self.streams.len() >= STREAMS_MAX && !self.streams.contains_key(&key) {
            self.note(format_args!("full"));
            return self
                .session
                .refuse_publish(code::PUBLISH_DENIED, "full", self.now);
        }
        let stream = self
            .streams
            .entry(key.clone())
            .or_insert_with_key(|key| Arc::new(Stream::new(key.clone(), RING, metrics())));
        self.epoch += 1;
        let opening = Opening {
            epoch: self.epoch,
            term: self.epoch,
            dts_offset: Dts(0),
            first_sequence: 0,
        };
        assert_eq!(
            stream.open(opening),
            Ok(0),
            "a newer session is always taken"
        );
        self.publish = Some(Publish {
            stream: Arc::clone(stream),
            epoch: self.epoch,
            timeline: Timeline::new(),
            sequence: 0,
        });
        self.session.accept_publish(self.now);
    }

    fn media(&mut self, kind: TagKind, wire_ms: u32, payload: Bytes) {
        assert!(!payload.is_empty(), "an empty tag");
        let Some(publish) = &mut self.publish else {
            return self.note(format_args!("media without a publish"));
        };
        let dts = publish.timeline.dts(kind, wire_ms, self.now);
        let tag = Tag { kind, dts, payload };
        let taken = publish
            .stream
            .push(publish.epoch, publish.sequence, tag, self.now);
        assert_eq!(
            taken,
            Ok(Pushed::Taken),
            "the next tag of the session that is on"
        );
        publish.sequence += 1;
        let shown = self.shown.entry(publish.stream.key().clone()).or_default();
        publish.stream.with_ring(|ring| {
            let newest = ring.entries().next_back().expect("the tag just pushed");
            assert_eq!(newest.tag.dts, dts);
            let before = shown[index(kind)].replace(newest.at());
            assert!(
                before.is_none_or(|before| before <= newest.at()),
                "the ring's time went back"
            );
            assert!(
                ring.kept_bytes() <= RING.bytes_max || ring.entries().len() == 1,
                "{} bytes in the ring",
                ring.kept_bytes()
            );
        });
    }

    fn unpublish(&mut self) {
        if let Some(publish) = self.publish.take() {
            publish.stream.end(publish.epoch);
        }
    }

    pub(super) fn finish(mut self) -> Outcome {
        self.watch();
        self.note(format_args!("publishing {}", self.publish.is_some()));
        for (key, stream) in &self.streams {
            let tags = stream.with_ring(|ring| {
                ring.entries()
                    .map(|e| {
                        (
                            e.span().epoch,
                            e.sequence,
                            e.tag.kind,
                            e.at(),
                            e.tag.payload.clone(),
                        )
                    })
                    .collect()
            });
            self.outcome.rings.insert(key.clone(), tags);
        }
        self.outcome
    }
}

fn index(kind: TagKind) -> usize {
    match kind {
        TagKind::Audio => 0,
        TagKind::Video => 1,
        TagKind::Script => 2,
    }
}
