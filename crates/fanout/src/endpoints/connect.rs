//! Connections as the configuration asks for them.

use rutile_discovery::{ClientConfig, Compression};
use rutile_storeapi::{
    Result,
    grpc::{Client, ClientOptions, Compression as Encoding},
};
use tonic::transport::{Channel, Uri};
use tower::service_fn;

use super::tls;

/// What errors say, in lower case, of a connection that the other side has ended or speaks otherwise.
const ENDED: [&str; 6] = [
    "connection closed",
    "connection reset",
    "broken pipe",
    "handshake eof",
    "fatal alert",
    "frame with invalid size",
];

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

/// What to look at when the other side ended a connection or speaks otherwise, if the error is of that kind.
///
/// In TLS 1.3 a server refuses a certificate when the client takes the handshake for done: often only the end of the
/// connection is seen then, and not the alert.
pub(super) fn advice(error: &str, config: &ClientConfig) -> Option<&'static str> {
    let error = error.to_lowercase();
    let ended = ENDED.iter().any(|text| error.contains(text));
    ended.then_some(match &config.tls {
        None => "does the server expect TLS?",
        Some(tls) if tls.cert_file.is_none() => {
            "does the server expect TLS, and a certificate of this client?"
        }
        Some(_) => "does the server refuse the certificate of this client? Its log says why",
    })
}

/// The encoding of messages that the configuration asks for.
pub(super) fn compression(config: &ClientConfig) -> Encoding {
    match config.compression {
        Compression::None => Encoding::Identity,
        Compression::Snappy => Encoding::Snappy,
    }
}

#[cfg(test)]
mod tests {
    use rutile_discovery::TlsConfig;

    use super::*;

    #[test]
    fn what_ended_a_connection_is_guessed_from_the_settings() {
        let plain = ClientConfig::default();
        let mut tls = plain.clone();
        tls.tls = Some(TlsConfig::default());
        let mut shown = tls.clone();
        shown.tls.as_mut().unwrap().cert_file = Some("a.pem".into());
        let of = |config| {
            advice(
                "transport error: operation was canceled: connection closed",
                config,
            )
        };
        assert!(of(&plain).unwrap().contains("expect TLS?"));
        assert!(of(&tls).unwrap().contains("certificate of this client?"));
        assert!(of(&shown).unwrap().contains("refuse the certificate"));
        assert_eq!(advice("Connection refused (os error 111)", &shown), None);
    }
}
