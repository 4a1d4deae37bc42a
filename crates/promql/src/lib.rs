//! PromQL: the language of Prometheus 3.14, as a tree.
//!
//! [`parse_expr`] reads a query, checks its types and returns an [`Expr`]; `Display` of an [`Expr`]
//! is Prometheus' own spelling, [`Expr::pretty`] its layout of many lines. Every node knows which
//! bytes of the query it came from, and errors read as Prometheus' do. [`parse_series`] reads the
//! series of test scripts and of rule tests.
//!
//! [`Engine`] evaluates a query over a [`Source`], at one time or at many: see [`engine`].
//!
//! The parser is pure and bounded: no text makes it panic, and what would be too deep or too long is refused.

pub mod ast;
pub mod engine;
pub mod parse;
pub mod source;

pub use ast::{
    Aggregate, AggregateOp, Arity, At, Binary, BinaryOp, Call, Cardinality, DurationExpr,
    DurationOp, DurationSpec, Expr, Extension, FUNCTIONS, FillValues, Function, FunctionId, Matrix,
    NumberLiteral, Origin, Paren, Pick, Sign, Span, StringLiteral, Subquery, Unary, ValueType,
    VectorMatching, VectorSelector,
};
pub use engine::{
    Analysis, Annotation, Annotations, Answer, Engine, EngineOptions, Error, Explanation,
    InstantSample, Mended, Query, QueryStats, RangeSeries, SampleValue, Severity, Value,
};
pub use parse::{
    ParseError, ParseErrors, ParserOptions, SeriesValue, StartTimestamps, parse_expr,
    parse_expr_with, parse_metric, parse_metric_selector, parse_metric_selector_with, parse_series,
    parse_start_timestamps,
};
pub use rutile_model::Samples;
pub use source::{Select, Selected, SelectedStream, Series, Source, SourceError};
