//! Certificates from files, and both ends of connections that show them.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what a test's own parts cannot do fails the test"
)]

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use headwater_process::accept::{AcceptMetrics, Acceptor, Closes, Limits};
use headwater_process::drain::Drain;
use headwater_process::metrics::Registry;
use headwater_process::net::listen;
use headwater_process::tls::{
    Dialer, InternalTls, InternalTlsConfig, PublicTls, Security, TlsConfig, TlsMetrics, Wire,
};
use headwater_rig::authority::{Authority, Folder, Pair, Validity};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

const SOON: Duration = Duration::from_secs(20);
const OFTEN: Duration = Duration::from_millis(20);

fn metrics() -> (Registry, TlsMetrics) {
    let registry = Registry::new().unwrap();
    let metrics = TlsMetrics::register(&registry).unwrap();
    (registry, metrics)
}

fn text(folder: &Folder, name: &str) -> String {
    folder.path(name).to_str().unwrap().to_owned()
}

fn public(folder: &Folder) -> TlsConfig {
    TlsConfig {
        certificate_file: text(folder, "tls.crt"),
        key_file: text(folder, "tls.key"),
        check_interval: OFTEN,
    }
}

/// A member of what `trusted` has issued, that shows `pair`.
fn member(pair: &Pair, trusted: &Authority) -> (Folder, InternalTlsConfig) {
    let folder = Folder::new().unwrap();
    folder.put(pair).unwrap();
    folder.write("ca.crt", &trusted.pem()).unwrap();
    let config = InternalTlsConfig {
        certificate_file: text(&folder, "tls.crt"),
        key_file: text(&folder, "tls.key"),
        ca_file: text(&folder, "ca.crt"),
        check_interval: OFTEN,
        ..InternalTlsConfig::default()
    };
    (folder, config)
}

fn start(config: &InternalTlsConfig) -> InternalTls {
    InternalTls::start(config, metrics().1).unwrap().unwrap()
}

/// A port that answers every byte with itself.
struct Echo {
    address: String,
    drain: Drain,
    registry: Registry,
}

impl Echo {
    async fn start(security: Security) -> Echo {
        let listener = listen("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (registry, drain) = (Registry::new().unwrap(), Drain::new(SOON));
        let limits = Limits {
            total: 100,
            per_address: 100,
        };
        let port = AcceptMetrics::register(&registry).unwrap().port("echo");
        let mut acceptor =
            Acceptor::new(listener, limits, port, drain.clone(), Closes::WhenDraining);
        tokio::spawn(async move {
            while let Some(accepted) = acceptor.next().await {
                let security = security.clone();
                tokio::spawn(async move {
                    let Some(mut received) = security.receive(accepted, SOON).await else {
                        return;
                    };
                    while let Ok(byte) = received.line.read_u8().await {
                        received.line.write_u8(byte).await.unwrap();
                        received.line.flush().await.unwrap();
                    }
                });
            }
        });
        Echo {
            address,
            drain,
            registry,
        }
    }

    fn refused(&self) -> bool {
        let text = String::from_utf8(self.registry.encode()).unwrap();
        text.contains(
            "headwater_process_refused_connections_total{port=\"echo\",reason=\"tls_handshake\"} 1",
        )
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.drain.end();
    }
}

async fn echoes(wire: &mut Wire) -> std::io::Result<()> {
    wire.write_u8(b'!').await?;
    wire.flush().await?;
    let byte = tokio::time::timeout(SOON, wire.read_u8()).await.unwrap()?;
    assert_eq!(byte, b'!');
    Ok(())
}

/// What this thread logs.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn listen(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || log.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    async fn says(&self, words: &str) {
        let said = async {
            while !self.text().contains(words) {
                tokio::time::sleep(OFTEN).await;
            }
        };
        if tokio::time::timeout(SOON, said).await.is_err() {
            panic!("`{words}` is not in {}", self.text());
        }
    }
}

