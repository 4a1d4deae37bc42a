//! Evaluates queries: waits for a turn, limits the time, and turns failures into those of the API.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rutile_api::{ErrorType, Failed, Result};
use rutile_dedup::Function;
use rutile_fanout::Fanout;
use rutile_model::ErrorKind;
use rutile_promql::{Answer, Engine, EngineOptions, Error, Explanation, Query, Source};
use rutile_runtime::{Account, CpuPool, Ledger};
use rutile_storeapi::RequestContext;
use rutile_telemetry::spans::Instrument as _;
use rutile_telemetry::{Registry, span};
use tokio::time::Instant;

use crate::active::ActiveQueries;
use crate::gate::{Gate, GateMetrics};
use crate::lookback::lookback_ms;
use crate::metrics::{Metrics, TelemetryBounds};
use crate::source::{Figures, Places, Selection, StoreSource};
use crate::tenancy::Tenancy;

/// How queries are evaluated.
#[derive(Debug, Clone)]
pub struct QuerierConfig {
    /// The engine; its lookback is that of raw data.
    pub engine: EngineOptions,
    /// Whether to look back further for coarse data.
    pub dynamic_lookback: bool,
    /// The most time that a query may take, its wait included.
    pub timeout: Duration,
    /// Queries that run at a time; 0: no limit.
    pub max_concurrent: usize,
    /// Selects of a query that run at a time; 0: no limit.
    pub max_concurrent_selects: usize,
    /// How replicas become one series.
    pub dedup: Function,
    /// Who may see what.
    pub tenancy: Tenancy,
    /// Of a metric.
    pub telemetry: TelemetryBounds,
}

/// What a querier works with.
#[derive(Debug)]
pub struct Parts {
    /// The stores.
    pub fanout: Arc<Fanout>,
    /// Where queries are computed.
    pub cpu: CpuPool,
    /// The memory of the process.
    pub ledger: Ledger,
    /// Metrics.
    pub registry: Registry,
    /// The log of queries that run, if there is one.
    pub active: Option<ActiveQueries>,
}

/// A query and how it is to be evaluated.
#[derive(Debug, Clone)]
pub struct Question {
    /// The text.
    pub query: String,
    /// Who asks.
    pub tenant: String,
    /// The id of the request, for the logs of stores.
    pub request_id: Option<Arc<str>>,
    /// How series are selected.
    pub selection: Selection,
    /// How far to look back, ms; none: as the settings say.
    pub lookback_ms: Option<i64>,
    /// The most time it may take, unless the settings allow less.
    pub timeout: Option<Duration>,
    /// Whether it is of interest what each part of the query came to.
    pub analyze: bool,
}

/// When a query is evaluated, ms since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// Once.
    At(i64),
    /// At every step from the first time to the last one.
    Range {
        /// The first time.
        start: i64,
        /// No time is later.
        end: i64,
        /// Between two times.
        step: i64,
    },
}

/// What came of a query. How the engine came to the answer stands there.
#[derive(Debug)]
pub struct Evaluated {
    /// The result.
    pub answer: Answer,
    /// What is worth knowing about it, as text: what stores say, warnings, infos.
    pub warnings: Vec<String>,
    /// How long it took.
    pub took: Took,
}

/// How long a result took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Took {
    /// Time until the query had its turn.
    pub queued: Duration,
    /// Time of the evaluation.
    pub evaluated: Duration,
}

/// Evaluates queries over the stores behind a fan-out.
#[derive(Debug)]
pub struct Querier {
    pub(crate) config: QuerierConfig,
    pub(crate) fanout: Arc<Fanout>,
    pub(crate) cpu: CpuPool,
    pub(crate) ledger: Ledger,
    gate: Gate,
    select_metrics: Arc<GateMetrics>,
    places_ahead: Places,
    metrics: Metrics,
    active: Option<ActiveQueries>,
}

impl Querier {
    /// Puts it together.
    #[must_use]
    pub fn new(parts: Parts, config: QuerierConfig) -> Self {
        let gate_metrics = Arc::new(GateMetrics::of_queries(&parts.registry));
        Self {
            gate: Gate::new(config.max_concurrent, gate_metrics),
            select_metrics: Arc::new(GateMetrics::of_selects(&parts.registry)),
            places_ahead: Places::default(),
            metrics: Metrics::new(&parts.registry, config.telemetry.clone()),
            fanout: parts.fanout,
            cpu: parts.cpu,
            ledger: parts.ledger,
            active: parts.active,
            config,
        }
    }

    /// Evaluates a query. Dropping the future ends it.
    ///
    /// # Errors
    /// `BadData` for a wrong query, `Timeout` when the time is up, else `Execution`.
    pub async fn evaluate(&self, question: Question, times: Times) -> Result<Evaluated> {
        let begun = Instant::now();
        let timeout = question.timeout.map_or(self.config.timeout, |timeout| {
            timeout.min(self.config.timeout)
        });
        if timeout.is_zero() {
            return Err(timed_out());
        }
        let deadline = begun.checked_add(timeout);
        let evaluation = async {
            let query = self.query(&question.query, &question.tenant).await?;
            self.in_turn(question, query, times, deadline).await
        };
        let Some(deadline) = deadline else {
            return evaluation.await;
        };
        tokio::time::timeout_at(deadline, evaluation)
            .await
            .unwrap_or_else(|_| Err(timed_out()))
    }

