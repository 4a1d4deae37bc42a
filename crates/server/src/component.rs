//! A component and the life of its process.
//!
//! The order is: command line, log, memory, `build`, `run`, signal or end, drain, exit code. The
//! probes turn unready before the drain begins, so that nobody sends new work meanwhile. A second
//! signal ends the process at once.

use std::fmt;
use std::future::Future;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, FromArgMatches};
use rutile_model::ErrorKind;
use rutile_runtime::{
    CancellationToken, Clock, CpuPool, Entropy, Ledger, LedgerStats, MemoryLimit, Spawner,
    SystemClock, SystemEntropy, TaskGroup,
};
use rutile_telemetry::{BuildInfo, LogError, Registry, register_process};

use crate::allocator;
use crate::cli::{self, Answer, FlagValues};
use crate::failure::Failure;
use crate::flags::CommonArgs;
use crate::host::{Guest, Host};
use crate::probe::Probe;
use crate::signals::{FirstSignal, supervise};
use crate::spans::{SpanMetrics, Traces};

/// What a component may take to drain, beyond the grace periods of its servers.
const DRAIN_MARGIN: Duration = Duration::from_secs(5);
/// Threads for local files: they mostly wait.
const FILE_THREADS: usize = 16;

/// One component of the cluster, as a process or as a part of one.
pub trait Component: Sized + Send + 'static {
    /// Its name in metrics, logs and the Info service: `store`.
    const NAME: &'static str;
    /// The name of its program: `rutile-store`.
    const PROGRAM: &'static str;
    /// What `--help` says first.
    const ABOUT: &'static str;
    /// Its flags, without those that all have.
    type Args: Args + fmt::Debug + Send + 'static;

    /// Validates the flags, opens what it needs, and binds its listeners, which are reachable and
    /// not served yet when this returns.
    fn build(
        args: Self::Args,
        context: &Context,
    ) -> impl Future<Output = Result<Self, Failure>> + Send;

    /// Serves until [`Context::shutdown`] is cancelled, drains, and returns; or fails.
    fn run(self, context: Context) -> impl Future<Output = Result<(), Failure>> + Send;

    /// How long [`Component::run`] may drain: the longest grace period of its servers.
    fn drain_limit(args: &Self::Args) -> Duration;
}

/// What a component works with.
#[derive(Debug, Clone)]
pub struct Context {
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Where metrics are made.
    pub registry: Registry,
    /// The probes.
    pub probe: Probe,
    /// The memory of the process.
    pub ledger: Ledger,
    /// Threads for decoding and merging, as many as there are cores.
    pub cpu: CpuPool,
    /// Threads for local files.
    pub files: CpuPool,
    /// Where tasks are started; they end with the process.
    pub tasks: Spawner,
    /// Cancelled when the component is to drain and return.
    pub shutdown: CancellationToken,
    /// The values of all flags, as far as they may be shown.
    pub flags: Arc<FlagValues>,
    /// If another component houses this one.
    pub(crate) guest: Option<Guest>,
}

impl Context {
    /// The context of `component` on the clock and randomness of the machine, with its own metrics.
    #[must_use]
    pub fn new(component: &str, ledger: Ledger, tasks: &TaskGroup) -> Self {
        let registry = Registry::new();
        register_ledger(&registry, &ledger);
        Self {
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            probe: Probe::new(component, &registry),
            registry,
            ledger,
            cpu: CpuPool::for_this_machine(),
            files: CpuPool::new(FILE_THREADS),
            tasks: tasks.spawner(),
            shutdown: CancellationToken::new(),
            flags: Arc::default(),
            guest: None,
        }
    }

    /// The context of `component` in the same process: its probes and its shutdown are its own, its metrics
    /// carry its name, and `host` serves its routes. Its tasks run in `tasks`.
    #[must_use]
    pub fn housed(&self, component: &'static str, host: &Host, tasks: &TaskGroup) -> Self {
        let registry = self.registry.with_label("component", component);
        Self {
            probe: Probe::new(component, &registry),
            registry,
            tasks: tasks.spawner(),
            shutdown: CancellationToken::new(),
            guest: Some(host.guest(component)),
            ..self.clone()
        }
    }

    /// Whether a host serves the routes of this component, and its own page.
    #[must_use]
    pub fn is_housed(&self) -> bool {
        self.guest.is_some()
    }
}

/// Runs `C` with the arguments of the process.
#[must_use]
pub fn run<C: Component>() -> ExitCode {
    run_from::<C>(
        std::env::args_os()
            .map(|argument| argument.to_string_lossy().into_owned())
            .collect(),
    )
}

/// Runs `C` with the arguments `argv`, the name of the program first.
#[must_use]
pub fn run_from<C: Component>(argv: Vec<String>) -> ExitCode {
    let parsed = cli::parse_and_show::<Flags<C::Args>>(C::PROGRAM, C::ABOUT, argv);
    let (flags, values) = match parsed {
        Ok(parsed) => parsed,
        Err(answer) => return print(&answer),
    };
    let Err(failure) = start::<C>(flags, values) else {
        return ExitCode::SUCCESS;
    };
    let (text, exit_code) = (format!("error: {failure}\n"), failure.exit_code());
    if tracing::enabled!(tracing::Level::ERROR) {
        tracing::error!(component = C::NAME, kind = %failure.kind(), err = %failure, "command failed");
        return ExitCode::from(exit_code);
    }
    // The log could not be set up.
    print(&Answer { text, exit_code })
}

/// The flags of all components and those of one.
struct Flags<A> {
    common: CommonArgs,
    own: A,
}

