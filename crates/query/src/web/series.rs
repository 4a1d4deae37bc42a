//! `/series`: the labels of series.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::StreamExt;
use rutile_api::json::push_labels;
use rutile_api::{Data, ErrorType, Failed, Reply, Result};
use rutile_model::{ErrorKind, Labels};
use rutile_proto::thanos::{Aggr, SeriesRequest};
use rutile_runtime::Reservation;
use rutile_storeapi::{Error, Item, Series};
use tokio::time::timeout_at;

use super::{Asked, Web};
use crate::matchers::to_wire;
use crate::source::{BATCH_SIZE, strategy};

/// Bytes that are reserved at a time.
const RESERVED_BYTES: u64 = 1 << 20;

/// What was found so far.
struct Found {
    labels: BTreeSet<Labels>,
    warnings: Vec<String>,
    memory: Reservation,
    /// Bytes in use of what is reserved.
    bytes: u64,
}

/// `/series`
pub(super) async fn series(web: Web, asked: Asked) -> Result<Reply> {
    let params = &asked.params;
    if params.get("match[]").is_empty() {
        return Err(Failed::bad_data("no match[] parameter provided"));
    }
    let (start, end) = web.metadata_times(params)?;
    let limit = params.limit("limit")?;
    let store_matchers = web.read_selectors(params, "storeMatch[]").await?;
    let request = SeriesRequest {
        min_time: start,
        max_time: end,
        max_resolution_window: i64::MAX,
        aggregates: vec![Aggr::Count.into(), Aggr::Sum.into()],
        partial_response_strategy: strategy(web.partial_response(params)?),
        skip_chunks: true,
        without_replica_labels: web.replica_labels(params)?,
        limit: wire_limit(limit),
        response_batch_size: BATCH_SIZE,
        ..SeriesRequest::default()
    };
    let context = web.context(&asked);
    let mut found = Found {
        labels: BTreeSet::new(),
        warnings: Vec::new(),
        memory: web.0.querier.ledger.account("series").empty(),
        bytes: 0,
    };
    let collect = async {
        for matchers in web.selectors(&asked).await? {
            let request = SeriesRequest {
                matchers: to_wire(&matchers),
                ..request.clone()
            };
            let fanout = &web.0.querier.fanout;
            let items = fanout.matching_series(&context, request, matchers, &store_matchers);
            let mut items = items.map_err(|error| failed(&error))?;
            while let Some(item) = items.next().await {
                found.take(item.map_err(|error| failed(&error))?)?;
            }
        }
        Ok(())
    };
    match context.deadline {
        Some(deadline) => timeout_at(deadline, collect)
            .await
            .unwrap_or_else(|_| Err(timed_out()))?,
        None => collect.await?,
    }
    Ok(found.into_reply(limit))
}

impl Found {
    fn take(&mut self, item: Item) -> Result<()> {
        match item {
            Item::Series(series) => self.insert(series),
            Item::Warning(warning) => {
                self.warnings.push(warning);
                Ok(())
            }
            Item::Hints(_) => Ok(()),
        }
    }

    fn insert(&mut self, series: Series) -> Result<()> {
        self.bytes += series.bytes() as u64;
        if self.bytes > self.memory.bytes() {
            let grown = self
                .memory
                .grow(self.bytes - self.memory.bytes() + RESERVED_BYTES);
            grown.map_err(|error| Failed::execution(&error))?;
        }
        self.labels.insert(series.labels);
        Ok(())
    }

    fn into_reply(mut self, limit: Option<usize>) -> Reply {
        let most = limit.unwrap_or(usize::MAX);
        if self.labels.len() > most {
            self.warnings.push(TRUNCATED.to_owned());
        }
        let mut json = b"[".to_vec();
        for labels in self.labels.iter().take(most) {
            if json.len() > 1 {
                json.push(b',');
            }
            push_labels(&mut json, labels);
        }
        json.push(b']');
        // The text takes the place of what was found.
        drop(self.labels);
        self.memory.shrink(json.capacity() as u64);
        Reply {
            data: Data::Json(json),
            warnings: self.warnings,
            memory: Some(Arc::new(self.memory)),
        }
    }
}

pub(super) const TRUNCATED: &str = "results truncated due to limit";

/// One more than is wanted: so it shows that there is more. 0: no limit.
pub(super) fn wire_limit(limit: Option<usize>) -> i64 {
    limit.map_or(0, |limit| {
        i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)
    })
}

/// The failure of the API for one of a store.
pub(super) fn failed(error: &Error) -> Failed {
    match error.kind() {
        ErrorKind::Invalid => Failed::bad_data(error.to_string()),
        ErrorKind::Canceled => timed_out(),
        _ => Failed::execution(error),
    }
}

pub(super) fn timed_out() -> Failed {
    Failed::new(ErrorType::Timeout, "the stores did not answer in time")
}
