//! Series of test scripts and rule tests: `up{job="a"} 0+10x5 _ stale {{schema:1 sum:3}}x2`.

mod combine;
mod histogram;
mod start;

use std::sync::Arc;

use rutile_model::{FloatHistogram, Labels, labels::METRIC_NAME, quote, sample::STALE_NAN};

use super::{
    ParserOptions,
    error::{ErrorList, ParseErrors},
    go_text::quote_char,
    lexer::{Cursor, is_alpha, is_alphanumeric, is_blank},
    number::{parse_number, scan_series_number},
    parser::{Parsed, Parser, Refused},
    token::Kind,
};
use crate::ast::{Sign, Span};

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
    let mut parser = Parser::new(text, &ParserOptions::default());
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
    let has_braces = match name {
        Some(_) => parser.rest().is("{"),
        None => true,
    };
    if has_braces {
        parser.label_set(&mut pairs)?;
    }
    pairs.extend(name.map(|name| (METRIC_NAME.to_owned(), name.text.to_owned())));
    Ok(pairs.into_iter().collect())
}

/// Reads what follows the labels.
struct Reader<'q> {
    cursor: Cursor<'q>,
    errors: ErrorList<'q>,
    values: Vec<Option<SeriesValue>>,
}

impl Reader<'_> {
    fn values(&mut self) -> Parsed<()> {
        loop {
            if self.cursor.peek().is_none() {
                return Ok(());
            }
            if !self.cursor.is(" \t\r\n") {
                return Err(self.unexpected());
            }
            self.cursor.skip_while(is_blank);
            match self.cursor.peek() {
                None => return Ok(()),
                Some('_') => self.gap()?,
                Some('{') => self.histograms()?,
                Some(_) => self.floats()?,
            }
        }
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
        let first = self.float()?;
        if let Some((count, _)) = self.repetitions()? {
            let value = Some(SeriesValue::Float(first));
            return self.extend(count.saturating_add(1), std::iter::repeat(value));
        }
        if !self.cursor.is("+-") {
            return self.extend(1, std::iter::once(Some(SeriesValue::Float(first))));
        }
        let step = self.float()?;
        let Some((count, _)) = self.repetitions()? else {
            return Err(self.unexpected());
        };
        let next = |value: &f64| Some(value + step);
        let floats = std::iter::successors(Some(first), next);
        self.extend(
            count.saturating_add(1),
            floats.map(|v| Some(SeriesValue::Float(v))),
        )
    }

    fn float(&mut self) -> Parsed<f64> {
        let (sign, signed) = match self.cursor.peek() {
            Some('+') => (Sign::Plus, true),
            Some('-') => (Sign::Minus, true),
            _ => (Sign::Plus, false),
        };
        if signed {
            self.cursor.next();
        }
        if !signed && self.word() == "stale" {
            self.cursor.at += "stale".len();
            return Ok(STALE_NAN);
        }
        Ok(sign.apply(self.number()?))
    }

    /// A number without a sign.
    fn number(&mut self) -> Parsed<f64> {
        let start = self.cursor.at;
        let word = self.word();
        if ["inf", "nan"].contains(&word.to_ascii_lowercase().as_str()) {
            self.cursor.at += word.len();
        } else if !self.cursor.is("0123456789.") {
            return Err(self.unexpected());
        } else if !scan_series_number(&mut self.cursor) {
            let read = quote(self.cursor.from(start));
            return Err(self.refuse(start, format!("bad number syntax: {read}")));
        }
        let text = self.cursor.from(start);
        parse_number(text)
            .map_err(|error| self.refuse(start, format!("error parsing number: {error}")))
    }

    /// The word that follows, which stays.
    fn word(&self) -> &str {
        if !self.cursor.peek().is_some_and(is_alpha) {
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
        self.number()?;
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

    /// Refuses what follows.
    fn unexpected(&mut self) -> Refused {
        let start = self.cursor.at;
        let message = match self.cursor.next() {
            None => format!("unexpected end of input in {VALUES}"),
            Some(c) if is_alpha(c) => {
                self.cursor.skip_while(|c| is_alphanumeric(c) || c == ':');
                let word = quote(self.cursor.from(start));
                format!("unexpected identifier {word} in {VALUES}, expected number or \"stale\"")
            }
            Some(c) if c.is_ascii_digit() => {
                self.cursor.skip_while(|c| c.is_ascii_digit());
                let number = quote(self.cursor.from(start));
                format!("unexpected number {number} in {VALUES}")
            }
            Some(c) if "+-".contains(c) => format!("unexpected <op:{c}> in {VALUES}"),
            Some(c) if is_blank(c) || ":[]{}".contains(c) => {
                format!("unexpected {} in {VALUES}", quote(self.cursor.from(start)))
            }
            c => format!("unexpected character in series sequence: {}", quote_char(c)),
        };
        self.refuse(start, message)
    }
}
