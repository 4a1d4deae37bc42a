//! Start timestamps of a series: `up{job="a"}@st _ _x2 -30s-1mx2`.

use rutile_model::{Labels, quote};

use super::{MAX_SERIES_VALUES, parse_series};
use crate::{
    ast::Span,
    parse::{
        error::{ErrorList, ParseErrors},
        number::parse_duration,
    },
};

/// How long before each of its samples a series started.
#[derive(Debug, Clone, PartialEq)]
pub struct StartTimestamps {
    /// The labels of the series, which follows in the next line.
    pub labels: Labels,
    /// Milliseconds to add to the time of each sample; `None` where it has no start.
    pub offsets: Vec<Option<i64>>,
}

/// Reads a line of start timestamps; `None` if it is a line of samples.
///
/// # Errors
///
/// The labels or the offsets are malformed.
pub fn parse_start_timestamps(line: &str) -> Result<Option<StartTimestamps>, ParseErrors> {
    let line = line.trim();
    let Some((head, values)) = line.split_once([' ', '\t']) else {
        return Ok(None);
    };
    let Some(metric) = head.strip_suffix("@st") else {
        return Ok(None);
    };
    let (labels, _) = parse_series(metric)?;
    let mut offsets = Vec::new();
    let mut rest = values.trim_start();
    while !rest.is_empty() {
        let (item, after) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
        if let Err(problem) = read_item(item, &mut offsets) {
            let start = line.len() - rest.len();
            let mut errors = ErrorList::new(line);
            let message = format!("invalid ST item {}: {problem}", quote(item));
            errors.push(Span::new(start, start + item.len()), message);
            return Err(errors.finish());
        }
        rest = after.trim_start();
    }
    Ok(Some(StartTimestamps { labels, offsets }))
}

/// `_`, `_x3`, `-1m`, `-1mx3`, `-30s-1mx3`
fn read_item(item: &str, offsets: &mut Vec<Option<i64>>) -> Result<(), String> {
    let mut push = |count: usize, first: Option<i64>, step: i64| {
        if count > MAX_SERIES_VALUES.saturating_sub(offsets.len()) {
            return Err(format!("too many values: more than {MAX_SERIES_VALUES}"));
        }
        let next = |offset: &Option<i64>| Some(offset.map(|o| o.saturating_add(step)));
        offsets.extend(std::iter::successors(Some(first), next).take(count));
        Ok(())
    };
    if item == "_" {
        return push(1, None, 0);
    }
    if let Some(count) = item.strip_prefix("_x") {
        return match repeat_count(count)? {
            0 => Err("invalid repeat count".to_owned()),
            count => push(count, None, 0),
        };
    }
    let (first, rest) = offset(item)?;
    if rest.is_empty() {
        return push(1, Some(first), 0);
    }
    if let Some(count) = rest.strip_prefix('x') {
        return push(repeat_count(count)?.saturating_add(1), Some(first), 0);
    }
    if !rest.starts_with(['+', '-']) {
        let c = rest.chars().next().unwrap_or_default();
        return Err(format!("unexpected character '{c}' after duration"));
    }
    let (step, rest) = offset(rest).map_err(|e| format!("invalid step duration: {e}"))?;
    let Some(count) = rest.strip_prefix('x') else {
        return Err("expected 'x<count>' after step duration".to_owned());
    };
    push(repeat_count(count)?.saturating_add(1), Some(first), step)
}

fn repeat_count(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "invalid repeat count".to_owned())
}

/// A duration with a sign, in milliseconds, and what follows it.
fn offset(text: &str) -> Result<(i64, &str), String> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let after_digits = unsigned.trim_start_matches(|c: char| c.is_ascii_digit());
    if after_digits.len() == unsigned.len() {
        return Err(format!("expected digits in duration {}", quote(text)));
    }
    // The `x` before a count belongs to no unit.
    let rest = after_digits.trim_start_matches(|c: char| c.is_ascii_alphabetic() && c != 'x');
    let (duration, rest) = unsigned.split_at(unsigned.len() - rest.len());
    let seconds = parse_duration(duration)
        .map_err(|e| format!("invalid duration {}: {e}", quote(duration)))?;
    let ms = (seconds * 1000.0).round() as i64;
    Ok((if text.starts_with('-') { -ms } else { ms }, rest))
}
