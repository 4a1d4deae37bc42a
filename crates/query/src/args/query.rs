//! How queries are evaluated.

use std::path::{Path, PathBuf};

use clap::Args;
use rutile_dedup::Function;
use rutile_model::{GoDuration, PromDuration};
use rutile_promql::EngineOptions;
use rutile_server::Failure;

use super::invalid;
use crate::{CallLimits, TelemetryBounds};

/// How queries are evaluated.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Queries")]
pub(crate) struct QueryFlags {
    /// The most time that a query may take, its wait included.
    #[arg(long = "query.timeout", default_value = "2m", value_name = "DURATION")]
    pub(crate) timeout: GoDuration,
    /// Queries that run at a time; the others wait. 0: no limit.
    #[arg(long = "query.max-concurrent", default_value_t = 20, value_name = "N")]
    pub(crate) max_concurrent: usize,
    /// Selects of a query that run at a time. 0: no limit.
    #[arg(
        long = "query.max-concurrent-select",
        default_value_t = 4,
        value_name = "N"
    )]
    pub(crate) max_concurrent_select: usize,
    /// Samples that the results of a query may hold at a time.
    #[arg(
        long = "query.max-samples",
        default_value_t = 2_147_483_647,
        value_name = "N"
    )]
    max_samples: u64,
    /// How far instant selectors look back [default: 5m].
    #[arg(long = "query.lookback-delta", value_name = "DURATION")]
    lookback: Option<GoDuration>,
    /// Look back at least as far as two samples of the data lie apart.
    #[arg(
        long = "query.dynamic-lookback-delta",
        default_value_t = true,
        hide = true
    )]
    pub(crate) dynamic_lookback: bool,
    /// Labels that tell replicas apart, repeatable, with commas.
    #[arg(
        long = "query.replica-label",
        value_delimiter = ',',
        value_name = "NAME"
    )]
    pub(crate) replica_labels: Vec<String>,
    /// How replicas become one series: penalty, chain, or replica.
    #[arg(
        long = "deduplication.func",
        default_value = "penalty",
        value_name = "NAME"
    )]
    dedup: String,
    /// Choose the resolution of the data by the step if a request says nothing.
    #[arg(long = "query.auto-downsampling")]
    pub(crate) auto_downsampling: bool,
    /// The resolution of instant queries in that case.
    #[arg(
        long = "query.instant.default.max_source_resolution",
        default_value = "0s",
        hide = true
    )]
    pub(crate) instant_resolution: PromDuration,
    /// The step of subqueries that name none.
    #[arg(
        long = "query.default-evaluation-interval",
        default_value = "1m",
        value_name = "DURATION"
    )]
    evaluation_interval: GoDuration,
    /// The least step of range queries that name none.
    #[arg(
        long = "query.default-step",
        default_value = "1s",
        value_name = "DURATION"
    )]
    pub(crate) default_step: GoDuration,
    /// How far calls about series and labels that name no start look back; 0: all time.
    #[arg(
        long = "query.metadata.default-time-range",
        default_value = "0s",
        value_name = "DURATION"
    )]
    pub(crate) metadata_range: PromDuration,
    /// Folder of the log of queries that run; empty: none.
    #[arg(
        long = "query.active-query-path",
        default_value = "",
        value_name = "PATH"
    )]
    active_query_path: String,
    #[command(flatten)]
    pub(crate) partial: PartialArgs,
    #[command(flatten)]
    telemetry: TelemetryArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

/// Whether answers may be partial if a request does not say.
#[derive(Debug, Clone, Args)]
pub(crate) struct PartialArgs {
    /// A store that fails makes a warning, not an error, if a query does not say.
    #[arg(long = "query.partial-response", default_value_t = true)]
    pub(crate) query: bool,
    /// Likewise for rules.
    #[arg(long = "rule.partial-response", default_value_t = true, hide = true)]
    pub(crate) rule: bool,
    /// Likewise for targets.
    #[arg(long = "target.partial-response", default_value_t = true, hide = true)]
    pub(crate) target: bool,
    /// Likewise for metadata.
    #[arg(
        long = "metric-metadata.partial-response",
        default_value_t = true,
        hide = true
    )]
    pub(crate) metric_metadata: bool,
    /// Likewise for exemplars.
    #[arg(
        long = "exemplar.partial-response",
        default_value_t = true,
        hide = true
    )]
    pub(crate) exemplar: bool,
    /// Likewise for statistics.
    #[arg(long = "status.partial-response", default_value_t = true, hide = true)]
    pub(crate) status: bool,
}

