//! What functions over ranges have to say about their results, in Prometheus's words.

use rutile_model::go_float::GoFloat;
use rutile_model::histogram::{HistogramError, Reconciled};
use rutile_model::{FloatHistogram, quote};

use super::Context;

/// What was done to histograms when they turned out to have different custom bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Addition,
    Subtraction,
    Aggregation,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Addition => "addition",
            Self::Subtraction => "subtraction",
            Self::Aggregation => "aggregation",
        }
    }
}

impl Context<'_> {
    pub(crate) fn warn_mixed_samples(&mut self) {
        self.warn_of_name("encountered a mix of histograms and floats for metric name");
    }

    pub(super) fn warn_mixed_buckets(&mut self) {
        self.warn_of_name(
            "vector contains a mix of histograms with exponential and custom buckets schemas for \
             metric name",
        );
    }

    pub(super) fn warn_not_counter(&mut self) {
        self.warn_of_name("this native histogram metric is not a counter:");
    }

    pub(super) fn warn_not_gauge(&mut self) {
        self.warn_of_name("this native histogram metric is not a gauge:");
    }

    pub(super) fn warn_start_overlap(&mut self) {
        let name = quote(self.name());
        let message = format!(
            "sample has start time that overlaps with previous sample timestamp for metric {name}"
        );
        self.findings.annotations.warn_counted(self.span, message);
    }

    pub(super) fn warn_reset_collision(&mut self) {
        self.warn("conflicting counter resets during histogram aggregation".to_owned());
    }

    pub(super) fn warn_quantile(&mut self, q: f64) {
        let q = GoFloat(q);
        self.warn(format!("quantile value should be between 0 and 1, got {q}"));
    }

    pub(super) fn note_reconciled(&mut self, operation: Operation) {
        let operation = operation.name();
        self.info(format!(
            "mismatched custom buckets were reconciled during {operation}"
        ));
    }

    pub(super) fn note_ignored_histograms(&mut self) {
        let name = quote(self.name());
        self.info(format!(
            "ignored histograms in a range containing both floats and histograms for metric name \
             {name}"
        ));
    }

    /// Says that a function of counters was applied to what does not look like one.
    pub(super) fn note_unless_counter(&mut self, type_labels: bool) {
        let name = self.name();
        if name.is_empty() {
            return;
        }
        let quoted = quote(name);
        if type_labels {
            let kind = self.labels.value("__type__");
            if !matches!(kind, "counter" | "histogram") {
                let kind = quote(kind);
                self.info(format!(
                    "metric might not be a counter, __type__ label is not set to \"counter\" or \
                     \"histogram\", got {kind}: {quoted}"
                ));
            }
            return;
        }
        let suffixes = ["_total", "_sum", "_count", "_bucket"];
        if !suffixes.iter().any(|suffix| name.ends_with(suffix)) {
            self.info(format!(
                "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \
                 {quoted}"
            ));
        }
    }

    fn warn_of_name(&mut self, message: &str) {
        let name = quote(self.name());
        self.warn(format!("{message} {name}"));
    }

    fn warn(&mut self, message: String) {
        self.findings.annotations.warn(self.span, message);
    }

    fn info(&mut self, message: String) {
        self.findings.annotations.info(self.span, message);
    }

    /// Adds a histogram and says what had to be done for it; false if it cannot be added.
    pub(super) fn add(&mut self, to: &mut FloatHistogram, other: &FloatHistogram) -> bool {
        let done = to.add(other);
        self.judge(done, Operation::Addition)
    }

    /// Subtracts a histogram and says what had to be done for it; false if it cannot be subtracted.
    pub(super) fn subtract(&mut self, from: &mut FloatHistogram, other: &FloatHistogram) -> bool {
        let done = from.sub(other);
        self.judge(done, Operation::Subtraction)
    }

    /// Says what an operation on histograms came to; whether it worked.
    pub(super) fn judge(
        &mut self,
        done: Result<Reconciled, HistogramError>,
        operation: Operation,
    ) -> bool {
        match done {
            Ok(reconciled) => {
                if reconciled.custom_bounds {
                    self.note_reconciled(operation);
                }
                true
            }
            Err(error) => {
                if error == HistogramError::MixedSchemas {
                    self.warn_mixed_buckets();
                }
                false
            }
        }
    }
}
