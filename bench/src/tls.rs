//! TLS of a measurement: a certificate that lives as long as it, and a client that trusts anybody.

use std::io::Read as _;
use std::net::TcpStream;
use std::sync::Arc;
use std::{fmt, io};

use rcgen::{CertificateParams, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, ServerConfig, SignatureScheme,
};
use serde::{Deserialize, Serialize};

use crate::error::BenchError;

/// A certificate and its key, in PEM.
#[derive(Clone, Serialize, Deserialize)]
pub struct Pair {
    /// The certificate, which its own key has signed.
    pub certificate: String,
    /// The key.
    pub key: String,
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair").finish_non_exhaustive()
    }
}

impl Pair {
    /// A new one for this machine (ECDSA P-256).
    ///
    /// # Errors
    /// If the library makes none.
    pub fn new() -> Result<Pair, BenchError> {
        let fail = |e: rcgen::Error| BenchError::part(format!("making a certificate: {e}"));
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let key = KeyPair::generate().map_err(fail)?;
        let certificate = CertificateParams::new(names)
            .and_then(|params| params.self_signed(&key))
            .map_err(fail)?;
        Ok(Pair {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }

    /// A server that shows it, as the edge does: no session is kept.
    pub(crate) fn server(&self) -> Result<Arc<ServerConfig>, BenchError> {
        let fail = |e: &dyn fmt::Display| BenchError::part(format!("using a certificate: {e}"));
        let certificate =
            CertificateDer::from_pem_slice(self.certificate.as_bytes()).map_err(|e| fail(&e))?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).map_err(|e| fail(&e))?;
        ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                builder
                    .with_no_client_auth()
                    .with_single_cert(vec![certificate], key)
            })
            .map(Arc::new)
            .map_err(|e| fail(&e))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// What viewers of the load are: they measure, and do not mind who serves.
pub(crate) fn client() -> Result<Arc<ClientConfig>, BenchError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|e| BenchError::part(format!("preparing TLS: {e}")))?;
    let mut config = builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    // Viewers do not come back; each handshake is a whole one.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

/// Shakes hands with the server at the other end of `socket`, which blocks, as `host`.
pub(crate) fn shake_hands(
    config: &Arc<ClientConfig>,
    host: &str,
    socket: &mut TcpStream,
) -> io::Result<Box<ClientConnection>> {
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let mut tls = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
    while tls.is_handshaking() {
        tls.complete_io(socket)?;
    }
    Ok(Box::new(tls))
}

/// What `sealed`, bytes of the wire, adds to what has been received.
pub(crate) fn open(tls: &mut ClientConnection, mut sealed: &[u8]) -> io::Result<Vec<u8>> {
    let mut plain = Vec::with_capacity(sealed.len());
    while !sealed.is_empty() {
        tls.read_tls(&mut sealed)?;
        tls.process_new_packets().map_err(io::Error::other)?;
        match tls.reader().read_to_end(&mut plain) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
    }
    Ok(plain)
}

/// Trusts any certificate.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
