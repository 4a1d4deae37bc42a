//! Encrypted connections to endpoints.
//!
//! Certificates and keys are read anew for each connection, so that one that was replaced on disk
//! counts from then on.

use std::{io, path::Path, sync::Arc};

use hyper_util::rt::TokioIo;
use rutile_discovery::TlsConfig;
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
        version::{TLS12, TLS13},
    },
};
use tonic::transport::Uri;

/// The port of an address that names none.
const DEFAULT_PORT: u16 = 443;
/// The protocol that is agreed on: gRPC needs HTTP/2.
const ALPN: &[u8] = b"h2";

/// Connects to the host of `uri` and agrees on TLS.
///
/// # Errors
/// A file that cannot be read or used, by its name; what the network or the handshake returns.
pub(super) async fn connect(
    uri: Uri,
    config: TlsConfig,
) -> io::Result<TokioIo<TlsStream<TcpStream>>> {
    let host = uri.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let settings = settings(&config).await?;
    let name = config.server_name.as_deref().unwrap_or(host).to_owned();
    let name = ServerName::try_from(name.clone()).map_err(|_| {
        invalid(format!(
            "{name:?} is no name that a certificate can have: set server_name"
        ))
    })?;
    let stream = TcpStream::connect((host, uri.port_u16().unwrap_or(DEFAULT_PORT))).await?;
    stream.set_nodelay(true)?;
    let connector = TlsConnector::from(Arc::new(settings));
    Ok(TokioIo::new(connector.connect(name, stream).await?))
}

async fn settings(config: &TlsConfig) -> io::Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let versions = if config.allow_tls12 {
        &[&TLS13, &TLS12][..]
    } else {
        &[&TLS13][..]
    };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(invalid)?;
    let builder = if config.insecure_skip_verify {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
    } else {
        builder.with_root_certificates(roots(config.ca_file.as_deref()).await?)
    };
    let mut settings = match (&config.cert_file, &config.key_file) {
        (Some(certificate), Some(key)) => {
            let chain = certificates(certificate).await?;
            let key = PrivateKeyDer::from_pem_slice(&read(key).await?)
                .map_err(|error| unusable(key, &error))?;
            builder.with_client_auth_cert(chain, key).map_err(invalid)?
        }
        _ => builder.with_no_client_auth(),
    };
    settings.alpn_protocols = vec![ALPN.to_vec()];
    Ok(settings)
}

/// Those of the file, or the machine's.
async fn roots(file: Option<&Path>) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    match file {
        Some(path) => {
            for certificate in certificates(path).await? {
                roots
                    .add(certificate)
                    .map_err(|error| unusable(path, &error))?;
            }
        }
        None => {
            // A machine's store may hold old certificates that are not understood: the others count.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        return Err(invalid("there is no certificate to trust: set ca_file"));
    }
    Ok(roots)
}

async fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(&read(path).await?)
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(path, &error))
}

async fn read(path: &Path) -> io::Result<Vec<u8>> {
    tokio::fs::read(path).await.map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("cannot read {}: {error}", path.display()),
        )
    })
}

fn unusable(path: &Path, error: &dyn std::fmt::Display) -> io::Error {
    invalid(format!("cannot use {}: {error}", path.display()))
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

/// Takes any certificate (`insecure_skip_verify`), but only from who has its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
