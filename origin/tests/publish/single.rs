//! One origin: what is pushed is what is pulled, and how a publish ends.

use std::process::{Child, Command};
use std::time::Duration;

use bytes::Bytes;
use headwater_hop::{EndReason, Known};
use headwater_media::{Dts, TagKind};
use headwater_process::clock;
use headwater_process::drain::Phase;
use tokio::net::TcpStream;

use crate::encoder::{Encoder, raw};
use crate::scene::Scene;

#[tokio::test]
async fn what_is_pushed_is_what_is_pulled() {
    let scene = Scene::one().await;
    let mut encoder = scene.publish(0, "room").await;
    encoder.headers().await;
    assert!(encoder.frames(60).await);
    let mut puller = scene.pull(0, "room").await;
    let head = *puller.pull.head();
    assert_eq!(
        (head.first_sequence, head.dts_offset, head.gap),
        (0, Dts(0), 0)
    );
    let tags = puller.same_as(&encoder.sent).await;
    let video = tags.iter().filter(|tag| tag.kind == TagKind::Video);
    let times: Vec<i64> = video.map(|tag| tag.dts.0).take(4).collect();
    assert_eq!(times, [0, 0, 40, 80]);

    let facts = scene.until(0, "room", |facts| facts.ring_tags == 123).await;
    assert_eq!(
        (facts.role, facts.state, facts.gop_ms),
        ("ingress+home", "live", Some(1_000))
    );
    assert_eq!(
        (facts.video, facts.audio, facts.size.as_deref()),
        (Some("h264"), Some("aac"), Some("640x360"))
    );
    assert_eq!(
        (facts.ingress.as_deref(), facts.home.as_deref()),
        (Some("origin-0"), Some("origin-0"))
    );
    assert_eq!(facts.uplink.unwrap().tags, 123);
    assert!(facts.term > facts.epoch);
    assert!(facts.publisher.unwrap().starts_with("127.0.0.1:"));

    encoder.close().await;
    assert_eq!(puller.next().await.unwrap_err(), EndReason::PublisherLeft);
    let facts = scene.facts(0, "room").unwrap();
    assert_eq!(
        (facts.role, facts.state, facts.home),
        ("past", "ended", None)
    );
    scene
        .shows(
            0,
            "headwater_origin_publish_ends_total{reason=\"unpublished\"} 1",
        )
        .await;
    scene.shows(0, "headwater_origin_homes 0").await;
}

#[tokio::test]
async fn a_burst_of_many_reads_arrives_as_it_was_sent() {
    let scene = Scene::with(1, |config| config.max_bitrate_bps = 100_000_000_000).await;
    let mut encoder = scene.publish(0, "room").await;
    encoder.headers().await;
    // 8 MB: pictures of up to 40 KB that each fill a read or share it with others, and sound between them.
    let tags = (0..400_u32).flat_map(|n| {
        let kind = if n % 25 == 0 { 0x17 } else { 0x27 };
        let length = usize::try_from(n * 7_919 % 40_000).unwrap() + 9;
        let mut picture: Vec<u8> = (0..=255).cycle().skip(n as usize).take(length).collect();
        picture[..5].copy_from_slice(&[kind, 1, 0, 0, 0]);
        let sound = [&[0xAF, 1][..], &n.to_be_bytes(), &[7; 300]].concat();
        [
            (TagKind::Video, n * 5, picture),
            (TagKind::Audio, n * 5 + 2, sound),
        ]
    });
    encoder.burst(tags).await;
    let mut puller = scene.pull(0, "room").await;
    assert_eq!(puller.same_as(&encoder.sent).await.len(), 803);
    encoder.close().await;
    assert_eq!(puller.next().await.unwrap_err(), EndReason::PublisherLeft);
}

#[tokio::test]
async fn a_session_raises_its_term_above_that_of_an_older_one_which_a_reader_knows() {
    let scene = Scene::one().await;
    let mut encoder = scene.publish(0, "room").await;
    encoder.headers().await;
    let facts = scene.until(0, "room", |facts| facts.ring_tags == 3).await;
    let newer = Known {
        epoch: facts.epoch + 1,
        term: 1 << 62,
    };
    drop(scene.pull_knowing(0, "room", newer).await);
    let older = Known {
        epoch: facts.epoch - 1,
        term: facts.term + (1 << 40),
    };
    drop(scene.pull_knowing(0, "room", older).await);
    let facts = scene
        .until(0, "room", |facts| facts.term > older.term)
        .await;
    assert!(facts.term < newer.term, "not above a newer session");
    assert_eq!(
        (facts.role, facts.home.as_deref()),
        ("ingress+home", Some("origin-0"))
    );
    assert!(encoder.frames(10).await, "the publisher goes on");
}

