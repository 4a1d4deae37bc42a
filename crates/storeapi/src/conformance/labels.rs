//! Rules of the LabelNames and LabelValues calls.

use std::collections::BTreeSet;

use rutile_model::Labels;
use rutile_proto::thanos::{
    LabelMatcher, LabelNamesRequest, LabelValuesRequest, label_matcher::Type,
};

use super::{Suite, any_name, expect_invalid, expect_ok, matcher};
use crate::{RequestContext, Result};

impl Suite<'_> {
    pub(super) async fn check_labels(&self) {
        self.check_names().await;
        self.check_values().await;
        self.check_labels_without_replicas().await;
        self.check_refused_labels().await;
    }

    async fn check_names(&self) {
        let all = self.expected_names(|_| true);
        let name = self.holdings.series[0].value("__name__");
        let named = vec![matcher("__name__", Type::Eq, name)];
        let of_named = self.expected_names(|labels| labels.value("__name__") == name);
        for (matchers, expected) in [
            (vec![], &all),
            (vec![any_name()], &all),
            (named, &of_named),
            (vec![matcher("__name__", Type::Eq, "no such name")], &vec![]),
        ] {
            for limit in [0, 1, 2, i64::MAX] {
                let rule = format!("label names of {matchers:?}, limit {limit}");
                let request = LabelNamesRequest {
                    limit,
                    ..self.names(matchers.clone())
                };
                let found = expect_ok(self.ask_names(request).await, &rule);
                assert_eq!(found, first(expected, limit), "{rule}");
            }
        }
    }

    async fn check_values(&self) {
        let name = self.holdings.series[0].value("__name__").to_owned();
        for label in self.expected_names(|_| true) {
            let all = self.expected_values(&label, |_| true);
            let of_named = self.expected_values(&label, |labels| labels.value("__name__") == name);
            let named = vec![matcher("__name__", Type::Eq, &name)];
            for (matchers, expected) in [(vec![], &all), (named, &of_named)] {
                for limit in [0, 1, i64::MAX] {
                    let rule = format!("values of {label} of {matchers:?}, limit {limit}");
                    let request = LabelValuesRequest {
                        limit,
                        ..self.values(&label, matchers.clone())
                    };
                    let found = expect_ok(self.ask_values(request).await, &rule);
                    assert_eq!(found, first(expected, limit), "{rule}");
                }
            }
        }
        let rule = "values of a label that nothing has";
        let request = self.values("no_such_label", vec![]);
        assert!(
            expect_ok(self.ask_values(request).await, rule).is_empty(),
            "{rule}"
        );
    }

    async fn check_labels_without_replicas(&self) {
        let removed = self.holdings.replica_labels.clone();
        let rule = format!("labels without {removed:?}");
        let mut expected = self.expected_names(|_| true);
        expected.retain(|name| !removed.contains(name));
        let request = LabelNamesRequest {
            without_replica_labels: removed.clone(),
            ..self.names(vec![])
        };
        assert_eq!(
            expect_ok(self.ask_names(request).await, &rule),
            expected,
            "{rule}"
        );
        for label in &removed {
            let request = LabelValuesRequest {
                without_replica_labels: removed.clone(),
                ..self.values(label, vec![])
            };
            assert!(
                expect_ok(self.ask_values(request).await, &rule).is_empty(),
                "{rule}: {label}"
            );
        }
    }

    async fn check_refused_labels(&self) {
        let malformed = || vec![matcher("__name__", Type::Re, "(")];
        expect_invalid(
            self.ask_values(self.values("", vec![])).await,
            "an empty label name",
        );
        let request = self.values("__name__", malformed());
        expect_invalid(
            self.ask_values(request).await,
            "values of a malformed matcher",
        );
        let request = self.names(malformed());
        expect_invalid(
            self.ask_names(request).await,
            "names of a malformed matcher",
        );
    }

    fn names(&self, matchers: Vec<LabelMatcher>) -> LabelNamesRequest {
        LabelNamesRequest {
            start: self.holdings.range.min_ms,
            end: self.holdings.range.max_ms,
            matchers,
            ..LabelNamesRequest::default()
        }
    }

    fn values(&self, label: &str, matchers: Vec<LabelMatcher>) -> LabelValuesRequest {
        LabelValuesRequest {
            label: label.to_owned(),
            start: self.holdings.range.min_ms,
            end: self.holdings.range.max_ms,
            matchers,
            ..LabelValuesRequest::default()
        }
    }

    async fn ask_names(&self, request: LabelNamesRequest) -> Result<Vec<String>> {
        Ok(self
            .store
            .label_names(RequestContext::default(), request)
            .await?
            .names)
    }

    async fn ask_values(&self, request: LabelValuesRequest) -> Result<Vec<String>> {
        Ok(self
            .store
            .label_values(RequestContext::default(), request)
            .await?
            .values)
    }

    fn expected_names(&self, with: impl Fn(&Labels) -> bool) -> Vec<String> {
        let series = self.holdings.series.iter().filter(|labels| with(labels));
        let names: BTreeSet<_> = series
            .flat_map(|labels| labels.iter().map(|(name, _)| name))
            .collect();
        names.into_iter().map(str::to_owned).collect()
    }

    fn expected_values(&self, label: &str, with: impl Fn(&Labels) -> bool) -> Vec<String> {
        let series = self.holdings.series.iter().filter(|labels| with(labels));
        let values: BTreeSet<_> = series.filter_map(|labels| labels.get(label)).collect();
        values.into_iter().map(str::to_owned).collect()
    }
}

/// The first `limit` of them; 0 means all.
fn first(all: &[String], limit: i64) -> &[String] {
    let limit = usize::try_from(limit)
        .ok()
        .filter(|limit| *limit > 0)
        .unwrap_or(usize::MAX);
    &all[..limit.min(all.len())]
}
