//! Prometheus' own spelling of an expression (its `String()`).

use std::fmt::{self, Display, Formatter};

use rutile_model::{MatchOp, PromDuration, labels::METRIC_NAME, labels::is_plain_name, quote};

use super::{
    Aggregate, At, Binary, BinaryOp, Call, Cardinality, DurationExpr, DurationSpec, Expr,
    Extension, FillValues, Matrix, NumberLiteral, Pick, StringLiteral, Subquery, VectorMatching,
    VectorSelector,
};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(e) => e.fmt(f),
            Self::String(e) => e.fmt(f),
            Self::Vector(e) => e.fmt(f),
            Self::Matrix(e) => e.fmt(f),
            Self::Subquery(e) => write!(f, "{}{}", e.expr, SubquerySuffix(e)),
            Self::Paren(e) => write!(f, "({})", e.expr),
            Self::Unary(e) => write!(f, "{}{}", e.op, e.expr),
            Self::Binary(e) if e.raises_infinity() => {
                write!(f, "Inf {} {}", OperatorPart(e), e.rhs)
            }
            Self::Binary(e) => write!(f, "{} {} {}", e.lhs, OperatorPart(e), e.rhs),
            Self::Aggregate(e) => e.fmt(f),
            Self::Call(e) => e.fmt(f),
        }
    }
}

impl Binary {
    /// Whether `+Inf` is what it raises. With its sign it would be read back as the sign of the power, as the reference does.
    pub(super) fn raises_infinity(&self) -> bool {
        let is_infinity = |e: &NumberLiteral| !e.is_duration && e.value == f64::INFINITY;
        self.op == BinaryOp::Pow && matches!(&*self.lhs, Expr::Number(e) if is_infinity(e))
    }
}

impl Display for NumberLiteral {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.is_duration {
            // Nanoseconds first, then whole milliseconds, both cut off: as the reference.
            let nanos = (self.value.abs() * 1e9) as i64;
            let sign = if self.value < 0.0 { "-" } else { "" };
            return write!(f, "{sign}{}", PromDuration::from_ms(nanos / 1_000_000));
        }
        match self.value {
            v if v.is_nan() => f.write_str("NaN"),
            f64::INFINITY => f.write_str("+Inf"),
            f64::NEG_INFINITY => f.write_str("-Inf"),
            v => write!(f, "{v}"),
        }
    }
}

impl Display for StringLiteral {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(bytes) = &self.not_utf8 else {
            return f.write_str(&quote(&self.value));
        };
        f.write_str("\"")?;
        for chunk in bytes.utf8_chunks() {
            let quoted = quote(chunk.valid());
            f.write_str(quoted.get(1..quoted.len() - 1).unwrap_or_default())?;
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        f.write_str("\"")
    }
}

impl Display for VectorSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        fmt_series(self, f)?;
        write!(
            f,
            "{}{}{}",
            AtPart(self.at),
            ExtensionPart(self.extension),
            OffsetPart(&self.offset)
        )
    }
}

/// Name and matchers, without modifiers.
fn fmt_series(selector: &VectorSelector, f: &mut Formatter<'_>) -> fmt::Result {
    let name = selector.name.as_deref().unwrap_or_default();
    f.write_str(name)?;
    let mut matchers: Vec<String> = selector
        .matchers
        .iter()
        .filter(|m| {
            !(m.op() == MatchOp::Equal
                && m.name() == METRIC_NAME
                && m.value() == name
                && !name.is_empty())
        })
        .map(ToString::to_string)
        .collect();
    if matchers.is_empty() {
        return Ok(());
    }
    matchers.sort_unstable();
    write!(f, "{{{}}}", matchers.join(","))
}

/// The modifiers come in another order than those of a vector selector: the extension first.
impl Display for Matrix {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        fmt_series(&self.selector, f)?;
        write!(
            f,
            "[{}]{}{}{}",
            self.range,
            ExtensionPart(self.selector.extension),
            AtPart(self.selector.at),
            OffsetPart(&self.selector.offset)
        )
    }
}

impl Display for Aggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", AggregateHead(self))?;
        if let Some(param) = &self.param {
            write!(f, "{param}, ")?;
        }
        write!(f, "{})", self.expr)
    }
}

impl Display for Call {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.function.name)?;
        for (i, arg) in self.args.iter().enumerate() {
            write!(f, "{}{arg}", if i == 0 { "" } else { ", " })?;
        }
        f.write_str(")")
    }
}

impl Display for DurationSpec {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ms(ms) => PromDuration::from_ms(*ms).fmt(f),
            Self::Expr(expr) => expr.fmt(f),
        }
    }
}

