//! The certificate of the ports for people.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::ring::Ticketer;
use serde::{Deserialize, Serialize};

use super::files::Contents;
use super::reload::{Paths, Reloaded, Usable};
use super::{Facts, TlsError, TlsMetrics, WallClock, provider};
use crate::{clock, documented};

documented! {
    /// The certificate that the ports for publishers and viewers show.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct TlsConfig {
        /// The file of the certificate, its intermediates behind it, in PEM; empty: no HTTPS and no RTMPS.
        pub certificate_file: String,
        /// The file of its private key, in PEM.
        pub key_file: String,
        /// How often the files are looked at: a new pair is used from then on, without a restart.
        #[serde(with = "crate::config::time")]
        pub check_interval: Duration,
    }
}

impl Default for TlsConfig {
    fn default() -> TlsConfig {
        TlsConfig {
            certificate_file: String::new(),
            key_file: String::new(),
            check_interval: Duration::from_secs(10),
        }
    }
}

impl TlsConfig {
    /// Whether there is to be TLS at all.
    ///
    /// # Errors
    /// If a certificate is given without its key, or the other way round.
    pub fn enabled(&self) -> Result<bool, TlsError> {
        match (self.certificate_file.is_empty(), self.key_file.is_empty()) {
            (true, true) => Ok(false),
            (false, false) => Ok(true),
            (true, false) => Err(TlsError::Missing {
                setting: "tls.certificate_file",
            }),
            (false, true) => Err(TlsError::Missing {
                setting: "tls.key_file",
            }),
        }
    }
}

/// The certificate in use; cheap to clone.
#[derive(Clone, Debug)]
pub struct PublicTls(Reloaded<Public>);

impl PublicTls {
    /// Reads the certificate and follows its files on the current runtime; `None` if there is to be no TLS.
    ///
    /// # Errors
    /// If the certificate cannot be used.
    pub fn start(config: &TlsConfig, metrics: TlsMetrics) -> Result<Option<PublicTls>, TlsError> {
        if !config.enabled()? {
            return Ok(None);
        }
        let paths = Paths {
            certificate: PathBuf::from(&config.certificate_file),
            key: PathBuf::from(&config.key_file),
            ca: None,
        };
        Reloaded::start(paths, (), config.check_interval, metrics).map(|new| Some(PublicTls(new)))
    }

    /// For a handshake of HTTPS, which chooses the version of HTTP.
    pub(super) fn http(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.get().http)
    }

    /// For a handshake of another protocol.
    pub(super) fn bare(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.get().bare)
    }
}

#[derive(Debug)]
struct Public {
    http: Arc<ServerConfig>,
    bare: Arc<ServerConfig>,
}

impl Usable for Public {
    const PURPOSE: &'static str = "public";
    type Asked = ();

    fn make(contents: &Contents, (): &()) -> Result<(Public, Facts), TlsError> {
        let Contents {
            certificate, key, ..
        } = contents;
        let chain = certificate.certificates()?;
        let facts = super::first(&chain, certificate)?;
        facts.check(&certificate.path, clock::unix_ms() / 1_000)?;
        let unusable = |error: rustls::Error| super::unusable(&error, &facts, certificate, key);
        let mut config = ServerConfig::builder_with_details(provider(), Arc::new(WallClock))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_no_client_auth()
            .with_single_cert(chain, key.private_key()?)
            .map_err(unusable)?;
        // Tickets hold the sessions: a crowd that comes back costs no memory and less time.
        config.ticketer = Ticketer::new().map_err(unusable)?;
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        let bare = Arc::new(config.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok((
            Public {
                http: Arc::new(config),
                bare,
            },
            facts,
        ))
    }
}
