//! Arithmetic with lengths of time.

use super::{
    literal::zero,
    parser::{Parsed, Parser},
    token::{Kind, Preprocessor},
};
use crate::ast::{BinaryOp, DurationExpr, DurationOp, NumberLiteral, Pick, Sign, Span};

/// The longest duration in seconds: the reference counts nanoseconds in 63 bits.
const MAX_SECONDS: f64 = 9_223_372_036.854_776;

/// How strongly a sign binds: as `*`.
const SIGN: u8 = 2;

impl Parser<'_> {
    /// A length of time that extends as far as it can.
    pub(super) fn duration(&mut self) -> Parsed<DurationExpr> {
        self.duration_above(0)
    }

    fn duration_above(&mut self, min: u8) -> Parsed<DurationExpr> {
        self.nested(|parser| {
            let left = parser.duration_operand()?;
            parser.duration_operators(left, min)
        })
    }

    fn duration_operators(&mut self, mut left: DurationExpr, min: u8) -> Parsed<DurationExpr> {
        let mut length = 0;
        while let Some((op, precedence)) = duration_op(self.kind()) {
            if precedence < min {
                break;
            }
            let at = self.bump().span;
            length = self.height_above(length, at)?;
            // Only the power binds to the right.
            let right = self.duration_above(precedence + u8::from(op != DurationOp::Pow))?;
            self.gate_duration(left.span());
            left = self.duration_binary(left, (op, at), right);
        }
        Ok(left)
    }

    fn duration_binary(
        &mut self,
        lhs: DurationExpr,
        (op, at): (DurationOp, Span),
        rhs: DurationExpr,
    ) -> DurationExpr {
        let by_zero = matches!(&rhs, DurationExpr::Literal(literal) if literal.value == 0.0);
        let problem = match op {
            DurationOp::Div if by_zero => "division by zero",
            DurationOp::Mod if by_zero => "modulo by zero",
            _ => {
                return DurationExpr::Binary {
                    span: lhs.span().to(rhs.span()),
                    op,
                    lhs: Box::new(lhs),
                    rhs: Box::new(rhs),
                };
            }
        };
        self.errors.push(at, problem);
        DurationExpr::Literal(zero(Span::default()))
    }

    fn duration_operand(&mut self) -> Parsed<DurationExpr> {
        if let Some((sign, at)) = self.eat_sign() {
            let operand = self.duration_above(SIGN + 1)?;
            return Ok(self.signed_duration(sign, at, operand));
        }
        match self.kind() {
            Kind::LeftParen => self.duration_paren(),
            Kind::Preprocessor(word) => self.duration_word(word, None),
            _ => {
                let literal = self.number_literal()?;
                Ok(DurationExpr::Literal(self.in_range(literal, literal.span)))
            }
        }
    }

    fn duration_paren(&mut self) -> Parsed<DurationExpr> {
        let open = self.bump().span;
        let inner = self.duration()?;
        self.expect(Kind::RightParen)?;
        self.gate_duration(inner.span());
        let span = self.span_since(open);
        Ok(in_parens(inner, span))
    }

    /// `step()`, `min_of(5m, 1h)`; `sign` is where a sign before it was.
    fn duration_word(&mut self, word: Preprocessor, sign: Option<Span>) -> Parsed<DurationExpr> {
        let pick = match word {
            Preprocessor::Start | Preprocessor::End => return Err(self.unexpected_here()),
            Preprocessor::Step | Preprocessor::Range => None,
            Preprocessor::MaxOf => Some(Pick::Max),
            Preprocessor::MinOf => Some(Pick::Min),
        };
        let name = self.bump().span;
        self.expect(Kind::LeftParen)?;
        let args = match pick {
            None => None,
            Some(pick) => {
                let lhs = self.duration()?;
                self.expect(Kind::Comma)?;
                Some((pick, lhs, self.duration()?))
            }
        };
        self.expect(Kind::RightParen)?;
        let span = self.span_since(name);
        self.gate_duration(sign.map_or(span, |sign| sign.to(span)));
        Ok(match args {
            Some((pick, lhs, rhs)) => DurationExpr::Pick {
                pick,
                lhs: Box::new(lhs),
                rhs: Box::new(rhs),
                span,
            },
            None if word == Preprocessor::Step => DurationExpr::Step(span),
            None => DurationExpr::Range(span),
        })
    }

    /// What follows `offset`: a literal, a call or a signed one of these ends it; anything else,
    /// such as a length in parentheses, extends as far as it can.
    pub(super) fn offset_expr(&mut self) -> Parsed<DurationExpr> {
        let Some((sign, at)) = self.eat_sign() else {
            let operand = self.duration_operand()?;
            return match operand {
                DurationExpr::Paren { .. } => self.duration_operators(operand, 0),
                operand => Ok(operand),
            };
        };
        let operand = match self.kind() {
            Kind::Number | Kind::Duration => DurationExpr::Literal(self.number_literal()?),
            Kind::Preprocessor(word) => self.duration_word(word, Some(at))?,
            Kind::LeftParen => {
                self.bump();
                let inner = self.duration()?;
                self.expect(Kind::RightParen)?;
                // Unlike elsewhere, parentheses alone are not experimental here.
                let span = inner.span();
                in_parens(inner, span)
            }
            _ => {
                let operand = self.duration_above(SIGN + 1)?;
                let signed = self.signed_duration(sign, at, operand);
                return self.duration_operators(signed, 0);
            }
        };
        Ok(self.signed_duration(sign, at, operand))
    }

    fn signed_duration(&mut self, sign: Sign, at: Span, operand: DurationExpr) -> DurationExpr {
        match operand {
            DurationExpr::Literal(literal) => {
                let signed = NumberLiteral {
                    value: sign.apply(literal.value),
                    span: at.to(literal.span),
                    ..literal
                };
                DurationExpr::Literal(self.in_range(signed, at))
            }
            operand if sign == Sign::Plus => operand,
            operand => DurationExpr::Negate {
                span: at.to(operand.span()),
                operand: Box::new(operand),
            },
        }
    }

    fn in_range(&mut self, literal: NumberLiteral, at: Span) -> NumberLiteral {
        if literal.value.abs() <= MAX_SECONDS || literal.value.is_nan() {
            return literal;
        }
        self.errors.push(at, "duration out of range");
        zero(Span::default())
    }

    fn gate_duration(&mut self, span: Span) {
        if !self.options.duration_expressions {
            let message = "experimental duration expression is not enabled";
            self.errors.push(span, message);
        }
    }
}

/// A second pair of parentheses is left out, as in the reference.
fn in_parens(inner: DurationExpr, around: Span) -> DurationExpr {
    let span = match &inner {
        DurationExpr::Paren { .. } => return inner,
        DurationExpr::Literal(_) => around,
        inner => inner.span(),
    };
    DurationExpr::Paren {
        inner: Box::new(inner),
        span,
    }
}

/// The operator, and how strongly it binds.
fn duration_op(kind: Kind) -> Option<(DurationOp, u8)> {
    let Kind::Operator(op) = kind else {
        return None;
    };
    Some(match op {
        BinaryOp::Add => (DurationOp::Add, 1),
        BinaryOp::Sub => (DurationOp::Sub, 1),
        BinaryOp::Mul => (DurationOp::Mul, SIGN),
        BinaryOp::Div => (DurationOp::Div, SIGN),
        BinaryOp::Mod => (DurationOp::Mod, SIGN),
        BinaryOp::Pow => (DurationOp::Pow, SIGN + 1),
        _ => return None,
    })
}