#[tokio::test]
async fn a_stream_goes_on_in_time_when_its_publisher_returns_and_is_forgotten_when_it_does_not() {
    let scene = Scene::with(1, |config| config.linger = Duration::from_millis(300)).await;
    let mut first = scene.publish(0, "room").await;
    first.headers().await;
    assert!(first.frames(50).await);
    scene.until(0, "room", |facts| facts.ring_tags == 103).await;
    // A connection that just closes is an end like any other.
    drop(first);
    scene.until(0, "room", |facts| facts.state == "ended").await;
    let mut second = scene.publish(0, "room").await;
    second.headers().await;
    assert!(second.frames(10).await);
    let mut puller = scene.pull(0, "room").await;
    assert!(
        puller.pull.head().dts_offset > Dts(1_970),
        "{:?}",
        puller.pull.head()
    );
    puller.same_as(&second.sent).await;
    drop(second);
    scene.until_gone(0, "room").await;

    // Also when nothing of it is left.
    let mut third = scene.publish(0, "room").await;
    third.headers().await;
    let puller = scene.pull(0, "room").await;
    assert!(
        puller.pull.head().dts_offset > Dts(2_300),
        "{:?}",
        puller.pull.head()
    );
}

#[tokio::test]
async fn media_that_comes_with_the_publish_command_is_not_lost() {
    let scene = Scene::one().await;
    let mut encoder = Encoder::connect("127.0.0.1", scene.rtmp(0), "live", "room").await;
    let early = [0x17, 0, 0, 0, 0, 9];
    encoder.ahead = raw(TagKind::Video, 0, &early);
    encoder.started().await.unwrap();
    encoder
        .sent
        .push((TagKind::Video, Bytes::copy_from_slice(&early)));
    assert!(
        encoder
            .send(TagKind::Video, 40, &[0x17, 1, 0, 0, 0, 1])
            .await
    );
    let tags = scene.pull(0, "room").await.same_as(&encoder.sent).await;
    assert_eq!((tags[0].dts, tags[1].dts), (Dts(0), Dts(40)));
}

#[tokio::test]
async fn a_player_is_told_where_to_play() {
    let scene = Scene::with(1, |config| {
        config.play_url = "http://play.example.com/".to_owned()
    })
    .await;
    let mut player = Encoder::play(scene.rtmp(0), "live", "room?x=1").await;
    let (code, text) = player.started().await.unwrap_err();
    assert_eq!(code, "NetStream.Play.Failed");
    assert!(
        text.ends_with("play http://play.example.com/live/room.flv"),
        "{text}"
    );
}

#[tokio::test]
async fn a_publisher_that_falls_silent_is_ended_with_a_reason() {
    let scene = Scene::with(1, |config| config.idle_timeout = Duration::from_secs(1)).await;
    let mut encoder = scene.publish(0, "room").await;
    encoder.headers().await;
    let (code, text) = encoder.ended().await.unwrap();
    assert_eq!(
        (code.as_str(), text.as_str()),
        ("NetStream.Publish.Denied", "no media for 1s")
    );
    assert_eq!(encoder.event().await, None);
    scene
        .shows(0, "headwater_origin_publish_ends_total{reason=\"idle\"} 1")
        .await;
}

#[tokio::test]
async fn a_drain_asks_publishers_to_go_and_serves_those_who_stay_until_it_ends() {
    let scene = Scene::one().await;
    let mut encoder = scene.publish(0, "room").await;
    encoder.headers().await;
    assert!(scene.origins[0].admin.unready().is_empty());
    // A connection from before the drain may still ask, and is told.
    let mut late = Encoder::connect("127.0.0.2", scene.rtmp(0), "live", "late").await;
    late.event().await.unwrap();
    scene.origins[0].drain.begin();
    encoder.asked_to_reconnect().await;
    assert!(!scene.origins[0].admin.unready().is_empty());
    assert_eq!(scene.origins[0].drain.held(), 1);
    let (_, text) = late.started().await.unwrap_err();
    assert!(text.contains("connect again"), "{text}");
    assert!(encoder.frames(30).await);
    scene.pull(0, "room").await.same_as(&encoder.sent).await;
    assert!(
        TcpStream::connect(scene.rtmp(0)).await.is_err(),
        "the port is closed"
    );

    scene.origins[0].drain.end();
    let (_, text) = encoder.ended().await.unwrap();
    assert!(text.contains("connect again"), "{text}");
    drop((encoder, late));
    scene.origins[0].origin.clone().ended().await;
}

