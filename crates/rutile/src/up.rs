//! `rutile up`: the whole cluster in one process, on one bucket, with one port for HTTP.
//!
//! The components are the same as in processes of their own, and talk by gRPC, over the loopback interface. Their
//! routes are served by one HTTP server, their metrics carry their names.

mod args;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use rutile_compact::CompactComponent;
use rutile_disk::FolderLock;
use rutile_model::ErrorKind;
use rutile_query::QueryComponent;
use rutile_runtime::{CancellationToken, Task, TaskGroup};
use rutile_server::{Component, Context, Failure, Host, HttpServer};
use rutile_store::StoreComponent;
use rutile_ui::Part;

pub(crate) use self::args::UpArgs;

/// What the page shows, beside what the compactor knows.
const PARTS: [Part; 4] = [Part::Query, Part::Metadata, Part::Stores, Part::Blocks];

/// The components and the listener before them.
pub(crate) struct UpComponent {
    http: HttpServer,
    host: Host,
    query: Housed<QueryComponent>,
    /// Asked by the querier, so they go on until it has ended.
    store: Housed<StoreComponent>,
    compact: Option<Housed<CompactComponent>>,
    /// Of the data folder.
    _lock: FolderLock,
}

/// A component that is built, and what it runs in.
struct Housed<C> {
    component: C,
    context: Context,
    tasks: TaskGroup,
}

/// A component that runs.
struct Running {
    result: Task<Result<(), Failure>>,
    shutdown: CancellationToken,
    _tasks: TaskGroup,
}

impl Component for UpComponent {
    const NAME: &'static str = "up";
    const PROGRAM: &'static str = "rutile-up";
    const ABOUT: &'static str = "Runs the whole cluster in one process: store gateway, compactor and querier on one bucket.";
    type Args = UpArgs;

    async fn build(args: UpArgs, context: &Context) -> Result<Self, Failure> {
        args.validate()?;
        let lock = args.lock()?;
        let bucket = args.bucket()?;
        let http = HttpServer::bind(&args.http, context).await?;
        let host = Host::new();
        let store = Housed::build(args.store(&bucket)?, context, &host).await?;
        let compact = match args.compact {
            true => Some(Housed::build(args.compact(&bucket)?, context, &host).await?),
            false => None,
        };
        let address = host.grpc_address(StoreComponent::NAME).map(reachable);
        let address = address
            .map(|address| address.to_string())
            .unwrap_or_default();
        let query = Housed::build(args.query(&address)?, context, &host).await?;
        Ok(Self {
            http,
            host,
            query,
            store,
            compact,
            _lock: lock,
        })
    }

    async fn run(self, context: Context) -> Result<(), Failure> {
        let probes: Vec<_> = [&self.store.context, &self.query.context]
            .into_iter()
            .chain(self.compact.as_ref().map(|compact| &compact.context))
            .map(|context| context.probe.clone())
            .collect();
        let has_compactor = self.compact.is_some();
        let ended = CancellationToken::new();
        let query = self.query.run(&ended);
        let mut behind = vec![self.store.run(&ended)];
        behind.extend(self.compact.map(|compact| compact.run(&ended)));
        let readiness = context.probe.clone();
        let ready = async move {
            for probe in probes {
                probe.ready().await;
            }
            readiness.set_ready();
        };
        let ready = context.tasks.spawn("ready", ready).abort_on_drop();
        let (http, host, shutdown) = (self.http, self.host, context.shutdown.clone());
        let serving = async move {
            let routes = tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                routes = routes(&host, has_compactor) => routes,
            };
            http.serve(routes, shutdown).await;
        };
        let http = context.tasks.spawn("http", serving);
        tokio::select! {
            biased;
            () = context.shutdown.cancelled() => {}
            () = ended.cancelled() => {}
        }
        let by_itself = !context.shutdown.is_cancelled();
        drop(ready);
        context.shutdown.cancel();
        // First who asks, then who is asked.
        drop(http.await);
        let mut results = vec![query.end().await];
        for running in behind {
            results.push(running.end().await);
        }
        results.into_iter().collect::<Result<(), Failure>>()?;
        match by_itself {
            true => Err(Failure::message(
                ErrorKind::Internal,
                "a component ended by itself",
            )),
            false => Ok(()),
        }
    }

    fn drain_limit(args: &UpArgs) -> Duration {
        // One after the other.
        args.http.http_grace_period.to_std() * 2 + args.grpc.grpc_grace_period.to_std()
    }
}

impl<C: Component> Housed<C> {
    async fn build(flags: Vec<String>, context: &Context, host: &Host) -> Result<Self, Failure> {
        let (args, values) = args::parse::<C>(flags)?;
        let tasks = context.tasks.child(C::NAME);
        let mut context = context.housed(C::NAME, host, &tasks);
        context.flags = Arc::new(values);
        let component = C::build(args, &context)
            .await
            .map_err(|failure| failure.context(&format!("{0} (--{0}.arg)", C::NAME)))?;
        context.probe.set_healthy();
        Ok(Self {
            component,
            context,
            tasks,
        })
    }

    /// Starts it. When it ends, for whatever reason, `ended` is cancelled.
    fn run(self, ended: &CancellationToken) -> Running {
        let shutdown = self.context.shutdown.clone();
        let ended = ended.clone().drop_guard();
        let running = self.component.run(self.context);
        let result = self.tasks.spawn(C::NAME, async move {
            let _ended = ended;
            running.await.map_err(|failure| failure.context(C::NAME))
        });
        Running {
            result,
            shutdown,
            _tasks: self.tasks,
        }
    }
}

impl Running {
    /// Lets it drain.
    async fn end(self) -> Result<(), Failure> {
        self.shutdown.cancel();
        match self.result.await {
            Ok(result) => result,
            Err(error) => Err(Failure::new(ErrorKind::Internal, &error)),
        }
    }
}

/// Where this process finds who listens at an address: on all interfaces is on this one, too.
fn reachable(address: SocketAddr) -> SocketAddr {
    let loopback: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    match address.ip().is_unspecified() {
        true => SocketAddr::new(loopback, address.port()),
        false => address,
    }
}

/// The page, then the querier's routes; what these do not know is the compactor's, then the store gateway's.
async fn routes(host: &Host, has_compactor: bool) -> Router {
    let mut behind = host.routes(StoreComponent::NAME).await;
    let mut parts = PARTS.to_vec();
    if has_compactor {
        parts.push(Part::Plan);
        behind = host
            .routes(CompactComponent::NAME)
            .await
            .fallback_service(behind);
    }
    let query = host.routes(QueryComponent::NAME).await;
    query
        .merge(rutile_ui::routes("", &parts))
        .fallback_service(behind)
}
