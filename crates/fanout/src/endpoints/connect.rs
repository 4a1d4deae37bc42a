//! Connections as the configuration asks for them.

use rutile_discovery::{ClientConfig, Compression};
use rutile_storeapi::{
    Result,
    grpc::{Client, ClientOptions, Compression as Encoding},
};
use tonic::transport::{Channel, Uri};
use tower::service_fn;

use super::tls;

/// A connection to `target`, `host:port`, that is made when it is first used, and again when it was
/// lost.
pub(super) fn channel(target: &str, config: &ClientConfig) -> Result<Channel> {
    let options = ClientOptions {
        compression: compression(config),
        ..ClientOptions::default()
    };
    let endpoint = Client::endpoint(target, &options)?;
    Ok(match config.tls.clone() {
        None => endpoint.connect_lazy(),
        Some(tls) => {
            let connect = move |uri: Uri| tls::connect(uri, tls.clone());
            endpoint.connect_with_connector_lazy(service_fn(connect))
        }
    })
}

/// The encoding of messages that the configuration asks for.
pub(super) fn compression(config: &ClientConfig) -> Encoding {
    match config.compression {
        Compression::None => Encoding::Identity,
        Compression::Snappy => Encoding::Snappy,
    }
}
