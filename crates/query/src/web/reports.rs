//! What endpoints report of themselves: `/rules`, `/alerts`, `/targets`, `/metadata`, `/query_exemplars`, `/status/tsdb`.

use std::collections::BTreeMap;

use axum::routing::MethodRouter;
use rutile_api::{Data, ErrorType, Failed, Params, Reply, Result, reports};
use rutile_fanout::{Merged, of_all_tenants};
use rutile_model::{ErrorKind, quote};
use rutile_proto::thanos::rules_request::Type;
use rutile_proto::thanos::targets_request::State;
use rutile_proto::thanos::{
    ExemplarsRequest, MetricMetadataRequest, RuleGroup, RulesRequest, TargetsRequest,
    TsdbStatisticsEntry, TsdbStatisticsRequest,
};
use rutile_storeapi::Error;

use super::{ALL_TIME, Asked, Web, both, only_get};
use crate::matchers::to_wire;
use crate::source::strategy;

/// Entries in each list of statistics, if a request does not say.
const DEFAULT_ENTRIES: usize = 10;

/// Whether answers may be partial if a request does not say.
#[derive(Debug, Clone, Copy)]
pub struct PartialReports {
    /// Rules and alerts.
    pub rules: bool,
    /// Targets.
    pub targets: bool,
    /// Metadata of metrics.
    pub metric_metadata: bool,
    /// Exemplars.
    pub exemplars: bool,
    /// Statistics of databases.
    pub statistics: bool,
}

impl Default for PartialReports {
    fn default() -> Self {
        Self {
            rules: true,
            targets: true,
            metric_metadata: true,
            exemplars: true,
            statistics: true,
        }
    }
}

/// Paths, what metrics call them, and how they are answered.
pub(super) fn routes() -> [(&'static str, &'static str, MethodRouter<Web>); 6] {
    [
        ("/rules", "rules", only_get(rules)),
        ("/alerts", "alerts", only_get(alerts)),
        ("/targets", "targets", only_get(targets)),
        ("/metadata", "metadata", only_get(metadata)),
        ("/query_exemplars", "exemplars", both(exemplars)),
        ("/status/tsdb", "status_tsdb", only_get(tsdb_status)),
    ]
}

async fn rules(web: Web, asked: Asked) -> Result<Reply> {
    let kind = match asked.params.get("type").to_lowercase().as_str() {
        "" | "all" => Type::All,
        "alert" => Type::Alert,
        "record" => Type::Record,
        other => return Err(unknown("type", other, "alert or record")),
    };
    let all = |name| asked.params.all(name).map(str::to_owned).collect();
    let request = RulesRequest {
        r#type: kind.into(),
        matcher_string: all("match[]"),
        rule_name: all("rule_name[]"),
        rule_group: all("rule_group[]"),
        file: all("file[]"),
        ..RulesRequest::default()
    };
    let groups = web.groups(&asked, request).await?;
    Ok(reply(groups, |groups| reports::rules(&groups)))
}

async fn alerts(web: Web, asked: Asked) -> Result<Reply> {
    let request = RulesRequest {
        r#type: Type::Alert.into(),
        ..RulesRequest::default()
    };
    let groups = web.groups(&asked, request).await?;
    Ok(reply(groups, |groups| reports::alerts(&groups)))
}

async fn targets(web: Web, asked: Asked) -> Result<Reply> {
    let state = match asked.params.get("state").to_lowercase().as_str() {
        "" | "any" => State::Any,
        "active" => State::Active,
        "dropped" => State::Dropped,
        other => return Err(unknown("state", other, "active, dropped or any")),
    };
    let default = web.0.config.partial_reports.targets;
    let request = TargetsRequest {
        state: state.into(),
        partial_response_strategy: wanted_strategy(&asked.params, default)?,
    };
    let found = web.0.proxies.targets(&web.context(&asked), request).await;
    let found = found.map_err(|error| failed("targets", &error))?;
    Ok(reply(found, |found| reports::targets(&found)))
}

async fn metadata(web: Web, asked: Asked) -> Result<Reply> {
    let limit = match asked.params.get("limit") {
        "" => -1,
        text => text.parse().map_err(|_| {
            let problem = format!("cannot parse {} to a valid limit", quote(text));
            Failed::parameter("limit", problem)
        })?,
    };
    let default = web.0.config.partial_reports.metric_metadata;
    let request = MetricMetadataRequest {
        metric: asked.params.get("metric").to_owned(),
        limit,
        partial_response_strategy: wanted_strategy(&asked.params, default)?,
    };
    let context = web.context(&asked);
    let found = web.0.proxies.metric_metadata(&context, request).await;
    let found = found.map_err(|error| failed("metadata", &error))?;
    Ok(reply(found, |found| reports::metadata(&found)))
}

