//! The gate as its users see it: signatures by the process's clock, and a callback on loopback.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what tests share may fail like a test"
)]

mod server;

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use headwater_admission::{
    Admission, AdmissionConfig, CallbackConfig, CallbackEvent, Ended, KeyPair, KeyRule, Kind, Mode,
    OnDuplicate, OnError, Reason, Refusal, Request, Settings, sign,
};
use headwater_media::{Query, StreamKey};
use headwater_process::config::Secret;
use headwater_process::metrics::Registry;
use headwater_process::{clock, net};
use serde_json::json;
use server::{Act, answer, serve};

const PEER: &str = "192.0.2.7:40000";

struct Asker {
    admission: Admission,
    registry: Registry,
    key: StreamKey,
}

impl Asker {
    fn new(config: &AdmissionConfig) -> Asker {
        let registry = Registry::new().unwrap();
        Asker {
            admission: Admission::new(config, &registry).unwrap(),
            registry,
            key: "default/live/room".parse().unwrap(),
        }
    }

    async fn ask(&self, kind: Kind, query: &str) -> Result<Settings, Refusal> {
        let query = Query::parse(query).unwrap();
        let request = Request {
            key: &self.key,
            query: &query,
            peer: PEER.parse().unwrap(),
            agent: Some("FMLE/3.0"),
            policy: None,
        };
        match kind {
            Kind::Publish => self.admission.publish(request).await,
            Kind::Play => self.admission.play(request).await,
        }
    }

    fn end(&self, kind: Kind) {
        self.admission.ended(Ended {
            kind,
            key: self.key.clone(),
            peer: PEER.parse().unwrap(),
            duration: Duration::from_millis(1500),
            bytes: 7,
            why: "closed",
        });
    }

    fn count(&self, series: &str) -> u64 {
        let text = String::from_utf8(self.registry.encode()).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(series));
        line.unwrap_or_else(|| panic!("no {series} in {text}"))
            .trim()
            .parse()
            .unwrap()
    }
}

fn asks(url: &str, on_error: OnError) -> AdmissionConfig {
    let callback = CallbackConfig {
        url: url.to_owned(),
        on_error,
        ..CallbackConfig::default()
    };
    AdmissionConfig {
        callback,
        ..AdmissionConfig::default()
    }
}

fn signs() -> AdmissionConfig {
    let pair = |main: &str| KeyPair {
        main: Some(Secret::new(main.to_owned())),
        backup: None,
    };
    AdmissionConfig {
        keys: vec![KeyRule {
            pattern: "default/live".into(),
            publish: pair("k3y-one"),
            play: pair("k3y-two"),
            ..KeyRule::default()
        }],
        ..AdmissionConfig::default()
    }
}

fn signed(config: &AdmissionConfig, kind: Kind, end: u64) -> String {
    let key = "default/live/room".parse().unwrap();
    let url = sign::url(config, None, kind, &key, "rtmp://h", end).unwrap();
    url.split_once('?').unwrap().1.to_owned()
}

#[tokio::test]
async fn without_keys_and_callback_all_is_open_and_the_start_says_so() {
    let asker = Asker::new(&AdmissionConfig::default());
    assert!(asker.admission.is_open());
    assert!(
        asker
            .admission
            .describe()
            .starts_with("anybody may publish and play")
    );
    assert_eq!(asker.ask(Kind::Publish, "").await, Ok(Settings::default()));
    assert_eq!(
        asker.ask(Kind::Play, "txSecret=x&bizid=1").await,
        Ok(Settings::default())
    );
    asker.end(Kind::Publish);
    asker.admission.told().await;
    let open =
        r#"headwater_admission_decisions_total{kind="publish",reason="open",verdict="allowed"}"#;
    assert_eq!(asker.count(open), 1);
}

