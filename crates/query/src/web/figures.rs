//! What an answer says about how it came about: statistics, the plan, and what each part of it came to.

use std::time::Duration;

use rutile_api::Data;
use rutile_model::GoDuration;
use rutile_promql::{Analysis, Explanation, QueryStats};
use serde::Serialize;

use crate::Took;

/// A node of a plan, as Thanos names what is in it.
#[derive(Serialize)]
struct PlanNode<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    children: Vec<PlanNode<'a>>,
}

/// A node of an analysis, likewise.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AnalysisNode<'a> {
    name: &'a str,
    execution_time: String,
    #[serde(skip_serializing_if = "is_zero")]
    peak_samples: u64,
    /// Its own and those of its children.
    #[serde(skip_serializing_if = "is_zero")]
    total_samples: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    children: Vec<AnalysisNode<'a>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl<'a> PlanNode<'a> {
    fn of(plan: &'a Explanation) -> Self {
        Self {
            name: &plan.name,
            children: plan.children.iter().map(Self::of).collect(),
        }
    }
}

impl<'a> AnalysisNode<'a> {
    fn of(analysis: &'a Analysis) -> Self {
        let children: Vec<_> = analysis.children.iter().map(Self::of).collect();
        let below = children.iter().map(|child| child.total_samples).sum();
        Self {
            name: &analysis.name,
            execution_time: go_duration(analysis.time),
            peak_samples: analysis.peak_samples,
            // A function over a range looks at the samples that its selector counts, too.
            total_samples: analysis.samples.max(below),
            children,
        }
    }
}

fn go_duration(time: Duration) -> String {
    let ns = i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
    GoDuration::from_ns(ns).to_string()
}

/// The JSON of a plan.
pub(super) fn plan(plan: &Explanation) -> Data {
    Data::json(&PlanNode::of(plan))
}

/// The JSON of an analysis.
pub(super) fn analysis(analysis: &Analysis) -> Vec<u8> {
    // Nothing in it can fail to have one.
    rutile_api::json::to_vec(&AnalysisNode::of(analysis)).unwrap_or_default()
}

/// The JSON of the parameter `stats`.
pub(super) fn stats(took: Took, stats: QueryStats) -> Vec<u8> {
    let [queued, evaluated] = [took.queued, took.evaluated].map(|time| time.as_secs_f64());
    let total = queued + evaluated;
    // In this order, and without anything to escape.
    format!(
        "{{\"timings\":{{\"evalTotalTime\":{evaluated},\"resultSortTime\":0,\"queryPreparationTime\":0,\
         \"innerEvalTime\":{evaluated},\"execQueueTime\":{queued},\"execTotalTime\":{total}}},\
         \"samples\":{{\"totalQueryableSamples\":{samples},\"peakSamples\":{peak}}}}}",
        samples = stats.samples,
        peak = stats.peak_samples,
    )
    .into_bytes()
}
