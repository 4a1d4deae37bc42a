//! The tree of a query.
//!
//! Plain data: the parser fills it in, the printer and the engine read it. A tree that came out of
//! the parser is well typed, and its height is at most [`crate::parse::MAX_HEIGHT`], so that
//! recursion over it is safe.

mod duration;
mod function;
mod op;
mod pretty;
mod print;
mod visit;

use rutile_model::Matcher;

pub use duration::{DurationExpr, DurationOp, DurationSpec, Pick};
pub use function::{Arity, FUNCTIONS, Function, FunctionId, Origin};
pub use op::{AggregateOp, BinaryOp, Sign};

/// Bytes of the query: from `start` up to, without, `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset behind the last byte.
    pub end: usize,
}

impl Span {
    /// The bytes `start..end`.
    #[must_use]
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// From the start of this one to the end of `last`.
    #[must_use]
    pub const fn to(self, last: Self) -> Self {
        Self::new(self.start, last.end)
    }
}

/// What an expression evaluates to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// One number at each time.
    Scalar,
    /// One sample of each series.
    Vector,
    /// Many samples of each series.
    Matrix,
    /// A text.
    String,
}

impl ValueType {
    /// The name in the API: `vector`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Vector => "vector",
            Self::Matrix => "matrix",
            Self::String => "string",
        }
    }

    /// The name in the documentation and in most errors: `instant vector`.
    #[must_use]
    pub fn documented(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
            Self::String => "string",
        }
    }
}

/// A query or a part of one.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// `1.5`, `5m`
    Number(NumberLiteral),
    /// `"text"`
    String(StringLiteral),
    /// `up{job="a"}`
    Vector(VectorSelector),
    /// `up[5m]`
    Matrix(Matrix),
    /// `rate(up[5m])[1h:1m]`
    Subquery(Subquery),
    /// `(up)`
    Paren(Paren),
    /// `-up`
    Unary(Unary),
    /// `up + down`
    Binary(Binary),
    /// `sum by (job) (up)`
    Aggregate(Aggregate),
    /// `rate(up[5m])`
    Call(Call),
}

/// A number, perhaps written as a duration.
#[derive(Debug, Clone, Copy)]
pub struct NumberLiteral {
    /// Seconds if it was a duration.
    pub value: f64,
    /// Whether it was written as a duration, and prints as one.
    pub is_duration: bool,
    /// Where it is, with its sign.
    pub span: Span,
}

/// Two NaNs are equal, zero and minus zero are not: a literal equals itself.
impl PartialEq for NumberLiteral {
    fn eq(&self, other: &Self) -> bool {
        self.value.to_bits() == other.value.to_bits()
            && self.is_duration == other.is_duration
            && self.span == other.span
    }
}

/// A text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StringLiteral {
    /// What it means, without quotes and escapes.
    pub value: String,
    /// What it means exactly, if that is not UTF-8 (`"\xff"`); `value` then has U+FFFD instead.
    pub not_utf8: Option<Vec<u8>>,
    /// Where it is, with its quotes.
    pub span: Span,
}

/// Selects series, and of each the last sample before a time.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorSelector {
    /// The metric name, if it stands before the braces.
    pub name: Option<String>,
    /// All tests, that of `name` as the last one.
    pub matchers: Vec<Matcher>,
    /// The time that `@` fixes.
    pub at: Option<At>,
    /// How far to look back; negative: ahead. Absent if it is zero.
    pub offset: Option<DurationSpec>,
    /// How the ends of the range are treated.
    pub extension: Option<Extension>,
    /// Whether it may select all series: the second argument of `info` may.
    pub may_match_all: bool,
    /// Where it is, with its modifiers.
    pub span: Span,
}

/// The time that `@` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum At {
    /// Milliseconds since the Unix epoch.
    Timestamp(i64),
    /// `start()` of the whole query.
    Start,
    /// `end()` of the whole query.
    End,
}

/// How the value at a time, or at the ends of a range, is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Extension {
    /// `anchored`: the last sample before it.
    Anchored,
    /// `smoothed`: interpolated between its neighbours.
    Smoothed,
}

/// All samples of a length of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// Which series; the modifiers of the whole are here too.
    pub selector: VectorSelector,
    /// How long; positive if it is a literal.
    pub range: DurationSpec,
    /// Where it is, with its modifiers.
    pub span: Span,
}

/// An instant query, evaluated at many times.
#[derive(Debug, Clone, PartialEq)]
pub struct Subquery {
    /// What is evaluated.
    pub expr: Box<Expr>,
    /// For how long; positive if it is a literal.
    pub range: DurationSpec,
    /// How often; absent: the engine's default.
    pub step: Option<DurationSpec>,
    /// How far to look back; negative: ahead. Absent if it is zero.
    pub offset: Option<DurationSpec>,
    /// The time that `@` fixes.
    pub at: Option<At>,
    /// Where it is, with its modifiers.
    pub span: Span,
}

