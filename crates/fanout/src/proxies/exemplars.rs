//! Exemplars: of the endpoints that a query concerns, by series.

use std::{cmp::Ordering, sync::Arc};

use rutile_model::{Labels, Matcher};
use rutile_promql::{ParserOptions, parse_expr};
use rutile_proto::thanos::{
    Exemplar, ExemplarData, ExemplarsRequest, ExemplarsResponse, Label, ZLabelSet,
    exemplars_response, info::InfoResponse,
};
use rutile_storeapi::{Error, Result, grpc::Exemplars, without_external};

use super::{
    ProxiesConfig,
    gather::{Asked, Message},
    replicas::{compare_labels, strip},
};
use crate::{Endpoint, Metadata, select::may_match};

/// Selects every series, where nothing else is left of a selector.
const ALL: &str = r#"__name__!="""#;

impl Asked for Exemplars {
    type Data = ExemplarData;
    const WHAT: &'static str = "fetch exemplars";

    fn is_served(info: &InfoResponse) -> bool {
        info.exemplars.is_some()
    }

    fn strategy(request: &ExemplarsRequest) -> i32 {
        request.partial_response_strategy
    }

    fn questions(
        request: &ExemplarsRequest,
        endpoints: Vec<Arc<Endpoint>>,
        config: &ProxiesConfig,
    ) -> Result<Vec<(Arc<Endpoint>, ExemplarsRequest)>> {
        let selectors = selectors(&request.query, &config.selector_labels)?;
        let question = |endpoint: Arc<Endpoint>| {
            let metadata = endpoint.served().unwrap_or_else(Metadata::unknown);
            let query = query_for(&metadata, &selectors)?;
            let request = ExemplarsRequest {
                query,
                ..request.clone()
            };
            Some((endpoint, request))
        };
        Ok(endpoints.into_iter().filter_map(question).collect())
    }

    fn open(response: ExemplarsResponse) -> Option<Message<ExemplarData>> {
        Some(match response.result? {
            exemplars_response::Result::Data(data) => Message::Data(data),
            exemplars_response::Result::Warning(text) => Message::Warning(text),
        })
    }

    fn close(message: Message<ExemplarData>) -> ExemplarsResponse {
        ExemplarsResponse {
            result: Some(match message {
                Message::Data(data) => exemplars_response::Result::Data(data),
                Message::Warning(text) => exemplars_response::Result::Warning(text),
            }),
        }
    }
}

/// The selectors of a query that data with these labels may match, without what they say of the
/// labels.
///
/// # Errors
/// `Invalid` for a wrong query, and if nothing is left though the labels match.
fn selectors(query: &str, labels: &Labels) -> Result<Vec<Vec<Matcher>>> {
    let expr = parse_expr(query, &ParserOptions::all())
        .map_err(|error| Error::invalid(format!("cannot parse the query: {error}")))?;
    let matching: Vec<_> = expr
        .selectors()
        .into_iter()
        .filter_map(|matchers| without_external(matchers.to_vec(), labels))
        .collect();
    let matched = !matching.is_empty();
    let left: Vec<_> = matching
        .into_iter()
        .filter(|matchers| !matchers.is_empty())
        .collect();
    if matched && left.is_empty() {
        let message = "no matchers specified (excluding external labels)";
        return Err(Error::invalid(message));
    }
    Ok(left)
}

/// The query for one endpoint; `None` if it has nothing that could match.
///
/// Prometheus does not know its external labels here, so that what is said of them is left out; a
/// querier does, and chooses its own endpoints by them.
fn query_for(metadata: &Metadata, selectors: &[Vec<Matcher>]) -> Option<String> {
    let sets = &metadata.label_sets;
    let is_external = |matcher: &&Matcher| {
        let mut sets = sets.iter();
        sets.any(|set| set.get(matcher.name()).is_some())
    };
    let text = |matchers: &Vec<Matcher>| {
        let left = matchers
            .iter()
            .filter(|matcher| metadata.is_querier() || !is_external(matcher));
        let left: Vec<_> = left.map(Matcher::to_string).collect();
        if left.is_empty() {
            format!("{{{ALL}}}")
        } else {
            format!("{{{}}}", left.join(", "))
        }
    };
    let concerns = |matchers: &&Vec<Matcher>| {
        sets.is_empty() || sets.iter().any(|set| may_match(set, matchers))
    };
    let concerned = selectors.iter().filter(concerns);
    let texts: Vec<_> = concerned.map(text).collect();
    (!texts.is_empty()).then(|| texts.join("+"))
}

/// Makes one list of these, without series that have no exemplars.
///
/// Source of the order: Thanos, `pkg/exemplars/exemplars.go`.
pub(crate) fn merge(found: Vec<ExemplarData>, replica: &[String]) -> Vec<ExemplarData> {
    let mut all = found;
    all.retain(|series| !series.exemplars.is_empty());
    for series in &mut all {
        strip(series.series_labels.as_mut(), replica);
    }
    all.sort_by(by_labels);
    all.dedup_by(|series, first| {
        let is_same = by_labels(series, first).is_eq();
        if is_same {
            first.exemplars.append(&mut series.exemplars);
        }
        is_same
    });
    for series in &mut all {
        for exemplar in &mut series.exemplars {
            strip(exemplar.labels.as_mut(), &[]);
        }
        series.exemplars.sort_by(by_time);
        series
            .exemplars
            .dedup_by(|exemplar, first| by_time(exemplar, first).is_eq());
    }
    all
}

fn by_labels(a: &ExemplarData, b: &ExemplarData) -> Ordering {
    compare_labels(
        labels(a.series_labels.as_ref()),
        labels(b.series_labels.as_ref()),
    )
}

/// By time, labels and value: equal if all of them are.
fn by_time(a: &Exemplar, b: &Exemplar) -> Ordering {
    (a.ts.cmp(&b.ts))
        .then_with(|| compare_labels(labels(a.labels.as_ref()), labels(b.labels.as_ref())))
        .then_with(|| a.value.total_cmp(&b.value))
}

fn labels(set: Option<&ZLabelSet>) -> &[Label] {
    set.map_or(&[], |set| &set.labels)
}

#[cfg(test)]
mod tests;
