//! What is asked of clients: a certificate or none, verified or not, for certain names.

use std::sync::Arc;

use rutile_model::ErrorKind;
use tokio_rustls::rustls::client::danger::HandshakeSignatureValid;
use tokio_rustls::rustls::crypto::{
    CryptoProvider, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error as TlsError, RootCertStore,
    SignatureScheme,
};
use webpki::EndEntityCert;

use super::Pem;
use crate::failure::Failure;

/// Which clients may come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Clients {
    pub(crate) policy: Policy,
    /// Whom certificates of clients must come from; none: the machine's authorities.
    pub(crate) authorities: Option<Pem>,
    /// Names of which the certificate must have one, exactly as written; none: any will do.
    pub(crate) names: Option<Vec<String>>,
}

/// What a client's certificate must be, as Go's `tls.ClientAuthType` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    /// It is not asked for.
    No,
    /// It may be left out, and is not verified.
    Request,
    /// It must be there, and is not verified.
    RequireAny,
    /// It may be left out, and is verified.
    VerifyIfGiven,
    /// It must be there, and is verified.
    RequireAndVerify,
}

impl Clients {
    /// No certificates are asked for.
    pub(crate) const ANYBODY: Self = Self {
        policy: Policy::No,
        authorities: None,
        names: None,
    };

    /// What checks certificates; `None` if they are not asked for. `authorities` is the text that was read for them.
    ///
    /// # Errors
    /// A failure that names the file of the authorities.
    pub(super) fn verifier(
        &self,
        authorities: Option<&[u8]>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Option<Arc<dyn ClientCertVerifier>>, Failure> {
        let is_mandatory = matches!(self.policy, Policy::RequireAny | Policy::RequireAndVerify);
        let authority = match self.policy {
            Policy::No => return Ok(None),
            Policy::Request | Policy::RequireAny => None,
            Policy::VerifyIfGiven | Policy::RequireAndVerify => {
                let roots = Arc::new(self.roots(authorities)?);
                let builder =
                    WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider));
                let built = builder.build().map_err(|error| {
                    let message = format!("cannot verify certificates of clients: {error}");
                    Failure::message(ErrorKind::Invalid, message)
                });
                Some(built?)
            }
        };
        Ok(Some(Arc::new(Verifier {
            is_mandatory,
            authority,
            names: self.names.clone(),
            provider: Arc::clone(provider),
        })))
    }

    fn roots(&self, text: Option<&[u8]>) -> Result<RootCertStore, Failure> {
        let mut roots = RootCertStore::empty();
        let Some((pem, text)) = self.authorities.as_ref().zip(text) else {
            // A machine's store may hold old certificates that are not understood: the others count.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            return Ok(roots);
        };
        for certificate in pem.certificates(text)? {
            roots
                .add(certificate)
                .map_err(|error| pem.wrong(&format!("holds no usable authority: {error}")))?;
        }
        Ok(roots)
    }
}

#[derive(Debug)]
struct Verifier {
    is_mandatory: bool,
    /// Verifies certificates; `None`: any will do, from who has its key.
    authority: Option<Arc<dyn ClientCertVerifier>>,
    names: Option<Vec<String>>,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.is_mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        match &self.authority {
            Some(authority) => authority.root_hint_subjects(),
            None => &[],
        }
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, TlsError> {
        if let Some(authority) = &self.authority {
            authority.verify_client_cert(certificate, others, now)?;
        }
        if let Some(names) = &self.names
            && !has_one_of(certificate, names)?
        {
            let refused = CertificateError::ApplicationVerificationFailure;
            return Err(TlsError::InvalidCertificate(refused));
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Whether one of the alternative names is among `names`: DNS names and URIs as they are written, IP addresses.
fn has_one_of(certificate: &CertificateDer<'_>, names: &[String]) -> Result<bool, TlsError> {
    let bad = |_| TlsError::InvalidCertificate(CertificateError::BadEncoding);
    let certificate = EndEntityCert::try_from(certificate).map_err(bad)?;
    let is_wanted = |name: &str| names.iter().any(|wanted| wanted == name);
    if certificate.valid_dns_names().any(is_wanted) || certificate.valid_uri_names().any(is_wanted)
    {
        return Ok(true);
    }
    let addresses = names.iter().filter_map(|name| name.parse().ok());
    let mut addresses = addresses.map(|ip: std::net::IpAddr| ServerName::IpAddress(ip.into()));
    Ok(addresses.any(|ip| certificate.verify_is_valid_for_subject_name(&ip).is_ok()))
}