async fn exemplars(web: Web, asked: Asked) -> Result<Reply> {
    let params = &asked.params;
    let (first, last) = ALL_TIME;
    let start = params.time("start")?.unwrap_or(first);
    let end = params.time("end")?.unwrap_or(last);
    if end < start {
        let problem = "end timestamp must not be before start timestamp";
        return Err(Failed::parameter("end", problem));
    }
    let querier = &web.0.querier;
    let query = querier.query(params.get("query"), &asked.tenant).await?;
    let default = web.0.config.partial_reports.exemplars;
    let request = ExemplarsRequest {
        query: query.text().to_owned(),
        start,
        end,
        partial_response_strategy: wanted_strategy(params, default)?,
    };
    let found = web.0.proxies.exemplars(&web.context(&asked), request).await;
    let found = found.map_err(|error| failed("exemplars", &error))?;
    Ok(reply(found, |found| reports::exemplars(&found)))
}

async fn tsdb_status(web: Web, asked: Asked) -> Result<Reply> {
    let limit = asked.params.limit("limit")?.unwrap_or(DEFAULT_ENTRIES);
    let wire_limit = i32::try_from(limit).map_err(|_| {
        let problem = format!("{limit} is more than {}", i32::MAX);
        Failed::parameter("limit", problem)
    })?;
    let default = web.0.config.partial_reports.statistics;
    let request = TsdbStatisticsRequest {
        limit: wire_limit,
        partial_response_strategy: wanted_strategy(&asked.params, default)?,
        matchers: to_wire(&web.selectors(&asked).await?.concat()),
        ..TsdbStatisticsRequest::default()
    };
    let context = web.context(&asked);
    let found = web.0.proxies.tsdb_statistics(&context, request).await;
    let found = found.map_err(|error| failed("tsdb statistics", &error))?;
    let entry = web.visible(&asked.tenant, found.data)?;
    Ok(Reply {
        memory: None,
        data: reports::tsdb_status(&entry, limit),
        warnings: found.warnings,
    })
}

impl Web {
    /// The groups of rules, of the strategy that is wanted.
    async fn groups(&self, asked: &Asked, request: RulesRequest) -> Result<Merged<Vec<RuleGroup>>> {
        let default = self.0.config.partial_reports.rules;
        let request = RulesRequest {
            partial_response_strategy: wanted_strategy(&asked.params, default)?,
            ..request
        };
        let groups = self.0.proxies.rules(&self.context(asked), request).await;
        groups.map_err(|error| failed("rules", &error))
    }

    /// What a tenant may see of the statistics: all, unless tenants see their own data only.
    fn visible(
        &self,
        tenant: &str,
        mut tenants: BTreeMap<String, TsdbStatisticsEntry>,
    ) -> Result<TsdbStatisticsEntry> {
        if self.0.querier.config.tenancy.enforced_label.is_none() {
            return Ok(of_all_tenants(tenants));
        }
        tenants.remove(tenant).ok_or_else(|| {
            let message = format!("retrieving tsdb statistics: {tenant} tenant not found");
            Failed::new(ErrorType::Internal, message)
        })
    }
}

fn wanted_strategy(params: &Params, default: bool) -> Result<i32> {
    Ok(strategy(
        params.switch("partial_response")?.unwrap_or(default),
    ))
}

fn reply<T>(merged: Merged<T>, json: impl FnOnce(T) -> Data) -> Reply {
    Reply {
        memory: None,
        data: json(merged.data),
        warnings: merged.warnings,
    }
}

fn unknown(name: &str, value: &str, known: &str) -> Failed {
    Failed::parameter(name, format!("{} is not {known}", quote(value)))
}

/// The failure of the API for one of the endpoints.
fn failed(what: &str, error: &Error) -> Failed {
    let kind = match error.kind() {
        ErrorKind::Invalid => ErrorType::BadData,
        ErrorKind::Canceled => ErrorType::Timeout,
        _ => ErrorType::Internal,
    };
    Failed::new(kind, format!("retrieving {what}: {error}"))
}
