//! The metrics of a bucket, named and counted as the reference's dashboards and alerts expect.
//!
//! An object that is not there is an answer, not a failure, where callers ask to find out: `get`
//! (metas and marks), `exists`, `attributes`. A range is only read of an object that must be there.
//! A call that was dropped has been an operation, and neither failed nor took time.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt as _};
use rutile_model::ErrorKind;
use rutile_runtime::Clock;
use rutile_telemetry::spans::{Instrument as _, Span};
use rutile_telemetry::{Counter, Gauge, Histogram, IntCounter, Registry, span};
use tokio::time::Instant;
use tracing::field::Empty;

use crate::{
    Attributes, Bucket, BucketReader, Depth, Entry, Error, MultipartUpload, PutMode, Result,
    UnfinishedUpload,
};

/// Seconds.
const DURATION_BUCKETS: [f64; 14] = [
    0.001, 0.01, 0.1, 0.3, 0.6, 1.0, 3.0, 6.0, 9.0, 20.0, 30.0, 60.0, 90.0, 120.0,
];

/// A bucket that counts and times what is asked of it.
#[derive(Debug)]
pub struct Metered<B: ?Sized> {
    inner: Arc<B>,
    metrics: Arc<Metrics>,
}

struct Metrics {
    clock: Arc<dyn Clock>,
    last_upload: Gauge,
    iter: Handles,
    get: Handles,
    get_range: Handles,
    exists: Handles,
    attributes: Handles,
    upload: Handles,
    delete: Handles,
}

/// The series of one operation.
struct Handles {
    /// As spans are called.
    name: String,
    operations: IntCounter,
    failures: IntCounter,
    seconds: Histogram,
    /// Only of the operations that carry bytes.
    bytes: Option<(Counter, Histogram)>,
}

impl<B: BucketReader + ?Sized> Metered<B> {
    /// `inner` with its metrics in `registry`, all of them there from the start.
    #[must_use]
    pub fn new(inner: Arc<B>, registry: &Registry, clock: Arc<dyn Clock>) -> Self {
        let metrics = Arc::new(Metrics::new(registry, inner.name(), clock));
        Self { inner, metrics }
    }
}

impl Metrics {
    fn new(registry: &Registry, bucket: &str, clock: Arc<dyn Clock>) -> Self {
        let handles = |operation, carries| Handles::new(registry, bucket, operation, carries);
        let last_upload = registry.gauge_vec(
            "thanos_objstore_bucket_last_successful_upload_time",
            "Second timestamp of the last successful upload to the bucket.",
            &["bucket"],
        );
        Self {
            clock,
            last_upload: last_upload.with_label_values(&[bucket]),
            iter: handles("iter", false),
            get: handles("get", true),
            get_range: handles("get_range", true),
            exists: handles("exists", false),
            attributes: handles("attributes", false),
            upload: handles("upload", true),
            delete: handles("delete", false),
        }
    }

    fn uploaded(&self) {
        self.last_upload.set(self.clock.now_ms() as f64 / 1000.0);
    }
}

impl Handles {
    fn new(registry: &Registry, bucket: &str, operation: &str, carries: bool) -> Self {
        let names = ["bucket", "operation"];
        let labels = [bucket, operation];
        let operations = registry.int_counter_vec(
            "thanos_objstore_bucket_operations_total",
            "Total number of all attempted operations against a bucket.",
            &names,
        );
        let failures = registry.int_counter_vec(
            "thanos_objstore_bucket_operation_failures_total",
            "Total number of operations against a bucket that failed, and were not expected to.",
            &names,
        );
        let seconds = registry.histogram_vec(
            "thanos_objstore_bucket_operation_duration_seconds",
            "Duration of operations against the bucket; of iter until its consumer has ended.",
            &names,
            &DURATION_BUCKETS,
        );
        let bytes = carries.then(|| {
            let fetched = registry.counter_vec(
                "thanos_objstore_bucket_operation_fetched_bytes_total",
                "Total number of bytes fetched from the bucket, per operation.",
                &names,
            );
            // 32 KiB, 64 KiB, … 1 GiB.
            let buckets: Vec<f64> = (15..31).map(|power| f64::from(1_u32 << power)).collect();
            let transferred = registry.histogram_vec(
                "thanos_objstore_bucket_operation_transferred_bytes",
                "Number of bytes transferred from or to the bucket per operation.",
                &names,
                &buckets,
            );
            (
                fetched.with_label_values(&labels),
                transferred.with_label_values(&labels),
            )
        });
        Self {
            name: format!("bucket_{operation}"),
            operations: operations.with_label_values(&labels),
            failures: failures.with_label_values(&labels),
            seconds: seconds.with_label_values(&labels),
            bytes,
        }
    }

    async fn measure<T>(
        &self,
        span: Span,
        expected: &[ErrorKind],
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        self.operations.inc();
        let start = Instant::now();
        let result = call.instrument(span.clone()).await;
        match &result {
            Ok(_) => self.seconds.observe(start.elapsed().as_secs_f64()),
            Err(error) => {
                note_failure(&span, error);
                self.failed(expected, error);
            }
        }
        result
    }

    /// The span of a call that is about this object, or this folder.
    fn span(&self, key: &str) -> Span {
        span!(
            "bucket",
            otel.name = self.name,
            otel.kind = "client",
            otel.status_code = Empty,
            error = Empty,
            key
        )
    }

    fn failed(&self, expected: &[ErrorKind], error: &Error) {
        if !expected.contains(&error.kind) {
            self.failures.inc();
        }
    }

    fn fetched(&self, size: usize) {
        if let Some((fetched, transferred)) = &self.bytes {
            fetched.inc_by(size as f64);
            transferred.observe(size as f64);
        }
    }

