//! Lengths of time in selectors: literal ones, and expressions that need the query's step.

use super::{NumberLiteral, Span};

/// A length of time in a selector.
#[derive(Debug, Clone, PartialEq)]
pub enum DurationSpec {
    /// Known: milliseconds.
    Ms(i64),
    /// To be computed once the step and the range of the query are known.
    Expr(Box<DurationExpr>),
}

impl DurationSpec {
    /// The milliseconds, if they are known.
    #[must_use]
    pub fn as_ms(&self) -> Option<i64> {
        match self {
            Self::Ms(ms) => Some(*ms),
            Self::Expr(_) => None,
        }
    }
}

/// Computes a length of time in seconds.
#[derive(Debug, Clone, PartialEq)]
pub enum DurationExpr {
    /// `5m`, `300`
    Literal(NumberLiteral),
    /// `step()`: the step of the query.
    Step(Span),
    /// `range()`: from the start of the query to its end.
    Range(Span),
    /// `-x`
    Negate {
        /// What is negated.
        operand: Box<DurationExpr>,
        /// Where it is.
        span: Span,
    },
    /// `(x)`
    Paren {
        /// What is inside; not a `Paren` again.
        inner: Box<DurationExpr>,
        /// As Prometheus has it: with the parentheses only if a literal is inside.
        span: Span,
    },
    /// `x + y`
    Binary {
        /// The operator.
        op: DurationOp,
        /// The left side.
        lhs: Box<DurationExpr>,
        /// The right side.
        rhs: Box<DurationExpr>,
        /// Where it is.
        span: Span,
    },
    /// `min_of(x, y)`
    Pick {
        /// Which of the two.
        pick: Pick,
        /// The first argument.
        lhs: Box<DurationExpr>,
        /// The second argument.
        rhs: Box<DurationExpr>,
        /// Where it is.
        span: Span,
    },
}

/// An operator between two lengths of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DurationOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
    /// `^`
    Pow,
}

impl DurationOp {
    /// The operator as written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
        }
    }
}

/// Which of two lengths of time counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pick {
    /// `min_of`
    Min,
    /// `max_of`
    Max,
}

impl DurationExpr {
    /// Which bytes of the query it came from.
    #[must_use]
    pub fn span(&self) -> Span {
        match self {
            Self::Literal(literal) => literal.span,
            Self::Step(span)
            | Self::Range(span)
            | Self::Negate { span, .. }
            | Self::Paren { span, .. }
            | Self::Binary { span, .. }
            | Self::Pick { span, .. } => *span,
        }
    }

    /// Its value in seconds, for a query with this step and range (in milliseconds).
    ///
    /// # Errors
    ///
    /// A division by zero: the message, and where.
    pub fn seconds(&self, step_ms: i64, range_ms: i64) -> Result<f64, (&'static str, Span)> {
        let value = |expr: &Self| expr.seconds(step_ms, range_ms);
        Ok(match self {
            Self::Literal(literal) => literal.value,
            Self::Step(_) => seconds(step_ms),
            Self::Range(_) => seconds(range_ms),
            Self::Negate { operand, .. } => -value(operand)?,
            Self::Paren { inner, .. } => value(inner)?,
            Self::Binary { op, lhs, rhs, .. } => {
                let (a, b) = (value(lhs)?, value(rhs)?);
                match op {
                    DurationOp::Add => a + b,
                    DurationOp::Sub => a - b,
                    DurationOp::Mul => a * b,
                    DurationOp::Div if b == 0.0 => return Err(("division by zero", self.span())),
                    DurationOp::Div => a / b,
                    DurationOp::Mod if b == 0.0 => return Err(("modulo by zero", self.span())),
                    DurationOp::Mod => a % b,
                    DurationOp::Pow => a.powf(b),
                }
            }
            Self::Pick { pick, lhs, rhs, .. } => {
                let (a, b) = (value(lhs)?, value(rhs)?);
                match pick {
                    // Unlike `f64::min`, a NaN wins.
                    _ if a.is_nan() || b.is_nan() => f64::NAN,
                    Pick::Min => a.min(b),
                    Pick::Max => a.max(b),
                }
            }
        })
    }
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use crate::{DurationSpec, Expr, ParserOptions, parse_expr};

    #[test]
    fn computes_seconds() {
        for (text, want) in [
            ("foo[5m*2]", Ok(600.0)),
            ("foo[2^3^2 - step()]", Ok(502.0)),
            ("foo[-(range() % 7s) + 10]", Ok(9.0)),
            ("foo[max_of(step(), min_of(3, 4) / 2)]", Ok(10.0)),
            ("foo[1 / (step() - 10s)]", Err("division by zero")),
            ("foo[1 % (step() - 10s)]", Err("modulo by zero")),
        ] {
            let Ok(Expr::Matrix(matrix)) = parse_expr(text, &ParserOptions::all()) else {
                panic!("{text}");
            };
            let DurationSpec::Expr(range) = matrix.range else {
                panic!("{text}");
            };
            let got = range
                .seconds(10_000, 50_000)
                .map_err(|(message, _)| message);
            assert_eq!(got, want, "{text}");
        }
    }
}
