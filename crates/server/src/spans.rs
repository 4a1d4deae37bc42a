//! Tracing: `--tracing.config`, and where the spans of the process go.
//!
//! Spans that ended wait in a queue of bounded length, and go to a collector in batches, by OTLP over gRPC or HTTP.
//! A collector that is slow or away costs spans, which are counted, and nothing else: no request waits for it.

mod config;
mod export;
mod queue;
mod request;
mod sampler;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use rutile_telemetry::spans::{Recorder, recorder};

use self::config::Settings;
pub(crate) use self::config::TracingConfig;
pub(crate) use self::export::SpanMetrics;
use self::queue::Waiting;
pub(crate) use self::request::{grpc_ended, grpc_span, http_answered, http_span};
use crate::config_flag::PathOrContent;
use crate::failure::Failure;

/// What the spans of a process are recorded with.
#[derive(Debug)]
pub(crate) struct Traces {
    settings: Settings,
    provider: SdkTracerProvider,
    waiting: Waiting,
}

impl PathOrContent<TracingConfig> {
    /// What the flags ask for; `None` if they are not set. `program` is the name of the service where they name none.
    ///
    /// # Errors
    /// A failure that names the flag, and where in the YAML.
    pub(crate) fn traces(&self, program: &str) -> Result<Option<Traces>, Failure> {
        let Some(yaml) = self.expanded_content()? else {
            return Ok(None);
        };
        let in_flag = |failure: Failure| failure.context("--tracing.config");
        let settings = Settings::from_yaml(&yaml, program).map_err(in_flag)?;
        let (queue, waiting) = queue::new();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(queue)
            .with_sampler(settings.sampler.clone())
            .with_resource(settings.resource.clone())
            .build();
        Ok(Some(Traces {
            settings,
            provider,
            waiting,
        }))
    }
}

impl Traces {
    /// What is to be given to the log, see [`rutile_telemetry::init`].
    pub(crate) fn recorder(&self) -> Recorder {
        recorder(self.provider.tracer("rutile"))
    }
}
