//! Native histograms in a series: `{{schema:1 sum:3 count:4 buckets:[1 2]}}`.

use std::sync::Arc;

use rutile_model::{CounterResetHint, FloatHistogram, quote, sample};

use super::{Reader, SeriesValue, VALUES, combine::combine};
use crate::{
    ast::{Sign, Span},
    parse::{
        cursor::{is_alpha, is_blank},
        go_text::quote_char,
        parser::{Parsed, Refused},
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

const DIGITS: &str = "0123456789";

const DESCRIPTION: &str =
    "histogram description, expected histogram description key, e.g. buckets:[5 10 7]";

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
            return Err(self.unexpected(VALUES));
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
        if !self.cursor.rest().starts_with("{{") {
            return Err(self.unexpected(VALUES));
        }
        self.cursor.at += 2;
        let mut description = Description::default();
        loop {
            let blank = self.cursor.peek().is_some_and(is_blank);
            let before = self.cursor;
            self.cursor.skip_while(is_blank);
            if self.cursor.rest().starts_with("}}") {
                self.cursor.at += 2;
                break;
            }
            // The first key follows the braces at once, the others follow a blank.
            let first = description.seen.is_empty();
            if blank == first {
                self.cursor = if first { self.cursor } else { before };
                let place = if first { VALUES } else { DESCRIPTION };
                return Err(self.unexpected_in_histogram(place));
            }
            if !self.cursor.peek().is_some_and(is_alpha) {
                let place = if first { VALUES } else { DESCRIPTION };
                return Err(self.unexpected_in_histogram(place));
            }
            self.histogram_item(&mut description)?;
        }
        let has_hint = description.seen.contains(&"counter_reset_hint");
        Ok((Arc::new(description.finish()), has_hint))
    }

    /// Refuses what follows within a histogram.
    fn unexpected_in_histogram(&mut self, place: &str) -> Refused {
        let start = self.cursor.at;
        if self.cursor.peek().is_some_and(is_alpha) {
            let word = self.histogram_word();
            if !KEYS.contains(&word.as_str()) {
                return self.bad_word(start);
            }
            let message = format!("unexpected {} in {place}", quote(self.cursor.from(start)));
            return self.refuse(start, message);
        }
        if self.cursor.is(DIGITS) || self.cursor.is("- \t\r\n") {
            return self.unexpected(place);
        }
        let c = self.cursor.next();
        let message = if c.is_some_and(|c| ":[".contains(c)) {
            format!("unexpected {} in {place}", quote(self.cursor.from(start)))
        } else {
            format!(
                "histogram description incomplete unexpected: {}",
                quote_char(c)
            )
        };
        self.refuse(start, message)
    }

    fn histogram_item(&mut self, description: &mut Description) -> Parsed<()> {
        let start = self.cursor.at;
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
            "sum" => histogram.sum = self.value(true)?,
            "count" => histogram.count = self.value(true)?,
            "z_bucket" => histogram.zero_count = self.value(true)?,
            "z_bucket_w" => histogram.zero_threshold = self.value(false)?,
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

    fn bad_word(&mut self, start: usize) -> Refused {
        let word = quote(self.cursor.from(start));
        self.refuse(start, format!("bad histogram descriptor found: {word}"))
    }

    /// A number of a histogram, with a sign if that may be.
    fn value(&mut self, may_be_negative: bool) -> Parsed<f64> {
        let negative = may_be_negative && self.cursor.accept("-");
        // Unlike elsewhere, a number cannot start with its dot.
        if !self.cursor.is(DIGITS) && self.word().is_empty() {
            return Err(self.unexpected_in_histogram(VALUES));
        }
        let number = self.number(VALUES)?;
        Ok(if negative { -number } else { number })
    }

    fn integer(&mut self) -> Parsed<i32> {
        let start = self.cursor.at;
        self.value(true)?;
        let text = self.cursor.from(start);
        text.parse().map_err(|_| {
            let message = format!("error parsing an integer of a histogram: {}", quote(text));
            self.refuse(start, message)
        })
    }

    /// `[1 2 3]`
    fn list(&mut self) -> Parsed<Vec<f64>> {
        if !self.cursor.accept("[") {
            return Err(self.unexpected_in_histogram(VALUES));
        }
        let mut numbers = vec![self.value(true)?];
        loop {
            let blank = self.cursor.is(" \t\r\n");
            self.cursor.skip_while(is_blank);
            if self.cursor.accept("]") {
                return Ok(numbers);
            }
            if !blank {
                let c = quote_char(self.cursor.peek());
                let message = format!("invalid character in buckets description: {c}");
                return Err(self.refuse(self.cursor.at, message));
            }
            numbers.push(self.value(true)?);
        }
    }

    fn hint(&mut self) -> Parsed<CounterResetHint> {
        let start = self.cursor.at;
        Ok(match self.histogram_word().as_str() {
            "unknown" => CounterResetHint::Unknown,
            "reset" => CounterResetHint::Reset,
            "not_reset" => CounterResetHint::NotReset,
            "gauge" => CounterResetHint::Gauge,
            "" => return Err(self.unexpected_in_histogram(VALUES)),
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
