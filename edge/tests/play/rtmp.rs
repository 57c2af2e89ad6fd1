//! Playing over RTMP.

use std::time::Duration;

use headwater_media::TagKind;
use headwater_media::rtmp::{
    ClientConfig, ClientEvent, ClientSession, Head, PublishingType, chunk, message_type,
};
use headwater_process::clock;
use headwater_process::net::{self, TcpStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::finder::{Told, found, missing};
use crate::scene::{Scene, config};
use crate::source::Source;
use crate::stream::{Publisher, identity};
use crate::viewer::{SOON, assert_gapless};

pub(crate) struct Client {
    socket: TcpStream,
    session: ClientSession,
}

impl Client {
    pub(crate) async fn play(scene: &Scene, stream: &str) -> Client {
        let to = scene.addresses().rtmp.unwrap().to_string();
        let session = ClientSession::play(ClientConfig::new(&to, "live", stream)).unwrap();
        Client {
            socket: net::connect(&to, SOON).await.unwrap(),
            session,
        }
    }

    async fn publish(scene: &Scene) -> Client {
        let to = scene.addresses().rtmp.unwrap().to_string();
        let config = ClientConfig::new(&to, "live", "room");
        let session = ClientSession::publish(config, PublishingType::Live).unwrap();
        Client {
            socket: net::connect(&to, SOON).await.unwrap(),
            session,
        }
    }

    async fn flush(&mut self) {
        while let Some(output) = self.session.take_output() {
            self.socket.write_all(&output).await.unwrap();
        }
    }

    /// The next event; `None` when the connection is closed.
    pub(crate) async fn event(&mut self) -> Option<ClientEvent> {
        loop {
            self.flush().await;
            if let Some(event) = self.session.next_event() {
                return Some(event);
            }
            let mut piece = [0; 16 << 10];
            let read = tokio::time::timeout(SOON, self.socket.read(&mut piece))
                .await
                .expect("nothing comes");
            match read.unwrap_or(0) {
                0 => return None,
                read => self.session.input(&piece[..read], clock::now()).unwrap(),
            }
        }
    }

    async fn frames(&mut self, count: usize) -> Vec<(u64, u64, u32)> {
        let mut frames = Vec::new();
        while frames.len() < count {
            if let ClientEvent::Media {
                kind: TagKind::Video,
                wire_ms,
                payload,
            } = self.event().await.expect("media")
                && let Some((epoch, sequence)) = identity(&payload)
            {
                frames.push((epoch, sequence, wire_ms));
            }
        }
        frames
    }

    /// Reads events until one is a refusal; gives its code and text.
    async fn refusal(&mut self) -> (String, String) {
        loop {
            if let ClientEvent::Refused { code, description } =
                self.event().await.expect("a refusal")
            {
                return (code, description);
            }
        }
    }
}

#[tokio::test]
async fn an_rtmp_viewer_gets_the_stream_and_hears_of_its_end() {
    let publisher = Publisher::new("default/live/room", 7, 7);
    let source = Source::of(&publisher.stream).await;
    let mut config = config();
    config.pull.grace = Duration::from_millis(300);
    let scene = Scene::with(
        config,
        Default::default(),
        Told::new(found(7, 7, &[&source.address])),
    )
    .await;
    for mode in ["room", "room?mode=rtc"] {
        let mut client = Client::play(&scene, mode).await;
        let mut frames = client.frames(1).await;
        publisher.frames(30);
        frames.extend(client.frames(10).await);
        assert_gapless(&frames);
        assert_eq!(
            scene.metric("headwater_edge_viewers{protocol=\"rtmp\"}"),
            1.0
        );
        client.session.close();
        client.flush().await;
        while client.event().await.is_some() {}
        scene
            .until("it is gone", |s| {
                s.metric("headwater_edge_viewers{protocol=\"rtmp\"}") == 0.0
            })
            .await;
        publisher.frames(19);
    }
    let mut client = Client::play(&scene, "room").await;
    client.frames(1).await;
    publisher.leave();
    scene.finder.tell(missing());
    let code = loop {
        if let ClientEvent::Ended { code, .. } = client.event().await.expect("a clean end") {
            break code;
        }
    };
    assert_eq!(code, "NetStream.Play.UnpublishNotify");
    assert!(client.event().await.is_none(), "then it is closed");
}

#[tokio::test]
async fn what_cannot_be_played_is_refused_with_a_reason() {
    let scene = Scene::new(Told::new(missing())).await;
    for (stream, code, part) in [
        ("room", "NetStream.Play.StreamNotFound", "default/live/room"),
        (
            "room?wait=0.1",
            "NetStream.Play.StreamNotFound",
            "default/live/room",
        ),
        ("a/b/c/d", "NetStream.Play.Failed", "parts"),
        ("room?mode=x", "NetStream.Play.Failed", "mode"),
    ] {
        let refused = Client::play(&scene, stream).await.refusal().await;
        assert_eq!(refused.0, code, "{stream}");
        assert!(refused.1.contains(part), "{stream}: {}", refused.1);
    }
}

#[tokio::test]
async fn who_publishes_here_is_sent_to_an_origin() {
    let mut config = config();
    config.publish_url = "rtmp://push.example/live".to_owned();
    let scene = Scene::with(config, Default::default(), Told::new(missing())).await;
    let (code, text) = Client::publish(&scene).await.refusal().await;
    assert_eq!(code, "NetStream.Publish.BadName");
    assert!(text.contains("rtmp://push.example/live"), "{text}");
}

#[tokio::test]
async fn who_pings_without_end_and_reads_nothing_is_ended() {
    let publisher = Publisher::new("default/live/room", 7, 7);
    let source = Source::of(&publisher.stream).await;
    let mut config = config();
    config.socket.send_buffer_bytes = 8 << 10;
    let scene = Scene::with(
        config,
        Default::default(),
        Told::new(found(7, 7, &[&source.address])),
    )
    .await;
    let mut client = Client::play(&scene, "room").await;
    client.frames(1).await;
    // RTMP 7.1.7: event 6, four bytes of time.
    let ping = [0, 6, 0, 0, 0, 1];
    let head = Head {
        chunk_stream_id: 2,
        timestamp: 0,
        type_id: message_type::USER_CONTROL,
        stream_id: 0,
    };
    let mut pings = bytes::BytesMut::new();
    for _ in 0..1_000 {
        chunk::put_message(&mut pings, head, &ping, 128);
    }
    let flood = async { while client.socket.write_all(&pings).await.is_ok() {} };
    tokio::time::timeout(SOON, flood)
        .await
        .expect("it is ended");
    let ended = "headwater_delivery_viewers_ended_total{reason=\"refused\"}";
    scene
        .until("it is counted", |s| s.metric(ended) == 1.0)
        .await;
}
