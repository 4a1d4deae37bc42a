//! Label names and values: asked of all stores at once, united.

use std::collections::BTreeSet;

use futures::future::{join_all, try_join_all};
use rutile_proto::thanos::{LabelMatcher, LabelNamesRequest, LabelValuesRequest};
use rutile_storeapi::{Error, RequestContext, Result};

use crate::{
    chain,
    fanout::{Plan, is_partial},
    select::Chosen,
};

/// Either call, with what both have.
pub(crate) struct LabelCall {
    pub(crate) kind: Kind,
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) matchers: Vec<LabelMatcher>,
    pub(crate) partial: bool,
    pub(crate) without_replica_labels: Vec<String>,
    limit: i64,
    hints: Option<prost_types::Any>,
}

pub(crate) enum Kind {
    Names,
    /// Of this label.
    Values(String),
}

/// Names or values, sorted, and what went wrong.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) texts: Vec<String>,
    pub(crate) warnings: Vec<String>,
}

impl From<LabelNamesRequest> for LabelCall {
    fn from(request: LabelNamesRequest) -> Self {
        Self {
            kind: Kind::Names,
            partial: is_partial(
                request.partial_response_disabled,
                request.partial_response_strategy,
            ),
            start: request.start,
            end: request.end,
            matchers: request.matchers,
            without_replica_labels: request.without_replica_labels,
            limit: request.limit,
            hints: request.hints,
        }
    }
}

impl From<LabelValuesRequest> for LabelCall {
    fn from(request: LabelValuesRequest) -> Self {
        Self {
            kind: Kind::Values(request.label),
            partial: is_partial(
                request.partial_response_disabled,
                request.partial_response_strategy,
            ),
            start: request.start,
            end: request.end,
            matchers: request.matchers,
            without_replica_labels: request.without_replica_labels,
            limit: request.limit,
            hints: request.hints,
        }
    }
}

/// Asks all stores of the plan.
pub(crate) async fn ask(plan: Plan, ctx: &RequestContext, call: &LabelCall) -> Result<Found> {
    let answers = plan
        .chosen
        .iter()
        .map(|chosen| ask_one(&plan, chosen, ctx, call));
    let answers = if plan.partial {
        let warn = |answer: Result<Found>| {
            answer.unwrap_or_else(|error| Found {
                warnings: vec![error.to_string()],
                ..Found::default()
            })
        };
        join_all(answers).await.into_iter().map(warn).collect()
    } else {
        try_join_all(answers).await?
    };
    let mut warnings = plan.missing;
    let mut texts = BTreeSet::new();
    for answer in answers {
        warnings.extend(answer.warnings);
        texts.extend(answer.texts);
    }
    let limit = usize::try_from(call.limit).ok().filter(|limit| *limit > 0);
    let texts = texts.into_iter().take(limit.unwrap_or(usize::MAX));
    Ok(Found {
        texts: texts.collect(),
        warnings,
    })
}

async fn ask_one(
    plan: &Plan,
    chosen: &Chosen,
    ctx: &RequestContext,
    call: &LabelCall,
) -> Result<Found> {
    let store = &chosen.store;
    let answer = plan.patience.wait(call.send(plan, chosen, ctx));
    let mut found = answer
        .await
        .map_err(|error| chain::of_store(&store.name, call.what(), &error))?;
    if let Some(warning) = found.warnings.first().filter(|_| !plan.partial) {
        return Err(chain::warned(&store.name, warning));
    }
    if matches!(call.kind, Kind::Names) {
        found
            .texts
            .retain(|name| !call.without_replica_labels.contains(name));
    }
    Ok(found)
}

impl LabelCall {
    fn what(&self) -> &'static str {
        match self.kind {
            Kind::Names => "fetch label names",
            Kind::Values(_) => "fetch label values",
        }
    }

    async fn send(
        &self,
        plan: &Plan,
        chosen: &Chosen,
        ctx: &RequestContext,
    ) -> Result<Found, Error> {
        let disabled = !plan.partial;
        let strategy = i32::from(disabled);
        let api = &chosen.store.api;
        match &self.kind {
            Kind::Names => {
                let request = LabelNamesRequest {
                    partial_response_disabled: disabled,
                    partial_response_strategy: strategy,
                    start: self.start,
                    end: self.end,
                    hints: self.hints.clone(),
                    matchers: plan.matchers(chosen),
                    without_replica_labels: self.without_replica_labels.clone(),
                    limit: self.limit_for(chosen),
                };
                let answer = api.label_names(ctx.clone(), request).await?;
                Ok(Found {
                    texts: answer.names,
                    warnings: answer.warnings,
                })
            }
            Kind::Values(label) => {
                let request = LabelValuesRequest {
                    label: label.clone(),
                    partial_response_disabled: disabled,
                    partial_response_strategy: strategy,
                    start: self.start,
                    end: self.end,
                    hints: self.hints.clone(),
                    matchers: plan.matchers(chosen),
                    without_replica_labels: self.without_replica_labels.clone(),
                    limit: self.limit,
                };
                let answer = api.label_values(ctx.clone(), request).await?;
                Ok(Found {
                    texts: answer.values,
                    warnings: answer.warnings,
                })
            }
        }
    }

    /// A store that does not remove replica labels would count them.
    fn limit_for(&self, chosen: &Chosen) -> i64 {
        if self.limit <= 0
            || self.without_replica_labels.is_empty()
            || chosen.store.metadata.supports_without_replica_labels()
        {
            return self.limit;
        }
        let removed = i64::try_from(self.without_replica_labels.len()).unwrap_or(i64::MAX);
        self.limit.saturating_add(removed)
    }
}