/// An expression in parentheses.
#[derive(Debug, Clone, PartialEq)]
pub struct Paren {
    /// What is inside.
    pub expr: Box<Expr>,
    /// Where it is, with its parentheses.
    pub span: Span,
}

/// A sign before an expression that is not a literal.
#[derive(Debug, Clone, PartialEq)]
pub struct Unary {
    /// The sign.
    pub op: Sign,
    /// What it applies to.
    pub expr: Box<Expr>,
    /// Where it is.
    pub span: Span,
}

/// An operator between two expressions.
#[derive(Debug, Clone, PartialEq)]
pub struct Binary {
    /// The operator.
    pub op: BinaryOp,
    /// The left side.
    pub lhs: Box<Expr>,
    /// The right side.
    pub rhs: Box<Expr>,
    /// How samples find each other; present if both sides are vectors.
    pub matching: Option<VectorMatching>,
    /// Whether a comparison yields 0 or 1 instead of filtering.
    pub return_bool: bool,
    /// Where it is, both sides included.
    pub span: Span,
}

/// Which samples of two vectors belong together.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct VectorMatching {
    /// How many of each side.
    pub card: Cardinality,
    /// The names in `on` or `ignoring`.
    pub labels: Vec<String>,
    /// Whether only `labels` count, and not all but them.
    pub on: bool,
    /// The names in `group_left` or `group_right`.
    pub include: Vec<String>,
    /// What stands in for a missing sample.
    pub fill: FillValues,
}

/// How many samples of the left side and of the right one may belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Cardinality {
    /// The default.
    #[default]
    OneToOne,
    /// `group_left`
    ManyToOne,
    /// `group_right`
    OneToMany,
    /// Set operators.
    ManyToMany,
}

/// Values that stand in for a missing sample of a side.
#[derive(Debug, Clone, Copy, Default)]
pub struct FillValues {
    /// For the left side.
    pub lhs: Option<f64>,
    /// For the right side.
    pub rhs: Option<f64>,
}

/// As for [`NumberLiteral`]: by the bits.
impl PartialEq for FillValues {
    fn eq(&self, other: &Self) -> bool {
        let bits = |fill: &Self| (fill.lhs.map(f64::to_bits), fill.rhs.map(f64::to_bits));
        bits(self) == bits(other)
    }
}

/// Combines the samples of a vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    /// How.
    pub op: AggregateOp,
    /// What is combined.
    pub expr: Box<Expr>,
    /// The first of two arguments; present exactly if `op` takes it.
    pub param: Option<Box<Expr>>,
    /// The names in `by` or `without`.
    pub grouping: Vec<String>,
    /// Whether all labels but `grouping` make the groups.
    pub without: bool,
    /// Where it is.
    pub span: Span,
}

/// A function and its arguments.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Which function.
    pub function: &'static Function,
    /// As many as the function takes, of its types.
    pub args: Vec<Expr>,
    /// Where it is.
    pub span: Span,
}

impl Expr {
    /// Which bytes of the query it came from.
    #[must_use]
    pub fn span(&self) -> Span {
        match self {
            Self::Number(e) => e.span,
            Self::String(e) => e.span,
            Self::Vector(e) => e.span,
            Self::Matrix(e) => e.span,
            Self::Subquery(e) => e.span,
            Self::Paren(e) => e.span,
            Self::Unary(e) => e.span,
            Self::Binary(e) => e.span,
            Self::Aggregate(e) => e.span,
            Self::Call(e) => e.span,
        }
    }

    /// What it evaluates to.
    #[must_use]
    pub fn value_type(&self) -> ValueType {
        match self {
            Self::Number(_) => ValueType::Scalar,
            Self::String(_) => ValueType::String,
            Self::Matrix(_) | Self::Subquery(_) => ValueType::Matrix,
            Self::Paren(e) => e.expr.value_type(),
            Self::Unary(e) => e.expr.value_type(),
            Self::Binary(e)
                if e.lhs.value_type() == ValueType::Scalar
                    && e.rhs.value_type() == ValueType::Scalar =>
            {
                ValueType::Scalar
            }
            Self::Vector(_) | Self::Binary(_) | Self::Aggregate(_) => ValueType::Vector,
            Self::Call(e) => e.function.returns,
        }
    }

    /// The expression inside all parentheses around it.
    #[must_use]
    pub fn unwrap_parens(&self) -> &Self {
        let mut expr = self;
        while let Self::Paren(paren) = expr {
            expr = &paren.expr;
        }
        expr
    }
}
