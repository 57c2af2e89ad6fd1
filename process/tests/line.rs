//! A connection in TLS under a socket that is full most of the time.

#![expect(
    clippy::unwrap_used,
    reason = "what a test's own parts cannot do fails the test"
)]

use std::io::{ErrorKind, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use headwater_process::accept::{AcceptMetrics, Acceptor, Closes, Limits};
use headwater_process::drain::Drain;
use headwater_process::metrics::Registry;
use headwater_process::net::{Line, SocketOptions, listen};
use headwater_process::tls::{PublicTls, Security, TlsConfig, TlsMetrics};
use headwater_rig::authority::{Authority, Folder, Validity};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const SOON: Duration = Duration::from_secs(20);
/// What the kernel is asked to hold at each end.
const KERNEL_BYTES: u32 = 16 << 10;

/// Both ends of a connection in TLS: ours, and a client's.
async fn pair() -> (Line, TlsStream<TcpStream>) {
    let authority = Authority::new("test authority").unwrap();
    let files = Folder::new().unwrap();
    files
        .put(&authority.issue("localhost", Validity::Now).unwrap())
        .unwrap();
    let config = TlsConfig {
        certificate_file: files.path("tls.crt").to_str().unwrap().to_owned(),
        key_file: files.path("tls.key").to_str().unwrap().to_owned(),
        ..TlsConfig::default()
    };
    let registry = Registry::new().unwrap();
    let metrics = TlsMetrics::register(&registry).unwrap();
    let security = Security::Public(PublicTls::start(&config, metrics).unwrap().unwrap());
    let listener = listen("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap();
    let limits = Limits {
        total: 1,
        per_address: 1,
    };
    let port = AcceptMetrics::register(&registry).unwrap().port("test");
    let drain = Drain::new(SOON);
    let mut acceptor = Acceptor::new(listener, limits, port, drain, Closes::WhenEnded);
    let accepted = async {
        let accepted = acceptor.next().await.unwrap();
        security.receive(accepted, SOON).await.unwrap()
    };
    let connected = async {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(KERNEL_BYTES).unwrap();
        let socket = socket.connect(to).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, socket)
            .await
            .unwrap()
    };
    let (received, client) = tokio::join!(accepted, connected);
    received
        .line
        .tune(&SocketOptions {
            send_buffer_bytes: Some(KERNEL_BYTES),
            ..SocketOptions::default()
        })
        .unwrap();
    (received.line, client)
}

async fn writable(line: &mut Line) {
    let ready = std::future::poll_fn(|cx| line.poll_write_ready(cx));
    tokio::time::timeout(SOON, ready).await.unwrap().unwrap();
}

/// The byte that stands at `place`.
fn byte(place: usize) -> u8 {
    u8::try_from(place % 251).unwrap()
}

#[tokio::test]
async fn what_a_full_line_takes_comes_whole_in_order_and_ends_with_a_word() {
    const BYTES: usize = 3 << 20;
    let (mut line, mut client) = pair().await;
    let bytes: Vec<u8> = (0..BYTES).map(byte).collect();
    let write = async {
        let mut at = 0;
        while at < BYTES {
            // Pieces of every length, as windows are.
            let ends = [at + 1 + at % 7_000, at + 20_000 + at % 50_000];
            let [first, second] = ends.map(|end| end.min(BYTES));
            let slices = [
                IoSlice::new(&bytes[at..first]),
                IoSlice::new(&bytes[first..second]),
            ];
            match line.try_write_vectored(&slices) {
                Ok(taken) => at += taken,
                Err(error) if error.kind() == ErrorKind::WouldBlock => writable(&mut line).await,
                Err(error) => panic!("{error}"),
            }
        }
        while let Err(error) = line.try_finish() {
            assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
            writable(&mut line).await;
        }
        drop(line);
    };
    let read = async {
        let mut at = 0;
        let mut piece = [0; 3_000];
        loop {
            // An end without TLS's own word for it is an error here.
            let read = client.read(&mut piece).await.unwrap();
            if read == 0 {
                break at;
            }
            for got in &piece[..read] {
                assert_eq!(*got, byte(at), "at {at}");
                at += 1;
            }
        }
    };
    let ((), read) = tokio::time::timeout(SOON, async { tokio::join!(write, read) })
        .await
        .unwrap();
    assert_eq!(read, BYTES);
}

#[tokio::test]
async fn a_line_whose_peer_reads_nothing_takes_little_more_than_the_kernel() {
    let (mut line, client) = pair().await;
    let window = vec![7; 256 << 10];
    let mut taken = 0;
    loop {
        match line.try_write(&window) {
            Ok(more) => taken += more,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let ready = tokio::time::timeout(Duration::from_millis(200), writable(&mut line));
                // The kernel moves bytes from one end to the other while it has room.
                if ready.await.is_err() {
                    break;
                }
            }
            Err(error) => panic!("{error}"),
        }
        assert!(taken < 1 << 20, "{taken} bytes taken");
    }
    // The kernel doubles what it is asked for, at both ends.
    let kernel = 4 * usize::try_from(KERNEL_BYTES).unwrap();
    assert!(taken <= kernel + (40 << 10), "{taken} bytes taken");
    drop(client);
}

#[tokio::test]
async fn a_peer_that_closes_is_gone_and_one_that_asks_more_is_not() {
    let (mut line, mut client) = pair().await;
    client.write_all(b"more").await.unwrap();
    line.readable().await.unwrap();
    let gone = tokio::time::timeout(Duration::from_millis(100), line.gone()).await;
    assert!(gone.is_err(), "it asks for more");
    // What it has sent can still be read.
    let mut read = [0; 8];
    line.readable().await.unwrap();
    assert_eq!(line.try_read(&mut read).unwrap(), 4);
    client.shutdown().await.unwrap();
    tokio::time::timeout(SOON, line.gone()).await.unwrap();
}
