//! From `objstore.config` to a bucket with everything around it.
//!
//! From the outside in: metrics (one count for what a caller asked, whatever it took), retries
//! (their waits hold no place), the limit (waiting for a place is no part of a deadline), the
//! deadline, the prefix, the provider. A folder needs no more than metrics and prefix.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use rutile_model::ErrorKind;
use rutile_runtime::Clock;
use rutile_telemetry::Registry;

use crate::config::{self, Provider, Surroundings};
use crate::wrap::{Backoff, Deadline, Deadlines, Limited, Metered, Prefixed, Retrying};
use crate::{Bucket, BucketReader, Depth, Error, FilesystemBucket, Operation, Result};

/// Longest wait of [`check_reachable`].
const REACHABLE_WITHIN: Duration = Duration::from_secs(30);

/// What a bucket gets from the component that opens it.
#[derive(Debug, Clone)]
pub struct OpenContext {
    /// Stamps the time of the last upload.
    pub clock: Arc<dyn Clock>,
    /// Takes the `thanos_objstore_*` metrics.
    pub registry: Registry,
    /// The component's name, which the provider sees as `rutile-<component>`.
    pub component: String,
}

/// Opens a bucket for reading only. Sends no request: see [`check_reachable`].
///
/// # Errors
/// `Invalid` when the configuration cannot be used; the message says what to change.
pub fn open_reader(yaml: &str, context: &OpenContext) -> Result<Arc<dyn BucketReader>> {
    let (provider, prefix) = provider(yaml, context)?;
    Ok(assemble(provider, &prefix, context))
}

/// Opens a bucket for reading and writing. Removes abandoned uploads in a filesystem bucket, of which it reads
/// blocks without filling the page cache; sends no request otherwise.
///
/// # Errors
/// As [`open_reader`], and when the folder of a filesystem bucket cannot be read.
pub fn open(yaml: &str, context: &OpenContext) -> Result<Arc<dyn Bucket>> {
    open_writer(yaml, context, |_| Ok(()))
}

/// As [`open`], for whoever begins buckets: creates the folder of a filesystem bucket if need be. To
/// anybody else a folder that is not there is a typo, which [`check_reachable`] tells of.
///
/// # Errors
/// As [`open`], and when the folder cannot be created.
pub fn create(yaml: &str, context: &OpenContext) -> Result<Arc<dyn Bucket>> {
    open_writer(yaml, context, FilesystemBucket::create_folder)
}

fn open_writer(
    yaml: &str,
    context: &OpenContext,
    prepare: impl FnOnce(&FilesystemBucket) -> Result<()>,
) -> Result<Arc<dyn Bucket>> {
    let (mut provider, prefix) = provider(yaml, context)?;
    if let Provider::Filesystem(bucket) = provider {
        prepare(&bucket)?;
        bucket.remove_abandoned(context.clock.now_ms())?;
        provider = Provider::Filesystem(bucket.without_trace());
    }
    Ok(assemble(provider, &prefix, context))
}

/// Asks the bucket for one page of its listing: finds out at start what would fail later.
///
/// # Errors
/// Whatever keeps the bucket from answering; `Unavailable` after half a minute.
pub async fn check_reachable(bucket: &dyn BucketReader) -> Result<()> {
    let mut entries = bucket.list("", Depth::Recursive);
    match tokio::time::timeout(REACHABLE_WITHIN, entries.next()).await {
        Ok(Some(Err(error))) => Err(error),
        Ok(Some(Ok(_)) | None) => Ok(()),
        Err(_) => {
            let message = format!(
                "no answer within {} s: check `endpoint` of objstore.config and the network",
                REACHABLE_WITHIN.as_secs()
            );
            Err(Error::new(
                ErrorKind::Unavailable,
                Operation::List,
                bucket.name(),
                "",
                message,
            ))
        }
    }
}

fn provider(yaml: &str, context: &OpenContext) -> Result<(Provider, String)> {
    let environment = |name: &str| std::env::var(name).ok();
    let around = Surroundings {
        component: &context.component,
        environment: &environment,
    };
    config::open(yaml, &around)
}

fn assemble(provider: Provider, prefix: &str, context: &OpenContext) -> Arc<dyn Bucket> {
    let prefixed = |bucket: Arc<dyn Bucket>| -> Arc<dyn Bucket> {
        match prefix {
            "" => bucket,
            prefix => Arc::new(Prefixed::new(bucket, prefix)),
        }
    };
    let bucket = match provider {
        Provider::Filesystem(bucket) => prefixed(Arc::new(bucket)),
        Provider::Remote(bucket) => {
            let concurrency = bucket.concurrency();
            let bucket = Deadline::new(prefixed(Arc::new(bucket)), Deadlines::default());
            let bucket = Limited::new(Arc::new(bucket), concurrency);
            Arc::new(Retrying::new(Arc::new(bucket), Backoff::default()))
        }
    };
    Arc::new(Metered::new(
        bucket,
        &context.registry,
        Arc::clone(&context.clock),
    ))
}
