//! Series: one stream from each store, merged.

mod ahead;
mod reader;
mod resort;

use futures::{StreamExt, future::ready, stream};
use rutile_proto::thanos::{PartialResponseStrategy, SeriesRequest, ShardInfo};
use rutile_runtime::{Ledger, Spawner};
use rutile_storeapi::{BatchStream, Item, ItemStream, RequestContext, merge_batches};

use self::{ahead::Buffer, reader::Reader};
use crate::{Retrieval, fanout::Plan, metrics::FanoutMetrics, select::Chosen};

/// How many series a store is asked to put into a frame.
const BATCH_SIZE: i64 = 64;

/// What reading takes.
pub(crate) struct Reading<'a> {
    pub(crate) retrieval: Retrieval,
    /// Of an answer that is taken later: what is read of it until then.
    pub(crate) ahead_bytes: Option<usize>,
    pub(crate) tasks: &'a Spawner,
    pub(crate) ledger: &'a Ledger,
    pub(crate) metrics: &'a FanoutMetrics,
}

/// The merged answer of all stores of the plan.
pub(crate) fn items(
    plan: Plan,
    ctx: &RequestContext,
    request: SeriesRequest,
    reading: &Reading<'_>,
) -> ItemStream {
    let in_place = plan.chosen.len() == 1 && reading.ahead_bytes.is_none();
    let buffer = Buffer::new(reading.retrieval, plan.chosen.len(), reading.ahead_bytes);
    let sources = plan.chosen.iter().map(|chosen| {
        let reader = reader(&plan, chosen, ctx, &request, reading);
        // What a single store sends is decoded where it is used: nobody else waits meanwhile.
        if in_place {
            reader
        } else {
            ahead::read_ahead(
                reader,
                &chosen.store.name,
                plan.partial,
                buffer,
                reading.tasks,
            )
        }
    });
    let merged = limited(merge_batches(sources.collect()), request.limit);
    let missing = plan.missing.iter().cloned();
    let warnings: Vec<_> = missing.map(|text| Ok(Item::Warning(text))).collect();
    stream::iter(warnings).chain(merged).boxed()
}

/// The answer of one store, as the merge needs it.
fn reader(
    plan: &Plan,
    chosen: &Chosen,
    ctx: &RequestContext,
    request: &SeriesRequest,
    reading: &Reading<'_>,
) -> BatchStream {
    let metadata = &chosen.store.metadata;
    let removed = &request.without_replica_labels;
    let strips = !removed.is_empty() && !metadata.supports_without_replica_labels();
    let shard =
        sharded(request.shard_info.as_ref()).filter(|_| strips || !metadata.supports_sharding());
    let request = SeriesRequest {
        // What is left of its series is known only here, so a limit there would cut off too early.
        limit: if strips || shard.is_some() {
            0
        } else {
            request.limit
        },
        shard_info: request.shard_info.clone().filter(|_| shard.is_none()),
        matchers: plan.matchers(chosen),
        partial_response_disabled: !plan.partial,
        partial_response_strategy: if plan.partial {
            PartialResponseStrategy::Warn.into()
        } else {
            PartialResponseStrategy::Abort.into()
        },
        response_batch_size: BATCH_SIZE,
        hints: None,
        ..request.clone()
    };
    let reader = Reader::new(chosen.store.clone(), ctx.clone(), request, plan)
        .counting_empty(reading.metrics.empty_answers.clone());
    if strips {
        let account = reading
            .ledger
            .account(format!("series of {}", chosen.store.name));
        return resort::stripped(reader.unsorted(), removed.clone(), shard, account);
    }
    reader.of_shard(shard).into_stream()
}

/// The shard, if the request is for one.
fn sharded(shard: Option<&ShardInfo>) -> Option<ShardInfo> {
    shard.filter(|shard| shard.total_shards > 0).cloned()
}

/// At most `limit` series, all if that is 0 or less.
fn limited(items: ItemStream, limit: i64) -> ItemStream {
    let Some(mut left) = usize::try_from(limit).ok().filter(|limit| *limit > 0) else {
        return items;
    };
    items
        .take_while(move |item| {
            let is_series = matches!(item, Ok(Item::Series(_)));
            let fits = !is_series || left > 0;
            left -= usize::from(is_series && fits);
            ready(fits)
        })
        .boxed()
}
