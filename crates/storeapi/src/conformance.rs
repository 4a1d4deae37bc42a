//! What every store must do, as one suite that each implementation runs.
//!
//! Needs a store that holds a few series and a description of them. Asks every kind of question and
//! compares with what follows from the description; panics with the name of the rule that is broken.
//! Only reads.

mod labels;
mod series;

use futures::StreamExt;
use rutile_model::{ErrorKind, Labels, TimeRange};
use rutile_proto::thanos::{
    Label, LabelMatcher, SeriesRequest, SeriesResponse, label_matcher::Type, series_response,
};

use crate::{RequestContext, Result, SeriesStream, StoreApi};

/// What the store holds.
#[derive(Debug, Clone)]
pub struct Holdings {
    /// The label sets of all series, as they are answered: with external labels. Each has a
    /// `__name__` of two letters or more. Three series or more, so that there is an order.
    pub series: Vec<Labels>,
    /// The external labels that all series have. May be empty.
    pub external: Labels,
    /// Covers all samples, both ends inclusive, with room before and after it.
    pub range: TimeRange,
    /// Labels that stand for replicas: some series have one, and without them others remain.
    pub replica_labels: Vec<String>,
}

/// Asks `store` every kind of question.
///
/// # Panics
/// When an answer is wrong.
pub async fn run(store: &dyn StoreApi, holdings: &Holdings) {
    let mut holdings = holdings.clone();
    holdings.series.sort();
    holdings.series.dedup();
    assert!(
        holdings.series.len() >= 3,
        "the suite needs three series or more"
    );
    let suite = Suite { store, holdings };
    suite.check_info().await;
    suite.check_series().await;
    suite.check_labels().await;
}

struct Suite<'a> {
    store: &'a dyn StoreApi,
    /// With the series sorted.
    holdings: Holdings,
}

impl Suite<'_> {
    async fn check_info(&self) {
        let info = self.store.info(RequestContext::default()).await;
        let info = expect_ok(info, "info");
        let Some(store) = info.store else {
            panic!("info: a store says that it is one")
        };
        assert!(
            store.min_time <= store.max_time,
            "info: the time range is not empty"
        );
        assert!(
            store.min_time <= self.holdings.range.max_ms
                && store.max_time >= self.holdings.range.min_ms,
            "info: the time range overlaps what is held"
        );
        let external = to_wire(&self.holdings.external);
        let has_external = |labels: &[Label]| external.iter().all(|label| labels.contains(label));
        assert!(
            !info.label_sets.is_empty()
                && info.label_sets.iter().all(|set| has_external(&set.labels)),
            "info: label sets hold the external labels"
        );
        for tsdb in &store.tsdb_infos {
            let labels = tsdb.labels.as_ref().map_or(&[][..], |set| &set.labels);
            assert!(
                has_external(labels),
                "info: TSDB infos hold the external labels"
            );
            assert!(
                tsdb.min_time <= tsdb.max_time,
                "info: the time range of a TSDB is not empty"
            );
        }
    }

    /// A request for everything.
    fn everything(&self) -> SeriesRequest {
        SeriesRequest {
            min_time: self.holdings.range.min_ms,
            max_time: self.holdings.range.max_ms,
            matchers: vec![any_name()],
            aggregates: vec![0],
            ..SeriesRequest::default()
        }
    }

    async fn ask(&self, request: SeriesRequest) -> Result<Vec<SeriesResponse>> {
        collect(
            self.store
                .series(RequestContext::default(), request)
                .await?,
        )
        .await
    }

    /// Asks and takes batches apart.
    async fn ask_series(
        &self,
        request: SeriesRequest,
        rule: &str,
    ) -> Vec<rutile_proto::thanos::Series> {
        let mut all = Vec::new();
        for response in expect_ok(self.ask(request).await, rule) {
            match response.result {
                Some(series_response::Result::Series(series)) => all.push(series),
                Some(series_response::Result::Batch(batch)) => all.extend(batch.series),
                Some(series_response::Result::Warning(warning)) => {
                    panic!("{rule}: warning {warning}")
                }
                Some(series_response::Result::Hints(_)) => {}
                None => panic!("{rule}: a frame without a result"),
            }
        }
        all
    }

    /// Asks for the label sets; equal ones may follow each other, they count once.
    async fn ask_labels(&self, request: SeriesRequest, rule: &str) -> Vec<Labels> {
        let series = self.ask_series(request, rule).await;
        let mut labels: Vec<_> = series
            .iter()
            .map(|series| from_wire(&series.labels))
            .collect();
        labels.dedup();
        assert!(
            labels.is_sorted_by(|a, b| a < b),
            "{rule}: series are sorted by their labels"
        );
        labels
    }
}

/// Reads an answer to its end.
async fn collect(mut answer: SeriesStream) -> Result<Vec<SeriesResponse>> {
    let mut all = Vec::new();
    while let Some(frames) = answer.next().await {
        all.extend(frames?.decode()?);
    }
    Ok(all)
}

fn expect_ok<T>(result: Result<T>, rule: &str) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{rule}: {} error {error}", error.kind()),
    }
}

fn expect_invalid<T>(result: Result<T>, rule: &str) {
    match result {
        Ok(_) => panic!("{rule}: is refused"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Invalid, "{rule}: {error}"),
    }
}

fn matcher(name: &str, kind: Type, value: &str) -> LabelMatcher {
    LabelMatcher {
        r#type: kind.into(),
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

/// Matches every series.
fn any_name() -> LabelMatcher {
    matcher("__name__", Type::Neq, "")
}

fn to_wire(labels: &Labels) -> Vec<Label> {
    labels
        .iter()
        .map(|(name, value)| Label {
            name: name.to_owned(),
            value: value.to_owned(),
        })
        .collect()
}

fn from_wire(labels: &[Label]) -> Labels {
    labels
        .iter()
        .map(|label| (&label.name, &label.value))
        .collect()
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::example;
