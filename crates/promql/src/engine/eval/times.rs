//! When selectors look, and for how long.

use super::Evaluator;
use crate::ast::{At, DurationExpr, DurationSpec, Span};
use crate::engine::select::Looks;
use crate::engine::{Error, Result};

/// The longest duration in seconds: what fits into 63 bits of nanoseconds.
const MAX_SECONDS: f64 = (1_u64 << 63) as f64 / 1e9;

impl Evaluator<'_> {
    pub(super) fn looks(&self, at: Option<At>, offset: Option<&DurationSpec>) -> Result<Looks> {
        let offset_ms = match offset {
            Some(offset) => self.ms(offset)?,
            None => 0,
        };
        Ok(Looks {
            steps: self.steps,
            at: at.map(|at| match at {
                At::Timestamp(ms) => ms,
                At::Start => self.query.start,
                At::End => self.query.end,
            }),
            offset_ms,
        })
    }

    /// A duration in ms.
    pub(crate) fn ms(&self, duration: &DurationSpec) -> Result<i64> {
        match duration {
            DurationSpec::Ms(ms) => Ok(*ms),
            DurationSpec::Expr(expr) => self.computed_ms(expr, false),
        }
    }

    pub(super) fn positive_ms(&self, duration: &DurationSpec) -> Result<i64> {
        match duration {
            DurationSpec::Ms(ms) => Ok(*ms),
            DurationSpec::Expr(expr) => self.computed_ms(expr, true),
        }
    }

    pub(super) fn computed_ms(&self, expr: &DurationExpr, positive: bool) -> Result<i64> {
        let refuse = |message: &str, span: Span| {
            Error::execution(format!("{}:{}: {message}", span.start, span.end))
        };
        let range_ms = self.query.end - self.query.start;
        let seconds = expr
            .seconds(self.query.step_ms(), range_ms)
            .map_err(|(message, span)| refuse(message, span))?;
        if !seconds.is_finite() {
            return Err(refuse("duration is NaN or infinite", expr.span()));
        }
        if positive && seconds <= 0.0 {
            return Err(refuse("duration must be greater than 0", expr.span()));
        }
        if seconds.abs() > MAX_SECONDS {
            return Err(refuse("duration is out of range", expr.span()));
        }
        Ok((seconds * 1000.0) as i64)
    }
}
