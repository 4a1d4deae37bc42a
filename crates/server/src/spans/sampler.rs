//! Which traces are recorded.

use opentelemetry::trace::{Link, SpanKind, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, SamplingResult, ShouldSample};

/// The attribute of a span whose request asks to be recorded, as in the reference (`pkg/tracing/migration/sampler.go`).
pub(super) const FORCED: &str = "thanos.force_tracing";

/// Decides by parent or by the name of the trace; a request that asks for it is always recorded.
#[derive(Debug, Clone)]
pub(super) struct Sampling(Sampler);

impl Sampling {
    pub(super) fn all() -> Self {
        Self(Sampler::AlwaysOn)
    }

    pub(super) fn none() -> Self {
        Self(Sampler::AlwaysOff)
    }

    /// A share of all traces, between 0 and 1; what is beyond counts as the nearer of them.
    pub(super) fn share(ratio: f64) -> Self {
        Self(Sampler::TraceIdRatioBased(ratio))
    }

    /// As who asks has decided; the rest decides for traces that begin here.
    #[must_use]
    pub(super) fn by_parent(self) -> Self {
        Self(Sampler::ParentBased(Box::new(self.0)))
    }
}

impl ShouldSample for Sampling {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let Self(sampler) = self;
        let mut result = sampler.should_sample(parent, trace_id, name, kind, attributes, links);
        if attributes
            .iter()
            .any(|attribute| attribute.key.as_str() == FORCED)
        {
            result.decision = SamplingDecision::RecordAndSample;
        }
        result
    }
}
