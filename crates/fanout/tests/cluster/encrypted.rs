//! Endpoints behind TLS.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use rutile_discovery::{ClientConfig, EndpointSpec, TlsConfig};
use rutile_fanout::{FanoutConfig, Stores};
use rutile_model::Labels;
use rutile_runtime::TaskGroup;
use rutile_storeapi::RequestContext;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::WebPkiClientVerifier,
    },
};

use crate::support::{Cluster, collect, everything, pods, serve, store};

/// Certificates for `store.test` and for a client, of an authority of their own, for a hundred years.
fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cluster/tls")
        .join(name)
}

/// Takes TLS from clients with a certificate off, in front of `server`.
async fn encrypted(server: SocketAddr, tasks: &TaskGroup) -> SocketAddr {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(file("ca.pem")).unwrap())
        .unwrap();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let chain = vec![CertificateDer::from_pem_file(file("server.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(file("server.key")).unwrap();
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let spawner = tasks.spawner();
    drop(tasks.spawn("tls", async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            drop(spawner.spawn("tls-connection", async move {
                // A client that is refused is the point of some tests.
                let Ok(mut client) = acceptor.accept(stream).await else {
                    return;
                };
                let mut server = TcpStream::connect(server).await.unwrap();
                tokio::io::copy_bidirectional(&mut client, &mut server)
                    .await
                    .ok();
            }));
        }
    }));
    address
}

fn good() -> TlsConfig {
    TlsConfig {
        ca_file: Some(file("ca.pem")),
        cert_file: Some(file("client.pem")),
        key_file: Some(file("client.key")),
        server_name: Some("store.test".to_owned()),
        ..TlsConfig::default()
    }
}

/// How many series come through, and why none do.
async fn ask(tls: TlsConfig) -> (usize, Option<String>) {
    let tasks = TaskGroup::new("test");
    let server = serve(Arc::new(store(&pods(0..3), &Labels::empty())), &tasks).await;
    let spec = EndpointSpec {
        client: ClientConfig {
            tls: Some(tls),
            ..ClientConfig::default()
        },
        ..EndpointSpec::fixed(encrypted(server, &tasks).await.to_string())
    };
    let cluster = Cluster::over(vec![spec], FanoutConfig::default(), tasks).await;
    let error = cluster.endpoints.statuses()[0].last_error.clone();
    assert_eq!(error.is_some(), cluster.endpoints.stores().is_empty());
    let items = cluster
        .fanout
        .series_items(&RequestContext::default(), everything(), &[])
        .unwrap();
    (collect(items).await.0.len(), error)
}

#[tokio::test]
async fn certificates_of_both_sides_are_checked() {
    assert_eq!(ask(good()).await, (3, None));
    assert_eq!(
        ask(TlsConfig {
            allow_tls12: true,
            ..good()
        })
        .await,
        (3, None)
    );
    let unknown = TlsConfig {
        ca_file: Some(file("client.pem")),
        ..good()
    };
    let skipping = TlsConfig {
        insecure_skip_verify: true,
        server_name: None,
        ..unknown.clone()
    };
    assert_eq!(ask(skipping).await, (3, None));

    let check = async |tls: TlsConfig, reason: &str| {
        let (series, error) = ask(tls).await;
        assert_eq!(series, 0, "{reason}");
        assert!(
            error.as_ref().is_some_and(|error| error.contains(reason)),
            "{reason}: {error:?}"
        );
    };
    check(unknown, "invalid peer certificate").await;
    check(
        TlsConfig {
            server_name: Some("other.test".to_owned()),
            ..good()
        },
        "invalid peer certificate",
    )
    .await;
    check(
        TlsConfig {
            cert_file: None,
            key_file: None,
            ..good()
        },
        "thanos.info.Info/Info failed",
    )
    .await;
    check(
        TlsConfig {
            key_file: Some(file("absent.key")),
            ..good()
        },
        "absent.key",
    )
    .await;
    check(
        TlsConfig {
            key_file: Some(file("ca.pem")),
            ..good()
        },
        "cannot use ",
    )
    .await;
}
