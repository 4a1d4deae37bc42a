//! `rutile-query` as a process: finds its endpoints, serves, drains.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use rutile_discovery::{Discovery, Dns};
use rutile_fanout::{
    Endpoints, Fanout, Proxies, ProxiesConfig, endpoint_dns_metrics, group_dns_metrics,
};
use rutile_model::ErrorKind;
use rutile_runtime::TaskGroup;
use rutile_server::{
    Component, Context, Failure, GrpcServer, GrpcServices, HttpMetrics, HttpServer,
};
use rutile_storeapi::StoreApi;
use rutile_storeapi::grpc::{
    Exemplars, InfoServer, MethodServer, MetricMetadata, Rules, StoreServer, Targets,
    TsdbStatistics,
};
use rutile_ui::Part;

use crate::args::QueryArgs;
use crate::{
    ActiveQueries, PartialReports, Parts, Querier, QuerierConfig, QuerierStore, QueryServer,
    Tenancy, Web, WebConfig,
};

/// How long the start waits for endpoints to say what they serve.
const FIRST_CHECK_WITHIN: Duration = Duration::from_secs(5);

/// What the page shows of the API.
const PARTS: [Part; 3] = [Part::Query, Part::Metadata, Part::Stores];

/// The querier and its listeners.
#[derive(Debug)]
pub struct QueryComponent {
    discovery: Discovery,
    endpoints: Arc<Endpoints>,
    store: Arc<QuerierStore>,
    queries: QueryServer,
    proxies: Arc<Proxies>,
    web: Web,
    /// Empty if a host has its own.
    page: Router,
    http_metrics: HttpMetrics,
    tasks: TaskGroup,
    http: HttpServer,
    grpc: GrpcServer,
}

impl Component for QueryComponent {
    const NAME: &'static str = "query";
    const PROGRAM: &'static str = "rutile-query";
    const ABOUT: &'static str =
        "Evaluates PromQL over the data of many stores, and serves them as one store.";
    type Args = QueryArgs;

    async fn build(args: QueryArgs, context: &Context) -> Result<Self, Failure> {
        let config = querier_config(&args)?;
        let tenancy = config.tenancy.clone();
        let log = args.request_logging.request_log()?;
        let discovery = discovery(&args, context).await?;
        let tasks = context.tasks.child("calls");
        let clock = Arc::clone(&context.clock);
        let endpoints_config = args.endpoints.endpoints_config();
        let endpoints = Endpoints::new(endpoints_config, clock, tasks.spawner(), &context.registry);
        let fanout_config = args.endpoints.fanout_config()?;
        let proxies_config = ProxiesConfig {
            replica_labels: args.query.replica_labels.clone(),
            selector_labels: fanout_config.selector_labels.clone(),
            response_timeout: fanout_config.response_timeout,
        };
        let set = Arc::clone(&endpoints);
        let proxies = Arc::new(Proxies::new(proxies_config, set, context.ledger.clone()));
        let fanout = Arc::new(Fanout::new(
            fanout_config,
            Arc::clone(&endpoints) as _,
            tasks.spawner(),
            context.ledger.clone(),
            &context.registry,
        ));
        let parts = Parts {
            fanout: Arc::clone(&fanout),
            cpu: context.cpu.clone(),
            ledger: context.ledger.clone(),
            registry: context.registry.clone(),
            active: active_queries(&args, context)?,
        };
        let querier = Arc::new(Querier::new(parts, config));
        let queries = QueryServer::new(
            Arc::clone(&querier),
            Arc::clone(&context.clock),
            args.query.replica_labels.clone(),
            args.query.instant_resolution.to_std(),
        );
        let limits = args.query.limits.limits();
        let cpu = context.cpu.clone();
        let store = Arc::new(QuerierStore::new(fanout, cpu, limits, &context.registry));
        let web_config = web_config(&args, context)?;
        let clock = Arc::clone(&context.clock);
        let set = Arc::clone(&endpoints);
        let web = Web::new(querier, Arc::clone(&proxies), set, web_config, clock);
        let page = match context.is_housed() {
            true => Router::new(),
            false => rutile_ui::routes(&args.web.route_prefix()?, &PARTS),
        };
        let http = HttpServer::bind(&args.http, context).await?;
        let grpc = GrpcServer::bind(&args.grpc, context).await?;
        Ok(Self {
            discovery,
            endpoints,
            store,
            queries,
            proxies,
            web,
            page,
            http_metrics: http_metrics(&tenancy, context),
            tasks,
            http: http.log_requests(&log, context),
            grpc: grpc.log_requests(&log),
        })
    }

