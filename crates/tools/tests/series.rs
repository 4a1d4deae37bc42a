//! `rutile-tools series` against a server of the StoreAPI in this process.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::pin::pin;
use std::process::Command;
use std::sync::Arc;

use futures::future::Either;
use rutile_chunk::XorAppender;
use rutile_model::Labels;
use rutile_proto::thanos::{AggrChunk, Chunk};
use rutile_storeapi::grpc::StoreServer;
use rutile_storeapi::memory::MemoryStore;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

/// 2026-01-01T00:00:00Z
const START_MS: i64 = 1_767_225_600_000;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    let mut builder = Labels::builder();
    for (name, value) in pairs {
        builder.set(*name, *value);
    }
    builder.build()
}

/// Values a minute apart.
fn chunk(values: &[f64]) -> AggrChunk {
    let mut appender = XorAppender::new();
    let mut time = START_MS;
    for value in values {
        appender.append(time, *value).unwrap();
        time += 60_000;
    }
    AggrChunk {
        min_time: START_MS,
        max_time: time - 60_000,
        raw: Some(Chunk {
            r#type: 0,
            data: appender.into_bytes().into(),
            hash: 0,
        }),
        ..AggrChunk::default()
    }
}

fn store() -> MemoryStore {
    let series = |pod: &str, values: &[f64]| {
        (
            labels(&[("__name__", "up"), ("pod", pod)]),
            vec![chunk(values)],
        )
    };
    let all = vec![series("a", &[1.0, 0.5]), series("b", &[2.0])];
    MemoryStore::new(all, labels(&[("cluster", "eu1")]))
}

struct Run {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Runs the program against the store.
async fn series(args: &[&str]) -> Run {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::builder()
        .add_service(StoreServer::new(Arc::new(store())))
        .serve_with_incoming(TcpIncoming::from(listener));
    let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
    let client = tokio::task::spawn_blocking(move || run(address, &args));
    match futures::future::select(pin!(client), pin!(server)).await {
        Either::Left((run, _)) => run.unwrap(),
        Either::Right((result, _)) => panic!("the server ended: {result:?}"),
    }
}

fn run(address: SocketAddr, args: &[String]) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_rutile-tools"))
        .args(["series", "--store", &address.to_string()])
        .args(args)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run {
        code: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_are_decoded() {
    let run = series(&["up{pod=~\"a|c\"}", "-o", "samples"]).await;
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert_eq!(
        run.out,
        "up{cluster=\"eu1\", pod=\"a\"}\n  2026-01-01T00:00:00Z  1\n  2026-01-01T00:01:00Z  0.5\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_and_json_show_the_same_series() {
    let run = series(&["-m", "__name__=up", "--grpc-compression=snappy"]).await;
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert!(
        run.out.starts_with("all with {cluster=\"eu1\"}\nSERIES"),
        "{}",
        run.out
    );
    assert!(
        run.out.ends_with("2 series, 2 chunks, 3 samples\n"),
        "{}",
        run.out
    );

    let run = series(&["up", "-o", "json", "--max-time=2026-01-01T00:00:00Z"]).await;
    let answer: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(answer["data"]["result"][1]["metric"]["pod"], "b");
    assert_eq!(
        answer["data"]["result"][1]["values"],
        json!([[START_MS / 1000, "2"]])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_are_listed() {
    assert_eq!(
        series(&["--label-names"]).await.out,
        "__name__\ncluster\npod\n"
    );
    assert_eq!(
        series(&["--label-values", "pod", "-m", "pod!=a"]).await.out,
        "b\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_explained() {
    for (args, code, words) in [
        (vec![], 1, "nothing is selected"),
        (vec!["up{pod="], 1, "selector"),
        (vec!["up", "--min-time=now"], 2, "min-time"),
        (
            vec!["up", "--min-time=-1h", "--max-time=-2h"],
            1,
            "after --max-time",
        ),
        (vec!["up", "-o", "xml"], 2, "xml"),
        (
            vec!["up", "--label-names", "--label-values=x"],
            2,
            "--label-values",
        ),
    ] {
        let run = series(&args).await;
        assert_eq!(run.code, Some(code), "{args:?}: {}", run.err);
        assert!(run.err.contains(words), "{args:?}: {}", run.err);
    }
    let nobody = "127.0.0.1:1".parse().unwrap();
    let run = run(nobody, &["up".to_owned()]);
    assert_eq!(run.code, Some(1), "{}", run.err);
    assert!(run.err.contains("127.0.0.1:1"), "{}", run.err);
}
