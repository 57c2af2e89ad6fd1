//! The HTTP port, and noise on every port.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::scene::{HEALTHY, Scene, all_end, answer_to, contains, impatient, noise};
use crate::wire::handshake;

const REFUSED: &str = "headwater_edge_refused_total";

#[tokio::test]
async fn random_bytes_on_each_port_end_their_own_connections_only() {
    let mut scene = Scene::set(&impatient()).await;
    let cluster = &scene.cluster;
    let (origin, edge) = (&cluster.origins[0], &cluster.edges[0]);
    let ports: Vec<String> = [&origin.rtmp, &origin.internal, &origin.process.admin]
        .into_iter()
        .chain([&edge.http, &edge.rtmp, &edge.internal, &edge.process.admin])
        .chain([&cluster.operator_addresses[0], &cluster.operators[0].admin])
        .cloned()
        .collect();
    for (number, port) in ports.into_iter().enumerate() {
        let fronts: [&[u8]; 5] = [
            b"",
            b"\x03",
            b"GET /",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        ];
        let all = (0..50_u64).map(move |seed| {
            let length = [1, 100, 3_000, 50_000][usize::try_from(seed).unwrap() % 4];
            let front = fronts[usize::try_from(seed).unwrap() % fronts.len()];
            [front, &noise(seed + 1_000 * number as u64, length)].concat()
        });
        let chunks = all.chain([[handshake(), noise(77, 50_000)].concat()]);
        let shut = port.clone();
        let attack = tokio::spawn(async move { hang_up(&shut, chunks.collect()).await });
        scene.goes_on().await;
        attack.await.unwrap();
    }
    scene.unharmed("random bytes").await;
}

/// Sends each on a connection of its own, ends it, and waits until the other end has closed too.
async fn hang_up(address: &str, all: Vec<Vec<u8>>) {
    let mut strangers = tokio::task::JoinSet::new();
    for bytes in all {
        let address = address.to_owned();
        strangers.spawn(async move {
            let mut socket = TcpStream::connect(&address).await.unwrap();
            drop(socket.write_all(&bytes).await);
            drop(socket.shutdown().await);
            let mut answer = Vec::new();
            let read = tokio::time::timeout(headwater_rig::SOON, socket.read_to_end(&mut answer));
            drop(
                read.await
                    .unwrap_or_else(|_| panic!("{address} does not close")),
            );
        });
    }
    while let Some(ended) = strangers.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test]
async fn requests_that_are_none_are_answered_and_counted() {
    let mut scene = Scene::set(&impatient()).await;
    let get = |target: &str, more: &str| {
        format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{more}\r\n").into_bytes()
    };
    let play = format!("/{HEALTHY}.flv");
    let long = format!("/live/{}.flv", "x".repeat(100_000));
    let many: String = (0..500).map(|n| format!("a{n}: b\r\n")).collect();
    let rows = [
        (
            "a target of 100,000 bytes",
            get(&long, ""),
            "431",
            "head_too_long",
        ),
        ("500 fields", get(&play, &many), "431", "head_too"),
        (
            "Content-Length twice",
            get(&play, "Content-Length: 1\r\nContent-Length: 2\r\n"),
            "400",
            "head_framing",
        ),
        (
            "a length and chunks",
            get(&play, "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"),
            "400",
            "head_framing",
        ),
        (
            "a length that is none",
            get(&play, "Content-Length: -1\r\n"),
            "400",
            "head_framing",
        ),
        ("a bad percent escape", get("/live/%zz.flv", ""), "400", ""),
        ("an escape that is cut", get("/live/%4", ""), "4", ""),
        (
            "bytes that are not UTF-8",
            get("/live/%ff.flv", ""),
            "400",
            "",
        ),
        ("up and out", get("/live/%2e%2e.flv", ""), "400", ""),
        ("NUL in a name", get("/live/%00.flv", ""), "400", ""),
        ("a body", get(&play, "Content-Length: 5\r\n"), "400", "body"),
        ("two hosts", get(&play, "Host: b\r\n"), "400", "head_host"),
        (
            "another version",
            b"GET / HTTP/3.0\r\nHost: a\r\n\r\n".to_vec(),
            "",
            "head_",
        ),
        ("not HTTP", b"hello\r\n\r\n".to_vec(), "400", "head_syntax"),
        (
            "publishing over HTTP",
            b"POST /live/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_vec(),
            "405",
            "method",
        ),
    ];
    for (name, bytes, status, reason) in rows {
        let edge = &scene.cluster.edges[0];
        let label = format!("reason=\"{reason}");
        let before = headwater_rig::http::metric(&edge.process.admin, REFUSED, &label)
            .await
            .unwrap();
        let to = edge.http.clone();
        let attack = tokio::spawn(async move { answer_to(&to, &bytes).await });
        scene.goes_on().await;
        let answer = attack.await.unwrap();
        assert!(
            contains(&answer, &format!("HTTP/1.1 {status}")),
            "{name}: {}",
            String::from_utf8_lossy(&answer)
        );
        let edge = &scene.cluster.edges[0].process;
        Scene::counts(edge, REFUSED, &label, before + 1.0).await;
    }
    scene.unharmed("http rows").await;
}

#[tokio::test]
async fn a_head_that_comes_slowly_or_stops_at_any_byte_ends_in_time() {
    let mut scene = Scene::set(&impatient()).await;
    let to = scene.cluster.edges[0].http.clone();
    let head = format!("GET /{HEALTHY}.flv HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes();
    let parts: Vec<Vec<u8>> = (0..head.len()).map(|end| head[..end].to_vec()).collect();
    let (stopped, slow) = (to.clone(), to);
    let attack = tokio::spawn(async move { all_end(&stopped, parts.into_iter()).await });
    let drip = tokio::spawn(async move {
        let mut socket = TcpStream::connect(&slow).await.unwrap();
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        let mut drops = 0;
        while socket.write_all(b"a").await.is_ok() {
            drops += 1;
            pace.tick().await;
        }
        drops
    });
    scene.goes_on().await;
    attack.await.unwrap();
    let drops = tokio::time::timeout(headwater_rig::SOON, drip)
        .await
        .unwrap()
        .unwrap();
    assert!(drops < 1_000, "{drops}");
    let edge = &scene.cluster.edges[0].process;
    Scene::counts(edge, REFUSED, "reason=\"head_slow\"", 10.0).await;
    scene.unharmed("slow HTTP").await;
}

#[tokio::test]
async fn a_viewer_that_never_reads_is_ended_and_costs_the_others_nothing() {
    let mut scene = Scene::set(&impatient()).await;
    let mut stuck = Vec::new();
    for _ in 0..20 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4 << 10).unwrap();
        let to = scene.cluster.edges[0].http.parse().unwrap();
        let mut socket = socket.connect(to).await.unwrap();
        let head = format!("GET /{HEALTHY}.flv HTTP/1.1\r\nHost: a\r\n\r\n");
        socket.write_all(head.as_bytes()).await.unwrap();
        stuck.push(socket);
    }
    let edge = &scene.cluster.edges[0].process;
    Scene::counts(edge, "headwater_edge_viewers", "http_flv", 21.0).await;
    scene.goes_on().await;
    let edge = &scene.cluster.edges[0].process;
    Scene::counts(
        edge,
        "headwater_delivery_viewers_ended_total",
        "reason=\"stuck\"",
        20.0,
    )
    .await;
    scene.unharmed("20 viewers that never read").await;
}