#[tokio::test]
async fn certificates_that_cannot_be_used_are_named_with_what_to_do() {
    let authority = Authority::new("test authority").unwrap();
    let right = authority.issue("live.example.com", Validity::Now).unwrap();
    let other = authority.issue("other.example.com", Validity::Now).unwrap();
    let old = authority.issue("live.example.com", Validity::Past).unwrap();
    for (name, certificate, key, words) in [
        (
            "expired",
            &old.certificate,
            &old.key,
            vec![
                "tls.crt",
                "CN=live.example.com",
                "expired at 2020-12-31",
                "new one",
            ],
        ),
        (
            "of two pairs",
            &right.certificate,
            &other.key,
            vec!["tls.key", "tls.crt", "CN=live.example.com", "one pair"],
        ),
        (
            "no certificate",
            &right.key,
            &right.key,
            vec!["tls.crt", "no certificate in PEM"],
        ),
        (
            "no key",
            &right.certificate,
            &right.certificate,
            vec!["tls.key", "no private key in PEM"],
        ),
    ] {
        let folder = Folder::new().unwrap();
        folder.write("tls.crt", certificate).unwrap();
        folder.write("tls.key", key).unwrap();
        let error = PublicTls::start(&public(&folder), metrics().1).unwrap_err();
        let sentence = error.to_string();
        for word in words {
            assert!(sentence.contains(word), "{name}: {sentence}");
        }
        assert!(!sentence.contains('\n'), "{name}: {sentence}");
    }
    let nowhere = Folder::new().unwrap();
    let error = PublicTls::start(&public(&nowhere), metrics().1).unwrap_err();
    assert!(error.to_string().starts_with("cannot read "), "{error}");

    let half = TlsConfig {
        certificate_file: "tls.crt".to_owned(),
        ..TlsConfig::default()
    };
    let error = half.enabled().unwrap_err().to_string();
    assert!(error.contains("`tls.key_file` is empty"), "{error}");

    let (_folder, config) = member(&right, &authority);
    let error = InternalTls::start(&config, metrics().1).unwrap_err();
    assert!(
        error.to_string().contains("DNS name `headwater`"),
        "{error}"
    );
}

/// The certificate that a port shows to people.
async fn shown(to: &str, authority: &Authority) -> CertificateDer<'static> {
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
    let socket = tokio::net::TcpStream::connect(to).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, socket)
        .await
        .unwrap();
    stream
        .get_ref()
        .1
        .peer_certificates()
        .unwrap()
        .first()
        .unwrap()
        .clone()
        .into_owned()
}

#[tokio::test]
async fn a_new_pair_is_used_and_a_broken_one_leaves_the_old_in_use() {
    let log = Log::default();
    let _listening = log.listen();
    let authority = Authority::new("test authority").unwrap();
    let [first, second, third] = ["one.example.com", "two.example.com", "three.example.com"]
        .map(|name| authority.issue(name, Validity::Now).unwrap());
    let der = |pair: &Pair| CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
    let folder = Folder::new().unwrap();
    folder.put(&first).unwrap();
    let (registry, metrics) = metrics();
    let tls = PublicTls::start(&public(&folder), metrics)
        .unwrap()
        .unwrap();
    let echo = Echo::start(Security::Public(tls)).await;
    assert_eq!(shown(&echo.address, &authority).await, der(&first));

    folder.put(&second).unwrap();
    log.says("certificate reloaded purpose=\"public\" subject=\"CN=two.example.com\"")
        .await;
    assert_eq!(shown(&echo.address, &authority).await, der(&second));

    folder.write("tls.key", &third.key).unwrap();
    log.says("the certificate in use stays: the new one cannot be used")
        .await;
    log.says("is not that of the certificate of `CN=two.example.com`")
        .await;
    assert_eq!(shown(&echo.address, &authority).await, der(&second));
    let expired = authority.issue("late.example.com", Validity::Past).unwrap();
    folder.put(&expired).unwrap();
    log.says("`CN=late.example.com`").await;
    assert_eq!(shown(&echo.address, &authority).await, der(&second));

    folder.put(&third).unwrap();
    log.says("subject=\"CN=three.example.com\"").await;
    assert_eq!(shown(&echo.address, &authority).await, der(&third));
    let shown = String::from_utf8(registry.encode()).unwrap();
    // 1 January 2090.
    let line = "headwater_process_certificate_expires_timestamp_seconds{use=\"public\"} 3786912000";
    assert!(shown.contains(line), "{shown}");
    let complaints = log.text().matches("cannot be used").count();
    assert_eq!(complaints, 2, "one for each: {}", log.text());
}

