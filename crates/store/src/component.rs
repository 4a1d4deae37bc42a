//! `rutile-store` as a process: opens the bucket, syncs, serves, drains.

use std::sync::Arc;
use std::time::Duration;

use rutile_cache::{CacheParts, open_caching_bucket, open_index_cache};
use rutile_disk::{Disk, OsDisk};
use rutile_model::ErrorKind;
use rutile_objstore::{BucketReader, OpenContext, check_reachable, open_reader};
use rutile_runtime::TaskGroup;
use rutile_server::{Component, Context, Failure, GrpcServer, GrpcServices, HttpServer};
use rutile_storeapi::StoreApi;
use rutile_storeapi::grpc::{InfoServer, StoreServer};
use tokio::time::Instant;

use crate::args::StoreArgs;
use crate::web::Web;
use crate::{Parts, Store};

/// How long the first sync is tried for, and how long between two tries.
const FIRST_SYNC_WITHIN: Duration = Duration::from_secs(30);
const FIRST_SYNC_RETRY: Duration = Duration::from_secs(10);

/// The store gateway and its listeners.
#[derive(Debug)]
pub struct StoreComponent {
    store: Store,
    tasks: TaskGroup,
    http: HttpServer,
    grpc: GrpcServer,
    web: Option<Web>,
    sync_interval: Duration,
}

impl Component for StoreComponent {
    const NAME: &'static str = "store";
    const PROGRAM: &'static str = "rutile-store";
    const ABOUT: &'static str =
        "Serves the blocks of a bucket over the StoreAPI: the history behind a querier.";
    type Args = StoreArgs;

    async fn build(args: StoreArgs, context: &Context) -> Result<Self, Failure> {
        let config = args.config(context.clock.now_ms())?;
        let log = args.bucket.request_logging.request_log()?;
        let bucket = open_bucket(&args, context).await?;
        let index_cache = open_index_cache(
            args.bucket.index_cache.expanded_content()?.as_deref(),
            args.bucket.index_cache_size,
            &cache_parts(context),
        );
        let index_cache = index_cache
            .map_err(|error| Failure::new(error.kind(), &error).context("--index-cache.config"))?;
        let parts = Parts {
            bucket,
            disk: open_disk(&args)?,
            index_cache,
            clock: Arc::clone(&context.clock),
            cpu: context.files.clone(),
            ledger: context.ledger.clone(),
            registry: context.registry.clone(),
        };
        let tasks = context.tasks.child("calls");
        let store = Store::build(parts, config, &tasks)
            .map_err(|error| Failure::new(error.kind(), &error))?;
        let http = HttpServer::bind(&args.http, context).await?;
        let grpc = GrpcServer::bind(&args.grpc, context).await?;
        let web = (!args.web.disable).then(|| Web::new(&args.web, &store, context));
        Ok(Self {
            store,
            tasks,
            http: http.log_requests(&log, context),
            grpc: grpc.log_requests(&log),
            web,
            sync_interval: args.sync_interval(),
        })
    }

    async fn run(self, context: Context) -> Result<(), Failure> {
        let Self {
            store,
            tasks,
            http,
            grpc,
            web,
            sync_interval,
        } = self;
        let routes = web.map(Web::routes).unwrap_or_default();
        let http = context
            .tasks
            .spawn("http", http.serve(routes, context.shutdown.clone()));
        let first = tokio::select! {
            biased;
            () = context.shutdown.cancelled() => Ok(()),
            first = first_sync(&store) => first,
        };
        if let Err(failure) = first {
            context.probe.set_not_ready("the first sync failed");
            context.shutdown.cancel();
            drop(http.await);
            return Err(failure);
        }
        let gateway: Arc<dyn StoreApi> = Arc::clone(&store.gateway) as _;
        let services = GrpcServices::new()
            .add_service(StoreServer::new(Arc::clone(&gateway)))
            .add_service(InfoServer::new(gateway))
            .descriptors(rutile_proto::FILE_DESCRIPTOR_SET);
        let syncer = Arc::clone(&store.syncer);
        let syncing = tasks
            .spawn("sync", async move { syncer.run(sync_interval).await })
            .abort_on_drop();
        if !context.shutdown.is_cancelled() {
            context.probe.set_ready();
        }
        let served = grpc.serve(services, context.shutdown.clone()).await;
        drop(syncing);
        // The HTTP server drains by the same token; its report is in the log.
        drop(http.await);
        served.map(drop)
    }

    fn drain_limit(args: &StoreArgs) -> Duration {
        args.http
            .http_grace_period
            .to_std()
            .max(args.grpc.grpc_grace_period.to_std())
    }
}

async fn open_bucket(
    args: &StoreArgs,
    context: &Context,
) -> Result<Arc<dyn BucketReader>, Failure> {
    let opening = |error: rutile_objstore::Error| {
        Failure::new(error.kind(), &error).context("--objstore.config")
    };
    let open_context = OpenContext {
        clock: Arc::clone(&context.clock),
        registry: context.registry.clone(),
        component: StoreComponent::NAME.to_owned(),
    };
    let yaml = args.bucket.objstore.content()?.unwrap_or_default();
    let bucket = open_reader(&yaml, &open_context).map_err(opening)?;
    check_reachable(&*bucket).await.map_err(opening)?;
    let caching = args.bucket.caching_bucket.expanded_content()?;
    let parts = cache_parts(context);
    open_caching_bucket(caching.as_deref(), bucket, &yaml, &parts).map_err(|error| {
        Failure::new(error.kind(), &error).context("--store.caching-bucket.config")
    })
}

fn cache_parts(context: &Context) -> CacheParts {
    CacheParts {
        clock: Arc::clone(&context.clock),
        registry: context.registry.clone(),
        tasks: context.tasks.clone(),
    }
}

fn open_disk(args: &StoreArgs) -> Result<Option<Arc<dyn Disk>>, Failure> {
    if !args.bucket.cache_index_header {
        return Ok(None);
    }
    let disk = OsDisk::open(&args.bucket.data_dir)
        .map_err(|error| Failure::new(ErrorKind::Invalid, &error).context("--data-dir"))?;
    Ok(Some(Arc::new(disk)))
}

/// Syncs once, trying again for a while if the bucket does not answer.
async fn first_sync(store: &Store) -> Result<(), Failure> {
    let started = Instant::now();
    loop {
        match store.syncer.sync().await {
            Ok(synced) => {
                let seconds = started.elapsed().as_secs_f64();
                tracing::info!(
                    blocks = synced.served,
                    failed = synced.failed,
                    seconds,
                    "bucket store ready"
                );
                return Ok(());
            }
            Err(error) if started.elapsed() + FIRST_SYNC_RETRY >= FIRST_SYNC_WITHIN => {
                return Err(Failure::new(error.kind(), &error).context("the first sync"));
            }
            Err(error) => {
                tracing::warn!(%error, "the first sync failed, trying again");
                tokio::time::sleep(FIRST_SYNC_RETRY).await;
            }
        }
    }
}
