//! TLS of the servers: what a listener shows its clients, what it asks of them, and both read anew.
//!
//! Certificates, keys and authorities are read at the start, where they must be right, and again for each connection,
//! so that files that were replaced count from then on. If they cannot be used then, as between the writing of a
//! certificate and that of its key, those from before stay, and the log says what is wrong. No version before TLS 1.2
//! is spoken.

mod choice;
mod clients;
mod pem;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rutile_model::ErrorKind;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{Error as TlsError, ServerConfig};
use tokio_rustls::server::TlsStream;

pub(crate) use self::choice::{Choice, Version};
pub(crate) use self::clients::{Clients, Policy};
pub(crate) use self::pem::Pem;
use crate::failure::Failure;
use crate::web_config::WebConfig;

/// How long a client may take to agree on TLS.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(20);

/// How a listener encrypts, as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsSettings {
    /// The certificate of the server, and those that lead to its authority.
    pub(crate) certificate: Pem,
    pub(crate) key: Pem,
    pub(crate) clients: Clients,
    pub(crate) choice: Choice,
    /// Protocols that are agreed on, the preferred one first.
    pub(crate) protocols: &'static [&'static [u8]],
}

/// Encrypts the connections of a listener. Clones share what was read.
#[derive(Debug, Clone)]
pub(crate) struct Encryption {
    source: Source,
    loaded: Arc<Mutex<Loaded>>,
}

/// Where the settings come from.
#[derive(Debug, Clone)]
enum Source {
    Flags(Arc<TlsSettings>),
    Web(Arc<WebConfig>),
}

/// What was read last and could be used.
#[derive(Debug)]
struct Loaded {
    inputs: Inputs,
    config: Arc<ServerConfig>,
    /// Why what was read since then cannot be used; logged once.
    trouble: String,
}

/// Settings and the content of the files that they name.
#[derive(PartialEq, Eq)]
struct Inputs {
    settings: TlsSettings,
    certificate: Vec<u8>,
    key: Vec<u8>,
    authorities: Option<Vec<u8>>,
}

impl Encryption {
    /// By the settings of flags.
    ///
    /// # Errors
    /// A failure that names the file, its flag, and what is wrong.
    pub(crate) async fn by_flags(settings: TlsSettings) -> Result<Self, Failure> {
        let source = Source::Flags(Arc::new(settings));
        Self::open(source).await
    }

    /// By a web configuration, whose settings may change; `None` if there is none, or none for TLS.
    ///
    /// # Errors
    /// A failure that names the file, its key, and what is wrong.
    pub(crate) async fn by_web_config(
        config: Option<&Arc<WebConfig>>,
    ) -> Result<Option<Self>, Failure> {
        let Some(config) = config else {
            return Ok(None);
        };
        if config.settings().await?.tls.is_none() {
            return Ok(None);
        }
        let opened = Self::open(Source::Web(Arc::clone(config))).await;
        opened
            .map(Some)
            .map_err(|failure| failure.context("--http.config"))
    }

    async fn open(source: Source) -> Result<Self, Failure> {
        let inputs = Inputs::read(source.settings().await?).await?;
        let loaded = Loaded {
            config: Arc::new(inputs.build()?),
            inputs,
            trouble: String::new(),
        };
        Ok(Self {
            source,
            loaded: Arc::new(Mutex::new(loaded)),
        })
    }

    /// Agrees on TLS with a client; `None` if that comes to nothing, which the log says.
    pub(crate) async fn agree(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        let peer = stream.peer_addr().ok();
        let acceptor = TlsAcceptor::from(self.current().await);
        let agreed = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await;
        match agreed {
            Ok(Ok(stream)) => return Some(stream),
            // Whoever looks whether the port is open hangs up at once.
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {}
            Ok(Err(error)) => tracing::warn!(?peer, %error, "TLS handshake failed"),
            Err(_) => {
                tracing::warn!(?peer, limit = ?HANDSHAKE_TIMEOUT, "TLS handshake took too long");
            }
        }
        None
    }

    /// What holds for a connection that begins now.
    async fn current(&self) -> Arc<ServerConfig> {
        let read = async { Inputs::read(self.source.settings().await?).await };
        let read = read.await;
        let mut loaded = self.loaded.lock();
        let replaced = match read {
            Ok(inputs) if inputs == loaded.inputs => {
                loaded.trouble.clear();
                return Arc::clone(&loaded.config);
            }
            Ok(inputs) => inputs.build().map(|config| (inputs, config)),
            Err(failure) => Err(failure),
        };
        match replaced {
            Ok((inputs, config)) => {
                tracing::info!(certificate = %inputs.settings.certificate, "TLS certificates were replaced");
                *loaded = Loaded {
                    inputs,
                    config: Arc::new(config),
                    trouble: String::new(),
                };
            }
            Err(failure) => {
                let trouble = failure.to_string();
                if loaded.trouble != trouble {
                    tracing::error!(err = %trouble, "new TLS settings cannot be used: those from before stay");
                    loaded.trouble = trouble;
                }
            }
        }
        Arc::clone(&loaded.config)
    }
}

impl Source {
    async fn settings(&self) -> Result<TlsSettings, Failure> {
        match self {
            Self::Flags(settings) => Ok(TlsSettings::clone(settings)),
            Self::Web(config) => config.settings().await?.tls.clone().ok_or_else(|| {
                let message = "TLS cannot be turned off while the process runs: restart it";
                Failure::message(ErrorKind::Invalid, message)
            }),
        }
    }
}

impl Inputs {
    async fn read(settings: TlsSettings) -> Result<Self, Failure> {
        let authorities = match &settings.clients.authorities {
            Some(pem) => Some(pem.read().await?),
            None => None,
        };
        Ok(Self {
            certificate: settings.certificate.read().await?,
            key: settings.key.read().await?,
            authorities,
            settings,
        })
    }

    fn build(&self) -> Result<ServerConfig, Failure> {
        let Self {
            settings,
            certificate,
            key,
            authorities,
        } = self;
        let chain = settings.certificate.certificates(certificate)?;
        let private = settings.key.private_key(key)?;
        let provider = Arc::new(settings.choice.provider()?);
        let unusable = |error: TlsError| {
            let message = match error {
                TlsError::InconsistentKeys(_) => format!(
                    "the key in {} is not that of the certificate in {}",
                    settings.key, settings.certificate
                ),
                other => format!(
                    "cannot use {} and {}: {other}",
                    settings.certificate, settings.key
                ),
            };
            Failure::message(ErrorKind::Invalid, message)
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&settings.choice.versions())
            .map_err(unusable)?;
        let verifier = settings
            .clients
            .verifier(authorities.as_deref(), &provider)?;
        let builder = match verifier {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, private).map_err(unusable)?;
        config.alpn_protocols = settings
            .protocols
            .iter()
            .map(|protocol| protocol.to_vec())
            .collect();
        Ok(config)
    }
}

impl std::fmt::Debug for Inputs {
    /// Leaves the key out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inputs")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
