//! The querier as a store: what it tells of itself, and what a call may take.

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use rutile_fanout::{Fanout, Proxies};
use rutile_proto::thanos::info::{InfoResponse, QueryApiInfo};
use rutile_proto::thanos::{
    LabelNamesRequest, LabelNamesResponse, LabelValuesRequest, LabelValuesResponse, SeriesRequest,
};
use rutile_runtime::CpuPool;
use rutile_storeapi::{
    CallCounter, CallLimits, Item, RequestContext, Result, Series, SeriesStream, StoreApi,
    compile_matchers_apart, encode_items,
};
use rutile_telemetry::Registry;

/// All stores of a fan-out as one, which also answers queries, and what [`Proxies`] answer.
#[derive(Debug)]
pub struct QuerierStore {
    fanout: Arc<Fanout>,
    /// Where matchers are compiled.
    cpu: CpuPool,
    limits: CallLimits,
    /// Has counted nothing: cloned for each call.
    counter: CallCounter,
}

impl QuerierStore {
    /// Over `fanout`, within `limits`; matchers are compiled in `cpu`.
    #[must_use]
    pub fn new(fanout: Arc<Fanout>, cpu: CpuPool, limits: CallLimits, registry: &Registry) -> Self {
        Self {
            fanout,
            cpu,
            limits,
            counter: CallCounter::new(limits, registry),
        }
    }
}

/// Counts the series of an item.
fn count(counter: &mut CallCounter, item: Item) -> Result<Item> {
    let mut add = |series: &Series| counter.add(series.chunks.len());
    match &item {
        Item::Series(series) => add(series)?,
        Item::Warning(_) | Item::Hints(_) => {}
    }
    Ok(item)
}

#[async_trait]
impl StoreApi for QuerierStore {
    async fn series(
        &self,
        context: RequestContext,
        request: SeriesRequest,
    ) -> Result<SeriesStream> {
        let batch_size = usize::try_from(request.response_batch_size).unwrap_or(0);
        let compiled = compile_matchers_apart(&self.cpu, &request.matchers).await?;
        let items = self
            .fanout
            .matching_series(&context, request, compiled, &[])?;
        if self.limits.is_none() {
            return Ok(encode_items(items, batch_size, 0));
        }
        let mut counter = self.counter.clone();
        let counted = items.map(move |item| count(&mut counter, item?));
        Ok(encode_items(counted.boxed(), batch_size, 0))
    }

    async fn label_names(
        &self,
        context: RequestContext,
        request: LabelNamesRequest,
    ) -> Result<LabelNamesResponse> {
        let compiled = compile_matchers_apart(&self.cpu, &request.matchers).await?;
        let names = self.fanout.matching_names(&context, request, compiled, &[]);
        names.await
    }

    async fn label_values(
        &self,
        context: RequestContext,
        request: LabelValuesRequest,
    ) -> Result<LabelValuesResponse> {
        let compiled = compile_matchers_apart(&self.cpu, &request.matchers).await?;
        let values = self
            .fanout
            .matching_values(&context, request, compiled, &[]);
        values.await
    }

    async fn info(&self, context: RequestContext) -> Result<InfoResponse> {
        let mut info = self.fanout.info(context).await?;
        info.query = Some(QueryApiInfo {});
        Proxies::announce(&mut info);
        Ok(info)
    }
}
