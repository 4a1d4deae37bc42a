//! Queries: `/query`, `/query_range`, and how they would be evaluated.

use std::time::Duration;

use rutile_api::{Data, Failed, Params, QueryData, Reply, Result};
use rutile_promql::{Value, engine::MAX_TIME_MS};
use rutile_proto::thanos::ShardInfo;
use serde::Deserialize;

use super::{Asked, Web, figures};
use crate::source::Selection;
use crate::{Evaluated, Question, Times};

/// The most steps of a range query.
const MAX_STEPS: i64 = 11_000;
/// Steps of a range query that names none, at most.
const DEFAULT_STEPS: i64 = 250;
/// Samples that are to lie between two steps if the resolution follows the step.
const SAMPLES_PER_STEP: i64 = 5;
const NS_PER_MS: i64 = 1_000_000;

/// The JSON of `shard_info`. As in Go, what is null is not given.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Shard {
    shard_index: Option<i64>,
    total_shards: Option<i64>,
    by: Option<bool>,
    labels: Option<Vec<String>>,
}

/// `/query`
pub(super) async fn instant(web: Web, asked: Asked) -> Result<Reply> {
    let time = asked.params.time("time")?.unwrap_or_else(|| web.now_ms());
    require_time("time", time)?;
    let resolution = web.0.config.instant_max_resolution;
    let resolution_ms = i64::try_from(resolution.as_millis()).unwrap_or(i64::MAX);
    evaluate(&web, asked, Times::At(time), resolution_ms).await
}

/// `/query_range`
pub(super) async fn range(web: Web, asked: Asked) -> Result<Reply> {
    let times = range_times(&web, &asked.params)?;
    let step = match times {
        Times::Range { step, .. } => step,
        Times::At(_) => 0,
    };
    evaluate(&web, asked, times, step / SAMPLES_PER_STEP).await
}

fn range_times(web: &Web, params: &Params) -> Result<Times> {
    let start = params.required_time("start")?;
    let end = params.required_time("end")?;
    require_time("start", start)?;
    require_time("end", end)?;
    if end < start {
        return Err(Failed::parameter(
            "end",
            "end timestamp must not be before start time",
        ));
    }
    let span = end.saturating_sub(start);
    let step = match params.duration_ns("step")? {
        Some(ns) => ns / NS_PER_MS,
        None => {
            let least = i64::try_from(web.0.config.default_step.as_secs()).unwrap_or(i64::MAX);
            (span / 1000 / DEFAULT_STEPS)
                .max(least)
                .saturating_mul(1000)
        }
    };
    if step <= 0 {
        let problem = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(Failed::parameter("step", problem));
    }
    if span / step > MAX_STEPS {
        return Err(Failed::bad_data(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution \
             (?step=XX)",
        ));
    }
    Ok(Times::Range { start, end, step })
}

/// The engine would refuse it, too, and not know where it stood.
fn require_time(name: &str, time_ms: i64) -> Result<()> {
    if (-MAX_TIME_MS..=MAX_TIME_MS).contains(&time_ms) {
        return Ok(());
    }
    let most = MAX_TIME_MS / 1000;
    let problem = format!("the time is out of range: it must lie between -{most} and {most}");
    Err(Failed::parameter(name, problem))
}

async fn evaluate(web: &Web, asked: Asked, times: Times, auto_resolution_ms: i64) -> Result<Reply> {
    let params = &asked.params;
    let limit = params.limit("limit")?;
    let with_stats = !params.get("stats").is_empty();
    let question = question(web, &asked, auto_resolution_ms).await?;
    let Evaluated {
        answer,
        mut warnings,
        took,
    } = web.0.querier.evaluate(question, times).await?;
    let mut value = answer.value;
    if limit.is_some_and(|limit| truncate(&mut value, limit)) {
        warnings.push("results truncated due to limit".to_owned());
    }
    let data = QueryData {
        value,
        stats: with_stats.then(|| figures::stats(took, answer.stats)),
        analysis: answer.analysis.as_ref().map(figures::analysis),
    };
    Ok(Reply {
        data: Data::Query(Box::new(data)),
        warnings,
        memory: answer.memory,
    })
}

