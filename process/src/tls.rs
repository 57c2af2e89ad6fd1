//! TLS: certificates from files that are read again when they change, and both ends of a connection.
//!
//! The ports for people show a certificate ([`PublicTls`]); roles among themselves show one each ([`InternalTls`]).

mod certificate;
mod dial;
mod error;
mod files;
mod internal;
mod public;
mod receive;
mod reload;

pub use dial::{Dialer, SealedWire, Wire};
pub use error::TlsError;
pub use internal::{InternalTls, InternalTlsConfig};
pub use public::{PublicTls, TlsConfig};
pub use receive::{Received, Security};

use std::sync::Arc;
use std::time::Duration;

use prometheus::IntGaugeVec;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::time_provider::TimeProvider;

use certificate::Facts;
use files::File;

use crate::clock;
use crate::metrics::{MetricsError, Registry};

/// What a process says of its certificates.
#[derive(Clone, Debug)]
pub struct TlsMetrics {
    expires: IntGaugeVec,
}

impl TlsMetrics {
    /// Registers them with the process's registry.
    ///
    /// # Errors
    /// If that has been done before.
    pub fn register(registry: &Registry) -> Result<TlsMetrics, MetricsError> {
        Ok(TlsMetrics {
            expires: registry.gauges(
                "headwater_process_certificate_expires_timestamp_seconds",
                "When the certificate in use expires, by its use.",
                &["use"],
            )?,
        })
    }

    fn in_use(&self, purpose: &'static str, facts: &Facts) {
        let seconds = i64::try_from(facts.not_after_s).unwrap_or(i64::MAX);
        self.expires.with_label_values(&[purpose]).set(seconds);
    }
}

/// What a process shows: to people on public ports, and to other roles. Each is `None` if it is not configured.
#[derive(Clone, Debug, Default)]
pub struct Identities {
    /// The certificate of the ports for people.
    pub public: Option<PublicTls>,
    /// The certificate among roles.
    pub internal: Option<InternalTls>,
}

impl Identities {
    /// Reads the certificates and follows their files on the current runtime.
    ///
    /// # Errors
    /// If one that is configured cannot be used.
    pub fn start(
        public: &TlsConfig,
        internal: &InternalTlsConfig,
        metrics: &TlsMetrics,
    ) -> Result<Identities, TlsError> {
        Ok(Identities {
            public: PublicTls::start(public, metrics.clone())?,
            internal: InternalTls::start(internal, metrics.clone())?,
        })
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The process's clock, as rustls asks for it.
#[derive(Debug)]
struct WallClock;

impl TimeProvider for WallClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_millis(
            clock::unix_ms(),
        )))
    }
}

/// What the first certificate of a chain says.
fn first(chain: &[CertificateDer<'_>], file: &File) -> Result<Facts, TlsError> {
    match chain.first() {
        Some(certificate) => Facts::read(certificate, &file.path),
        None => Err(file.wrong("it has no certificate")),
    }
}

fn unusable(error: &rustls::Error, facts: &Facts, certificate: &File, key: &File) -> TlsError {
    if matches!(error, rustls::Error::InconsistentKeys(_)) {
        return TlsError::Pair {
            file: certificate.path.clone(),
            key: key.path.clone(),
            subject: facts.subject.clone(),
        };
    }
    TlsError::Unusable {
        file: certificate.path.clone(),
        problem: error.to_string(),
    }
}
