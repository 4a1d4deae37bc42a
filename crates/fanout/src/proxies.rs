//! The other APIs of a querier: rules, targets, metadata, exemplars and statistics of all endpoints
//! that serve them, as if they were one.
//!
//! All are asked at once, each as long as [`Patience`] has it, and may send any number of messages.
//! Under partial response an endpoint that fails is a warning that names it, and what it sent before
//! counts; otherwise it is an error, as is a warning that an endpoint sends. One that cannot be asked
//! counts as one that fails. As a gRPC service each API passes on what the endpoints sent, untouched,
//! so that the querier above sees every replica; to HTTP it is merged.

mod exemplars;
mod gather;
mod metric_metadata;
mod replicas;
mod rules;
mod targets;
mod tsdb_statistics;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use rutile_model::Labels;
use rutile_proto::thanos::{
    ExemplarData, ExemplarsRequest, Meta, MetricMetadataRequest, RuleGroup, RulesRequest,
    TargetDiscovery, TargetsRequest, TsdbStatisticsEntry, TsdbStatisticsRequest,
    info::{ExemplarsInfo, InfoResponse, MetricMetadataInfo, RulesInfo, StatusInfo, TargetsInfo},
};
use rutile_runtime::{Ledger, Reservation};
use rutile_storeapi::{
    RequestContext, Result,
    grpc::{Answers, Exemplars, MessageStream, MetricMetadata, Rules, Targets, TsdbStatistics},
};

use self::gather::{Asked, Call, Gathered};
pub use self::tsdb_statistics::of_all_tenants;
use crate::{Endpoint, Endpoints, fanout::is_partial, patience::Patience};

/// Settings of the proxies.
#[derive(Debug, Clone, Default)]
pub struct ProxiesConfig {
    /// Labels by which replicas differ (`--query.replica-label`): they are removed, and what is then
    /// the same counts once.
    pub replica_labels: Vec<String>,
    /// What the querier says of all its data, and what exemplars must match (`--selector-label`).
    pub selector_labels: Labels,
    /// Longest silence of an endpoint (`--store.response-timeout`); `None` is any.
    pub response_timeout: Option<Duration>,
}

/// Proxies for the APIs beside the StoreAPI.
#[derive(Debug)]
pub struct Proxies {
    config: ProxiesConfig,
    endpoints: Arc<Endpoints>,
    ledger: Ledger,
}

/// A merged answer.
#[derive(Debug)]
pub struct Merged<T> {
    /// The answer.
    pub data: T,
    /// What went wrong, each text once.
    pub warnings: Vec<String>,
    /// The memory that was reserved for it.
    _held: Vec<Reservation>,
}

impl Proxies {
    /// Proxies over these endpoints. Messages are reserved in `ledger` until their answer is dropped.
    #[must_use]
    pub fn new(config: ProxiesConfig, endpoints: Arc<Endpoints>, ledger: Ledger) -> Self {
        Self {
            config,
            endpoints,
            ledger,
        }
    }

    /// Adds the APIs to what a querier says of itself.
    pub fn announce(info: &mut InfoResponse) {
        info.rules = Some(RulesInfo {});
        info.targets = Some(TargetsInfo {});
        info.metric_metadata = Some(MetricMetadataInfo {});
        info.exemplars = Some(ExemplarsInfo::default());
        info.status = Some(StatusInfo {});
    }

    /// The rule groups of all endpoints, sorted by file and name: groups of the same file and name as
    /// one, each rule once, alerting rules first. Of equal rules the one in the worst state stays, or
    /// the one that was evaluated last.
    ///
    /// The filters of the request apply to labels that are no templates, before replica labels are
    /// removed. A rule must match all selectors, as in Thanos; in Prometheus one is enough.
    ///
    /// # Errors
    /// `Invalid` for a wrong selector; without partial response what the first failing endpoint
    /// returns.
    pub async fn rules(
        &self,
        ctx: &RequestContext,
        request: RulesRequest,
    ) -> Result<Merged<Vec<RuleGroup>>> {
        let filter = rules::Filter::new(&request)?;
        let gathered = self.gather::<Rules>(ctx, &request).await?;
        Ok(gathered.merge(|groups| rules::merge(groups, &filter, &self.config.replica_labels)))
    }

