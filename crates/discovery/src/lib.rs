//! Which endpoints to talk to: static, file and DNS lists, and the endpoint configuration file.
//!
//! Owns the forms in which an address is written, the lookups behind them, and what is known of an
//! endpoint before anybody connects to it. A lookup that fails keeps what the last one found. Never
//! opens a connection to an endpoint.

mod address;
mod client;
mod config;
mod discovery;
mod dns;
mod error;
mod files;
mod spec;

pub use address::{Address, Lookup};
pub use client::{ClientConfig, Compression, TlsConfig};
pub use config::{EndpointsFile, Entry};
pub use discovery::{Discovery, DiscoveryConfig, Source};
pub use dns::{Dns, DnsMetrics, Known};
pub use error::{Error, Result};
pub use files::FileSd;
pub use spec::EndpointSpec;
