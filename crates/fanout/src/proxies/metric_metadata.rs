//! Metadata of metrics: united.

use std::collections::BTreeMap;

use rutile_proto::thanos::{
    Meta, MetricMetadata as Found, MetricMetadataRequest, MetricMetadataResponse,
    info::InfoResponse, metric_metadata_response,
};
use rutile_storeapi::grpc::MetricMetadata;

use super::gather::{Asked, Message};

impl Asked for MetricMetadata {
    type Data = Found;
    const WHAT: &'static str = "fetch metric metadata";

    fn is_served(info: &InfoResponse) -> bool {
        info.metric_metadata.is_some()
    }

    fn strategy(request: &MetricMetadataRequest) -> i32 {
        request.partial_response_strategy
    }

    fn open(response: MetricMetadataResponse) -> Option<Message<Found>> {
        Some(match response.result? {
            metric_metadata_response::Result::Metadata(found) => Message::Data(found),
            metric_metadata_response::Result::Warning(text) => Message::Warning(text),
        })
    }

    fn close(message: Message<Found>) -> MetricMetadataResponse {
        MetricMetadataResponse {
            result: Some(match message {
                Message::Data(found) => metric_metadata_response::Result::Metadata(found),
                Message::Warning(text) => metric_metadata_response::Result::Warning(text),
            }),
        }
    }
}

/// Each statement about a metric once, in the order in which they came. Of more metrics than `limit`
/// the first ones by name stay; negative is no limit.
pub(crate) fn merge(found: Vec<Found>, limit: i32) -> BTreeMap<String, Vec<Meta>> {
    let mut all: BTreeMap<String, Vec<Meta>> = BTreeMap::new();
    for (metric, entry) in found.into_iter().flat_map(|part| part.metadata) {
        let known = all.entry(metric).or_default();
        for meta in entry.metas {
            if !known.contains(&meta) {
                known.push(meta);
            }
        }
    }
    match usize::try_from(limit) {
        Ok(limit) => all.into_iter().take(limit).collect(),
        Err(_) => all,
    }
}

#[cfg(test)]
mod tests;
