//! What Prometheus reports beside its samples, with its external labels: rules, targets, metadata,
//! exemplars, statistics.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use rutile_model::{Labels, Matcher};
use rutile_proto::thanos::{
    ExemplarData, ExemplarsRequest, ExemplarsResponse, MetricMetadataRequest,
    MetricMetadataResponse, Rule, RuleGroup, RulesRequest, RulesResponse, TargetDiscovery,
    TargetsRequest, TargetsResponse, TsdbStatistics as Statistics, TsdbStatisticsRequest,
    TsdbStatisticsResponse, ZLabelSet, exemplars_response, metric_metadata_response, rule,
    rules_response, targets_response, tsdb_statistics_response,
};
use rutile_runtime::CpuPool;
use rutile_storeapi::grpc::{
    Answers, Exemplars, MessageStream, MetricMetadata, Rules, Targets, TsdbStatistics,
};
use rutile_storeapi::{RequestContext, Result, compile_matchers_apart};

use crate::peer::Peer;
use crate::store::{failed, label_set};

/// The services beside the StoreAPI, asked of Prometheus.
#[derive(Debug)]
pub struct Reports {
    peer: Arc<Peer>,
    /// Where matchers are compiled.
    cpu: CpuPool,
}

impl Reports {
    /// Asks `peer`.
    #[must_use]
    pub fn new(peer: Arc<Peer>, cpu: CpuPool) -> Self {
        Self { peer, cpu }
    }
}

#[async_trait]
impl Answers<Rules> for Reports {
    async fn answer(
        &self,
        _: RequestContext,
        request: RulesRequest,
    ) -> Result<MessageStream<RulesResponse>> {
        let groups = self.peer.client().rules(request.r#type()).await;
        let external = self.peer.labels();
        let respond = move |mut group: RuleGroup| {
            for labels in group.rules.iter_mut().filter_map(labels_of) {
                extend(labels, &external);
            }
            RulesResponse {
                result: Some(rules_response::Result::Group(group)),
            }
        };
        Ok(messages(groups.map_err(failed)?.into_iter().map(respond)))
    }
}

#[async_trait]
impl Answers<Targets> for Reports {
    async fn answer(
        &self,
        _: RequestContext,
        request: TargetsRequest,
    ) -> Result<MessageStream<TargetsResponse>> {
        let found = self.peer.client().targets(request.state()).await;
        let mut found = found.map_err(failed)?;
        add_labels(&mut found, &self.peer.labels());
        let result = Some(targets_response::Result::Targets(found));
        Ok(messages([TargetsResponse { result }]))
    }
}

#[async_trait]
impl Answers<MetricMetadata> for Reports {
    async fn answer(
        &self,
        _: RequestContext,
        request: MetricMetadataRequest,
    ) -> Result<MessageStream<MetricMetadataResponse>> {
        let client = self.peer.client();
        let found = client.metadata(&request.metric, request.limit).await;
        let result = metric_metadata_response::Result::Metadata(found.map_err(failed)?);
        let result = Some(result);
        Ok(messages([MetricMetadataResponse { result }]))
    }
}

#[async_trait]
impl Answers<Exemplars> for Reports {
    async fn answer(
        &self,
        _: RequestContext,
        request: ExemplarsRequest,
    ) -> Result<MessageStream<ExemplarsResponse>> {
        let client = self.peer.client();
        let found = client
            .exemplars(&request.query, request.start, request.end)
            .await;
        let external = self.peer.labels();
        let respond = move |mut data: ExemplarData| {
            if let Some(labels) = &mut data.series_labels {
                extend(labels, &external);
            }
            ExemplarsResponse {
                result: Some(exemplars_response::Result::Data(data)),
            }
        };
        Ok(messages(found.map_err(failed)?.into_iter().map(respond)))
    }
}

#[async_trait]
impl Answers<TsdbStatistics> for Reports {
    async fn answer(
        &self,
        _: RequestContext,
        request: TsdbStatisticsRequest,
    ) -> Result<MessageStream<TsdbStatisticsResponse>> {
        let external = self.peer.labels();
        let matchers = compile_matchers_apart(&self.cpu, &request.matchers).await?;
        // They are about external labels: any other label is absent.
        let matches = |matcher: &Matcher| matcher.matches(external.value(matcher.name()));
        if !matchers.iter().all(matches) {
            return Ok(messages([]));
        }
        let limit = u32::try_from(request.limit).unwrap_or(0);
        let entry = self.peer.client().tsdb_statistics(limit).await;
        let statistics = BTreeMap::from([(String::new(), entry.map_err(failed)?)]);
        let statistics = Statistics { statistics };
        let result = Some(tsdb_statistics_response::Result::Statistics(statistics));
        Ok(messages([TsdbStatisticsResponse { result }]))
    }
}

fn messages<M: Send + 'static>(
    of: impl IntoIterator<Item = M, IntoIter: Send + 'static>,
) -> MessageStream<M> {
    stream::iter(of.into_iter().map(Ok)).boxed()
}

fn add_labels(found: &mut TargetDiscovery, external: &Labels) {
    for target in &mut found.active_targets {
        for labels in [&mut target.discovered_labels, &mut target.labels] {
            extend(labels.get_or_insert_default(), external);
        }
    }
    for target in &mut found.dropped_targets {
        extend(target.discovered_labels.get_or_insert_default(), external);
    }
}

fn labels_of(rule: &mut Rule) -> Option<&mut ZLabelSet> {
    Some(match rule.result.as_mut()? {
        rule::Result::Alert(alert) => alert.labels.get_or_insert_default(),
        rule::Result::Recording(recording) => recording.labels.get_or_insert_default(),
    })
}

/// Adds the external labels, which win.
fn extend(set: &mut ZLabelSet, external: &Labels) {
    let own = set.labels.iter();
    let own: Labels = own.map(|label| (&label.name, &label.value)).collect();
    *set = label_set(&own.extended_with(external));
}
