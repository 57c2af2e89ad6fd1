//! Playing in TLS: HTTPS-FLV, handshakes, certificates.

use std::sync::Arc;
use std::time::Duration;

use headwater_media::flv::Reader;
use headwater_process::metrics::Registry;
use headwater_process::tls::{Identities, PublicTls, TlsConfig, TlsMetrics};
use headwater_rig::authority::{Authority, Folder, Validity};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::finder::{Told, found};
use crate::http2::{ask, next, speak};
use crate::scene::{Scene, config};
use crate::source::Source;
use crate::stream::Publisher;
use crate::viewer::{SOON, Viewer, assert_gapless, frames};
use crate::websocket::websocket;

/// An edge with a certificate, one stream, and what trusts it.
pub(crate) struct Secure {
    pub(crate) scene: Scene,
    pub(crate) publisher: Publisher,
    authority: Authority,
    _source: Source,
    files: Folder,
}

impl Secure {
    pub(crate) async fn new(change: impl FnOnce(&mut headwater_edge::EdgeConfig)) -> Secure {
        let publisher = Publisher::new("default/live/room", 7, 7);
        let source = Source::of(&publisher.stream).await;
        let authority = Authority::new("test authority").unwrap();
        let files = Folder::new().unwrap();
        files
            .put(&authority.issue("play.example.com", Validity::Now).unwrap())
            .unwrap();
        let tls = TlsConfig {
            certificate_file: files.path("tls.crt").to_str().unwrap().to_owned(),
            key_file: files.path("tls.key").to_str().unwrap().to_owned(),
            check_interval: Duration::from_millis(50),
        };
        let metrics = TlsMetrics::register(&Registry::new().unwrap()).unwrap();
        let identities = Identities {
            public: PublicTls::start(&tls, metrics).unwrap(),
            internal: None,
        };
        let mut config = config();
        change(&mut config);
        let told = Told::new(found(7, 7, &[&source.address]));
        Secure {
            scene: Scene::secure(config, identities, told).await,
            publisher,
            authority,
            _source: source,
            files,
        }
    }

    /// A connection in TLS that offers `protocol`.
    pub(crate) async fn connect(&self, protocol: &str) -> TlsStream<TcpStream> {
        let to = self.scene.addresses().https.unwrap();
        self.shake(TcpStream::connect(to).await.unwrap(), protocol)
            .await
            .unwrap()
    }

    /// Shakes hands on `socket`.
    async fn shake(
        &self,
        socket: TcpStream,
        protocol: &str,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        let pem = self.authority.pem();
        roots
            .add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, socket)
            .await
    }

    /// The metric of connections to the HTTPS port that were refused for `reason`.
    fn refused(&self, reason: &str) -> f64 {
        self.scene.metric(&format!(
            "headwater_process_refused_connections_total{{port=\"https\",reason=\"{reason}\"}}"
        ))
    }

    pub(crate) async fn viewers(&self, protocol: &str, count: f64) {
        let name = format!("headwater_edge_viewers{{protocol=\"{protocol}\"}}");
        self.scene
            .until(&format!("{count} {protocol}"), |s| s.metric(&name) == count)
            .await;
    }
}

const GET: &str = "GET /live/room.flv HTTP/1.1\r\nHost: test\r\n\r\n";

#[tokio::test]
async fn https_carries_the_stream_whole_to_its_clean_end() {
    let secure = Secure::new(|_| {}).await;
    let mut viewer = Viewer::over(secure.connect("http/1.1").await);
    viewer.send(GET).await;
    let answered = viewer.answer().await;
    assert_eq!(answered.status, 200, "{}", answered.head);
    assert_eq!(answered.field("access-control-allow-origin"), Some("*"));
    let mut got = viewer.frames(3).await;
    secure.viewers("https_flv", 1.0).await;
    for _ in 0..4 {
        secure.publisher.frames(50);
        got.extend(viewer.frames(50).await);
    }
    assert_gapless(&got);
    secure.publisher.leave();
    while viewer.tag().await.is_some() {}
    secure.viewers("https_flv", 0.0).await;

    let mut missing = Viewer::over(secure.connect("http/1.1").await);
    missing
        .send("GET /live/room HTTP/1.1\r\nHost: test\r\n\r\n")
        .await;
    assert_eq!(missing.answer().await.status, 404);
}

#[tokio::test]
async fn plain_http_to_the_port_of_https_ends_its_own_connection_only() {
    let secure = Secure::new(|_| {}).await;
    let to = secure.scene.addresses().https.unwrap().to_string();
    let mut plain = Viewer::connect(&to).await;
    plain.send(GET).await;
    let mut healthy = Viewer::over(secure.connect("http/1.1").await);
    healthy.send(GET).await;
    assert_eq!(healthy.answer().await.status, 200);
    healthy.frames(3).await;
    secure
        .scene
        .until("it is refused", |_| secure.refused("tls_handshake") == 1.0)
        .await;
}

