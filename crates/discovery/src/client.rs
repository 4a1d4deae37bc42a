//! How to connect to an endpoint, as data.

use std::path::PathBuf;

/// Settings of a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ClientConfig {
    /// Encrypts; `None` is plain text.
    pub tls: Option<TlsConfig>,
    /// How requests, and answers to them, are compressed.
    pub compression: Compression,
}

/// Settings of an encrypted connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct TlsConfig {
    /// Takes any certificate of the server.
    pub insecure_skip_verify: bool,
    /// The client's certificate (PEM); `key_file` goes with it.
    pub cert_file: Option<PathBuf>,
    /// The client's key (PEM).
    pub key_file: Option<PathBuf>,
    /// Whom to trust (PEM); `None` is the machine's store.
    pub ca_file: Option<PathBuf>,
    /// Name in the server's certificate; `None` is the host of the address.
    pub server_name: Option<String>,
    /// Takes TLS 1.2 too; older versions are never spoken.
    pub allow_tls12: bool,
}

/// Compression of messages, by the names of Thanos.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    /// `none`
    #[default]
    None,
    /// `snappy`
    Snappy,
}
