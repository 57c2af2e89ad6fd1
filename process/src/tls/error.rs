//! What can be wrong with certificates and handshakes, in sentences.

use std::io;
use std::path::PathBuf;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

/// Why certificates cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// One of two settings is missing.
    #[error("`{setting}` is empty: name the file, or leave the whole section out")]
    Missing {
        /// The setting.
        setting: &'static str,
    },
    /// A file cannot be read.
    #[error("cannot read {}: {problem}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What the system says.
        problem: String,
    },
    /// A file is not what it should be.
    #[error("{}: {problem}", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A certificate's time is over.
    #[error("the certificate of `{subject}` in {} expired at {when}: put a new one there", file.display())]
    Expired {
        /// The file.
        file: PathBuf,
        /// Whose it is.
        subject: String,
        /// When.
        when: String,
    },
    /// A certificate's time has not begun.
    #[error("the certificate of `{subject}` in {} is not valid before {when}: check this machine's clock", file.display())]
    Early {
        /// The file.
        file: PathBuf,
        /// Whose it is.
        subject: String,
        /// From when on it is valid.
        when: String,
    },
    /// Key and certificate are not of one pair.
    #[error("the key in {} is not that of the certificate of `{subject}` in {}: put both files of one pair there", key.display(), file.display())]
    Pair {
        /// The certificate's file.
        file: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Whose the certificate is.
        subject: String,
    },
    /// What else the library says.
    #[error("{}: {problem}", file.display())]
    Unusable {
        /// The certificate's file.
        file: PathBuf,
        /// What it says.
        problem: String,
    },
}

/// What a failed handshake, or a connection that broke, means: a clause about the peer that says what to do.
pub(super) fn explain(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return "it closed during the TLS handshake".to_owned();
    }
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(error) => explain_tls(error),
        None => format!("the TLS handshake failed: {error}"),
    }
}

fn explain_tls(error: &Error) -> String {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what needs no sentence of its own is shown as the library says it"
    )]
    let known = match error {
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "it does not speak TLS: is TLS configured there?"
        }
        Error::NoCertificatesPresented => {
            "it shows no certificate: configure `internal_tls` there, too"
        }
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "its certificate was not issued by an authority in `internal_tls.ca_file`"
        }
        Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => "its certificate has expired: put a new one there",
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "its certificate does not have the name that `internal_tls.name` asks for",
        Error::AlertReceived(AlertDescription::UnknownCA) => {
            "it refuses this process's certificate: an authority in its `internal_tls.ca_file` has to have issued it"
        }
        Error::AlertReceived(AlertDescription::CertificateExpired) => {
            "it refuses this process's certificate, which has expired"
        }
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "it wants a certificate of this process: configure `internal_tls` here, too"
        }
        Error::AlertReceived(AlertDescription::BadCertificate) => {
            "it refuses this process's certificate: has it the name in `internal_tls.name`?"
        }
        _ => return format!("the TLS handshake failed: {error}"),
    };
    known.to_owned()
}
