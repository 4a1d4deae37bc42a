//! Native histograms in a series: `{{schema:1 sum:3 count:4 buckets:[1 2]}}`.

use std::sync::Arc;

use rutile_model::{CounterResetHint, FloatHistogram, quote, sample};

use super::{Reader, SeriesValue, combine::combine};
use crate::{
    ast::{Sign, Span},
    parse::{
        go_text::quote_char,
        lexer::{is_alpha, is_blank},
        parser::Parsed,
    },
};

const KEYS: [&str; 11] = [
    "sum",
    "count",
    "schema",
    "offset",
    "n_offset",
    "buckets",
    "n_buckets",
    "z_bucket",
    "z_bucket_w",
    "custom_values",
    "counter_reset_hint",
];

/// What has been read of a histogram.
#[derive(Default)]
struct Description {
    histogram: FloatHistogram,
    offset: i32,
    negative_offset: i32,
    seen: Vec<&'static str>,
}

impl Reader<'_> {
    /// `{{…}}`, `{{…}}x3`, `{{…}}+{{…}}x3`
    pub(super) fn histograms(&mut self) -> Parsed<()> {
        let (first, has_hint) = self.histogram()?;
        let value = |histogram: &Arc<FloatHistogram>, has_hint| {
            Some(SeriesValue::Histogram {
                histogram: Arc::clone(histogram),
                has_hint,
            })
        };
        if let Some((count, _)) = self.repetitions()? {
            let values = std::iter::repeat(value(&first, has_hint));
            return self.extend(count.saturating_add(1), values);
        }
        let sign = match self.cursor.peek() {
            Some('+') => Sign::Plus,
            Some('-') => Sign::Minus,
            _ => return self.extend(1, std::iter::once(value(&first, has_hint))),
        };
        self.cursor.next();
        let (step, has_hint) = self.histogram()?;
        let Some((count, at)) = self.repetitions()? else {
            return Err(self.unexpected());
        };
        self.check_count(count.saturating_add(1))?;
        let mut current = first;
        self.values.push(value(&current, has_hint));
        for _ in 0..count {
            let next = combine(&current, &step, sign);
            current = Arc::new(next.map_err(|message| self.refuse(at, message))?);
            self.values.push(value(&current, has_hint));
        }
        Ok(())
    }

    /// The histogram, and whether its counter reset hint is given.
    fn histogram(&mut self) -> Parsed<(Arc<FloatHistogram>, bool)> {
        for _ in 0..2 {
            if !self.cursor.accept("{") {
                return Err(self.unexpected());
            }
        }
        let mut description = Description::default();
        loop {
            let blank = self.cursor.is(" \t\r\n");
            let at = self.cursor.at;
            self.cursor.skip_while(is_blank);
            if self.cursor.rest().starts_with("}}") {
                self.cursor.at += 2;
                break;
            }
            // The first key follows the braces at once, the others follow a blank.
            if blank == description.seen.is_empty() {
                self.cursor.at = if blank { self.cursor.at } else { at };
                return Err(self.unexpected());
            }
            self.histogram_item(&mut description)?;
        }
        let has_hint = description.seen.contains(&"counter_reset_hint");
        Ok((Arc::new(description.finish()), has_hint))
    }

    fn histogram_item(&mut self, description: &mut Description) -> Parsed<()> {
        let start = self.cursor.at;
        if !self.cursor.peek().is_some_and(is_alpha) {
            let c = quote_char(self.cursor.peek());
            let message = format!("histogram description incomplete unexpected: {c}");
            return Err(self.refuse(start, message));
        }
        let word = self.histogram_word();
        let Some(key) = KEYS.into_iter().find(|key| *key == word) else {
            return Err(self.bad_word(start));
        };
        if !self.cursor.is(":") {
            let message = "missing `:` for histogram descriptor";
            return Err(self.refuse(start, message.to_owned()));
        }
        self.cursor.next();
        if description.seen.contains(&key) {
            let message = format!("duplicate key \"{key}\" in histogram");
            self.errors.push(Span::default(), message);
        }
        description.seen.push(key);
        let histogram = &mut description.histogram;
        match key {
            "sum" => histogram.sum = self.signed_number()?,
            "count" => histogram.count = self.signed_number()?,
            "z_bucket" => histogram.zero_count = self.signed_number()?,
            "z_bucket_w" => histogram.zero_threshold = self.number()?,
            "schema" => histogram.schema = self.integer()?,
            "offset" => description.offset = self.integer()?,
            "n_offset" => description.negative_offset = self.integer()?,
            "buckets" => histogram.positive_buckets = self.list()?,
            "n_buckets" => histogram.negative_buckets = self.list()?,
            "custom_values" => histogram.custom_values = self.list()?,
            _ => histogram.counter_reset_hint = self.hint()?,
        }
        Ok(())
    }

    /// Letters and underscores, in lower case.
    fn histogram_word(&mut self) -> String {
        let start = self.cursor.at;
        self.cursor.skip_while(is_alpha);
        self.cursor.from(start).to_ascii_lowercase()
    }

    fn bad_word(&mut self, start: usize) -> crate::parse::parser::Refused {
        let word = quote(self.cursor.from(start));
        self.refuse(start, format!("bad histogram descriptor found: {word}"))
    }

    fn signed_number(&mut self) -> Parsed<f64> {
        let sign = if self.cursor.accept("-") {
            Sign::Minus
        } else {
            Sign::Plus
        };
        Ok(sign.apply(self.number()?))
    }

    fn integer(&mut self) -> Parsed<i32> {
        let start = self.cursor.at;
        self.cursor.accept("-");
        self.number()?;
        let text = self.cursor.from(start);
        text.parse().map_err(|_| {
            let message = format!("error parsing an integer of a histogram: {}", quote(text));
            self.refuse(start, message)
        })
    }

    /// `[1 2 3]`
    fn list(&mut self) -> Parsed<Vec<f64>> {
        if !self.cursor.accept("[") {
            return Err(self.unexpected());
        }
        let mut numbers = vec![self.signed_number()?];
        loop {
            let blank = self.cursor.is(" \t\r\n");
            self.cursor.skip_while(is_blank);
            if self.cursor.accept("]") {
                return Ok(numbers);
            }
            if !blank {
                return Err(self.unexpected());
            }
            numbers.push(self.signed_number()?);
        }
    }

    fn hint(&mut self) -> Parsed<CounterResetHint> {
        let start = self.cursor.at;
        Ok(match self.histogram_word().as_str() {
            "unknown" => CounterResetHint::Unknown,
            "reset" => CounterResetHint::Reset,
            "not_reset" => CounterResetHint::NotReset,
            "gauge" => CounterResetHint::Gauge,
            "" => return Err(self.unexpected()),
            _ => return Err(self.bad_word(start)),
        })
    }
}

impl Description {
    fn finish(self) -> FloatHistogram {
        let mut histogram = self.histogram;
        histogram.positive_spans = span_of(self.offset, &histogram.positive_buckets);
        histogram.negative_spans = span_of(self.negative_offset, &histogram.negative_buckets);
        histogram
    }
}

fn span_of(offset: i32, buckets: &[f64]) -> Vec<sample::Span> {
    match u32::try_from(buckets.len()) {
        Ok(length) if length > 0 => vec![sample::Span { offset, length }],
        _ => vec![],
    }
}