#[tokio::test]
async fn publishers_who_stay_are_cut_one_by_one_before_the_grace_ends() {
    const STAY: usize = 3;
    let grace = Duration::from_secs(2);
    let scene = Scene::draining_in(grace).await;
    let mut stay = Vec::new();
    for n in 0..STAY {
        let mut encoder = scene.publish(0, &format!("room{n}")).await;
        encoder.headers().await;
        stay.push(encoder);
    }
    let begun = clock::now();
    scene.origins[0].drain.begin();
    let mut cuts = tokio::task::JoinSet::new();
    for mut encoder in stay {
        cuts.spawn(async move {
            let (code, text) = encoder.ended().await.unwrap();
            (code, text, clock::now())
        });
    }
    // Nobody ends the process in this test: whoever hears of an end was cut for having stayed.
    let mut earliest = begun + grace * 3 / 4;
    while let Some(cut) = cuts.join_next().await {
        let (code, text, at) = cut.unwrap();
        assert_eq!(code, "NetConnection.Connect.Closed");
        assert!(text.contains("connect again"), "{text}");
        assert!(at >= earliest, "cut at {at:?}, before {earliest:?}");
        // A fifth of the grace is shared by all of them.
        earliest += grace / 5 / 3;
    }
    assert_eq!(scene.origins[0].drain.held(), 0);
    assert!(scene.origins[0].drain.phase() < Phase::Ended);
}

#[tokio::test]
async fn what_ffmpeg_pushes_is_served_as_flv() {
    if Command::new("ffmpeg").arg("-version").output().is_err() {
        // Nothing to test with.
        return;
    }
    let scene = Scene::one().await;
    let mut ffmpeg = ffmpeg(&format!("rtmp://{}/live/clip", scene.rtmp(0)));
    let known =
        |facts: &headwater_origin::StreamFacts| facts.audio.is_some() && facts.ring_tags > 60;
    let facts = scene.until(0, "clip", known).await;
    assert_eq!(
        (facts.video, facts.audio, facts.size.as_deref()),
        (Some("h264"), Some("aac"), Some("320x180"))
    );
    let mut puller = scene.pull(0, "clip").await;
    let mut count = 0;
    let end = loop {
        match puller.next().await {
            Ok(_) => count += 1,
            Err(reason) => break reason,
        }
    };
    assert_eq!(end, EndReason::PublisherLeft);
    assert!(count > 150, "{count}");
    assert!(ffmpeg.wait().unwrap().success());
}

fn ffmpeg(url: &str) -> Child {
    let sources = "-re -f lavfi -i testsrc=size=320x180:rate=25 -f lavfi -i sine -t 3";
    let codecs = "-c:v libx264 -preset ultrafast -g 25 -c:a aac -f flv";
    Command::new("ffmpeg")
        .args(["-hide_banner", "-loglevel", "error", "-nostdin"])
        .args(sources.split(' ').chain(codecs.split(' ')))
        .arg(url)
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn a_load_balancer_names_the_publisher_and_nobody_else_does() {
    let header = "PROXY TCP4 192.0.2.7 198.51.100.1 4711 1935\r\n";
    let behind = Scene::with(1, |config| {
        config.proxy_protocol_from = vec!["127.0.0.0/8".to_owned()];
    })
    .await;
    let mut encoder = Encoder::behind(header, behind.rtmp(0), "live", "room").await;
    encoder.started().await.unwrap();
    encoder.headers().await;
    let facts = behind
        .until(0, "room", |facts| facts.publisher.is_some())
        .await;
    assert_eq!(facts.publisher.as_deref(), Some("192.0.2.7:4711"));

    let open = Scene::one().await;
    let mut encoder = Encoder::behind(header, open.rtmp(0), "live", "room").await;
    let (code, _) = encoder.started().await.unwrap_err();
    assert_eq!(code, "closed");
    assert!(open.facts(0, "room").is_none());
}
