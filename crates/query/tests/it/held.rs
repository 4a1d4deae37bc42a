//! What an answer holds is accounted for until it is sent.

use http_body_util::BodyExt;
use rutile_runtime::{Ledger, TaskGroup};

use crate::support::{Cluster, gateway, querier_config};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_nobody_takes_is_in_the_ledger() {
    let tasks = TaskGroup::new("cluster");
    let ledger = Ledger::new(1 << 30);
    let stores = vec![gateway("raw", &tasks).await];
    let cluster = Cluster::within(ledger.clone(), stores, querier_config(), tasks).await;
    for path in [
        "/query_range?query={__name__=~\".%2B\"}&start=1767370000&end=1767375600&step=10",
        "/query?query={__name__=~\".%2B\"}[5m]&time=1767375600",
        "/series?match[]={__name__=~\".%2B\"}",
    ] {
        let response = cluster.open(path).await;
        assert_eq!(response.status(), 200, "{path}");
        let held = ledger.stats().in_use_bytes;
        let mut body = response.into_body();
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert!(ledger.stats().in_use_bytes > 0, "{path}: the first piece");
        let rest = body.collect().await.unwrap().to_bytes();
        let sent = (first.len() + rest.len()) as u64;
        // Text is about as long as what it shows.
        assert!(held > sent / 10, "{path}: {held} held of {sent}");
        drop((first, rest));
        assert_eq!(ledger.stats().in_use_bytes, 0, "{path}: all is sent");
    }
}
