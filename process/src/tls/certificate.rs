//! What a certificate says of itself.

use std::path::Path;

use rustls::pki_types::CertificateDer;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::{Certificate, TbsCertificate};

use super::TlsError;

/// Whose a certificate is, and when it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// Its subject (RFC 4514), or its names if it has no subject.
    pub(super) subject: String,
    /// From when on it holds, in seconds since 1970.
    pub(super) not_before_s: u64,
    /// Until when, in seconds since 1970.
    pub(super) not_after_s: u64,
    not_before: String,
    not_after: String,
}

impl Facts {
    /// Reads `certificate`, which came from `file`.
    pub(super) fn read(certificate: &CertificateDer<'_>, file: &Path) -> Result<Facts, TlsError> {
        let parsed = Certificate::from_der(certificate).map_err(|error| TlsError::Malformed {
            file: file.to_owned(),
            problem: format!("a certificate in it cannot be read: {error}"),
        })?;
        let to_be_signed = parsed.tbs_certificate();
        let validity = to_be_signed.validity();
        Ok(Facts {
            subject: subject(to_be_signed),
            not_before_s: validity.not_before.to_unix_duration().as_secs(),
            not_after_s: validity.not_after.to_unix_duration().as_secs(),
            not_before: validity.not_before.to_date_time().to_string(),
            not_after: validity.not_after.to_date_time().to_string(),
        })
    }

    /// Until when it holds, as `2026-11-25T13:00:00Z`.
    pub(super) fn until(&self) -> &str {
        &self.not_after
    }

    /// Checks that it holds at `now_s`.
    pub(super) fn check(&self, file: &Path, now_s: u64) -> Result<(), TlsError> {
        let file = file.to_owned();
        let subject = self.subject.clone();
        if now_s > self.not_after_s {
            let when = self.not_after.clone();
            return Err(TlsError::Expired {
                file,
                subject,
                when,
            });
        }
        if now_s < self.not_before_s {
            let when = self.not_before.clone();
            return Err(TlsError::Early {
                file,
                subject,
                when,
            });
        }
        Ok(())
    }
}

/// Its subject; certificates of our days often have none, but names.
fn subject(certificate: &TbsCertificate) -> String {
    let subject = certificate.subject().to_string();
    if !subject.is_empty() {
        return subject;
    }
    let names = match certificate.get_extension::<SubjectAltName>() {
        Ok(Some((_, names))) => names.0,
        Ok(None) | Err(_) => Vec::new(),
    };
    let first = names.iter().find_map(|name| {
        if let GeneralName::DnsName(name) = name {
            Some(name.to_string())
        } else {
            None
        }
    });
    first.unwrap_or_else(|| "nobody".to_owned())
}
