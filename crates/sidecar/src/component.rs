//! `rutile-sidecar` as a process: waits for its Prometheus, serves it, uploads its blocks, drains.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use rutile_block::Contract;
use rutile_lifecycle::Lifecycle;
use rutile_model::ErrorKind;
use rutile_objstore::{Bucket, OpenContext, check_reachable, open};
use rutile_runtime::TaskGroup;
use rutile_server::{Component, Context, Failure, GrpcServer, GrpcServices, HttpServer};
use rutile_shipper::{Parts, Shipper};
use rutile_storeapi::StoreApi;
use rutile_storeapi::grpc::{
    Exemplars, InfoServer, MethodServer, MetricMetadata, Rules, StoreServer, Targets,
    TsdbStatistics,
};

use crate::args::{SidecarArgs, UploadArgs};
use crate::checks::{self, Uploads};
use crate::peer::Peer;
use crate::reloader::Reloader;
use crate::reports::Reports;
use crate::shipping;
use crate::store::PrometheusStore;

/// The sidecar and its listeners.
#[derive(Debug)]
pub struct SidecarComponent {
    peer: Arc<Peer>,
    store: Arc<PrometheusStore>,
    reports: Arc<Reports>,
    upload: Option<Upload>,
    reloader: Option<Reloader>,
    tasks: TaskGroup,
    http: HttpServer,
    grpc: GrpcServer,
}

/// What uploads need.
#[derive(Debug)]
struct Upload {
    bucket: Arc<dyn Bucket>,
    data: PathBuf,
    config: rutile_shipper::Config,
    checks: Uploads,
    /// How long Prometheus may take until it is ready.
    ready_within: Duration,
}

impl Component for SidecarComponent {
    const NAME: &'static str = "sidecar";
    const PROGRAM: &'static str = "rutile-sidecar";
    const ABOUT: &'static str = "Stands beside a Prometheus: serves its data, uploads its blocks, reloads its configuration.";
    type Args = SidecarArgs;

    async fn build(args: SidecarArgs, context: &Context) -> Result<Self, Failure> {
        let log = args.request_logging.request_log()?;
        let client = args.prometheus.client()?;
        let peer = Arc::new(Peer::new(
            client.clone(),
            args.prometheus.peer()?,
            Arc::clone(&context.clock),
            &context.registry,
        ));
        let reloader = reloader(&args, client, context).await?;
        let upload = upload(&args, context).await?;
        let store = PrometheusStore::new(
            Arc::clone(&peer),
            context.cpu.clone(),
            context.ledger.clone(),
            args.limits.limits(),
            &context.registry,
        );
        let http = HttpServer::bind(&args.http, context).await?;
        let grpc = GrpcServer::bind(&args.grpc, context).await?;
        Ok(Self {
            reports: Arc::new(Reports::new(Arc::clone(&peer), context.cpu.clone())),
            peer,
            store: Arc::new(store),
            upload,
            reloader,
            tasks: context.tasks.child("beside"),
            http: http.log_requests(&log, context),
            grpc: grpc.log_requests(&log),
        })
    }

    async fn run(mut self, context: Context) -> Result<(), Failure> {
        let serving = self.http.serve(Router::new(), context.shutdown.clone());
        let http = context.tasks.spawn("http", serving);
        // From the beginning: Prometheus may wait for the configuration that it writes.
        let reloading = self.reloader.take().map(|reloader| {
            let reloading = self.tasks.spawn("reloader", reloader.run());
            reloading.abort_on_drop()
        });
        let met = tokio::select! {
            biased;
            () = context.shutdown.cancelled() => Ok(None),
            met = meet(&self.peer, self.upload.take(), &context) => met,
        };
        let shipper = match met {
            Ok(shipper) => shipper,
            Err(failure) => {
                context.probe.set_not_ready(&failure.to_string());
                context.shutdown.cancel();
                drop(http.await);
                return Err(failure);
            }
        };
        if !context.shutdown.is_cancelled() {
            context.probe.set_ready();
        }
        let (peer, probe) = (Arc::clone(&self.peer), context.probe.clone());
        let watching = async move { peer.watch(&probe).await };
        let watching = self.tasks.spawn("heartbeat", watching).abort_on_drop();
        let shipping = shipper.map(|shipper| {
            let shipping = shipping::run(shipper, self.peer.watch_labels());
            self.tasks.spawn("shipper", shipping).abort_on_drop()
        });
        let services = services(self.store, self.reports);
        let served = self.grpc.serve(services, context.shutdown.clone()).await;
        drop((watching, shipping, reloading));
        // The HTTP server drains by the same token; its report is in the log.
        drop(http.await);
        served.map(drop)
    }

