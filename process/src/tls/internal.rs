//! TLS between roles, where both ends show a certificate.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::{Resumption, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig,
    SignatureScheme,
};
use serde::{Deserialize, Serialize};

use super::files::{Contents, File};
use super::reload::{Paths, Reloaded, Usable};
use super::{Facts, TlsError, TlsMetrics, WallClock, provider};
use crate::{clock, documented};

documented! {
    /// TLS between roles, in which both ends show a certificate of the same authority.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct InternalTlsConfig {
        /// The file of this process's certificate, in PEM, good for both ends of a connection; empty: no TLS between roles.
        pub certificate_file: String,
        /// The file of its private key, in PEM.
        pub key_file: String,
        /// The file of the authorities that issue the certificates of all roles, in PEM.
        pub ca_file: String,
        /// The DNS name that the certificate of every role has: members are reached at addresses, which change.
        pub name: String,
        /// How often the files are looked at: a new pair is used from then on, without a restart.
        #[serde(with = "crate::config::time")]
        pub check_interval: Duration,
    }
}

impl Default for InternalTlsConfig {
    fn default() -> InternalTlsConfig {
        InternalTlsConfig {
            certificate_file: String::new(),
            key_file: String::new(),
            ca_file: String::new(),
            name: "headwater".to_owned(),
            check_interval: Duration::from_secs(10),
        }
    }
}

impl InternalTlsConfig {
    /// Whether there is to be TLS between roles.
    ///
    /// # Errors
    /// If some of the files are named and others are not, or the name is none.
    pub fn enabled(&self) -> Result<bool, TlsError> {
        let files = [
            ("internal_tls.certificate_file", &self.certificate_file),
            ("internal_tls.key_file", &self.key_file),
            ("internal_tls.ca_file", &self.ca_file),
        ];
        if files.iter().all(|(_, file)| file.is_empty()) {
            return Ok(false);
        }
        if let Some((setting, _)) = files.iter().find(|(_, file)| file.is_empty()) {
            return Err(TlsError::Missing { setting });
        }
        self.server_name().map(|_| true)
    }

    fn server_name(&self) -> Result<ServerName<'static>, TlsError> {
        ServerName::try_from(self.name.clone()).map_err(|_| TlsError::Missing {
            setting: "internal_tls.name",
        })
    }
}

/// What this process shows to other roles, and what it wants to see; cheap to clone.
#[derive(Clone, Debug)]
pub struct InternalTls {
    current: Reloaded<Mutual>,
    complained: Arc<Mutex<Option<Duration>>>,
}

/// Peers come back again and again: one word about them in this time.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

impl InternalTls {
    /// Reads the files and follows them on the current runtime; `None` if there is to be no TLS between roles.
    ///
    /// # Errors
    /// If they cannot be used.
    pub fn start(
        config: &InternalTlsConfig,
        metrics: TlsMetrics,
    ) -> Result<Option<InternalTls>, TlsError> {
        if !config.enabled()? {
            return Ok(None);
        }
        let paths = Paths {
            certificate: PathBuf::from(&config.certificate_file),
            key: PathBuf::from(&config.key_file),
            ca: Some(PathBuf::from(&config.ca_file)),
        };
        let name = config.server_name()?;
        let current = Reloaded::start(paths, name, config.check_interval, metrics)?;
        Ok(Some(InternalTls {
            current,
            complained: Arc::default(),
        }))
    }

    /// For the handshake of an accepted connection.
    pub(super) fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.get().server)
    }

    /// For the handshake of a connection to `name`, as every role is called.
    pub(super) fn client(&self) -> (Arc<ClientConfig>, ServerName<'static>) {
        let mutual = self.current.get();
        (Arc::clone(&mutual.client), mutual.name.clone())
    }

    /// Says once in a while that `peer` and this process do not trust each other.
    pub(super) fn complain(&self, peer: &str, problem: &str) {
        let now = clock::now();
        let mut last = self.complained.lock();
        if last.is_some_and(|last| now.saturating_sub(last) < COMPLAIN_EVERY) {
            return;
        }
        *last = Some(now);
        tracing::warn!(%peer, "no TLS between roles: {problem}");
    }
}

/// Both ends of this process.
#[derive(Debug)]
struct Mutual {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Usable for Mutual {
    const PURPOSE: &'static str = "internal";
    type Asked = ServerName<'static>;

    fn make(contents: &Contents, name: &ServerName<'static>) -> Result<(Mutual, Facts), TlsError> {
        let Contents {
            certificate,
            key,
            ca,
        } = contents;
        let chain = certificate.certificates()?;
        let facts = super::first(&chain, certificate)?;
        facts.check(&certificate.path, clock::unix_ms() / 1_000)?;
        let unusable = |error: rustls::Error| super::unusable(&error, &facts, certificate, key);
        let roots = Arc::new(match ca {
            Some(ca) => authorities(ca)?,
            None => RootCertStore::empty(),
        });
        if let Some(first) = chain.first() {
            ParsedCertificate::try_from(first)
                .and_then(|parsed| verify_server_name(&parsed, name))
                .map_err(|_| {
                    certificate.wrong(&format!(
                        "the certificate of `{}` does not have the DNS name `{}`: issue it with that name, or set \
                         `internal_tls.name`",
                        facts.subject,
                        name.to_str()
                    ))
                })?;
        }
        let verifier = Member {
            issued: WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), provider())
                .build()
                .map_err(|error| TlsError::Unusable {
                    file: certificate.path.clone(),
                    problem: error.to_string(),
                })?,
            name: name.clone(),
        };
        let mut server = ServerConfig::builder_with_details(provider(), Arc::new(WallClock))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(unusable)?
            .with_client_cert_verifier(Arc::new(verifier))
            .with_single_cert(chain.clone(), key.private_key()?)
            .map_err(unusable)?;
        // Nothing is resumed, so every connection shows certificates that hold now.
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        let mut client = ClientConfig::builder_with_details(provider(), Arc::new(WallClock))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(unusable)?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key.private_key()?)
            .map_err(unusable)?;
        client.resumption = Resumption::disabled();
        let mutual = Mutual {
            server: Arc::new(server),
            client: Arc::new(client),
            name: name.clone(),
        };
        Ok((mutual, facts))
    }
}

fn authorities(file: &File) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in file.certificates()? {
        roots
            .add(certificate)
            .map_err(|error| file.wrong(&format!("an authority in it cannot be used: {error}")))?;
    }
    Ok(roots)
}

/// Lets in who has a certificate of the authorities with the members' name.
#[derive(Debug)]
struct Member {
    issued: Arc<dyn ClientCertVerifier>,
    name: ServerName<'static>,
}

impl ClientCertVerifier for Member {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.issued.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self
            .issued
            .verify_client_cert(certificate, intermediates, now)?;
        verify_server_name(&ParsedCertificate::try_from(certificate)?, &self.name)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.issued
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.issued
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.issued.supported_verify_schemes()
    }
}
