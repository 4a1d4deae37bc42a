//! Rules of the Series call.

use rutile_model::Labels;
use rutile_proto::thanos::{
    LabelMatcher, SeriesRequest, ShardInfo, label_matcher::Type, series_response,
};

use super::{Suite, any_name, expect_invalid, expect_ok, from_wire, matcher};
use crate::shard_matches;

impl Suite<'_> {
    pub(super) async fn check_series(&self) {
        self.check_everything().await;
        self.check_skip_chunks().await;
        self.check_time_range().await;
        self.check_matchers().await;
        self.check_external_labels().await;
        self.check_limit().await;
        self.check_batches().await;
        self.check_replica_labels().await;
        self.check_shards().await;
    }

    async fn check_everything(&self) {
        let rule = "all series";
        assert_eq!(
            self.ask_labels(self.everything(), rule).await,
            self.holdings.series,
            "{rule}"
        );
        for series in self.ask_series(self.everything(), rule).await {
            let labels = from_wire(&series.labels);
            assert!(!series.chunks.is_empty(), "{rule}: {labels} has chunks");
            let times = |i: usize| (series.chunks[i].min_time, series.chunks[i].max_time);
            for i in 0..series.chunks.len() {
                let (min, max) = times(i);
                let range = &self.holdings.range;
                assert!(min <= max, "{rule}: times of a chunk of {labels}");
                assert!(
                    min <= range.max_ms && max >= range.min_ms,
                    "{rule}: {labels} overlaps"
                );
                assert!(
                    i == 0 || times(i - 1) <= (min, max),
                    "{rule}: chunks of {labels} in order"
                );
            }
        }
    }

    async fn check_skip_chunks(&self) {
        let rule = "skip_chunks";
        let request = SeriesRequest {
            skip_chunks: true,
            ..self.everything()
        };
        let series = self.ask_series(request.clone(), rule).await;
        assert!(
            series.iter().all(|series| series.chunks.is_empty()),
            "{rule}: no chunks"
        );
        assert_eq!(
            self.ask_labels(request, rule).await,
            self.holdings.series,
            "{rule}"
        );
    }

    async fn check_time_range(&self) {
        let range = &self.holdings.range;
        let span = range.max_ms - range.min_ms + 1;
        for (min_time, max_time) in [
            (
                range.min_ms.saturating_sub(2 * span),
                range.min_ms.saturating_sub(span),
            ),
            (
                range.max_ms.saturating_add(span),
                range.max_ms.saturating_add(2 * span),
            ),
        ] {
            let request = SeriesRequest {
                min_time,
                max_time,
                ..self.everything()
            };
            let found = self.ask_labels(request, "range without samples").await;
            assert!(
                found.is_empty(),
                "range without samples: {} series",
                found.len()
            );
        }
    }

    async fn check_matchers(&self) {
        let rule = "matchers";
        let name = self.holdings.series[0].value("__name__");
        let first: String = name.chars().take(1).collect();
        let named = |labels: &&Labels| labels.value("__name__") == name;
        let with_name: Vec<_> = self.holdings.series.iter().filter(named).cloned().collect();
        let without: Vec<_> = self
            .holdings
            .series
            .iter()
            .filter(|labels| !named(labels))
            .cloned()
            .collect();
        let check = async |matchers: Vec<LabelMatcher>, expected: &[Labels]| {
            let rule = format!("{rule} {matchers:?}");
            let found = self.ask_labels(self.matching(matchers), &rule).await;
            assert_eq!(found, expected, "{rule}");
        };
        // A name that needs no escapes in a regular expression, as all valid ones do not.
        check(vec![matcher("__name__", Type::Eq, name)], &with_name).await;
        check(
            vec![any_name(), matcher("__name__", Type::Neq, name)],
            &without,
        )
        .await;
        check(vec![matcher("__name__", Type::Re, name)], &with_name).await;
        check(
            vec![matcher("__name__", Type::Re, &format!("{name}|nothing"))],
            &with_name,
        )
        .await;
        check(
            vec![any_name(), matcher("__name__", Type::Nre, name)],
            &without,
        )
        .await;
        check(vec![matcher("__name__", Type::Re, &first)], &[]).await;
        check(vec![matcher("__name__", Type::Eq, "no such name")], &[]).await;
        check(
            vec![any_name(), matcher("no_such_label", Type::Eq, "")],
            &self.holdings.series,
        )
        .await;
        check(
            vec![any_name(), matcher("no_such_label", Type::Neq, "")],
            &[],
        )
        .await;

        let request = self.matching(vec![]);
        expect_invalid(self.ask(request).await, "a request without matchers");
        let request = self.matching(vec![matcher("__name__", Type::Re, "(")]);
        expect_invalid(self.ask(request).await, "a malformed regular expression");
        let request = self.matching(vec![LabelMatcher {
            r#type: 9,
            ..any_name()
        }]);
        expect_invalid(self.ask(request).await, "an unknown type of matcher");
    }

    async fn check_external_labels(&self) {
        let rule = "external labels";
        let Some((name, value)) = self.holdings.external.iter().next() else {
            return;
        };
        let request = self.matching(vec![matcher(name, Type::Eq, value), any_name()]);
        assert_eq!(
            self.ask_labels(request, rule).await,
            self.holdings.series,
            "{rule}: matching"
        );
        let request = self.matching(vec![matcher(name, Type::Neq, value), any_name()]);
        assert!(
            self.ask_labels(request, rule).await.is_empty(),
            "{rule}: not matching"
        );
        let request = self.matching(vec![matcher(name, Type::Eq, value)]);
        expect_invalid(self.ask(request).await, "only matchers of external labels");
    }

    async fn check_limit(&self) {
        for limit in [1, 2, self.holdings.series.len() + 1] {
            let rule = format!("limit {limit}");
            let expected = &self.holdings.series[..limit.min(self.holdings.series.len())];
            for skip_chunks in [false, true] {
                let limit = i64::try_from(limit).unwrap_or(i64::MAX);
                let request = SeriesRequest {
                    limit,
                    skip_chunks,
                    ..self.everything()
                };
                assert_eq!(self.ask_labels(request, &rule).await, expected, "{rule}");
            }
        }
    }

    async fn check_batches(&self) {
        for size in [-1, 0, 1, 2, 3, 64, i64::MAX] {
            let rule = format!("batches of {size}");
            for skip_chunks in [false, true] {
                let request = SeriesRequest {
                    response_batch_size: size,
                    skip_chunks,
                    ..self.everything()
                };
                let plain = SeriesRequest {
                    skip_chunks,
                    ..self.everything()
                };
                assert_eq!(
                    self.ask_series(request.clone(), &rule).await,
                    self.ask_series(plain, &rule).await,
                    "{rule}: the same series"
                );
                for frame in expect_ok(self.ask(request).await, &rule) {
                    match frame.result {
                        Some(series_response::Result::Series(_)) => {
                            assert!(size <= 1, "{rule}: a single series");
                        }
                        Some(series_response::Result::Batch(batch)) => {
                            let fits =
                                i64::try_from(batch.series.len()).is_ok_and(|len| len <= size);
                            assert!(fits && size > 1, "{rule}: {} series", batch.series.len());
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    async fn check_replica_labels(&self) {
        let removed = &self.holdings.replica_labels;
        let rule = format!("without replica labels {removed:?}");
        let mut expected: Vec<_> = self
            .holdings
            .series
            .iter()
            .map(|labels| labels.without(removed))
            .collect();
        expected.sort();
        expected.dedup();
        for (skip_chunks, response_batch_size) in [(false, 0), (true, 0), (true, 2)] {
            let request = SeriesRequest {
                without_replica_labels: removed.clone(),
                skip_chunks,
                response_batch_size,
                ..self.everything()
            };
            assert_eq!(self.ask_labels(request, &rule).await, expected, "{rule}");
        }
    }

    async fn check_shards(&self) {
        const TOTAL: i64 = 3;
        let names = vec!["__name__".to_owned(), "no_such_label".to_owned()];
        for (by, labels) in [
            (true, names.clone()),
            (false, names),
            (false, vec![]),
            (true, vec![]),
        ] {
            let mut found = Vec::new();
            for shard_index in 0..TOTAL {
                let labels = labels.clone();
                let shard = ShardInfo {
                    shard_index,
                    total_shards: TOTAL,
                    by,
                    labels,
                };
                let rule = format!("shard {shard:?}");
                let request = SeriesRequest {
                    shard_info: Some(shard.clone()),
                    ..self.everything()
                };
                let series = self.ask_labels(request, &rule).await;
                for labels in &series {
                    let bytes = labels
                        .iter()
                        .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
                    assert!(shard_matches(&shard, bytes), "{rule}: {labels}");
                }
                found.extend(series);
            }
            found.sort();
            assert_eq!(
                found, self.holdings.series,
                "shards by {by} {labels:?}: all series, once"
            );
        }
    }

    fn matching(&self, matchers: Vec<LabelMatcher>) -> SeriesRequest {
        SeriesRequest {
            matchers,
            skip_chunks: true,
            ..self.everything()
        }
    }
}
