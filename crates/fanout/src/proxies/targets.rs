//! Targets: each once.

use std::cmp::Ordering;

use rutile_proto::thanos::{
    ActiveTarget, DroppedTarget, Label, TargetDiscovery, TargetsRequest, TargetsResponse,
    ZLabelSet, info::InfoResponse, targets_response,
};
use rutile_storeapi::grpc::Targets;

use super::{
    gather::{Asked, Message},
    replicas::{compare_labels, strip, time},
};

impl Asked for Targets {
    type Data = TargetDiscovery;
    const WHAT: &'static str = "fetch targets";

    fn is_served(info: &InfoResponse) -> bool {
        info.targets.is_some()
    }

    fn strategy(request: &TargetsRequest) -> i32 {
        request.partial_response_strategy
    }

    fn open(response: TargetsResponse) -> Option<Message<TargetDiscovery>> {
        Some(match response.result? {
            targets_response::Result::Targets(found) => Message::Data(found),
            targets_response::Result::Warning(text) => Message::Warning(text),
        })
    }

    fn close(message: Message<TargetDiscovery>) -> TargetsResponse {
        TargetsResponse {
            result: Some(match message {
                Message::Data(found) => targets_response::Result::Targets(found),
                Message::Warning(text) => targets_response::Result::Warning(text),
            }),
        }
    }
}

/// Makes one list of these targets.
///
/// Source of the order: Thanos, `pkg/targets/targets.go` and `pkg/targets/targetspb/custom.go`. There
/// targets are sorted before the labels of replicas are removed, so that equal ones may not meet and
/// stay; here none does.
pub(crate) fn merge(found: Vec<TargetDiscovery>, replica: &[String]) -> TargetDiscovery {
    let mut all = TargetDiscovery::default();
    for part in found {
        all.active_targets.extend(part.active_targets);
        all.dropped_targets.extend(part.dropped_targets);
    }
    for target in &mut all.active_targets {
        strip(target.discovered_labels.as_mut(), replica);
        strip(target.labels.as_mut(), replica);
    }
    let active = &mut all.active_targets;
    active.sort_by(|a, b| by_identity(a, b).then_with(|| by_standing(a, b)));
    active.dedup_by(|target, first| by_identity(target, first).is_eq());

    for target in &mut all.dropped_targets {
        strip(target.discovered_labels.as_mut(), replica);
    }
    let dropped = &mut all.dropped_targets;
    dropped.sort_by(by_discovered_labels);
    dropped.dedup_by(|target, first| by_discovered_labels(target, first).is_eq());
    all
}

/// Equal for replicas of the same target.
fn by_identity(a: &ActiveTarget, b: &ActiveTarget) -> Ordering {
    (a.scrape_url.cmp(&b.scrape_url))
        .then_with(|| a.scrape_pool.cmp(&b.scrape_pool))
        .then_with(|| {
            compare_labels(
                labels(a.discovered_labels.as_ref()),
                labels(b.discovered_labels.as_ref()),
            )
        })
        .then_with(|| compare_labels(labels(a.labels.as_ref()), labels(b.labels.as_ref())))
}

/// The worst state first, which has the lowest number, then what was scraped last.
fn by_standing(a: &ActiveTarget, b: &ActiveTarget) -> Ordering {
    let scraped = || time(b.last_scrape.as_ref()).cmp(&time(a.last_scrape.as_ref()));
    a.health.cmp(&b.health).then_with(scraped)
}

fn by_discovered_labels(a: &DroppedTarget, b: &DroppedTarget) -> Ordering {
    compare_labels(
        labels(a.discovered_labels.as_ref()),
        labels(b.discovered_labels.as_ref()),
    )
}

fn labels(set: Option<&ZLabelSet>) -> &[Label] {
    set.map_or(&[], |set| &set.labels)
}

#[cfg(test)]
mod tests;