#[tokio::test]
async fn signatures_are_held_against_the_clock() {
    let config = signs();
    let asker = Asker::new(&config);
    assert!(!asker.admission.is_open());
    let now = clock::unix_ms() / 1000;
    let good = signed(&config, Kind::Publish, now + 600);
    assert_eq!(
        asker.ask(Kind::Publish, &good).await,
        Ok(Settings::default())
    );
    let late = signed(&config, Kind::Publish, now - 600);
    for (kind, query, reason, status) in [
        (Kind::Publish, late.as_str(), Reason::Expired, 401),
        (Kind::Play, good.as_str(), Reason::Foreign, 403),
        (Kind::Play, "", Reason::Missing, 401),
        (
            Kind::Play,
            "txTime=5C271099&txSecret=1",
            Reason::Malformed,
            401,
        ),
    ] {
        let refusal = asker.ask(kind, query).await.unwrap_err();
        assert_eq!(
            (refusal.reason, refusal.http_status()),
            (reason, status),
            "{refusal}"
        );
        assert!(!refusal.text.contains("k3y") && !refusal.text.contains('\n'));
        let series = format!(
            r#"headwater_admission_decisions_total{{kind="{kind}",reason="{}",verdict="refused"}}"#,
            refusal.reason()
        );
        assert_eq!(asker.count(&series), 1);
    }
}

#[tokio::test]
async fn the_callback_hears_who_asks_and_not_how_they_signed() {
    let mut server = serve(vec![answer(200, "")]).await;
    let asker = Asker::new(&asks(&server.url, OnError::Deny));
    asker
        .ask(
            Kind::Play,
            "token=a%26b&txSecret=s&txSerect=s&hwSign=s&token=2",
        )
        .await
        .unwrap();
    let (head, body) = server.asked.recv().await.unwrap();
    assert_eq!(head["content-type"], "application/json");
    assert_eq!(
        body,
        json!({
            "event": "play", "key": "default/live/room", "vhost": "default", "app": "live", "stream": "room",
            "peer": PEER, "agent": "FMLE/3.0", "query": {"token": "a&b"},
        })
    );
}

