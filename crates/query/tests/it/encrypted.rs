//! Queriers and a store gateway that talk over TLS, with certificates of both sides.

use std::sync::Arc;

use clap::Parser;
use rutile_runtime::{Ledger, TaskGroup};
use rutile_server::{Context, GrpcArgs, GrpcServer, GrpcServices};
use rutile_storeapi::grpc::{InfoServer, StoreServer};
use rutile_testkit::certificates::{Authority, Certificate};

use crate::process::start;
use crate::support::gateway;

const QUERY: &str = "/api/v1/query?query=sum(http_requests_0_total)&time=1767375600";

#[derive(Debug, Parser)]
struct Flags {
    #[command(flatten)]
    grpc: GrpcArgs,
}

/// The flags of a server that asks its clients for certificates.
fn server_flags(authority: &Authority, own: &Certificate) -> [String; 3] {
    [
        format!("--grpc-server-tls-cert={}", own.certificate.display()),
        format!("--grpc-server-tls-key={}", own.key.display()),
        format!(
            "--grpc-server-tls-client-ca={}",
            authority.certificate().display()
        ),
    ]
}

/// The flags of a querier that asks `store.test` and shows this certificate.
fn client_flags(authority: &Authority, own: &Certificate) -> [String; 5] {
    [
        "--grpc-client-tls-secure".to_owned(),
        "--grpc-client-server-name=store.test".to_owned(),
        format!("--grpc-client-tls-ca={}", authority.certificate().display()),
        format!("--grpc-client-tls-cert={}", own.certificate.display()),
        format!("--grpc-client-tls-key={}", own.key.display()),
    ]
}

/// A store gateway behind the server that all components have; its address.
async fn store(flags: &[String], tasks: &TaskGroup) -> String {
    let context = Context::new("store", Ledger::new(1 << 30), tasks);
    let free = ["test", "--grpc-address=127.0.0.1:0"].map(str::to_owned);
    let flags = Flags::parse_from(free.iter().chain(flags));
    let server = GrpcServer::bind(&flags.grpc, &context).await.unwrap();
    let address = server.address().to_string();
    let store = gateway("raw", tasks).await;
    let services = GrpcServices::new()
        .add_service(StoreServer::new(Arc::clone(&store)))
        .add_service(InfoServer::new(store));
    drop(tasks.spawn("grpc", server.serve(services, tasks.token())));
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_querier_reads_a_store_over_mutual_tls() {
    let tasks = TaskGroup::new("store");
    let authority = Authority::new();
    let of_store = server_flags(&authority, &authority.issue("store", "DNS:store.test"));
    let of_client = client_flags(&authority, &authority.issue("query", "DNS:query.test"));
    let start = |endpoint: &str, flags: &[&[String]]| {
        let endpoint = [format!("--endpoint={endpoint}")];
        let flags = flags.concat();
        let flags: Vec<&str> = endpoint.iter().chain(&flags).map(String::as_str).collect();
        start(&flags)
    };
    let store = store(&of_store, &tasks).await;
    // It shows others the same certificate as the store does.
    let near = start(&store, &[&of_client, &of_store]);
    let answer = near.get(QUERY);
    assert!(
        answer.contains("\"1917292\"") && !answer.contains("warnings"),
        "{answer}"
    );
    let far = start(&near.grpc, &[&of_client]);
    let answer = far.get(QUERY);
    assert!(
        answer.contains("\"1917292\"") && !answer.contains("warnings"),
        "{answer}"
    );

    let check_refused = |flags: &[String], advice: &str| {
        let answer = start(&store, &[flags]).get(QUERY);
        let warned = answer.contains("warnings") && answer.contains(&store);
        let names_it = warned && answer.contains(advice);
        assert!(
            names_it && !answer.contains("1917292"),
            "{flags:?}: {answer}"
        );
    };
    // Without TLS, without a certificate, and with one that somebody else issued.
    check_refused(&[], "does the server expect TLS?");
    check_refused(&of_client[..3], "a certificate of this client?");
    let others = Authority::new();
    let stranger = others.issue("query", "DNS:query.test");
    check_refused(
        &client_flags(&authority, &stranger),
        "refuse the certificate of this client?",
    );
}

/// The same by the file of endpoints.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_endpoint_configuration_says_how_to_connect() {
    let tasks = TaskGroup::new("store");
    let authority = Authority::new();
    let of_store = server_flags(&authority, &authority.issue("store", "DNS:store.test"));
    let store = store(&of_store, &tasks).await;
    let own = authority.issue("query", "DNS:query.test");
    let config = format!(
        "endpoints:\n- address: {store}\n  client_config:\n    server_name: store.test\n    tls_config:\n      \
         ca_file: {}\n      cert_file: {}\n      key_file: {}\n",
        authority.certificate().display(),
        own.certificate.display(),
        own.key.display()
    );
    let answer = start(&[&format!("--endpoint.sd-config={config}")]).get(QUERY);
    assert!(answer.contains("\"1917292\""), "{answer}");
}