/// Classes of the metric on selects.
#[derive(Debug, Clone, Args)]
struct TelemetryArgs {
    /// Buckets of thanos_store_api_query_duration_seconds, repeatable.
    #[arg(
        id = "telemetry_seconds",
        long = "query.telemetry.request-duration-seconds-quantiles",
        value_name = "SECONDS",
        default_values_t = TelemetryBounds::default().seconds
    )]
    seconds: Vec<f64>,
    /// Classes of its label samples_le, repeatable.
    #[arg(
        id = "telemetry_samples",
        long = "query.telemetry.request-samples-quantiles",
        value_name = "N",
        default_values_t = TelemetryBounds::default().samples
    )]
    samples: Vec<f64>,
    /// Classes of its label series_le, repeatable.
    #[arg(
        id = "telemetry_series",
        long = "query.telemetry.request-series-seconds-quantiles",
        value_name = "N",
        default_values_t = TelemetryBounds::default().series
    )]
    series: Vec<f64>,
}

/// What a Series call to this querier may take.
#[derive(Debug, Clone, Args)]
pub(crate) struct LimitArgs {
    /// Series of a call; 0: no limit.
    #[arg(
        long = "store.limits.request-series",
        default_value_t = 0,
        value_name = "N"
    )]
    series: u64,
    /// Samples of a call, counted as chunks of 120; 0: no limit.
    #[arg(
        long = "store.limits.request-samples",
        default_value_t = 0,
        value_name = "N"
    )]
    samples: u64,
}

impl LimitArgs {
    pub(crate) fn limits(&self) -> CallLimits {
        CallLimits {
            series: self.series,
            samples: self.samples,
        }
    }
}

impl QueryFlags {
    /// The engine, without features.
    ///
    /// # Errors
    /// A failure that says which flag to change.
    pub(crate) fn engine(&self) -> Result<EngineOptions, Failure> {
        let defaults = EngineOptions::default();
        let lookback_ms = self
            .lookback
            .map_or(defaults.lookback_ms, GoDuration::as_ms);
        let positive = [
            (lookback_ms, "--query.lookback-delta"),
            (
                self.evaluation_interval.as_ms(),
                "--query.default-evaluation-interval",
            ),
            (self.default_step.as_ms() / 1000, "--query.default-step"),
            (self.timeout.as_ms(), "--query.timeout"),
        ];
        if let Some((_, flag)) = positive.iter().find(|(value, _)| *value <= 0) {
            let least = if *flag == "--query.default-step" {
                "1s"
            } else {
                "1ms"
            };
            return Err(invalid(format!("{flag} must be at least {least}")));
        }
        Ok(EngineOptions {
            lookback_ms,
            subquery_step_ms: self.evaluation_interval.as_ms(),
            max_samples: self.max_samples,
            ..defaults
        })
    }

    /// How replicas become one series.
    ///
    /// # Errors
    /// A failure for a name that is none.
    pub(crate) fn dedup(&self) -> Result<Function, Failure> {
        self.dedup
            .parse()
            .map_err(|error| invalid(format!("--deduplication.func: {error}")))
    }

    /// The folder of the active query log.
    pub(crate) fn active_query_folder(&self) -> Option<PathBuf> {
        (!self.active_query_path.is_empty()).then(|| Path::new(&self.active_query_path).to_owned())
    }

    /// # Errors
    /// A failure for bounds that do not ascend.
    pub(crate) fn telemetry(&self) -> Result<TelemetryBounds, Failure> {
        let TelemetryArgs {
            seconds,
            samples,
            series,
        } = &self.telemetry;
        for (bounds, of) in [
            (seconds, "duration-seconds"),
            (samples, "samples"),
            (series, "series-seconds"),
        ] {
            let ascend = bounds.is_sorted_by(|a, b| a < b);
            if !ascend || bounds.iter().any(|bound| !bound.is_finite()) {
                return Err(invalid(format!(
                    "--query.telemetry.request-{of}-quantiles {bounds:?}: each must be a number above the one before"
                )));
            }
        }
        Ok(TelemetryBounds {
            seconds: seconds.clone(),
            samples: samples.clone(),
            series: series.clone(),
        })
    }
}
