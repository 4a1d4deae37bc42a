//! What is done to rows as they come.

use std::sync::Arc;

use rutile_model::sample::is_stale_nan;

use super::EngineOptions;
use super::column::{Operand, Row};
use super::eval::without_name;
use super::memory::Held;
use crate::ast::{Binary, Call, Expr, NumberLiteral};

/// What is done to rows, each by itself.
#[derive(Debug)]
pub(crate) enum Stage {
    /// The metric name goes.
    Nameless,
    Negate,
    /// A function. Its arguments; the rows take the place of the one that is missing.
    Call(Box<Call>, Vec<Option<Operand>>),
    /// An operator and its scalar, which may stand at the left.
    Scalar(Box<Binary>, Vec<f64>, bool),
}

impl Stage {
    /// A function, with its arguments but for the rows.
    pub(crate) fn call(call: &Call, args: Vec<Option<Operand>>) -> Self {
        let call = Call {
            args: call.args.iter().map(place).collect(),
            ..*call
        };
        Self::Call(Box::new(call), args)
    }

    /// An operator and its scalar.
    pub(crate) fn scalar(binary: &Binary, scalar: Vec<f64>, is_left: bool) -> Self {
        let binary = Binary {
            lhs: Box::new(place(&binary.lhs)),
            rhs: Box::new(place(&binary.rhs)),
            matching: None,
            ..*binary
        };
        Self::Scalar(Box::new(binary), scalar, is_left)
    }

    /// What it takes beside the rows, bytes: copies of its operands, and the column that takes the place of another.
    pub(crate) fn copied_bytes(&self) -> u64 {
        match self {
            Self::Nameless | Self::Negate => 0,
            Self::Call(_, args) => {
                let args = args.iter().flatten();
                args.map(|arg| Held::of(arg).bytes).sum()
            }
            Self::Scalar(_, scalar, _) => 2 * size_of_val(scalar.as_slice()) as u64,
        }
    }
}

/// Stands for an operand that is evaluated already: of it, only the place in the query matters. Whole operands
/// would be copied at each level of a deep query.
fn place(operand: &Expr) -> Expr {
    Expr::Number(NumberLiteral {
        value: 0.0,
        is_duration: false,
        span: operand.unwrap_parens().span(),
    })
}

/// Takes the metric name off, now or at the end.
pub(crate) fn nameless(rows: &mut [Row], options: &EngineOptions) {
    for row in rows {
        if options.delayed_name_removal {
            row.drop_name = true;
        } else {
            row.labels = without_name(&row.labels);
        }
    }
}

/// Changes the sign of all values.
pub(crate) fn negate(rows: &mut [Row]) {
    for column in rows.iter_mut().map(|row| &mut row.column) {
        for value in &mut column.floats {
            // The marker of an absent value has no sign.
            if !is_stale_nan(*value) {
                *value = -*value;
            }
        }
        for histogram in column.histograms.iter_mut().flatten() {
            Arc::make_mut(histogram).negate();
        }
    }
}
