//! What goes wrong with a pair of samples without being an error of the query.

use super::BinaryContext;

/// Why a pair of samples has no result, or one to be told about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The operator does not take samples of these types.
    Types {
        left_is_histogram: bool,
        right_is_histogram: bool,
    },
    /// One histogram has custom buckets, the other one does not.
    Layout,
    /// The histograms contradict each other about a counter reset.
    ResetCollision,
    /// There is a result, but custom bounds were not the same.
    CustomBounds,
    /// The histograms cannot be used, of which nobody is told.
    Unusable,
}

/// The last fault of each step: the one of which Prometheus tells.
#[derive(Debug, Default)]
pub(super) struct Faults {
    steps: Vec<Option<Fault>>,
}

impl Faults {
    pub(super) fn put(&mut self, step: usize, fault: Fault) {
        if self.steps.len() <= step {
            self.steps.resize(step + 1, None);
        }
        if let Some(place) = self.steps.get_mut(step) {
            *place = Some(fault);
        }
    }

    /// Makes annotations of them.
    pub(super) fn report(self, context: &mut BinaryContext<'_>) {
        for fault in self.steps.into_iter().flatten() {
            fault.report(context);
        }
    }
}

impl Fault {
    fn report(self, context: &mut BinaryContext<'_>) {
        let (op, span) = (context.binary.op, context.binary.span);
        let operation = match op {
            crate::BinaryOp::Sub => "subtraction",
            _ => "addition",
        };
        let annotations = &mut *context.annotations;
        match self {
            Self::Types {
                left_is_histogram,
                right_is_histogram,
            } => {
                let name = |is_histogram| if is_histogram { "histogram" } else { "float" };
                let (left, right) = (name(left_is_histogram), name(right_is_histogram));
                annotations.info(
                    span,
                    format!(
                        "incompatible sample types encountered for binary operator \"{op}\": {left} \
                         {op} {right}"
                    ),
                );
            }
            Self::Layout => annotations.warn(
                span,
                format!("incompatible bucket layout encountered for binary operator {op}"),
            ),
            Self::ResetCollision => annotations.warn(
                span,
                format!("conflicting counter resets during histogram {operation}"),
            ),
            Self::CustomBounds => annotations.info(
                span,
                format!("mismatched custom buckets were reconciled during {operation}"),
            ),
            Self::Unusable => {}
        }
    }
}