impl Display for DurationExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(literal) => literal.fmt(f),
            Self::Step(_) => f.write_str("step()"),
            Self::Range(_) => f.write_str("range()"),
            Self::Negate { operand, .. } => write!(f, "-{operand}"),
            Self::Paren { inner, .. } => write!(f, "({inner})"),
            Self::Binary { op, lhs, rhs, .. } => write!(f, "{lhs} {} {rhs}", op.as_str()),
            Self::Pick { pick, lhs, rhs, .. } => {
                let name = match pick {
                    Pick::Min => "min_of",
                    Pick::Max => "max_of",
                };
                write!(f, "{name}({lhs}, {rhs})")
            }
        }
    }
}

struct AtPart(Option<At>);

impl Display for AtPart {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => Ok(()),
            Some(At::Start) => f.write_str(" @ start()"),
            Some(At::End) => f.write_str(" @ end()"),
            Some(At::Timestamp(ms)) => write!(f, " @ {:.3}", ms as f64 / 1000.0),
        }
    }
}

struct ExtensionPart(Option<Extension>);

impl Display for ExtensionPart {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            None => "",
            Some(Extension::Anchored) => " anchored",
            Some(Extension::Smoothed) => " smoothed",
        })
    }
}

struct OffsetPart<'e>(&'e Option<DurationSpec>);

impl Display for OffsetPart<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => Ok(()),
            Some(offset) => write!(f, " offset {offset}"),
        }
    }
}

/// `[1h:5m] @ start() offset 1m`
pub(super) struct SubquerySuffix<'e>(pub(super) &'e Subquery);

impl Display for SubquerySuffix<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(subquery) = self;
        write!(f, "[{}:", subquery.range)?;
        if let Some(step) = &subquery.step {
            step.fmt(f)?;
        }
        write!(
            f,
            "]{}{}",
            AtPart(subquery.at),
            OffsetPart(&subquery.offset)
        )
    }
}

impl Subquery {
    /// What stands behind the expression that is evaluated: `[1h:5m] @ start() offset 1m`.
    #[must_use]
    pub fn suffix(&self) -> String {
        SubquerySuffix(self).to_string()
    }
}

/// `sum by (job) `
pub(super) struct AggregateHead<'e>(pub(super) &'e Aggregate);

impl Display for AggregateHead<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(Aggregate {
            op,
            grouping,
            without,
            ..
        }) = self;
        op.fmt(f)?;
        match (without, grouping.as_slice()) {
            (true, names) => write!(f, " without ({}) ", Names(names)),
            (false, []) => Ok(()),
            (false, names) => write!(f, " by ({}) ", Names(names)),
        }
    }
}

/// `== bool on (a) group_left (b)`
pub(super) struct OperatorPart<'e>(pub(super) &'e Binary);

impl Display for OperatorPart<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(binary) = self;
        binary.op.fmt(f)?;
        if binary.return_bool {
            f.write_str(" bool")?;
        }
        binary.matching.as_ref().map_or(Ok(()), |m| m.fmt(f))
    }
}

impl Display for VectorMatching {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let group = match self.card {
            Cardinality::ManyToOne => Some("group_left"),
            Cardinality::OneToMany => Some("group_right"),
            Cardinality::OneToOne | Cardinality::ManyToMany => None,
        };
        if !self.labels.is_empty() || self.on || group.is_some() {
            let which = if self.on { "on" } else { "ignoring" };
            write!(f, " {which} ({})", Names(&self.labels))?;
        }
        if let Some(group) = group {
            write!(f, " {group} ({})", Names(&self.include))?;
        }
        let FillValues { lhs, rhs } = self.fill;
        match (lhs, rhs) {
            (Some(l), Some(r)) if l == r => write!(f, " fill ({})", Shortest(l)),
            _ => {
                if let Some(l) = lhs {
                    write!(f, " fill_left ({})", Shortest(l))?;
                }
                if let Some(r) = rhs {
                    write!(f, " fill_right ({})", Shortest(r))?;
                }
                Ok(())
            }
        }
    }
}

struct Names<'e>(&'e [String]);

impl Display for Names<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, name) in self.0.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { ", " })?;
            if is_plain_name(name) {
                f.write_str(name)?;
            } else {
                f.write_str(&quote(name))?;
            }
        }
        Ok(())
    }
}

/// Go's `%v` of a float: an exponent for the very large and the very small.
struct Shortest(f64);

impl Display for Shortest {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let plain = NumberLiteral {
            value: self.0,
            is_duration: false,
            span: super::Span::default(),
        };
        let scientific = format!("{:e}", self.0);
        let Some((digits, exponent)) = scientific.split_once('e') else {
            return plain.fmt(f);
        };
        match exponent.parse::<i32>() {
            Ok(e) if !(-4..21).contains(&e) => {
                let sign = if e < 0 { '-' } else { '+' };
                write!(f, "{digits}e{sign}{:02}", e.unsigned_abs())
            }
            _ => plain.fmt(f),
        }
    }
}