    /// How a query of this tenant would be evaluated.
    ///
    /// # Errors
    /// `BadData` for a wrong query.
    pub async fn explain(&self, query: &str, tenant: &str) -> Result<Explanation> {
        let query = self.query(query, tenant).await?;
        let engine = Engine::new(self.config.engine, self.cpu.clone());
        Ok(engine.explain_query(query))
    }

    /// What a tenant may see of a query. It is parsed beside the async threads, for its regular expressions are compiled
    /// meanwhile.
    pub(crate) async fn query(&self, text: &str, tenant: &str) -> Result<Query> {
        let (tenancy, parser) = (self.config.tenancy.clone(), self.config.engine.parser);
        let (text, tenant) = (text.to_owned(), tenant.to_owned());
        let parse = move || tenancy.query(&text, &tenant, &parser);
        self.cpu.run(parse).await
    }

    async fn in_turn(
        &self,
        question: Question,
        query: Query,
        times: Times,
        deadline: Option<Instant>,
    ) -> Result<Evaluated> {
        let arrived = Instant::now();
        let waiting = span!("query_gate_ismyturn");
        let turn = self.gate.turn().instrument(waiting).await;
        let _turn = turn.map_err(|error| Failed::execution(&error))?;
        let _active = match &self.active {
            Some(active) => Some(active.enter(query.text()).await),
            None => None,
        };
        let begun = Instant::now();
        let queued = begun - arrived;
        let figures = Arc::new(Figures::default());
        let tenant = question.tenant.clone();
        let options = self.options(&question);
        // One account for all that a query holds: with memory of its own, it waits for nobody.
        let account = self.ledger.account("query");
        let engine = Engine::new(options, self.cpu.clone()).with_account(account.clone());
        let source = self.source(question, account, &figures, deadline);
        if let Times::Range { start, end, .. } = times {
            self.metrics.requested(end.saturating_sub(start));
        }
        let text = query.text().to_owned();
        // Whole vectors are combined between two waits: probes and other queries must not wait for that.
        let evaluation = |stop| async move {
            let engine = engine.with_stop(stop);
            match times {
                Times::At(time) => engine.instant_query(&source, query, time).await,
                Times::Range { start, end, step } => {
                    let times = (start, end);
                    engine.range_query(&source, query, times, step).await
                }
            }
        };
        let span = match times {
            Times::At(time) => span!("instant_query_exec", query = text, time),
            Times::Range { start, end, step } => {
                span!("range_query_exec", query = text, start, end, step)
            }
        };
        let answer = self.cpu.apart(evaluation).instrument(span).await;
        let evaluated = begun.elapsed();
        self.metrics.selected(&tenant, &figures, evaluated);
        let answer = answer.map_err(|error| failed(&error))?;
        let annotations = answer
            .annotations
            .iter()
            .map(|annotation| annotation.render(&text));
        Ok(Evaluated {
            warnings: answer.warnings.iter().cloned().chain(annotations).collect(),
            took: Took { queued, evaluated },
            answer,
        })
    }

    fn options(&self, question: &Question) -> EngineOptions {
        let by_settings = || {
            let resolution = question.selection.max_resolution_ms;
            lookback_ms(
                self.config.engine.lookback_ms,
                self.config.dynamic_lookback,
                resolution,
            )
        };
        EngineOptions {
            lookback_ms: question.lookback_ms.unwrap_or_else(by_settings),
            analyze: question.analyze,
            ..self.config.engine
        }
    }

    fn source(
        &self,
        question: Question,
        account: Account,
        figures: &Arc<Figures>,
        deadline: Option<Instant>,
    ) -> Arc<dyn Source> {
        Arc::new(StoreSource {
            fanout: Arc::clone(&self.fanout),
            context: RequestContext {
                tenant: question.tenant.as_str().into(),
                request_id: question.request_id,
                deadline,
            },
            selection: question.selection,
            dedup: self.config.dedup,
            gate: Gate::new(
                self.config.max_concurrent_selects,
                Arc::clone(&self.select_metrics),
            ),
            account,
            figures: Arc::clone(figures),
            ahead: Mutex::default(),
            places: self.places_ahead.clone(),
        })
    }
}

fn timed_out() -> Failed {
    Failed::new(
        ErrorType::Timeout,
        "query timed out in expression evaluation",
    )
}

/// The failure of the API for one of the engine.
fn failed(error: &Error) -> Failed {
    match error {
        Error::Parse(_) | Error::Invalid(_) => Failed::parameter("query", error),
        Error::Canceled => timed_out(),
        Error::Source(source) if source.kind == ErrorKind::Canceled => timed_out(),
        Error::Source(_) | Error::Execution(_) | Error::TooMany(_) => Failed::execution(error),
    }
}
