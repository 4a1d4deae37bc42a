//! The sidecar: stands beside a Prometheus that knows nothing of it, serves its data over the StoreAPI,
//! uploads its blocks, and reloads its configuration.
//!
//! Owns what is known of that Prometheus ([`Peer`]) and the words in which it is asked. Promises: all
//! that is served or uploaded carries the external labels of the moment; while Prometheus does not
//! answer, the sidecar says that it has no data instead of answering with none. Never writes into the
//! database but links and the list of the shipper.

mod args;
mod checks;
mod component;
mod metrics;
mod peer;
mod reloader;
mod reports;
mod shipping;
mod store;

pub use args::SidecarArgs;
pub use component::SidecarComponent;
pub use peer::{Peer, PeerConfig};
pub use reloader::{Reloader, ReloaderConfig, ReloaderError, Trigger};
pub use reports::Reports;
pub use store::PrometheusStore;