#[tokio::test]
async fn the_callback_allows_with_settings_or_refuses_with_its_reason() {
    let settings = r#"{"mode": "rtc", "on_duplicate": "refuse", "max_bitrate_bps": 4000000}"#;
    let mut server = serve(vec![
        answer(200, settings),
        answer(403, r#"{"reason": "banned until Monday"}"#),
        Act::Answer(403, vec![b' '; 70_000]),
    ])
    .await;
    let asker = Asker::new(&asks(&server.url, OnError::Allow));
    assert_eq!(
        asker.ask(Kind::Publish, "").await,
        Ok(Settings {
            mode: Some(Mode::Rtc),
            on_duplicate: Some(OnDuplicate::Refuse),
            max_bitrate_bps: NonZeroU64::new(4_000_000),
        })
    );
    let refusal = asker.ask(Kind::Publish, "").await.unwrap_err();
    assert_eq!(
        (refusal.reason, refusal.text.as_str()),
        (Reason::CallbackRefused, "banned until Monday")
    );
    let refusal = asker.ask(Kind::Publish, "").await.unwrap_err();
    assert_eq!(refusal.reason, Reason::CallbackRefused);
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    for _ in 0..3 {
        server.asked.recv().await.unwrap();
    }
}

#[tokio::test]
async fn a_callback_that_fails_refuses_or_allows_as_configured() {
    let closed = {
        let listener = net::listen("127.0.0.1:0").await.unwrap();
        format!("http://{}/", listener.local_addr().unwrap())
    };
    let mut servers = Vec::new();
    for (act, reason) in [
        (Act::Hang, Reason::CallbackTimeout),
        (answer(500, ""), Reason::CallbackAnswer),
        (answer(302, ""), Reason::CallbackAnswer),
        (answer(200, "<html>"), Reason::CallbackAnswer),
        (Act::Answer(200, vec![b' '; 70_000]), Reason::CallbackAnswer),
    ] {
        servers.push((serve(vec![act]).await, reason));
    }
    let mut cases: Vec<_> = servers
        .iter()
        .map(|(server, reason)| (server.url.clone(), *reason))
        .collect();
    cases.push((closed, Reason::CallbackUnreachable));
    for (url, reason) in cases {
        let mut config = asks(&url, OnError::Deny);
        let ms = if reason == Reason::CallbackTimeout {
            50
        } else {
            10_000
        };
        config.callback.timeout = Duration::from_millis(ms);
        let refusal = Asker::new(&config)
            .ask(Kind::Publish, "")
            .await
            .unwrap_err();
        assert_eq!((refusal.reason, refusal.http_status()), (reason, 503));
        assert!(!refusal.text.contains("127.0.0.1"), "{refusal}");

        config.callback.on_error = OnError::Allow;
        let asker = Asker::new(&config);
        assert_eq!(
            asker.ask(Kind::Play, "").await,
            Ok(Settings::default()),
            "{reason:?}"
        );
        let failed = r#"headwater_admission_decisions_total{kind="play",reason="callback_failed",verdict="allowed"}"#;
        assert_eq!(asker.count(failed), 1);
    }
}

#[tokio::test]
async fn a_connection_that_the_server_closed_is_replaced() {
    let mut server = serve(vec![Act::AnswerAndClose(200), answer(200, "")]).await;
    let asker = Asker::new(&asks(&server.url, OnError::Deny));
    for _ in 0..3 {
        asker.ask(Kind::Play, "").await.unwrap();
        server.asked.recv().await.unwrap();
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_bad_signature_never_reaches_the_callback() {
    let mut server = serve(vec![answer(200, "")]).await;
    let mut config = signs();
    config.callback.url = server.url.clone();
    let asker = Asker::new(&config);
    assert_eq!(
        asker.ask(Kind::Publish, "").await.unwrap_err().reason,
        Reason::Missing
    );
    let good = signed(&config, Kind::Publish, clock::unix_ms() / 1000 + 600);
    asker.ask(Kind::Publish, &good).await.unwrap();
    server.asked.recv().await.unwrap();
    assert!(server.asked.is_empty());
    let text = asker.admission.describe();
    assert!(
        text.contains("(default/live) and the callback's yes"),
        "{text}"
    );
    assert!(!text.contains("hook=1"), "{text}");
}

#[tokio::test]
async fn only_chosen_events_are_asked_and_told() {
    let mut server = serve(vec![answer(403, "")]).await;
    let mut config = asks(&server.url, OnError::Deny);
    config.callback.events = vec![CallbackEvent::PublishEnd];
    let asker = Asker::new(&config);
    assert!(asker.admission.is_open());
    asker.ask(Kind::Publish, "").await.unwrap();
    asker.end(Kind::Play);
    asker.end(Kind::Publish);
    let (_, body) = server.asked.recv().await.unwrap();
    assert_eq!(
        body,
        json!({
            "event": "publish_end", "key": "default/live/room", "vhost": "default", "app": "live", "stream": "room",
            "peer": PEER, "duration_ms": 1500, "bytes": 7, "why": "closed",
        })
    );
    asker.admission.told().await;
    assert_eq!(
        asker.count(r#"headwater_admission_ends_total{kind="publish",result="failed"}"#),
        1
    );
    assert!(server.asked.is_empty());
}

#[tokio::test]
async fn ends_beyond_the_queue_are_dropped_and_counted() {
    let server = serve(vec![answer(204, "")]).await;
    let mut config = asks(&server.url, OnError::Deny);
    config.callback.max_queued_ends = 8;
    let asker = Asker::new(&config);
    // Nothing else runs meanwhile, so the queue holds its bound and no more.
    for _ in 0..20 {
        asker.end(Kind::Play);
    }
    asker.admission.told().await;
    let count = |result| {
        asker.count(&format!(
            r#"headwater_admission_ends_total{{kind="play",result="{result}"}}"#
        ))
    };
    assert_eq!(
        (count("told"), count("dropped"), count("failed")),
        (8, 12, 0)
    );
}

#[tokio::test]
async fn a_second_gate_of_one_registry_is_an_error() {
    let registry = Registry::new().unwrap();
    let config = AdmissionConfig::default();
    Admission::new(&config, &registry).unwrap();
    let error = Admission::new(&config, &registry).unwrap_err();
    assert!(error.to_string().contains("headwater_admission"), "{error}");
}

/// A role's futures move between threads.
#[test]
fn a_decision_can_be_spawned() {
    fn sendable<T: Send>(_: T) {}
    let query = Query::default();
    let key: StreamKey = "default/live/room".parse().unwrap();
    let peer: SocketAddr = PEER.parse().unwrap();
    let request = Request {
        key: &key,
        query: &query,
        peer,
        agent: None,
        policy: None,
    };
    sendable(async move {
        let config = AdmissionConfig::default();
        let admission = Admission::new(&config, &Registry::new().unwrap()).unwrap();
        admission.play(request).await
    });
}