    /// The targets of all endpoints, sorted by URL, pool and labels, each once: the one in the worst
    /// state, or the one that was scraped last.
    ///
    /// # Errors
    /// Without partial response what the first failing endpoint returns.
    pub async fn targets(
        &self,
        ctx: &RequestContext,
        request: TargetsRequest,
    ) -> Result<Merged<TargetDiscovery>> {
        let gathered = self.gather::<Targets>(ctx, &request).await?;
        Ok(gathered.merge(|found| targets::merge(found, &self.config.replica_labels)))
    }

    /// What all endpoints know of metrics, by their names: each statement once, at most `limit`
    /// metrics, all if that is negative.
    ///
    /// # Errors
    /// Without partial response what the first failing endpoint returns.
    pub async fn metric_metadata(
        &self,
        ctx: &RequestContext,
        request: MetricMetadataRequest,
    ) -> Result<Merged<BTreeMap<String, Vec<Meta>>>> {
        let limit = request.limit;
        let gathered = self.gather::<MetricMetadata>(ctx, &request).await?;
        Ok(gathered.merge(|found| metric_metadata::merge(found, limit)))
    }

    /// The exemplars of all endpoints whose external labels the query may match, by series, sorted:
    /// series by their labels, exemplars by time, each once.
    ///
    /// # Errors
    /// `Invalid` for a wrong query, and for one that names nothing but selector labels; without
    /// partial response what the first failing endpoint returns.
    pub async fn exemplars(
        &self,
        ctx: &RequestContext,
        request: ExemplarsRequest,
    ) -> Result<Merged<Vec<ExemplarData>>> {
        let gathered = self.gather::<Exemplars>(ctx, &request).await?;
        Ok(gathered.merge(|found| exemplars::merge(found, &self.config.replica_labels)))
    }

    /// What fills the databases of all endpoints, by tenant: sums, but of the numbers of label values
    /// the greatest, since endpoints have values in common.
    ///
    /// # Errors
    /// Without partial response what the first failing endpoint returns.
    pub async fn tsdb_statistics(
        &self,
        ctx: &RequestContext,
        request: TsdbStatisticsRequest,
    ) -> Result<Merged<BTreeMap<String, TsdbStatisticsEntry>>> {
        let gathered = self.gather::<TsdbStatistics>(ctx, &request).await?;
        Ok(gathered.merge(tsdb_statistics::merge))
    }

    /// Asks all endpoints that serve the method.
    async fn gather<M: Asked>(
        &self,
        ctx: &RequestContext,
        request: &M::Request,
    ) -> Result<Gathered<M::Data>> {
        // One that never answered may serve it.
        let may_serve = |endpoint: &Arc<Endpoint>| {
            let served = endpoint.served();
            served.is_none_or(|served| M::is_served(&served.info))
        };
        let serving = self.endpoints.all().into_iter().filter(may_serve);
        let questions = M::questions(request, serving.collect(), &self.config)?;
        let partial = is_partial(false, M::strategy(request));
        let call = Call {
            ctx,
            partial,
            patience: Patience::new(self.config.response_timeout, ctx.deadline, partial),
            account: self.ledger.account(M::PATH),
        };
        call.ask_all::<M>(questions).await
    }
}

impl<T> Gathered<T> {
    fn merge<U>(self, merge: impl FnOnce(Vec<T>) -> U) -> Merged<U> {
        Merged {
            data: merge(self.data),
            warnings: self.warnings,
            _held: self.held,
        }
    }
}

#[async_trait]
impl<M: Asked> Answers<M> for Proxies {
    async fn answer(
        &self,
        ctx: RequestContext,
        request: M::Request,
    ) -> Result<MessageStream<M::Response>> {
        Ok(self.gather::<M>(&ctx, &request).await?.into_messages::<M>())
    }
}
