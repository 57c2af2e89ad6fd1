use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

use super::*;
use crate::accept::AcceptMetrics;
use crate::net::{TcpStream, connect, listen};

const SOON: Duration = Duration::from_secs(10);

struct Scenario {
    admin: Admin,
    drain: Drain,
    to: String,
    serving: JoinHandle<()>,
}

impl Scenario {
    async fn new() -> Self {
        let registry = Registry::new().unwrap();
        let port = AcceptMetrics::register(&registry).unwrap().port("admin");
        let drain = Drain::new(SOON);
        let admin = Admin::new(registry, drain.clone());
        let listener = listen("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap().to_string();
        Scenario {
            serving: tokio::spawn(admin.clone().serve(listener, port)),
            admin,
            drain,
            to,
        }
    }

    async fn connect(&self) -> TcpStream {
        connect(&self.to, SOON).await.unwrap()
    }

    /// Head and body of the answer to one request.
    async fn ask(&self, method: &str, path: &str) -> (String, String) {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let answer = self.send(request.as_bytes()).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    async fn send(&self, request: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    }
}

#[tokio::test]
async fn metrics_and_health_are_there() {
    let scenario = Scenario::new().await;
    let (head, body) = scenario.ask("GET", "/metrics").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    assert!(body.contains("process_resident_memory_bytes"), "{body}");
    let (head, body) = scenario.ask("GET", "/healthz").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(body, "alive\n");
}

#[tokio::test]
async fn readiness_names_what_is_missing_and_ends_with_the_drain() {
    let scenario = Scenario::new().await;
    let rtmp = scenario.admin.condition("rtmp");
    let operator = scenario.admin.condition("operator");
    rtmp.ready();
    let (head, body) = scenario.ask("GET", "/readyz").await;
    assert!(head.starts_with("HTTP/1.1 503"), "{head}");
    assert_eq!(body, "operator: starting\n");

    operator.unready("no answer from 10.0.0.1:7100");
    let (_, body) = scenario.ask("GET", "/readyz").await;
    assert_eq!(body, "operator: no answer from 10.0.0.1:7100\n");

    operator.ready();
    let (head, body) = scenario.ask("GET", "/readyz").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(body, "ready\n");

    scenario.drain.leave();
    assert!(scenario.drain.is_serving(), "new work is taken still");
    let (head, body) = scenario.ask("GET", "/readyz").await;
    assert!(head.starts_with("HTTP/1.1 503"), "{head}");
    assert_eq!(body, "process: draining\n");

    scenario.drain.end();
    scenario.serving.await.unwrap();
    assert!(connect(&scenario.to, SOON).await.is_err());
}

#[tokio::test]
async fn roles_share_a_json_route() {
    let scenario = Scenario::new().await;
    scenario.admin.json(
        "/streams",
        "origin",
        async || json!([{"key": "default/live/room"}]),
    );
    scenario.admin.json("/streams", "edge", async || json!([]));
    let (head, body) = scenario.ask("GET", "/streams?x=1").await;
    assert!(head.contains("application/json"), "{head}");
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        body,
        json!({"origin": [{"key": "default/live/room"}], "edge": []})
    );
}

#[tokio::test]
async fn head_has_no_body_other_methods_are_refused_and_404_lists_what_exists() {
    let scenario = Scenario::new().await;
    scenario
        .admin
        .json("/streams", "origin", async || json!([]));
    let (head, body) = scenario.ask("HEAD", "/healthz").await;
    assert!(
        head.starts_with("HTTP/1.1 200") && body.is_empty(),
        "{head}{body}"
    );
    let (head, _) = scenario.ask("POST", "/healthz").await;
    assert!(
        head.starts_with("HTTP/1.1 405") && head.contains("allow: GET, HEAD"),
        "{head}"
    );
    let (head, body) = scenario.ask("GET", "/nothing").await;
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
    for path in ["/metrics", "/healthz", "/readyz", "/streams"] {
        assert!(body.contains(path), "{body}");
    }
}

#[tokio::test]
async fn what_is_no_request_ends_its_own_connection_only() {
    let scenario = Scenario::new().await;
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(2 * HEAD_MAX_BYTES));
    for request in [
        &b"\x03\x00\x01\x02 random\r\n\r\n"[..],
        long.as_bytes(),
        b"GET\r\n\r\n",
    ] {
        let mut stream = scenario.connect().await;
        // The answer may come, and the connection be reset, before all is sent.
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP/1.1 200"));
    }
    let (head, _) = scenario.ask("GET", "/healthz").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_end_is_given_up() {
    let scenario = Scenario::new().await;
    let began = tokio::time::Instant::now();
    let answer = scenario.send(b"GET /healthz HTTP/1.1\r\nHost:").await;
    assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(began.elapsed() >= HEAD_TIMEOUT);
}