impl<A: Args> Args for Flags<A> {
    fn augment_args(command: clap::Command) -> clap::Command {
        CommonArgs::augment_args(A::augment_args(command))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl<A: Args> FromArgMatches for Flags<A> {
    fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        let common = CommonArgs::from_arg_matches(matches)?;
        Ok(Self {
            common,
            own: A::from_arg_matches(matches)?,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
        self.common.update_from_arg_matches(matches)?;
        self.own.update_from_arg_matches(matches)
    }
}

fn start<C: Component>(flags: Flags<C::Args>, values: FlagValues) -> Result<(), Failure> {
    let log = flags.common.log.config()?;
    let traces = flags.common.tracing.traces(C::PROGRAM);
    let recorder = traces
        .as_ref()
        .ok()
        .and_then(|traces| Some(traces.as_ref()?.recorder()));
    match rutile_telemetry::init(&log, recorder) {
        // Somebody else in this process logs already, which is as good.
        Ok(()) | Err(LogError::AlreadySet) => {}
        Err(error) => return Err(Failure::usage(error.to_string())),
    }
    let traces = traces?;
    flags.common.validate()?;
    let limit = flags.common.memory_limit_bytes(MemoryLimit::detect())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::new(ErrorKind::Internal, &error))?;
    let BuildInfo {
        version, revision, ..
    } = BuildInfo::CURRENT;
    tracing::info!(
        component = C::NAME,
        version,
        revision,
        memory_limit_bytes = limit,
        "starting"
    );
    let ledger = Ledger::new(limit);
    supervise(runtime, DRAIN_MARGIN, |signal| {
        live::<C>(flags.own, values, ledger, traces, signal)
    })
}

async fn live<C: Component>(
    args: C::Args,
    values: FlagValues,
    ledger: Ledger,
    traces: Option<Traces>,
    mut signal: FirstSignal,
) -> Result<(), Failure> {
    let tasks = TaskGroup::new(C::NAME);
    let mut context = Context::new(C::NAME, ledger, &tasks);
    context.flags = Arc::new(values);
    register_process(&context.registry);
    allocator::register(&context.registry);
    let keeping_memory = allocator::keep_within(context.ledger.stats().limit_bytes, &context.tasks);
    register_tasks(&context.registry, context.tasks.clone());
    let span_metrics = SpanMetrics::new(&context.registry);
    let exporting = match traces {
        Some(traces) => Some(traces.export(span_metrics).await?),
        None => None,
    };
    let drain_limit = C::drain_limit(&args) + DRAIN_MARGIN;
    let component = tokio::select! {
        biased;
        () = signal.caught() => {
            tracing::info!("exiting before the start is done");
            return Ok(());
        }
        built = C::build(args, &context) => built?,
    };
    context.probe.set_healthy();
    let result = run_until_signal(component, &context, &mut signal, drain_limit).await;
    drop(keeping_memory);
    tasks.shutdown(DRAIN_MARGIN).await;
    if let Some(exporting) = exporting {
        exporting.finish().await;
    }
    tracing::info!("exiting");
    result
}

async fn run_until_signal<C: Component>(
    component: C,
    context: &Context,
    signal: &mut FirstSignal,
    drain_limit: Duration,
) -> Result<(), Failure> {
    let mut running = Box::pin(component.run(context.clone()));
    tokio::select! {
        biased;
        () = signal.caught() => {}
        result = &mut running => return result,
    }
    tracing::info!("draining");
    context.probe.set_not_ready("shutting down");
    context.shutdown.cancel();
    let drained = tokio::time::timeout(drain_limit, running).await;
    drained.unwrap_or_else(|_| {
        let message = "open requests did not end within the grace period";
        Err(Failure::message(ErrorKind::Canceled, message))
    })
}

fn register_tasks(registry: &Registry, tasks: Spawner) {
    let runtime = tokio::runtime::Handle::current().metrics();
    registry.gauge_fn(
        "go_goroutines",
        "Number of tasks that currently exist.",
        move || runtime.num_alive_tasks() as f64,
    );
    registry.counter_fn(
        "rutile_task_panics_total",
        "Number of background tasks that ended by a panic.",
        move || tasks.panics() as f64,
    );
}

fn register_ledger(registry: &Registry, ledger: &Ledger) {
    let gauge = |name: &str, help: &str, read: fn(LedgerStats) -> f64| {
        let ledger = ledger.clone();
        registry.gauge_fn(name, help, move || read(ledger.stats()));
    };
    gauge(
        "rutile_memory_limit_bytes",
        "Memory that may be reserved at a time.",
        |stats| stats.limit_bytes as f64,
    );
    gauge(
        "rutile_memory_in_use_bytes",
        "Memory reserved now.",
        |stats| stats.in_use_bytes as f64,
    );
    gauge(
        "rutile_memory_peak_bytes",
        "The most memory ever reserved.",
        |stats| stats.peak_bytes as f64,
    );
    gauge(
        "rutile_memory_waiting_requests",
        "Requests that wait for memory.",
        |stats| stats.waiting as f64,
    );
    let counter = |name: &str, help: &str, read: fn(LedgerStats) -> f64| {
        let ledger = ledger.clone();
        registry.counter_fn(name, help, move || read(ledger.stats()));
    };
    counter(
        "rutile_memory_waited_total",
        "Requests that had to wait for memory.",
        |stats| stats.waited_total as f64,
    );
    counter(
        "rutile_memory_exhausted_total",
        "Requests refused for want of memory.",
        |stats| stats.exhausted_total as f64,
    );
}

/// Help goes to standard output, problems to standard error. A reader that is gone is no problem.
fn print(answer: &Answer) -> ExitCode {
    if answer.exit_code == 0 {
        write!(std::io::stdout(), "{answer}").ok();
    } else {
        write!(std::io::stderr(), "{answer}").ok();
    }
    ExitCode::from(answer.exit_code)
}
