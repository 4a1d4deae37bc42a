//! `rutile-sidecar` as a process: it serves, uploads, notices what becomes of its Prometheus, and drains.

use std::fs;
use std::path::Path;

use rutile_proto::thanos::info::InfoResponse;
use rutile_proto::thanos::{RulesRequest, SeriesRequest};
use rutile_storeapi::grpc::{Client, ClientOptions, Rules};
use rutile_storeapi::{RequestContext, StoreApi};
use rutile_testkit::metrics;
use rutile_testkit::process::Process;

use crate::support::{
    CONFIG, START, add_block, beside, client, data, everything, filesystem, golden_blocks, keeping,
    series, start, until,
};

/// What the bucket says of a block.
fn uploaded(bucket: &Path, block: &Path) -> Option<String> {
    let meta = bucket.join(block.file_name()?).join("meta.json");
    fs::read_to_string(meta).ok()
}

async fn connect(process: &Process) -> Client {
    let client = Client::connect(&process.grpc, &ClientOptions::default()).await;
    client.unwrap()
}

async fn info(client: &Client) -> rutile_storeapi::Result<InfoResponse> {
    client.info(RequestContext::default()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_serves_uploads_and_drains() {
    let (folder, bucket) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut blocks = golden_blocks();
    assert_eq!(blocks.len(), 30);
    // Files are synced before a commit, which takes its time.
    blocks.truncate(6);
    for block in &blocks {
        add_block(folder.path(), block);
    }
    let server = keeping(folder.path()).config(CONFIG).start();
    let process = start(&[
        &beside(&server),
        &data(folder.path()),
        &filesystem(bucket.path()),
        "--hash-func=SHA256",
    ]);
    let client = connect(&process).await;
    let told = info(&client).await.unwrap();
    assert_eq!(told.component_type, "sidecar");
    let store = told.store.unwrap();
    assert_eq!((store.min_time, store.max_time), (START, i64::MAX));
    assert!(told.rules.is_some() && told.targets.is_some() && told.exemplars.is_some());
    assert!(told.metric_metadata.is_some() && told.status.is_some());
    let request = SeriesRequest {
        skip_chunks: true,
        response_batch_size: 64,
        ..everything()
    };
    assert!(series(&client, request).await.unwrap().len() > 100);
    let (context, request) = (RequestContext::default(), RulesRequest::default());
    let rules = client.stream::<Rules>(&context, &request);
    drop(rules.await.unwrap());

    until("all blocks are uploaded", async || {
        blocks
            .iter()
            .all(|block| uploaded(bucket.path(), block).is_some())
    })
    .await;
    for block in &blocks {
        let meta: String = uploaded(bucket.path(), block).unwrap();
        let meta: String = meta.split_whitespace().collect();
        for text in [
            r#""labels":{"cluster":"eu1","replica":"a"}"#,
            r#""source":"sidecar""#,
            r#""hashFunc":"SHA256""#,
        ] {
            assert!(meta.contains(text), "{text} in {meta}");
        }
        let index = |root: &Path| fs::read(root.join(block.file_name().unwrap()).join("index"));
        assert_eq!(
            index(bucket.path()).unwrap(),
            fs::read(block.join("index")).unwrap()
        );
    }
    until("the list is written", async || {
        let list = folder.path().join("data/thanos.shipper.json");
        let list = fs::read_to_string(list).unwrap_or_default();
        blocks
            .iter()
            .all(|block| list.contains(block.file_name().unwrap().to_str().unwrap()))
    })
    .await;
    assert!(process.has_metric("thanos_sidecar_prometheus_up", 1));
    assert!(process.has_metric("thanos_shipper_uploads_total", 6));
    let promised = metrics::promised(&["Sidecar", "Uploading local blocks"]).into_iter();
    // Those of the reloader are there if there is one.
    let promised = promised.filter(|metric| !metric.name.contains("_reloader_"));
    metrics::require(
        &process.get("/metrics"),
        promised.filter(|metric| !metric.labelled),
    );
    let (code, log) = process.terminate();
    assert_eq!(code, Some(0), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_goes_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let server = keeping(folder.path()).config(CONFIG).start();
    let process = start(&[&beside(&server), "--prometheus.get_config_interval=100ms"]);
    let client = connect(&process).await;
    let told = info(&client).await.unwrap();
    assert_eq!(told.label_sets[0].labels.len(), 2);

    let address = server.address().to_owned();
    drop(server);
    until("it is not ready", async || !process.is_ready()).await;
    let error = info(&client).await.unwrap_err();
    assert_eq!(error.kind(), rutile_model::ErrorKind::Unavailable);
    assert!(error.to_string().contains(&address), "{error}");
    assert!(process.has_metric("thanos_sidecar_prometheus_up", 0));
    let error = series(&client, everything()).await.unwrap_err();
    assert_eq!(error.kind(), rutile_model::ErrorKind::Unavailable);

    let _server = keeping(folder.path()).address(&address).start();
    until("it is ready again", async || process.is_ready()).await;
    assert_eq!(info(&client).await.unwrap().label_sets[0].labels.len(), 2);
    assert!(process.has_metric("thanos_sidecar_prometheus_up", 1));
    assert_eq!(process.terminate().0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn labels_change_for_what_is_served_and_for_what_goes_up() {
    let (folder, bucket) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let blocks = golden_blocks();
    add_block(folder.path(), &blocks[0]);
    let server = keeping(folder.path()).config(CONFIG).start();
    let process = start(&[
        &beside(&server),
        &data(folder.path()),
        &filesystem(bucket.path()),
        "--prometheus.get_config_interval=100ms",
    ]);
    let stores = connect(&process).await;
    until("the first block is uploaded", async || {
        uploaded(bucket.path(), &blocks[0]).is_some()
    })
    .await;

    add_block(folder.path(), &blocks[1]);
    let changed = CONFIG.replace("replica: a", "replica: b");
    fs::write(folder.path().join("prometheus.yml"), changed).unwrap();
    client(&server).reload().await.unwrap();
    until("the new labels are served", async || {
        let told = info(&stores).await.unwrap();
        told.label_sets[0].labels[1].value == "b"
    })
    .await;
    until("the second block is uploaded", async || {
        uploaded(bucket.path(), &blocks[1]).is_some()
    })
    .await;
    for (block, label) in [(&blocks[0], "a"), (&blocks[1], "b")] {
        let meta: String = uploaded(bucket.path(), block).unwrap();
        let meta: String = meta.split_whitespace().collect();
        assert!(meta.contains(&format!("\"replica\":\"{label}\"")), "{meta}");
    }

    // Without any labels it serves nothing rather than what would mix with others.
    fs::write(folder.path().join("prometheus.yml"), "global: {}\n").unwrap();
    client(&server).reload().await.unwrap();
    until("it is not ready", async || !process.is_ready()).await;
    let error = info(&stores).await.unwrap_err();
    assert!(
        error.to_string().contains("global.external_labels"),
        "{error}"
    );
    assert_eq!(process.terminate().0, Some(0));
}
