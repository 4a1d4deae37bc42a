//! `/labels` and `/label/<name>/values`.

use std::collections::BTreeSet;

use rutile_api::{Data, Failed, Reply, Result};
use rutile_model::Matcher;
use rutile_proto::thanos::{LabelNamesRequest, LabelValuesRequest};
use rutile_storeapi::RequestContext;
use tokio::time::timeout_at;

use super::series::{TRUNCATED, failed, timed_out, wire_limit};
use super::{Asked, Web};
use crate::matchers::to_wire;
use crate::source::strategy;

/// What all calls about labels say. Replica labels are not removed: they show.
struct Call {
    start: i64,
    end: i64,
    strategy: i32,
    limit: Option<usize>,
    store_matchers: Vec<Vec<Matcher>>,
    /// At least one, which may be empty.
    sets: Vec<Vec<Matcher>>,
    context: RequestContext,
}

/// What some stores answered.
#[derive(Default)]
struct Found {
    texts: BTreeSet<String>,
    warnings: Vec<String>,
}

impl Call {
    async fn read(web: &Web, asked: &Asked) -> Result<Self> {
        let params = &asked.params;
        let (start, end) = web.metadata_times(params)?;
        let mut sets = web.selectors(asked).await?;
        if sets.is_empty() {
            sets.push(Vec::new());
        }
        Ok(Self {
            start,
            end,
            strategy: strategy(web.partial_response(params)?),
            limit: params.limit("limit")?,
            store_matchers: web.read_selectors(params, "storeMatch[]").await?,
            sets,
            context: web.context(asked),
        })
    }
}

impl Found {
    fn add(&mut self, texts: Vec<String>, warnings: Vec<String>) {
        self.texts.extend(texts);
        for warning in warnings {
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
    }

    fn into_reply(mut self, limit: Option<usize>) -> Reply {
        let most = limit.unwrap_or(usize::MAX);
        if self.texts.len() > most {
            self.warnings.push(TRUNCATED.to_owned());
        }
        let texts: Vec<&String> = self.texts.iter().take(most).collect();
        Reply {
            memory: None,
            data: Data::json(&texts),
            warnings: self.warnings,
        }
    }
}

/// `/labels`
pub(super) async fn names(web: Web, asked: Asked) -> Result<Reply> {
    let call = Call::read(&web, &asked).await?;
    let ask = async {
        let mut found = Found::default();
        for matchers in &call.sets {
            let request = LabelNamesRequest {
                start: call.start,
                end: call.end,
                matchers: to_wire(matchers),
                partial_response_strategy: call.strategy,
                limit: wire_limit(call.limit),
                ..LabelNamesRequest::default()
            };
            let (context, compiled) = (&call.context, matchers.clone());
            let fanout = &web.0.querier.fanout;
            let answer = fanout.matching_names(context, request, compiled, &call.store_matchers);
            let answer = answer.await.map_err(|error| failed(&error))?;
            found.add(answer.names, answer.warnings);
        }
        Ok(found)
    };
    Ok(in_time(&call, ask).await?.into_reply(call.limit))
}

/// `/label/<name>/values`
pub(super) async fn values(web: Web, asked: Asked) -> Result<Reply> {
    if asked.name.is_empty() {
        return Err(Failed::bad_data("invalid label name: \"\""));
    }
    let call = Call::read(&web, &asked).await?;
    let ask = async {
        let mut found = Found::default();
        for matchers in &call.sets {
            let request = LabelValuesRequest {
                label: asked.name.clone(),
                start: call.start,
                end: call.end,
                matchers: to_wire(matchers),
                partial_response_strategy: call.strategy,
                limit: wire_limit(call.limit),
                ..LabelValuesRequest::default()
            };
            let (context, compiled) = (&call.context, matchers.clone());
            let fanout = &web.0.querier.fanout;
            let answer = fanout.matching_values(context, request, compiled, &call.store_matchers);
            let answer = answer.await.map_err(|error| failed(&error))?;
            found.add(answer.values, answer.warnings);
        }
        Ok(found)
    };
    Ok(in_time(&call, ask).await?.into_reply(call.limit))
}

async fn in_time(call: &Call, ask: impl Future<Output = Result<Found>>) -> Result<Found> {
    match call.context.deadline {
        Some(deadline) => timeout_at(deadline, ask)
            .await
            .unwrap_or_else(|_| Err(timed_out())),
        None => ask.await,
    }
}
