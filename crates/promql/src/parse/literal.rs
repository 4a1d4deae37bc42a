//! Numbers and texts.

use rutile_model::{quote, unquote_prefix_bytes};

use super::{
    number::{parse_duration, parse_number},
    parser::{Parsed, Parser},
    token::{Kind, Token},
};
use crate::ast::{NumberLiteral, Span, StringLiteral};

impl Parser<'_> {
    /// A number or a duration without a sign. A wrong one is reported, and counts as 0.
    pub(super) fn number_literal(&mut self) -> Parsed<NumberLiteral> {
        let token = self.peek();
        let (parsed, is_duration) = match token.kind {
            Kind::Number => {
                let number = parse_number(token.text);
                (
                    number.map_err(|e| format!("error parsing number: {e}")),
                    false,
                )
            }
            Kind::Duration => (parse_duration(token.text), true),
            _ => return Err(self.unexpected_here()),
        };
        self.bump();
        let value = parsed.unwrap_or_else(|message| {
            self.errors.push(token.span, message);
            0.0
        });
        Ok(NumberLiteral {
            value,
            is_duration,
            span: token.span,
        })
    }

    pub(super) fn string_literal(&mut self) -> StringLiteral {
        let token = self.bump();
        let bytes = self.unquote_bytes(token);
        let (value, not_utf8) = match String::from_utf8(bytes) {
            Ok(value) => (value, None),
            Err(error) => {
                let bytes = error.into_bytes();
                (String::from_utf8_lossy(&bytes).into_owned(), Some(bytes))
            }
        };
        StringLiteral {
            value,
            not_utf8,
            span: token.span,
        }
    }

    /// What a quoted name or value of a label means. Labels are UTF-8: what is not cannot occur.
    pub(super) fn unquote(&mut self, token: Token<'_>) -> String {
        let bytes = self.unquote_bytes(token);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn unquote_bytes(&mut self, token: Token<'_>) -> Vec<u8> {
        let Some((mut bytes, _)) = unquote_prefix_bytes(token.text) else {
            let text = quote(token.text);
            let message = format!("error unquoting string {text}: invalid syntax");
            self.errors.push(token.span, message);
            return Vec::new();
        };
        if token.text.starts_with('`') {
            // Go drops carriage returns from raw strings.
            bytes.retain(|byte| *byte != b'\r');
        }
        bytes
    }
}

/// The milliseconds of a literal, as the reference rounds: to nanoseconds, then cut off.
pub(super) fn whole_ms(seconds: f64) -> i64 {
    ((seconds * 1e9).round() as i64) / 1_000_000
}

/// A literal that is where an error was.
pub(super) fn zero(span: Span) -> NumberLiteral {
    NumberLiteral {
        value: 0.0,
        is_duration: false,
        span,
    }
}
