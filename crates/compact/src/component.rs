//! `rutile-compact` as a process: opens the bucket, iterates once or for ever, drains.

use std::sync::Arc;
use std::time::Duration;

use rutile_disk::OsDisk;
use rutile_model::ErrorKind;
use rutile_objstore::{Bucket, OpenContext, check_reachable, open};
use rutile_runtime::Spawner;
use rutile_server::{Component, Context, Failure, HttpServer};

use crate::args::{CompactArgs, WebArgs};
use crate::web::Web;
use crate::workers::lease_length;
use crate::{Compactor, Parts, Report};

/// Time to release leases in at the end.
const LEAVING: Duration = Duration::from_secs(5);
/// How often a process that iterates once looks whether others have left what they held: for a little longer than a lease.
const HELD_TRIES: u32 = 5;

/// The compactor and its listener.
#[derive(Debug)]
pub struct CompactComponent {
    compactor: Arc<Compactor>,
    http: HttpServer,
    pace: Pace,
    web: Option<WebArgs>,
}

/// How often things are done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Between two iterations; none: one is all.
    pub(crate) wait: Option<Duration>,
    /// Between two clean-ups in the background; none: only iterations clean up.
    pub(crate) cleanup: Option<Duration>,
    /// Between two looks for the sake of the metrics; none: only iterations look.
    pub(crate) progress: Option<Duration>,
}

impl Component for CompactComponent {
    const NAME: &'static str = "compact";
    const PROGRAM: &'static str = "rutile-compact";
    const ABOUT: &'static str =
        "Keeps a bucket in order: merges blocks, applies retention, deletes what was marked.";
    type Args = CompactArgs;

    async fn build(args: CompactArgs, context: &Context) -> Result<Self, Failure> {
        let mut config = args.config(context.clock.now_ms())?;
        let lease = args.lease_duration()?;
        let bucket = open_bucket(&args, context).await?;
        config.lease = lease_length(&bucket, &*context.entropy, lease)
            .await
            .map_err(|error| Failure::new(error.kind(), &error).context("--objstore.config"))?;
        let disk = OsDisk::open(args.data_dir())
            .map_err(|error| Failure::new(ErrorKind::Invalid, &error).context("--data-dir"))?;
        let parts = Parts {
            bucket,
            disk: Arc::new(disk),
            clock: Arc::clone(&context.clock),
            entropy: Arc::clone(&context.entropy),
            cpu: context.cpu.clone(),
            files: context.files.clone(),
            ledger: context.ledger.clone(),
            tasks: context.tasks.clone(),
            registry: context.registry.clone(),
        };
        let compactor =
            Compactor::build(parts, config).map_err(|error| Failure::new(error.kind(), &error))?;
        let http = HttpServer::bind(args.http(), context).await?;
        Ok(Self {
            compactor: Arc::new(compactor),
            http,
            pace: args.pace(),
            web: args.web().cloned(),
        })
    }

    async fn run(self, context: Context) -> Result<(), Failure> {
        let Self {
            compactor,
            http,
            pace,
            web,
        } = self;
        let routes = web.as_ref().map(|web| Web::routes(web, &compactor));
        let served = http.serve(routes.unwrap_or_default(), context.shutdown.clone());
        let http = context.tasks.spawn("http", served);
        context.probe.set_ready();
        let mut background = start_background(&compactor, pace, &context.tasks);
        if let Some((interval, timeout)) = web.as_ref().map(WebArgs::viewer) {
            let compactor = Arc::clone(&compactor);
            let looking = async move { compactor.keep_seen(interval, timeout).await };
            background.push(context.tasks.spawn("viewer", looking).abort_on_drop());
        }
        let result = tokio::select! {
            biased;
            () = context.shutdown.cancelled() => Ok(()),
            result = work(&compactor, pace) => result,
        };
        drop(background);
        if tokio::time::timeout(LEAVING, compactor.leave())
            .await
            .is_err()
        {
            tracing::warn!("leases are not released: others wait until they are over");
        }
        context.shutdown.cancel();
        // It drains by the same token; its report is in the log.
        drop(http.await);
        result
    }

    fn drain_limit(args: &CompactArgs) -> Duration {
        args.http().http_grace_period.to_std()
    }
}

async fn work(compactor: &Compactor, pace: Pace) -> Result<(), Failure> {
    if let Some(interval) = pace.wait {
        compactor.run(interval).await;
        return Ok(());
    }
    let report = iterate_alone(compactor).await;
    report.log();
    match report.errors.first() {
        None => Ok(()),
        Some(first) => {
            let failed = report.errors.len();
            Err(Failure::new(first.kind(), first)
                .context(&format!("{failed} steps failed, the first")))
        }
    }
}

/// One iteration, and more for as long as others that have died may hold what is left to do.
async fn iterate_alone(compactor: &Compactor) -> Report {
    let mut report = compactor.iterate().await;
    let Some(lease) = compactor.lease_length() else {
        return report;
    };
    for _ in 0..HELD_TRIES {
        if report.held == 0 || !report.errors.is_empty() {
            break;
        }
        report.log();
        tokio::time::sleep(lease / (HELD_TRIES - 1)).await;
        report = compactor.iterate().await;
    }
    if report.held > 0 {
        tracing::info!(
            held = report.held,
            "other compactors are at what is left to do"
        );
    }
    report
}

/// What goes on beside the iterations, until it is dropped.
fn start_background(
    compactor: &Arc<Compactor>,
    pace: Pace,
    tasks: &Spawner,
) -> Vec<rutile_runtime::Task<()>> {
    let shown = Arc::clone(&compactor.tracker).show();
    let mut started = vec![tasks.spawn("terminal", shown).abort_on_drop()];
    if let Some(interval) = pace.cleanup.filter(|_| pace.wait.is_some()) {
        let compactor = Arc::clone(compactor);
        let sweeping = async move { compactor.sweep_often(interval).await };
        started.push(tasks.spawn("cleanup", sweeping).abort_on_drop());
    }
    if let Some(interval) = pace.progress.filter(|_| pace.wait.is_some()) {
        let compactor = Arc::clone(compactor);
        let watching = async move { compactor.watch(interval).await };
        started.push(tasks.spawn("progress", watching).abort_on_drop());
    }
    started
}

async fn open_bucket(args: &CompactArgs, context: &Context) -> Result<Arc<dyn Bucket>, Failure> {
    let opening = |error: rutile_objstore::Error| {
        Failure::new(error.kind(), &error).context("--objstore.config")
    };
    let open_context = OpenContext {
        clock: Arc::clone(&context.clock),
        registry: context.registry.clone(),
        component: CompactComponent::NAME.to_owned(),
    };
    let bucket = open(&args.objstore()?, &open_context).map_err(opening)?;
    check_reachable(&*bucket).await.map_err(opening)?;
    Ok(bucket)
}
