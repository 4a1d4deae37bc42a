//! The suite on real servers of S3 and Azure, and on the fake of Google's.

use std::sync::Arc;

use rutile_objstore::conformance::{self, Traits};
use rutile_objstore::probe::{self, ConditionalCreate};
use rutile_objstore::{Bucket, OpenContext, check_reachable, open};
use rutile_runtime::{ManualClock, SeededEntropy};
use rutile_telemetry::Registry;
use rutile_testkit::servers;

use crate::gcs_fake::GcsFake;

pub(crate) fn context() -> OpenContext {
    OpenContext {
        clock: Arc::new(ManualClock::new(1_700_000_000_000)),
        registry: Registry::new(),
        component: "test".to_owned(),
    }
}

/// Reachable, conforming (with and without a prefix), and probed as strongly consistent.
async fn check(config: &str, traits: Traits) {
    let bucket: Arc<dyn Bucket> = open(config, &context()).unwrap();
    check_reachable(&*bucket).await.unwrap();
    conformance::run(Arc::clone(&bucket), traits).await;

    let inside = open(&format!("{config}\nprefix: /some/folder/\n"), &context()).unwrap();
    conformance::run(inside, traits).await;

    let found = probe::capabilities(&*bucket, &SeededEntropy::new(1))
        .await
        .unwrap();
    assert_eq!(
        found.conditional_create,
        ConditionalCreate::Atomic,
        "{found}"
    );
    assert!(
        found.listed_times && found.read_after_write && found.list_after_write,
        "{found}"
    );
    conformance::run(bucket, traits).await;
}

#[tokio::test]
async fn s3_conforms() {
    let server = servers::s3();
    check(&server.objstore_config(), Traits::default()).await;
}

#[tokio::test]
async fn azure_conforms() {
    let server = servers::azure();
    // Azure drops uncommitted blocks by itself.
    let traits = Traits {
        lists_unfinished: false,
        ..Traits::default()
    };
    check(&server.objstore_config(), traits).await;
}

#[tokio::test]
async fn gcs_conforms() {
    let server = GcsFake::start().await;
    check(&server.objstore_config(), Traits::default()).await;
}
