//! Connections as the configuration asks for them.

use rutile_discovery::{ClientConfig, Compression};
use rutile_storeapi::{
    Result,
    grpc::{Client, ClientOptions, Compression as Encoding},
};
use tonic::transport::Channel;

/// A connection to `target`, `host:port`, that is made when it is first used, and again when it was
/// lost.
pub(super) fn channel(target: &str, config: &ClientConfig) -> Result<Channel> {
    let options = ClientOptions {
        compression: compression(config),
        ..ClientOptions::default()
    };
    Ok(Client::endpoint(target, &options)?.connect_lazy())
}

/// The encoding of messages that the configuration asks for.
pub(super) fn compression(config: &ClientConfig) -> Encoding {
    match config.compression {
        Compression::None => Encoding::Identity,
        Compression::Snappy => Encoding::Snappy,
    }
}
