//! Series of test scripts and rule tests: `up{job="a"} 0+10x5 _ stale {{schema:1 sum:3}}x2`.

mod combine;
mod histogram;
mod start;

use std::sync::Arc;

use rutile_model::{FloatHistogram, Labels, Patterns, quote, sample::STALE_NAN};

use super::{
    ParserOptions,
    cursor::{Cursor, is_alpha, is_alphanumeric, is_blank},
    error::{ErrorList, ParseErrors},
    go_text::quote_char,
    number::{parse_number, scan_series_number},
    parser::{Parsed, Parser, Refused},
    selector::labels_of,
    token::{Kind, Token},
};
use crate::ast::Span;

pub use start::{StartTimestamps, parse_start_timestamps};

/// How many values a line may have, repetitions counted.
pub const MAX_SERIES_VALUES: usize = 100_000;

const VALUES: &str = "series values";

/// A value of a series.
#[derive(Debug, Clone, PartialEq)]
pub enum SeriesValue {
    /// A float; `stale` is [`STALE_NAN`].
    Float(f64),
    /// A native histogram.
    Histogram {
        /// The histogram.
        histogram: Arc<FloatHistogram>,
        /// Whether the text has a `counter_reset_hint`: only then does a test compare it.
        has_hint: bool,
    },
}

/// Reads the labels of a series and its values; `None` is a gap.
///
/// # Errors
///
/// The text is not of this form, or there are more than [`MAX_SERIES_VALUES`] values.
pub fn parse_series(text: &str) -> Result<(Labels, Vec<Option<SeriesValue>>), ParseErrors> {
    let mut patterns = Patterns::default();
    let mut parser = Parser::new(text, &ParserOptions::default(), &mut patterns);
    let labels = labels(&mut parser);
    let Ok(labels) = labels else {
        return Err(parser.errors.finish());
    };
    let mut reader = Reader {
        cursor: parser.rest(),
        errors: parser.errors,
        values: Vec::new(),
    };
    match reader.values() {
        Ok(()) if reader.errors.is_empty() => Ok((labels, reader.values)),
        _ => Err(reader.errors.finish()),
    }
}

fn labels(parser: &mut Parser<'_>) -> Parsed<Labels> {
    let mut pairs = Vec::new();
    if parser.kind() == Kind::End {
        return Ok(Labels::empty());
    }
    let name = parser.metric_name();
    // A blank before the brace would start the values.
    if parser.rest().is("{") {
        parser.label_set(&mut pairs)?;
    } else if name.is_none() {
        return Err(parser.unexpected(VALUES, ""));
    }
    Ok(labels_of(name, pairs))
}

/// Reads what follows the labels.
struct Reader<'q> {
    cursor: Cursor<'q>,
    errors: ErrorList<'q>,
    values: Vec<Option<SeriesValue>>,
}