    async fn run(self, context: Context) -> Result<(), Failure> {
        let Self {
            mut discovery,
            endpoints,
            store,
            queries,
            proxies,
            web,
            page,
            http_metrics,
            tasks,
            http,
            grpc,
        } = self;
        let routes = web.routes(&http_metrics).merge(page);
        let http = context
            .tasks
            .spawn("http", http.serve(routes, context.shutdown.clone()));
        let specs = discovery.watch();
        let first_check = async {
            discovery.update(false).await;
            endpoints.replace(specs.borrow().clone());
            endpoints.checked_once().await;
        };
        tokio::select! {
            biased;
            () = context.shutdown.cancelled() => {}
            checked = tokio::time::timeout(FIRST_CHECK_WITHIN, first_check) => if checked.is_err() {
                tracing::warn!("some endpoints were not found, or did not say yet what they serve");
            },
        }
        let following = Arc::clone(&endpoints);
        let following = async move { following.follow(specs).await };
        let _discovering = tasks.spawn("discovery", discovery.run()).abort_on_drop();
        let _following = tasks.spawn("endpoints", following).abort_on_drop();
        let store: Arc<dyn StoreApi> = store;
        let services = GrpcServices::new()
            .add_service(StoreServer::new(Arc::clone(&store)))
            .add_service(InfoServer::new(store))
            .add_service(queries)
            .add_service(MethodServer::<Rules>::new(Arc::clone(&proxies)))
            .add_service(MethodServer::<Targets>::new(Arc::clone(&proxies)))
            .add_service(MethodServer::<MetricMetadata>::new(Arc::clone(&proxies)))
            .add_service(MethodServer::<Exemplars>::new(Arc::clone(&proxies)))
            .add_service(MethodServer::<TsdbStatistics>::new(proxies))
            .descriptors(rutile_proto::FILE_DESCRIPTOR_SET);
        if !context.shutdown.is_cancelled() {
            context.probe.set_ready();
        }
        let served = grpc.serve(services, context.shutdown.clone()).await;
        // The HTTP server drains by the same token; its report is in the log.
        drop(http.await);
        endpoints.replace(Vec::new());
        drop(tasks);
        served.map(drop)
    }

    fn drain_limit(args: &QueryArgs) -> Duration {
        args.http
            .http_grace_period
            .to_std()
            .max(args.grpc.grpc_grace_period.to_std())
    }
}

fn http_metrics(tenancy: &Tenancy, context: &Context) -> HttpMetrics {
    HttpMetrics::by_tenant(&context.registry, &tenancy.header, &tenancy.default)
}

async fn discovery(args: &QueryArgs, context: &Context) -> Result<Discovery, Failure> {
    let wrong = |error: rutile_discovery::Error| Failure::new(error.kind(), &error);
    let registry = &context.registry;
    let endpoints = Dns::system(endpoint_dns_metrics(registry)).map_err(wrong)?;
    let groups = Dns::system(group_dns_metrics(registry)).map_err(wrong)?;
    Discovery::new(args.endpoints.discovery()?, endpoints, groups)
        .await
        .map_err(wrong)
}

fn querier_config(args: &QueryArgs) -> Result<QuerierConfig, Failure> {
    let flags = &args.query;
    let mut engine = flags.engine()?;
    args.features.apply(&mut engine)?;
    Ok(QuerierConfig {
        engine,
        dynamic_lookback: flags.dynamic_lookback,
        timeout: flags.timeout.to_std(),
        max_concurrent: flags.max_concurrent,
        max_concurrent_selects: flags.max_concurrent_select,
        dedup: flags.dedup()?,
        tenancy: args.tenancy.tenancy()?,
        telemetry: flags.telemetry()?,
    })
}

fn web_config(args: &QueryArgs, context: &Context) -> Result<WebConfig, Failure> {
    let flags = &args.query;
    Ok(WebConfig {
        cors: !args.web.disable_cors,
        prefix: args.web.route_prefix()?,
        replica_labels: flags.replica_labels.clone(),
        auto_downsampling: flags.auto_downsampling,
        instant_max_resolution: flags.instant_resolution.to_std(),
        default_step: flags.default_step.to_std(),
        partial_response: flags.partial.query,
        partial_reports: PartialReports {
            rules: flags.partial.rule,
            targets: flags.partial.target,
            metric_metadata: flags.partial.metric_metadata,
            exemplars: flags.partial.exemplar,
            statistics: flags.partial.status,
        },
        metadata_range: flags.metadata_range.to_std(),
        flags: context.flags.as_ref().clone(),
    })
}

fn active_queries(args: &QueryArgs, context: &Context) -> Result<Option<ActiveQueries>, Failure> {
    let Some(folder) = args.query.active_query_folder() else {
        return Ok(None);
    };
    let clock = Arc::clone(&context.clock);
    let log = ActiveQueries::open(
        &folder,
        args.query.max_concurrent,
        clock,
        context.files.clone(),
    );
    log.map(Some).map_err(|error| {
        Failure::new(ErrorKind::Invalid, &error).context("--query.active-query-path")
    })
}
