//! Reading PEM files.

use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::TlsError;

/// No file of certificates is longer.
const FILE_MAX_BYTES: u64 = 1 << 20;

/// The files of a section, as they were when they were read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) certificate: File,
    pub(super) key: File,
    /// Authorities, where peers are to be checked.
    pub(super) ca: Option<File>,
}

/// A file with its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct File {
    pub(super) path: PathBuf,
    bytes: Vec<u8>,
}

impl File {
    pub(super) fn read(path: &Path) -> Result<File, TlsError> {
        let wrong = |problem: String| TlsError::File {
            file: path.to_owned(),
            problem,
        };
        let metadata = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?;
        if metadata.len() > FILE_MAX_BYTES {
            return Err(wrong("it is too long for certificates in PEM".to_owned()));
        }
        let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        Ok(File {
            path: path.to_owned(),
            bytes,
        })
    }

    /// Its certificates, at least one.
    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let found = CertificateDer::pem_slice_iter(&self.bytes)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| self.wrong(&format!("it is not PEM: {error}")))?;
        if found.is_empty() {
            return Err(self.wrong("it has no certificate in PEM (`-----BEGIN CERTIFICATE-----`)"));
        }
        Ok(found)
    }

    /// Its private key.
    pub(super) fn private_key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        PrivateKeyDer::from_pem_slice(&self.bytes)
            .map_err(|_| self.wrong("it has no private key in PEM (`-----BEGIN PRIVATE KEY-----`)"))
    }

    pub(super) fn wrong(&self, problem: &str) -> TlsError {
        TlsError::Malformed {
            file: self.path.clone(),
            problem: problem.to_owned(),
        }
    }
}
