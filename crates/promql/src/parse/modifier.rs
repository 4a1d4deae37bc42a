//! What follows an operand: ranges, `offset`, `@`, `anchored` and `smoothed`.

use super::{
    literal::whole_ms,
    parser::{Context, Parsed, Parser, Tree},
    token::{Keyword, Kind, Preprocessor},
};
use crate::ast::{At, BinaryOp, DurationSpec, Expr, Extension, Sign, Span};

impl Parser<'_> {
    /// An operand with all modifiers that follow it.
    pub(super) fn modified(&mut self, mut operand: Tree) -> Parsed<Tree> {
        loop {
            match self.kind() {
                Kind::LeftBracket => operand = self.bracketed(operand)?,
                Kind::Keyword(Keyword::Offset) => self.offset(&mut operand.expr)?,
                Kind::Keyword(Keyword::Anchored) => {
                    self.bump();
                    self.extend(&mut operand.expr, Extension::Anchored);
                }
                Kind::Keyword(Keyword::Smoothed) => {
                    self.bump();
                    self.extend(&mut operand.expr, Extension::Smoothed);
                }
                Kind::At => self.at(&mut operand.expr)?,
                _ => return Ok(operand),
            }
        }
    }

    fn offset(&mut self, operand: &mut Expr) -> Parsed<()> {
        self.bump();
        let offset = self.within(Context::Offset, Self::offset_duration)?;
        let before = operand.span();
        let end = self.span_since(before);
        let Some(target) = target_of(operand) else {
            let message = "offset modifier must be preceded by an instant vector selector or \
                           range vector selector or a subquery";
            self.errors.push(before, message);
            return Ok(());
        };
        if target.offset.is_some() {
            let message = "offset may not be set multiple times";
            self.errors.push(before, message);
        } else if offset != DurationSpec::Ms(0) {
            *target.offset = Some(offset);
        }
        *target.span = end;
        Ok(())
    }

    fn extend(&mut self, operand: &mut Expr, extension: Extension) {
        let name = match extension {
            Extension::Anchored => "anchored",
            Extension::Smoothed => "smoothed",
        };
        let span = operand.span();
        if !self.options.extended_range_selectors {
            let message = format!("{name} modifier is experimental and not enabled");
            self.errors.push(span, message);
            return;
        }
        let selector = match operand {
            Expr::Vector(selector) => selector,
            Expr::Matrix(matrix) => &mut matrix.selector,
            Expr::Subquery(_) => {
                let message = format!("{name} modifier is not supported for subqueries");
                self.errors.push(span, message);
                return;
            }
            _ => {
                let message = format!("{name} modifier not implemented");
                self.errors.push(span, message);
                return;
            }
        };
        if selector.extension.is_some_and(|other| other != extension) {
            let message = "anchored and smoothed modifiers cannot be used together";
            self.errors.push(span, message);
        }
        selector.extension = Some(extension);
    }

    fn at(&mut self, operand: &mut Expr) -> Parsed<()> {
        self.bump();
        let at = self.within(Context::At, |parser| parser.at_time(operand.span()))?;
        let before = operand.span();
        let end = self.span_since(before);
        let Some(target) = target_of(operand) else {
            let message = "@ modifier must be preceded by an instant vector selector or range \
                           vector selector or a subquery";
            self.errors.push(before, message);
            return Ok(());
        };
        if target.at.is_some() {
            let message = "@ <timestamp> may not be set multiple times";
            self.errors.push(before, message);
            return Ok(());
        }
        *target.at = Some(at);
        *target.span = end;
        Ok(())
    }

    /// `1234.5`, `start()` or `end()`
    fn at_time(&mut self, operand: Span) -> Parsed<At> {
        let at = match self.kind() {
            Kind::Preprocessor(Preprocessor::Start) => At::Start,
            Kind::Preprocessor(Preprocessor::End) => At::End,
            _ => {
                let sign = self.eat_sign().map_or(Sign::Plus, |(sign, _)| sign);
                let seconds = sign.apply(self.number_literal()?.value);
                return Ok(At::Timestamp(self.timestamp(seconds, operand)));
            }
        };
        self.bump();
        self.expect(Kind::LeftParen)?;
        self.expect(Kind::RightParen)?;
        Ok(at)
    }

    fn timestamp(&mut self, seconds: f64, operand: Span) -> i64 {
        let limit = i64::MAX as f64;
        if !(-limit < seconds && seconds < limit) {
            let shown = match seconds {
                s if s.is_nan() => "NaN".to_owned(),
                f64::INFINITY => "+Inf".to_owned(),
                f64::NEG_INFINITY => "-Inf".to_owned(),
                s => format!("{s:.6}"),
            };
            let message = format!("timestamp out of bounds for @ modifier: {shown}");
            self.errors.push(operand, message);
        }
        (seconds * 1000.0).round() as i64
    }

    /// A sign, and where it is.
    pub(super) fn eat_sign(&mut self) -> Option<(Sign, Span)> {
        let sign = match self.kind() {
            Kind::Operator(BinaryOp::Add) => Sign::Plus,
            Kind::Operator(BinaryOp::Sub) => Sign::Minus,
            _ => return None,
        };
        Some((sign, self.bump().span))
    }

    /// An offset: a literal ends it, so that `a offset 5m - b` is a difference of vectors.
    fn offset_duration(&mut self) -> Parsed<DurationSpec> {
        let duration = self.offset_expr()?;
        Ok(match duration {
            crate::ast::DurationExpr::Literal(literal) => DurationSpec::Ms(whole_ms(literal.value)),
            expr => DurationSpec::Expr(Box::new(expr)),
        })
    }
}

/// The parts of a selector or subquery that modifiers change.
struct Target<'e> {
    offset: &'e mut Option<DurationSpec>,
    at: &'e mut Option<At>,
    span: &'e mut Span,
}

fn target_of(expr: &mut Expr) -> Option<Target<'_>> {
    Some(match expr {
        Expr::Vector(e) => Target {
            offset: &mut e.offset,
            at: &mut e.at,
            span: &mut e.span,
        },
        Expr::Matrix(e) => Target {
            offset: &mut e.selector.offset,
            at: &mut e.selector.at,
            span: &mut e.span,
        },
        Expr::Subquery(e) => Target {
            offset: &mut e.offset,
            at: &mut e.at,
            span: &mut e.span,
        },
        _ => return None,
    })
}