    fn sent(&self, size: usize) {
        if let Some((_, transferred)) = &self.bytes {
            transferred.observe(size as f64);
        }
    }
}

fn note_failure(span: &Span, error: &Error) {
    span.record("otel.status_code", "ERROR");
    span.record("error", tracing::field::display(error));
}

#[async_trait]
impl<B: BucketReader + ?Sized> BucketReader for Metered<B> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn read_gap(&self) -> u64 {
        self.inner.read_gap()
    }

    async fn get(&self, key: &str, limit: u64) -> Result<Bytes> {
        let handles = &self.metrics.get;
        let call = self.inner.get(key, limit);
        let body = handles
            .measure(handles.span(key), &[ErrorKind::NotFound], call)
            .await?;
        handles.fetched(body.len());
        Ok(body)
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        let handles = &self.metrics.get_range;
        let span = handles.span(key);
        let body = handles
            .measure(span, &[], self.inner.get_range(key, range))
            .await?;
        handles.fetched(body.len());
        Ok(body)
    }

    /// Each range counts as an operation; the time is that of the whole call.
    async fn get_ranges(&self, key: &str, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let handles = &self.metrics.get_range;
        handles
            .operations
            .inc_by((ranges.len() as u64).saturating_sub(1));
        let span = handles.span(key);
        let bodies = handles
            .measure(span, &[], self.inner.get_ranges(key, ranges))
            .await?;
        bodies.iter().for_each(|body| handles.fetched(body.len()));
        Ok(bodies)
    }

    async fn attributes(&self, key: &str) -> Result<Attributes> {
        let handles = &self.metrics.attributes;
        let call = self.inner.attributes(key);
        handles
            .measure(handles.span(key), &[ErrorKind::NotFound], call)
            .await
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        let handles = &self.metrics.exists;
        handles
            .measure(handles.span(key), &[], self.inner.exists(key))
            .await
    }

    fn list<'a>(&'a self, prefix: &'a str, depth: Depth) -> BoxStream<'a, Result<Entry>> {
        let handles = &self.metrics.iter;
        handles.operations.inc();
        let timer = ListTimer {
            handles,
            span: handles.span(prefix),
            start: Instant::now(),
        };
        self.inner
            .list(prefix, depth)
            .inspect(move |entry| {
                // The whole timer moves here, so that it ends with the listing.
                let timer = &timer;
                if let Err(error) = entry {
                    note_failure(&timer.span, error);
                    timer.handles.failed(&[], error);
                }
            })
            .boxed()
    }
}

/// Observes the duration of a listing when it is dropped.
struct ListTimer<'a> {
    handles: &'a Handles,
    span: Span,
    start: Instant,
}

impl Drop for ListTimer<'_> {
    fn drop(&mut self) {
        self.handles
            .seconds
            .observe(self.start.elapsed().as_secs_f64());
    }
}

#[async_trait]
impl<B: Bucket + ?Sized> Bucket for Metered<B> {
    async fn put(&self, key: &str, body: Bytes, mode: PutMode) -> Result<()> {
        let handles = &self.metrics.upload;
        let size = body.len();
        let call = self.inner.put(key, body, mode);
        handles
            .measure(handles.span(key), &[ErrorKind::AlreadyExists], call)
            .await?;
        handles.sent(size);
        self.metrics.uploaded();
        Ok(())
    }

    async fn start_multipart(&self, key: &str) -> Result<Box<dyn MultipartUpload>> {
        let handles = &self.metrics.upload;
        handles.operations.inc();
        let start = Instant::now();
        let span = handles.span(key);
        let upload = self.inner.start_multipart(key).await;
        let upload = upload.inspect_err(|error| {
            note_failure(&span, error);
            handles.failed(&[], error);
        })?;
        let metrics = Arc::clone(&self.metrics);
        Ok(Box::new(MeteredUpload {
            metrics,
            start,
            span,
            size: 0,
            failed: false,
            upload,
        }))
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let handles = &self.metrics.delete;
        handles
            .measure(handles.span(key), &[], self.inner.delete(key))
            .await
    }

    // No metric of the reference's fits these two, and they are rare.
    async fn unfinished_uploads(&self) -> Result<Vec<UnfinishedUpload>> {
        self.inner.unfinished_uploads().await
    }

    async fn abort_unfinished(&self, upload: &UnfinishedUpload) -> Result<()> {
        self.inner.abort_unfinished(upload).await
    }
}

/// All parts together are one `upload`, which fails at most once.
struct MeteredUpload {
    metrics: Arc<Metrics>,
    start: Instant,
    /// Ends with the upload.
    span: Span,
    size: usize,
    failed: bool,
    upload: Box<dyn MultipartUpload>,
}

impl MeteredUpload {
    fn check(&mut self, result: Result<()>) -> Result<()> {
        if let Err(error) = &result
            && !self.failed
        {
            self.failed = true;
            note_failure(&self.span, error);
            self.metrics.upload.failed(&[], error);
        }
        result
    }
}

#[async_trait]
impl MultipartUpload for MeteredUpload {
    async fn put_part(&mut self, part: Bytes) -> Result<()> {
        let size = part.len();
        let sent = self.upload.put_part(part).await;
        self.check(sent)?;
        self.size += size;
        Ok(())
    }

    async fn complete(&mut self) -> Result<()> {
        let completed = self.upload.complete().await;
        self.check(completed)?;
        self.metrics
            .upload
            .seconds
            .observe(self.start.elapsed().as_secs_f64());
        self.metrics.upload.sent(self.size);
        self.metrics.uploaded();
        Ok(())
    }

    async fn abort(&mut self) -> Result<()> {
        self.upload.abort().await
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for MeteredUpload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MeteredUpload")
            .field("upload", &self.upload)
            .finish_non_exhaustive()
    }
}
