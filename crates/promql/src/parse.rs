//! The parser: from text to a checked tree.
//!
//! A hand-written lexer and a recursive descent with precedences, which accept and refuse what
//! Prometheus' generated parser does, with its messages and positions. The first error of the
//! grammar ends the parse; types are checked only if there was none.

mod aggregate;
mod binary;
mod call;
mod check;
mod cursor;
mod duration;
mod error;
mod expr;
mod go_text;
mod lexer;
mod literal;
mod modifier;
mod number;
mod parser;
mod range;
mod selector;
mod series;
mod token;

use rutile_model::{Labels, Matcher, Patterns};

use crate::ast::Expr;
use parser::Parser;

pub use error::{ParseError, ParseErrors, Position};
pub use series::{
    MAX_SERIES_VALUES, SeriesValue, StartTimestamps, parse_series, parse_start_timestamps,
};

/// The greatest height of a tree; what is higher is refused. A chain of operators such as
/// `a or b or c` is as high as it is long.
pub const MAX_HEIGHT: u32 = 1000;

/// How deep parentheses, calls and signs may be nested.
pub const MAX_NESTING: u32 = 200;

/// The longest query, in bytes.
pub const MAX_QUERY_LEN: usize = 512 << 10;

/// What may be used beyond the stable language. The default is Prometheus' default: nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ParserOptions {
    /// Experimental functions and aggregations: `info`, `limitk`.
    pub experimental_functions: bool,
    /// Arithmetic in durations: `[5m * 2]`, `offset step()`.
    pub duration_expressions: bool,
    /// `anchored` and `smoothed`.
    pub extended_range_selectors: bool,
    /// `fill`, `fill_left`, `fill_right`.
    pub fill_modifiers: bool,
    /// Thanos' `xrate`, `xincrease`, `xdelta`.
    pub thanos_functions: bool,
}

impl ParserOptions {
    /// Everything.
    #[must_use]
    pub const fn all() -> Self {
        Self {
            experimental_functions: true,
            duration_expressions: true,
            extended_range_selectors: true,
            fill_modifiers: true,
            thanos_functions: true,
        }
    }
}

/// Reads a query and checks its types.
///
/// # Errors
///
/// What Prometheus refuses, with its message; and what exceeds one of our limits.
pub fn parse_expr(query: &str, options: &ParserOptions) -> Result<Expr, ParseErrors> {
    parse_expr_with(query, options, &mut Patterns::default())
}

/// The same; its regular expressions are among `patterns`, which bound them together.
///
/// # Errors
///
/// As of [`parse_expr`].
pub fn parse_expr_with(
    query: &str,
    options: &ParserOptions,
    patterns: &mut Patterns,
) -> Result<Expr, ParseErrors> {
    let mut parser = Parser::new(query, options, patterns);
    let parsed = parser.query();
    if let (Ok(mut expr), true) = (parsed, parser.errors.is_empty()) {
        check::check(&mut expr, query, &mut parser.errors);
        if parser.errors.is_empty() {
            return Ok(expr);
        }
    }
    Err(parser.errors.finish())
}

/// Reads a selector without modifiers, as the `match[]` parameter of the API: `up{job="a"}`. The
/// test of the name comes last.
///
/// # Errors
///
/// What Prometheus refuses. A selector of everything is not refused here.
pub fn parse_metric_selector(selector: &str) -> Result<Vec<Matcher>, ParseErrors> {
    parse_metric_selector_with(selector, &mut Patterns::default())
}

/// The same; its regular expressions are among `patterns`, which bound them together.
///
/// # Errors
///
/// As of [`parse_metric_selector`].
pub fn parse_metric_selector_with(
    selector: &str,
    patterns: &mut Patterns,
) -> Result<Vec<Matcher>, ParseErrors> {
    let mut parser = Parser::new(selector, &ParserOptions::default(), patterns);
    match parser.whole_selector() {
        Ok(selector) if parser.errors.is_empty() => Ok(selector.matchers),
        _ => Err(parser.errors.finish()),
    }
}

/// Reads the labels of one series: `up{job="a"}`.
///
/// # Errors
///
/// What Prometheus refuses.
pub fn parse_metric(metric: &str) -> Result<Labels, ParseErrors> {
    let mut patterns = Patterns::default();
    let mut parser = Parser::new(metric, &ParserOptions::default(), &mut patterns);
    match parser.whole_metric() {
        Ok(labels) if parser.errors.is_empty() => Ok(labels),
        _ => Err(parser.errors.finish()),
    }
}