impl Reader<'_> {
    fn values(&mut self) -> Parsed<()> {
        let mut first = true;
        while let Some(c) = self.cursor.peek() {
            if !is_blank(c) {
                return Err(self.unexpected(if first { VALUES } else { "" }));
            }
            first = false;
            self.cursor.skip_while(is_blank);
            match self.cursor.peek() {
                None => {}
                Some('_') => self.gap()?,
                Some('{') if self.cursor.rest().starts_with("{{") => self.histograms()?,
                Some(_) => self.floats()?,
            }
        }
        Ok(())
    }

    /// `_`, `_x3`
    fn gap(&mut self) -> Parsed<()> {
        self.cursor.next();
        let count = match self.repetitions()? {
            Some((count, _)) => count,
            None => 1,
        };
        self.extend(count, std::iter::repeat(None))
    }

    /// `1`, `-1x3`, `1+2x3`, `stale`
    fn floats(&mut self) -> Parsed<()> {
        let word = self.word();
        let first = if word == "stale" {
            self.cursor.at += word.len();
            STALE_NAN
        } else if !word.is_empty() && Kind::of_word(word) == Kind::Identifier {
            let message = format!(
                "unexpected identifier {} in {VALUES}, expected number or \"stale\"",
                quote(word)
            );
            return Err(self.refuse(self.cursor.at, message));
        } else {
            self.signed_number("")?
        };
        if let Some((count, _)) = self.repetitions()? {
            let value = Some(SeriesValue::Float(first));
            return self.extend(count.saturating_add(1), std::iter::repeat(value));
        }
        if !self.cursor.is("+-") {
            return self.extend(1, std::iter::once(Some(SeriesValue::Float(first))));
        }
        let step = self.signed_number(VALUES)?;
        let Some((count, _)) = self.repetitions()? else {
            return Err(self.unexpected(VALUES));
        };
        let next = |value: &f64| Some(value + step);
        let floats = std::iter::successors(Some(first), next);
        self.extend(
            count.saturating_add(1),
            floats.map(|v| Some(SeriesValue::Float(v))),
        )
    }

    /// A number that may have a sign. `place` is where it would be missing.
    fn signed_number(&mut self, place: &str) -> Parsed<f64> {
        if self.cursor.accept("+") {
            return self.number(VALUES);
        }
        if self.cursor.accept("-") {
            return Ok(-self.number(VALUES)?);
        }
        self.number(place)
    }

    fn number(&mut self, place: &str) -> Parsed<f64> {
        let start = self.cursor.at;
        let word = self.word();
        if ["inf", "nan"].contains(&word.to_ascii_lowercase().as_str()) {
            self.cursor.at += word.len();
        } else if !self.at_number() {
            return Err(self.unexpected(place));
        } else if !scan_series_number(&mut self.cursor) {
            return Err(self.bad_number(start));
        }
        let text = self.cursor.from(start);
        parse_number(text)
            .map_err(|error| self.refuse(start, format!("error parsing number: {error}")))
    }

    fn bad_number(&mut self, start: usize) -> Refused {
        let read = quote(self.cursor.from(start));
        self.refuse(start, format!("bad number syntax: {read}"))
    }

    fn at_number(&self) -> bool {
        self.cursor.is("0123456789") || self.cursor.is_fraction()
    }

    /// The word that follows, which stays. None starts with the `x` of a repetition or with `_`.
    fn word(&self) -> &'_ str {
        if self.cursor.is("x_") || !self.cursor.peek().is_some_and(is_alpha) {
            return "";
        }
        let mut end = self.cursor;
        end.skip_while(|c| is_alphanumeric(c) || c == ':');
        end.from(self.cursor.at)
    }

    /// `x3`: the number, and where it is.
    fn repetitions(&mut self) -> Parsed<Option<(usize, usize)>> {
        if !self.cursor.accept("x") {
            return Ok(None);
        }
        let start = self.cursor.at;
        self.number(VALUES)?;
        let text = self.cursor.from(start);
        match text.parse() {
            Ok(count) => Ok(Some((count, start))),
            Err(_) => {
                let message = format!(
                    "invalid repetition in series values: strconv.ParseUint: parsing {}: \
                     invalid syntax",
                    quote(text)
                );
                Err(self.refuse(start, message))
            }
        }
    }

    fn extend(
        &mut self,
        count: usize,
        values: impl Iterator<Item = Option<SeriesValue>>,
    ) -> Parsed<()> {
        self.check_count(count)?;
        self.values.extend(values.take(count));
        Ok(())
    }

    fn check_count(&mut self, more: usize) -> Parsed<()> {
        if more > MAX_SERIES_VALUES.saturating_sub(self.values.len()) {
            let at = self.cursor.at;
            let message = format!("too many values: more than {MAX_SERIES_VALUES}");
            self.errors.push_limit(Span::new(at, at), message);
            return Err(Refused);
        }
        Ok(())
    }

    fn refuse(&mut self, start: usize, message: String) -> Refused {
        let span = Span::new(start, self.cursor.at.max(start));
        self.errors.push(span, message);
        Refused
    }

    /// Refuses what follows; `place` is what it should be part of, or empty.
    fn unexpected(&mut self, place: &str) -> Refused {
        let start = self.cursor.at;
        let word = self.word().len();
        let found = if word > 0 {
            self.cursor.at += word;
            let text = self.cursor.from(start);
            let token = Token {
                kind: Kind::of_word(text),
                span: Span::new(start, self.cursor.at),
                text,
            };
            token.describe()
        } else if self.at_number() {
            if !scan_series_number(&mut self.cursor) {
                return self.bad_number(start);
            }
            let text = self.cursor.from(start);
            let span = Span::new(start, self.cursor.at);
            let kind = Kind::Number;
            Token { kind, span, text }.describe()
        } else {
            match self.cursor.next() {
                None => "end of input".to_owned(),
                Some(c @ ('+' | '-')) => format!("<op:{c}>"),
                Some(c) if is_blank(c) || matches!(c, 'x' | '_') => quote(self.cursor.from(start)),
                Some('{') if self.cursor.is("{") => quote("{{"),
                c => {
                    let c = quote_char(c);
                    let message = format!("unexpected character in series sequence: {c}");
                    return self.refuse(start, message);
                }
            }
        };
        let place = if place.is_empty() {
            String::new()
        } else {
            format!(" in {place}")
        };
        self.refuse(start, format!("unexpected {found}{place}"))
    }
}
