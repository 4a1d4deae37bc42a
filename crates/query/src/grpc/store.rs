//! The querier as a store: what it tells of itself, and what a call may take.

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use rutile_fanout::{Fanout, Proxies};
use rutile_model::ErrorKind;
use rutile_proto::thanos::info::{InfoResponse, QueryApiInfo};
use rutile_proto::thanos::{
    LabelNamesRequest, LabelNamesResponse, LabelValuesRequest, LabelValuesResponse, SeriesRequest,
};
use rutile_runtime::CpuPool;
use rutile_storeapi::{
    Error, Item, RequestContext, Result, Series, SeriesStream, StoreApi, compile_matchers_apart,
    encode_items,
};
use rutile_telemetry::{IntCounterVec, Registry};

/// Samples that a chunk counts as.
const SAMPLES_PER_CHUNK: u64 = 120;

/// What a Series call may take; 0: no limit.
#[derive(Debug, Clone, Copy, Default)]
pub struct CallLimits {
    /// Series.
    pub series: u64,
    /// Samples, counted as 120 a chunk.
    pub samples: u64,
}

/// All stores of a fan-out as one, which also answers queries, and what [`Proxies`] answer.
#[derive(Debug)]
pub struct QuerierStore {
    fanout: Arc<Fanout>,
    /// Where matchers are compiled.
    cpu: CpuPool,
    limits: CallLimits,
    dropped: IntCounterVec,
}

/// Counts what was sent.
struct Sent {
    limits: CallLimits,
    series: u64,
    samples: u64,
    dropped: IntCounterVec,
}

impl QuerierStore {
    /// Over `fanout`, within `limits`; matchers are compiled in `cpu`.
    #[must_use]
    pub fn new(fanout: Arc<Fanout>, cpu: CpuPool, limits: CallLimits, registry: &Registry) -> Self {
        Self {
            fanout,
            cpu,
            limits,
            dropped: registry.int_counter_vec(
                "thanos_store_selects_dropped_total",
                "Series calls that a limit failed.",
                &["reason"],
            ),
        }
    }
}

impl Sent {
    fn count(&mut self, item: Item) -> Result<Item> {
        match &item {
            Item::Series(series) => self.add(series)?,
            Item::Warning(_) | Item::Hints(_) => {}
        }
        Ok(item)
    }

    fn add(&mut self, series: &Series) -> Result<()> {
        self.series += 1;
        self.samples += series.chunks.len() as u64 * SAMPLES_PER_CHUNK;
        let counts = [
            ("series", "series", self.series, self.limits.series),
            ("chunks", "samples", self.samples, self.limits.samples),
        ];
        for (reason, what, got, limit) in counts {
            if limit > 0 && got > limit {
                self.dropped.with_label_values(&[reason]).inc();
                let message = format!("failed to send {what}: limit {limit} violated (got {got})");
                return Err(Error::new(ErrorKind::Exhausted, message));
            }
        }
        Ok(())
    }
}

#[async_trait]
impl StoreApi for QuerierStore {
    async fn series(
        &self,
        context: RequestContext,
        request: SeriesRequest,
    ) -> Result<SeriesStream> {
        let CallLimits { series, samples } = self.limits;
        let batch_size = usize::try_from(request.response_batch_size).unwrap_or(0);
        let compiled = compile_matchers_apart(&self.cpu, &request.matchers).await?;
        let items = self
            .fanout
            .matching_series(&context, request, compiled, &[])?;
        if series == 0 && samples == 0 {
            return Ok(encode_items(items, batch_size, 0));
        }
        let mut sent = Sent {
            limits: self.limits,
            series: 0,
            samples: 0,
            dropped: self.dropped.clone(),
        };
        let counted = items.map(move |item| sent.count(item?));
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
