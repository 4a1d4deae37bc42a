//! A store of a few series in memory: the plainest [`StoreApi`], to test clients against.

use std::collections::BTreeSet;

use async_trait::async_trait;
use rutile_model::{Labels, Matcher};
use rutile_proto::thanos::{
    AggrChunk, Label, LabelNamesRequest, LabelNamesResponse, LabelValuesRequest,
    LabelValuesResponse, SeriesRequest, ZLabelSet,
    info::{InfoResponse, StoreInfo, TsdbInfo},
};

use crate::{
    Error, FrameWriter, RequestContext, Result, Series, SeriesStream, StoreApi,
    matchers::{compile_matchers, without_external},
    shard_matches,
};

/// Series in memory, with external labels as a component would have them.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    /// Full label sets.
    series: Vec<(Labels, Vec<AggrChunk>)>,
    external: Labels,
}

impl MemoryStore {
    /// Holds these series; external labels win over their own.
    #[must_use]
    pub fn new(series: Vec<(Labels, Vec<AggrChunk>)>, external: Labels) -> Self {
        let full = |(labels, chunks): (Labels, _)| (labels.extended_with(&external), chunks);
        Self {
            series: series.into_iter().map(full).collect(),
            external,
        }
    }

    /// The full label sets, in no order.
    pub fn labels(&self) -> impl Iterator<Item = &Labels> {
        self.series.iter().map(|(labels, _)| labels)
    }

    /// The series that match, with their chunks in the range; all of them if it has none.
    fn select(
        &self,
        matchers: Vec<Matcher>,
        min_time: i64,
        max_time: i64,
    ) -> Vec<(&Labels, Vec<&AggrChunk>)> {
        let Some(matchers) = without_external(matchers, &self.external) else {
            return Vec::new();
        };
        let matches = |labels: &Labels| {
            matchers
                .iter()
                .all(|matcher| matcher.matches(labels.value(matcher.name())))
        };
        let overlaps =
            |chunk: &&AggrChunk| chunk.min_time <= max_time && chunk.max_time >= min_time;
        self.series
            .iter()
            .filter(|(labels, _)| matches(labels))
            .map(|(labels, chunks)| (labels, chunks.iter().filter(overlaps).collect::<Vec<_>>()))
            .filter(|(_, chunks)| !chunks.is_empty())
            .collect()
    }

    fn answer(&self, request: &SeriesRequest) -> Result<SeriesStream> {
        let matchers = compile_matchers(&request.matchers)?;
        let remaining = without_external(matchers.clone(), &self.external);
        if remaining.is_some_and(|remaining| remaining.is_empty()) {
            return Err(Error::invalid(
                "no matchers specified (excluding external labels)",
            ));
        }
        let mut selected: Vec<_> = self
            .select(matchers, request.min_time, request.max_time)
            .into_iter()
            .map(|(labels, chunks)| (labels.without(&request.without_replica_labels), chunks))
            .filter(|(labels, _)| {
                let bytes = labels
                    .iter()
                    .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
                request
                    .shard_info
                    .as_ref()
                    .is_none_or(|shard| shard_matches(shard, bytes))
            })
            .collect();
        selected.sort_by(|a, b| a.0.cmp(&b.0));
        selected.dedup_by(|later, first| {
            let same = later.0 == first.0;
            if same {
                first.1.append(&mut later.1);
            }
            same
        });
        selected.truncate(limit(request.limit));
        let mut writer =
            FrameWriter::new(usize::try_from(request.response_batch_size).unwrap_or(0));
        for (labels, chunks) in selected {
            let chunks = if request.skip_chunks {
                Vec::new()
            } else {
                chunks
            };
            let chunks = chunks.into_iter().cloned().map(Into::into).collect();
            writer.decoded(&Series { labels, chunks })?;
        }
        let frames = writer.finish();
        Ok(Box::pin(futures::stream::once(std::future::ready(frames))))
    }
}

#[async_trait]
impl StoreApi for MemoryStore {
    async fn series(&self, _: RequestContext, request: SeriesRequest) -> Result<SeriesStream> {
        self.answer(&request)
    }

    async fn label_names(
        &self,
        _: RequestContext,
        request: LabelNamesRequest,
    ) -> Result<LabelNamesResponse> {
        let matchers = compile_matchers(&request.matchers)?;
        let selected = self.select(matchers, request.start, request.end);
        let names: BTreeSet<&str> = selected
            .iter()
            .flat_map(|(labels, _)| labels.iter().map(|(name, _)| name))
            .filter(|name| {
                !request
                    .without_replica_labels
                    .iter()
                    .any(|removed| removed == name)
            })
            .collect();
        let names = names
            .into_iter()
            .take(limit(request.limit))
            .map(str::to_owned)
            .collect();
        Ok(LabelNamesResponse {
            names,
            ..LabelNamesResponse::default()
        })
    }

    async fn label_values(
        &self,
        _: RequestContext,
        request: LabelValuesRequest,
    ) -> Result<LabelValuesResponse> {
        if request.label.is_empty() {
            return Err(Error::invalid("label name parameter cannot be empty"));
        }
        if request.without_replica_labels.contains(&request.label) {
            return Ok(LabelValuesResponse::default());
        }
        let matchers = compile_matchers(&request.matchers)?;
        let selected = self.select(matchers, request.start, request.end);
        let values: BTreeSet<&str> = selected
            .iter()
            .filter_map(|(labels, _)| labels.get(&request.label))
            .collect();
        let values = values
            .into_iter()
            .take(limit(request.limit))
            .map(str::to_owned)
            .collect();
        Ok(LabelValuesResponse {
            values,
            ..LabelValuesResponse::default()
        })
    }

    async fn info(&self, _: RequestContext) -> Result<InfoResponse> {
        let chunks = || self.series.iter().flat_map(|(_, chunks)| chunks);
        let min_time = chunks()
            .map(|chunk| chunk.min_time)
            .min()
            .unwrap_or(i64::MAX);
        let max_time = chunks()
            .map(|chunk| chunk.max_time)
            .max()
            .unwrap_or(i64::MIN);
        let labels = ZLabelSet {
            labels: to_wire(&self.external),
        };
        let tsdb = TsdbInfo {
            labels: Some(labels.clone()),
            min_time,
            max_time,
        };
        let store = StoreInfo {
            min_time,
            max_time,
            supports_sharding: true,
            supports_without_replica_labels: true,
            tsdb_infos: vec![tsdb],
            supports_projections: false,
        };
        Ok(InfoResponse {
            label_sets: vec![labels],
            component_type: "debug".to_owned(),
            store: Some(store),
            ..InfoResponse::default()
        })
    }
}

/// A limit as a count; 0 and less mean none.
fn limit(limit: i64) -> usize {
    usize::try_from(limit)
        .ok()
        .filter(|limit| *limit > 0)
        .unwrap_or(usize::MAX)
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