    fn drain_limit(args: &SidecarArgs) -> Duration {
        args.http
            .http_grace_period
            .to_std()
            .max(args.grpc.grpc_grace_period.to_std())
    }
}

fn services(store: Arc<PrometheusStore>, reports: Arc<Reports>) -> GrpcServices {
    let store: Arc<dyn StoreApi> = store;
    GrpcServices::new()
        .add_service(StoreServer::new(Arc::clone(&store)))
        .add_service(InfoServer::new(store))
        .add_service(MethodServer::<Rules>::new(Arc::clone(&reports)))
        .add_service(MethodServer::<Targets>::new(Arc::clone(&reports)))
        .add_service(MethodServer::<MetricMetadata>::new(Arc::clone(&reports)))
        .add_service(MethodServer::<Exemplars>::new(Arc::clone(&reports)))
        .add_service(MethodServer::<TsdbStatistics>::new(reports))
        .descriptors(rutile_proto::FILE_DESCRIPTOR_SET)
}

/// The reloader, with the configuration written for the first time.
async fn reloader(
    args: &SidecarArgs,
    client: rutile_promclient::Client,
    context: &Context,
) -> Result<Option<Reloader>, Failure> {
    let Some(config) = args.reloader.config()? else {
        return Ok(None);
    };
    let mut reloader = Reloader::new(
        config,
        args.reloader.trigger(client),
        Arc::clone(&context.clock),
        context.files.clone(),
        &context.registry,
    );
    let applied = reloader.apply().await;
    applied.map_err(|error| Failure::new(ErrorKind::Invalid, &error))?;
    Ok(Some(reloader))
}

async fn upload(args: &SidecarArgs, context: &Context) -> Result<Option<Upload>, Failure> {
    let Some(yaml) = args.upload.objstore.content()? else {
        tracing::info!("no bucket is configured: nothing is uploaded");
        return Ok(None);
    };
    let opening = |error: rutile_objstore::Error| {
        Failure::new(error.kind(), &error).context("--objstore.config")
    };
    let open_context = OpenContext {
        clock: Arc::clone(&context.clock),
        registry: context.registry.clone(),
        component: SidecarComponent::NAME.to_owned(),
    };
    let bucket = open(&yaml, &open_context).map_err(opening)?;
    check_reachable(&*bucket).await.map_err(opening)?;
    let UploadArgs { tsdb_path, .. } = &args.upload;
    Ok(Some(Upload {
        bucket,
        data: tsdb_path.clone(),
        config: args.upload.shipper(),
        checks: args.upload.checks(),
        ready_within: args.prometheus.ready_timeout(),
    }))
}

/// Waits for Prometheus. Its data folder is looked for afterwards: it may make it at its own start.
async fn meet(
    peer: &Arc<Peer>,
    upload: Option<Upload>,
    context: &Context,
) -> Result<Option<Shipper>, Failure> {
    let Some(upload) = upload else {
        peer.meet(None).await?;
        return Ok(None);
    };
    let meeting = peer.meet(Some(&upload.checks));
    let met = tokio::time::timeout(upload.ready_within, meeting).await;
    met.unwrap_or_else(|_| {
        let (address, seconds) = (peer.client().address(), upload.ready_within.as_secs());
        let message = format!(
            "the Prometheus at {address} was not ready within {seconds} s: check --prometheus.url, or give \
             it longer with --prometheus.ready_timeout"
        );
        Err(Failure::message(ErrorKind::Unavailable, message))
    })?;
    let disk = checks::data_folder(&upload.data, &context.files).await?;
    let lifecycle = Lifecycle::new(
        Arc::clone(&upload.bucket),
        Arc::clone(&context.clock),
        Contract::default(),
        &context.registry,
    );
    let parts = Parts {
        lifecycle,
        bucket: upload.bucket,
        clock: Arc::clone(&context.clock),
        disk,
        labels: peer.watch_labels(),
    };
    Ok(Some(Shipper::new(parts, upload.config, &context.registry)))
}
