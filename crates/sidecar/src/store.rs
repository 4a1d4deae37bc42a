//! Prometheus as a store: its remote read and its label calls behind the StoreAPI.

mod answer;
mod rows;

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use rutile_model::{ErrorKind, Labels, Matcher};
use rutile_promclient::{Answer, Selection};
use rutile_proto::thanos::info::{
    ExemplarsInfo, InfoResponse, MetricMetadataInfo, RulesInfo, StatusInfo, StoreInfo, TargetsInfo,
    TsdbInfo,
};
use rutile_proto::thanos::{
    Label, LabelMatcher, LabelNamesRequest, LabelNamesResponse, LabelValuesRequest,
    LabelValuesResponse, SeriesRequest, ZLabelSet,
};
use rutile_runtime::{CpuPool, Ledger};
use rutile_storeapi::{
    CallCounter, CallLimits, Error, RequestContext, Result, SeriesStream, StoreApi,
    compile_matchers_apart, without_external,
};
use rutile_telemetry::{Histogram, Registry};

use self::rows::{Rows, Shape};
use crate::peer::Peer;

/// The Prometheus beside this process as a store.
#[derive(Debug)]
pub struct PrometheusStore {
    peer: Arc<Peer>,
    /// Where matchers are compiled and series sorted.
    cpu: CpuPool,
    ledger: Ledger,
    /// Has counted nothing: cloned for each call.
    counter: CallCounter,
    /// Frames of a remote read.
    frames: Histogram,
}

impl PrometheusStore {
    /// Serves `peer`, within `limits` and the ledger.
    #[must_use]
    pub fn new(
        peer: Arc<Peer>,
        cpu: CpuPool,
        ledger: Ledger,
        limits: CallLimits,
        registry: &Registry,
    ) -> Self {
        Self {
            peer,
            cpu,
            ledger,
            counter: CallCounter::new(limits, registry),
            frames: registry.histogram(
                "prometheus_store_received_frames",
                "Number of frames received per streamed response.",
                &[10.0, 100.0, 1_000.0, 10_000.0, 100_000.0],
            ),
        }
    }

    /// What is left to ask of Prometheus; `None` when its external labels do not match.
    async fn remaining(
        &self,
        matchers: &[LabelMatcher],
        external: &Labels,
    ) -> Result<Option<Vec<Matcher>>> {
        let compiled = compile_matchers_apart(&self.cpu, matchers).await?;
        Ok(without_external(compiled, external))
    }

    /// The part of a range that is served; `None` if there is none.
    fn selection(&self, matchers: Vec<Matcher>, start: i64, end: i64) -> Option<Selection> {
        let min_time = start.max(self.peer.min_time());
        (min_time <= end).then_some(Selection {
            matchers,
            min_time,
            max_time: end,
        })
    }

    async fn rows(&self, request: SeriesRequest, tenant: &str) -> Result<Rows> {
        let external = self.peer.labels();
        let Some(matchers) = self.remaining(&request.matchers, &external).await? else {
            return Ok(Rows::default());
        };
        if matchers.is_empty() {
            return Err(Error::invalid(
                "no matchers specified (excluding external labels)",
            ));
        }
        let Some(selection) = self.selection(matchers, request.min_time, request.max_time) else {
            return Ok(Rows::default());
        };
        let shape = Shape {
            external,
            removed: request.without_replica_labels,
            shard: request.shard_info,
        };
        let account = self.ledger.account(format!("Series of {tenant}"));
        let mut rows = Rows::new(shape, self.counter.clone(), account);
        let client = self.peer.client();
        if request.skip_chunks {
            rows.add_labels(client.series(&selection).await.map_err(failed)?)
                .await?;
        } else {
            let frames = client.read(&selection).await.map_err(failed)?;
            let received = rows.add_frames(frames).await?;
            self.frames.observe(f64::from(received));
        }
        Ok(self.cpu.run(move || rows.sorted()).await)
    }

    /// Names of labels, those of Prometheus alone.
    async fn names(&self, selection: &Selection) -> Result<Answer<Vec<String>>> {
        let client = self.peer.client();
        if selection.matchers.is_empty() || self.peer.takes_matchers() {
            return client.label_names(selection).await.map_err(failed);
        }
        self.of_series(selection, |labels, names| {
            names.extend(labels.iter().map(|(name, _)| name.to_owned()));
        })
        .await
    }

    async fn values(&self, name: &str, selection: &Selection) -> Result<Answer<Vec<String>>> {
        let client = self.peer.client();
        if selection.matchers.is_empty() || self.peer.takes_matchers() {
            return client.label_values(name, selection).await.map_err(failed);
        }
        self.of_series(selection, |labels, values| {
            values.extend(labels.get(name).map(str::to_owned));
        })
        .await
    }

