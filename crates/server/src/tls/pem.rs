//! Certificates and keys as text, and what they are called in messages.

use std::fmt;
use std::path::PathBuf;

use rutile_model::ErrorKind;
use tokio::io::AsyncReadExt;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::failure::Failure;

/// The longest file that is read: whoever trusts hundreds of authorities has one of some 300 KiB.
const MAX_BYTES: u64 = 4 << 20;

/// Text in PEM and the setting that gives it. Shown as its place; the text may be a key.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Pem {
    /// The flag, or the key of a configuration file.
    setting: &'static str,
    source: Source,
}

#[derive(Clone, PartialEq, Eq)]
enum Source {
    File(PathBuf),
    Text(String),
}

impl Pem {
    /// Text in a file, which `setting` names.
    pub(crate) fn file(setting: &'static str, path: impl Into<PathBuf>) -> Self {
        let source = Source::File(path.into());
        Self { setting, source }
    }

    /// Text that is itself the value of `setting`.
    pub(crate) fn text(setting: &'static str, text: String) -> Self {
        let source = Source::Text(text);
        Self { setting, source }
    }

    /// The text.
    ///
    /// # Errors
    /// A failure that names the file: not readable, or too long.
    pub(crate) async fn read(&self) -> Result<Vec<u8>, Failure> {
        let path = match &self.source {
            Source::Text(text) => return Ok(text.clone().into_bytes()),
            Source::File(path) => path,
        };
        let read = async {
            let mut content = Vec::new();
            let file = tokio::fs::File::open(path).await?;
            file.take(MAX_BYTES + 1).read_to_end(&mut content).await?;
            std::io::Result::Ok(content)
        };
        let content = read
            .await
            .map_err(|error| self.wrong(&format!("cannot be read: {error}")))?;
        if content.len() as u64 > MAX_BYTES {
            return Err(self.wrong(&format!("is longer than {MAX_BYTES} bytes")));
        }
        Ok(content)
    }

    /// The certificates in `text`, which was read from here; at least one.
    ///
    /// # Errors
    /// A failure that names the file.
    pub(crate) fn certificates(
        &self,
        text: &[u8],
    ) -> Result<Vec<CertificateDer<'static>>, Failure> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
        let found =
            found.map_err(|error| self.wrong(&format!("holds no certificates: {error}")))?;
        if found.is_empty() {
            return Err(self.wrong("holds no certificate (a PEM section CERTIFICATE)"));
        }
        Ok(found)
    }

    /// The private key in `text`, which was read from here.
    ///
    /// # Errors
    /// A failure that names the file.
    pub(crate) fn private_key(&self, text: &[u8]) -> Result<PrivateKeyDer<'static>, Failure> {
        PrivateKeyDer::from_pem_slice(text).map_err(|_| {
            self.wrong("holds no private key that is not encrypted (a PEM section PRIVATE KEY)")
        })
    }

    /// A failure about this text.
    pub(crate) fn wrong(&self, what: &str) -> Failure {
        Failure::message(ErrorKind::Invalid, format!("{self} {what}"))
    }
}

impl fmt::Display for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::File(path) => write!(f, "{} of {}", path.display(), self.setting),
            Source::Text(_) => write!(f, "the text of {}", self.setting),
        }
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pem({self})")
    }
}