/// What the parameters say about the query, other than when.
async fn question(web: &Web, asked: &Asked, auto_resolution_ms: i64) -> Result<Question> {
    let params = &asked.params;
    engine(params)?;
    let timeout = params
        .duration_ns("timeout")?
        .map(|ns| Duration::from_nanos(ns.max(0).unsigned_abs()));
    let lookback = params
        .duration_ns("lookback_delta")?
        .map(|ns| ns / NS_PER_MS);
    Ok(Question {
        query: params.get("query").to_owned(),
        tenant: asked.tenant.clone(),
        request_id: asked.request_id.clone(),
        selection: Selection {
            replica_labels: web.replica_labels(params)?,
            store_matchers: web.read_selectors(params, "storeMatch[]").await?,
            max_resolution_ms: max_resolution_ms(web, params, auto_resolution_ms)?,
            partial_response: web.partial_response(params)?,
            shard: shard(params)?,
        },
        lookback_ms: lookback.filter(|ms| *ms > 0),
        timeout,
        analyze: matches!(params.get("analyze"), "true" | "1"),
    })
}

/// There is one engine, which answers for both of Thanos's.
fn engine(params: &Params) -> Result<()> {
    match params.get("engine") {
        "" | "prometheus" | "thanos" => Ok(()),
        other => Err(Failed::parameter("engine", format!("'{other}' bad engine"))),
    }
}

fn max_resolution_ms(web: &Web, params: &Params, auto_ms: i64) -> Result<i64> {
    const NAME: &str = "max_source_resolution";
    match params.get(NAME) {
        "auto" => Ok(auto_ms),
        "" if web.0.config.auto_downsampling => Ok(auto_ms),
        _ => match params.duration_ns(NAME)?.unwrap_or(0) {
            ns if ns < 0 => {
                let problem = format!("negative '{NAME}' is not accepted. Try a positive integer");
                Err(Failed::parameter(NAME, problem))
            }
            ns => Ok(ns / NS_PER_MS),
        },
    }
}

fn shard(params: &Params) -> Result<Option<ShardInfo>> {
    let text = params.get("shard_info");
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = |problem: String| Failed::parameter("shard_info", problem);
    let shard: Option<Shard> =
        serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
    let shard = shard.unwrap_or_default();
    let shard_info = ShardInfo {
        shard_index: shard.shard_index.unwrap_or_default(),
        total_shards: shard.total_shards.unwrap_or_default(),
        by: shard.by.unwrap_or_default(),
        labels: shard.labels.unwrap_or_default(),
    };
    let (index, total) = (shard_info.shard_index, shard_info.total_shards);
    match total {
        0 => Ok(None),
        ..0 => Err(wrong(format!("total_shards must not be negative: {total}"))),
        _ if (0..total).contains(&index) => Ok(Some(shard_info)),
        _ => Err(wrong(format!(
            "there is no shard_index {index} of {total} shards"
        ))),
    }
}

/// Leaves so many series at most. True: there were more.
fn truncate(value: &mut Value, limit: usize) -> bool {
    let len = match value {
        Value::Vector(samples) => {
            let len = samples.len();
            samples.truncate(limit);
            len
        }
        Value::Matrix(series) => {
            let len = series.len();
            series.truncate(limit);
            len
        }
        Value::Scalar { .. } | Value::String { .. } => 0,
    };
    len > limit
}

/// `/query_explain` and `/query_range_explain`: the plan of a query.
pub(super) async fn explain(web: Web, asked: Asked) -> Result<Reply> {
    let params = &asked.params;
    if params.get("engine") != "thanos" {
        return Err(Failed::parameter("engine", "engine type must be 'thanos'"));
    }
    if !params.get("start").is_empty() {
        range_times(&web, params)?;
    }
    let question = question(&web, &asked, 0).await?;
    let querier = &web.0.querier;
    let plan = querier.explain(&question.query, &question.tenant).await?;
    Ok(Reply::new(figures::plan(&plan)))
}