    /// For a Prometheus whose label calls take no matchers.
    async fn of_series(
        &self,
        selection: &Selection,
        collect: impl Fn(&Labels, &mut BTreeSet<String>),
    ) -> Result<Answer<Vec<String>>> {
        let series = self.peer.client().series(selection).await.map_err(failed)?;
        let mut found = BTreeSet::new();
        for labels in &series.data {
            collect(labels, &mut found);
        }
        Ok(Answer {
            data: found.into_iter().collect(),
            warnings: series.warnings,
        })
    }
}

#[async_trait]
impl StoreApi for PrometheusStore {
    async fn series(
        &self,
        context: RequestContext,
        request: SeriesRequest,
    ) -> Result<SeriesStream> {
        let batch_size = usize::try_from(request.response_batch_size).unwrap_or(0);
        let limit = limit(request.limit);
        let rows = self.rows(request, &context.tenant).await?;
        Ok(answer::encode(rows, batch_size, limit))
    }

    async fn label_names(
        &self,
        _: RequestContext,
        request: LabelNamesRequest,
    ) -> Result<LabelNamesResponse> {
        let external = self.peer.labels();
        let Some(matchers) = self.remaining(&request.matchers, &external).await? else {
            return Ok(LabelNamesResponse::default());
        };
        let Some(selection) = self.selection(matchers, request.start, request.end) else {
            return Ok(LabelNamesResponse::default());
        };
        let found = self.names(&selection).await?;
        let mut names: BTreeSet<String> = found.data.into_iter().collect();
        if !names.is_empty() {
            names.extend(external.iter().map(|(name, _)| name.to_owned()));
        }
        let removed = &request.without_replica_labels;
        let names = names.into_iter().filter(|name| !removed.contains(name));
        Ok(LabelNamesResponse {
            names: names.take(limit(request.limit)).collect(),
            warnings: found.warnings,
            hints: None,
        })
    }

    async fn label_values(
        &self,
        _: RequestContext,
        request: LabelValuesRequest,
    ) -> Result<LabelValuesResponse> {
        let name = &request.label;
        if name.is_empty() {
            return Err(Error::invalid("label name parameter cannot be empty"));
        }
        let external = self.peer.labels();
        let remaining = self.remaining(&request.matchers, &external).await?;
        let Some(matchers) = remaining.filter(|_| !request.without_replica_labels.contains(name))
        else {
            return Ok(LabelValuesResponse::default());
        };
        let is_external = external.get(name).map(str::to_owned);
        if let (Some(value), true) = (&is_external, matchers.is_empty()) {
            return Ok(LabelValuesResponse {
                values: vec![value.clone()],
                ..LabelValuesResponse::default()
            });
        }
        let Some(selection) = self.selection(matchers, request.start, request.end) else {
            return Ok(LabelValuesResponse::default());
        };
        let found = match is_external {
            // All series have it, if there are any.
            Some(value) => {
                let names = self.names(&selection).await?;
                let any = !names.data.is_empty();
                Answer {
                    data: any.then_some(value).into_iter().collect(),
                    warnings: names.warnings,
                }
            }
            None => self.values(name, &selection).await?,
        };
        let values: BTreeSet<String> = found.data.into_iter().collect();
        Ok(LabelValuesResponse {
            values: values.into_iter().take(limit(request.limit)).collect(),
            warnings: found.warnings,
            hints: None,
        })
    }

    async fn info(&self, _: RequestContext) -> Result<InfoResponse> {
        if let Some(why) = self.peer.down() {
            return Err(Error::new(ErrorKind::Unavailable, why));
        }
        let labels = label_set(&self.peer.labels());
        let (min_time, max_time) = (self.peer.min_time(), i64::MAX);
        Ok(InfoResponse {
            label_sets: vec![labels.clone()],
            component_type: "sidecar".to_owned(),
            store: Some(StoreInfo {
                min_time,
                max_time,
                supports_sharding: true,
                supports_without_replica_labels: true,
                tsdb_infos: vec![TsdbInfo {
                    labels: Some(labels),
                    min_time,
                    max_time,
                }],
                supports_projections: false,
            }),
            rules: Some(RulesInfo {}),
            metric_metadata: Some(MetricMetadataInfo {}),
            targets: Some(TargetsInfo {}),
            exemplars: Some(ExemplarsInfo { min_time, max_time }),
            status: Some(StatusInfo {}),
            query: None,
        })
    }
}

/// Labels as a message.
pub(crate) fn label_set(labels: &Labels) -> ZLabelSet {
    let label = |(name, value): (&str, &str)| Label {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    ZLabelSet {
        labels: labels.iter().map(label).collect(),
    }
}

/// What Prometheus did not answer.
pub(crate) fn failed(error: rutile_promclient::Error) -> Error {
    Error::new(error.kind(), error.to_string())
}

/// As many as a request wants; 0 or less is all.
fn limit(wanted: i64) -> usize {
    usize::try_from(wanted)
        .ok()
        .filter(|limit| *limit > 0)
        .unwrap_or(usize::MAX)
}