#[tokio::test]
async fn roles_that_trust_each_other_speak_and_others_hear_why_not() {
    let ours = Authority::new("our authority").unwrap();
    let theirs = Authority::new("their authority").unwrap();
    let right = ours.issue("headwater", Validity::Now).unwrap();
    let (_folder, config) = member(&right, &ours);
    let server = start(&config);
    let echo = Echo::start(Security::Internal(server.clone())).await;
    let mut wire = Dialer::new(Some(server))
        .connect(&echo.address, SOON)
        .await
        .unwrap();
    echoes(&mut wire).await.unwrap();

    let stranger = theirs.issue("headwater", Validity::Now).unwrap();
    for (name, pair, trusted, client_hears, server_says) in [
        (
            "issued by another authority",
            &stranger,
            &ours,
            "it refuses this process's certificate",
            "not issued by an authority in `internal_tls.ca_file`",
        ),
        (
            "trusts another authority",
            &stranger,
            &theirs,
            "not issued by an authority in `internal_tls.ca_file`",
            "it refuses this process's certificate",
        ),
    ] {
        let log = Log::default();
        let _listening = log.listen();
        let (_server_folder, server_config) = member(&right, &ours);
        let echo = Echo::start(Security::Internal(start(&server_config))).await;
        let (_folder, config) = member(pair, trusted);
        let dialer = Dialer::new(Some(start(&config)));
        let heard = match dialer.connect(&echo.address, SOON).await {
            Err(error) => error.to_string(),
            Ok(mut wire) => echoes(&mut wire).await.unwrap_err().to_string(),
        };
        assert!(heard.contains(client_hears), "{name}: {heard}");
        log.says(server_says).await;
        assert!(echo.refused(), "{name}");
    }
}

#[tokio::test]
async fn who_shows_no_certificate_or_speaks_no_tls_is_refused_with_a_reason() {
    let log = Log::default();
    let _listening = log.listen();
    let ours = Authority::new("our authority").unwrap();
    let right = ours.issue("headwater", Validity::Now).unwrap();
    let (_folder, config) = member(&right, &ours);
    let echo = Echo::start(Security::Internal(start(&config))).await;
    let mut plain = Dialer::default()
        .connect(&echo.address, SOON)
        .await
        .unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // An alert, or nothing; in no case what was asked for.
    drop(plain.read_to_end(&mut answer).await);
    assert!(!answer.starts_with(b"G"), "{answer:?}");
    log.says("it does not speak TLS: is TLS configured there?")
        .await;

    let log = Log::default();
    let _listening = log.listen();
    let (_folder, config) = member(&right, &ours);
    let echo = Echo::start(Security::Internal(start(&config))).await;
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(ours.pem().as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let anonymous = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let socket = tokio::net::TcpStream::connect(&echo.address).await.unwrap();
    let name = ServerName::try_from("headwater").unwrap();
    let stream = TlsConnector::from(Arc::new(anonymous)).connect(name, socket);
    if let Ok(mut stream) = stream.await {
        stream.read_u8().await.unwrap_err();
    }
    log.says("it shows no certificate: configure `internal_tls` there, too")
        .await;
    assert!(echo.refused());
}

#[tokio::test]
async fn a_member_whose_certificate_runs_out_is_refused_as_expired() {
    // The member's own check would not let it start with such a certificate, so a stranger shows it.
    let log = Log::default();
    let _listening = log.listen();
    let ours = Authority::new("our authority").unwrap();
    let right = ours.issue("headwater", Validity::Now).unwrap();
    let expired = ours.issue("headwater", Validity::Past).unwrap();
    let (_folder, config) = member(&right, &ours);
    let echo = Echo::start(Security::Internal(start(&config))).await;
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(ours.pem().as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let late = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(
            vec![CertificateDer::from_pem_slice(expired.certificate.as_bytes()).unwrap()],
            rustls::pki_types::PrivateKeyDer::from_pem_slice(expired.key.as_bytes()).unwrap(),
        )
        .unwrap();
    let socket = tokio::net::TcpStream::connect(&echo.address).await.unwrap();
    let name = ServerName::try_from("headwater").unwrap();
    let stream = TlsConnector::from(Arc::new(late)).connect(name, socket);
    if let Ok(mut stream) = stream.await {
        stream.read_u8().await.unwrap_err();
    }
    log.says("its certificate has expired: put a new one there")
        .await;
    assert!(echo.refused());
}