#[tokio::test]
async fn handshakes_that_do_not_end_cost_their_own_connections_only() {
    let secure = Secure::new(|config| {
        config.limits.head_timeout = Duration::from_millis(500);
    })
    .await;
    let to = secure.scene.addresses().https.unwrap();
    let mut slow = Vec::new();
    for beginning in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01"] {
        for _ in 0..10 {
            let mut socket = TcpStream::connect(to).await.unwrap();
            socket.write_all(beginning).await.unwrap();
            slow.push(socket);
        }
    }
    let mut healthy = Viewer::over(secure.connect("http/1.1").await);
    healthy.send(GET).await;
    assert_eq!(healthy.answer().await.status, 200);
    let mut got = healthy.frames(3).await;
    for socket in &mut slow {
        // The end, or a reset: what has been sent is thrown away.
        let read = tokio::time::timeout(SOON, socket.read(&mut [0; 8])).await;
        assert!(matches!(read.unwrap(), Ok(0) | Err(_)));
    }
    assert_eq!(secure.refused("tls_slow"), 30.0);
    secure.publisher.frames(50);
    got.extend(healthy.frames(50).await);
    assert_gapless(&got);
}

#[tokio::test]
async fn a_load_balancers_header_comes_before_the_handshake() {
    let secure =
        Secure::new(|config| config.proxy_protocol_from = vec!["127.0.0.0/8".to_owned()]).await;
    let to = secure.scene.addresses().https.unwrap();
    let mut named = TcpStream::connect(to).await.unwrap();
    named
        .write_all(b"PROXY TCP4 192.0.2.7 192.0.2.1 5000 443\r\n")
        .await
        .unwrap();
    let mut viewer = Viewer::over(secure.shake(named, "http/1.1").await.unwrap());
    viewer.send(GET).await;
    assert_eq!(viewer.answer().await.status, 200);
    viewer.frames(3).await;

    let bare = TcpStream::connect(to).await.unwrap();
    assert!(secure.shake(bare, "http/1.1").await.is_err());
    assert_eq!(secure.refused("proxy_malformed"), 1.0);
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_newcomers_and_costs_viewers_nothing() {
    let secure = Secure::new(|_| {}).await;
    let shown = |stream: &TlsStream<TcpStream>| {
        let chain = stream.get_ref().1.peer_certificates().unwrap();
        chain[0].as_ref().to_vec()
    };
    let stream = secure.connect("http/1.1").await;
    let first = shown(&stream);
    let mut viewer = Viewer::over(stream);
    viewer.send(GET).await;
    assert_eq!(viewer.answer().await.status, 200);
    let mut got = viewer.frames(3).await;
    let renewed = secure.authority.issue("play.example.com", Validity::Now);
    secure.files.put(&renewed.unwrap()).unwrap();
    let changed = async {
        while shown(&secure.connect("http/1.1").await) == first {
            secure.publisher.frames(1);
        }
    };
    tokio::time::timeout(SOON, changed).await.unwrap();
    secure.publisher.frames(50);
    got.extend(viewer.frames(50).await);
    assert_gapless(&got);
}

#[tokio::test]
async fn a_burst_that_no_socket_holds_comes_whole_without_another_tag() {
    let secure = Secure::new(|config| config.socket.send_buffer_bytes = 8 << 10).await;
    let mut plain = Viewer::play(&secure.scene.http(), "/live/room.flv").await;
    let mut https = Viewer::over(secure.connect("http/1.1").await);
    https.send(GET).await;
    assert_eq!(https.answer().await.status, 200);
    let mut send = speak(secure.connect("h2").await).await;
    let mut body = ask(&mut send, "/live/room.flv").await.into_body();
    let mut flv = Reader::new(1 << 20);
    let mut of_http2 = frames(&mut flv, 3, async || next(&mut body).await).await;
    let (mut of_plain, mut of_https) = (plain.frames(3).await, https.frames(3).await);

    secure.publisher.frames_of(50, 16 << 10);
    of_plain.extend(plain.frames(50).await);
    of_https.extend(https.frames(50).await);
    of_http2.extend(frames(&mut flv, 50, async || next(&mut body).await).await);
    for got in [of_plain, of_https, of_http2] {
        assert_gapless(&got);
    }
}

#[tokio::test]
async fn who_stops_reading_is_ended_whatever_carries_it() {
    let secure = Secure::new(|config| {
        config.limits.stuck_timeout = Duration::from_millis(500);
        config.socket.send_buffer_bytes = 8 << 10;
    })
    .await;
    let mut healthy = Viewer::play(&secure.scene.http(), "/live/room.flv").await;
    let mut got = healthy.frames(3).await;

    let mut https = Viewer::over(secure.connect("http/1.1").await);
    https.send(GET).await;
    let wss = secure.connect("http/1.1").await;
    let _wss = websocket(wss, "wss", None).await.unwrap();
    let ws = TcpStream::connect(secure.scene.http()).await.unwrap();
    let _ws = websocket(ws, "ws", None).await.unwrap();
    let (mut send, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(65_535)
        .handshake(TokioIo::new(secure.connect("h2").await))
        .await
        .unwrap();
    tokio::spawn(connection);
    let stuck = ask(&mut send, "/live/room.flv").await;
    for protocol in ["https_flv", "wss_flv", "ws_flv", "http2_flv"] {
        secure.viewers(protocol, 1.0).await;
    }
    let ended = "headwater_delivery_viewers_ended_total{reason=\"stuck\"}";
    let began = tokio::time::Instant::now();
    while secure.scene.metric(ended) < 4.0 {
        secure.publisher.frames(100);
        got.extend(healthy.frames(100).await);
        assert!(
            began.elapsed() < SOON * 2,
            "{} have ended",
            secure.scene.metric(ended)
        );
    }
    assert_gapless(&got);
    // The connection of the stream that was cut goes on.
    drop(stuck);
    assert_eq!(ask(&mut send, "/live/room.flv").await.status(), 200);
}
