//! What is worth knowing about a result that is no error.

use std::fmt;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use rutile_model::go_float::GoFloat;
use rutile_model::time::format_rfc3339;

use crate::ast::Span;

/// How much an [`Annotation`] matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The result may not be what was meant.
    Warning,
    /// The query may not be what was meant.
    Info,
}

/// A warning or an information about a query.
#[derive(Debug, Clone, PartialEq)]
pub struct Annotation {
    /// How much it matters.
    pub severity: Severity,
    /// What it says, without prefix and position: `metric might not be a counter, ...: "name"`.
    pub message: String,
    /// Which part of the query it is about; none if it is about a source.
    pub span: Option<Span>,
    /// If it is about counts of classic histograms that had to be mended: which, told behind the message.
    pub mended: Option<Mended>,
    /// How often it came up, told behind the message from two on; 0 if nobody counts.
    pub occurrences: u64,
}

/// Counts of classic histograms that went down from bucket to bucket, and were raised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mended {
    /// The lowest upper bound of a bucket that was raised.
    pub lowest: f64,
    /// The highest one.
    pub highest: f64,
    /// By how much at most.
    pub largest: f64,
    /// How many histograms were mended, each step counted.
    pub samples: u64,
    /// The first step, ms since the Unix epoch.
    pub first_ms: i64,
    /// The last one.
    pub last_ms: i64,
}

impl Mended {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            lowest: self.lowest.min(other.lowest),
            highest: self.highest.max(other.highest),
            largest: self.largest.max(other.largest),
            samples: self.samples + other.samples,
            first_ms: self.first_ms.min(other.first_ms),
            last_ms: self.last_ms.max(other.last_ms),
        }
    }
}

impl fmt::Display for Mended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, last] =
            [self.first_ms, self.last_ms].map(|ms| format_rfc3339(ms / 1000 * 1000));
        write!(
            f,
            "from buckets {} to {}, with a max diff of {}, over {} samples from {first} to {last}",
            GoFloat(self.lowest),
            GoFloat(self.highest),
            two_digits(self.largest),
            self.samples,
        )
    }
}

/// A float as Go's `%.2g` has it.
fn two_digits(value: f64) -> String {
    let text = format!("{value:.1e}");
    let Ok(rounded) = text.parse::<f64>() else {
        return GoFloat(value).to_string();
    };
    // Two digits are written with an exponent from 100 on already.
    match rounded.abs() {
        size if size.is_finite() && size >= 100.0 => {
            let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
            format!("{}e+{power:0>2}", digits.trim_end_matches(".0"))
        }
        _ => GoFloat(rounded).to_string(),
    }
}

/// Annotations, each once, in the order in which they came up.
///
/// What says the same is the same, wherever it is about: the last place counts, as in Prometheus. There are at most
/// 1000, as a query may have one for each of its steps; the last one then says that there were more.
#[derive(Debug, Clone, Default)]
pub struct Annotations {
    all: Vec<Annotation>,
    /// Places in `all`, by message.
    places: HashTable<usize>,
}

/// The most annotations of an answer.
const MAX_ANNOTATIONS: usize = 1000;

impl PartialEq for Annotations {
    fn eq(&self, other: &Self) -> bool {
        self.all == other.all
    }
}

impl Annotations {
    /// Adds one, or makes one of it and what is there.
    pub fn add(&mut self, annotation: Annotation) {
        let hash = |annotation: &Annotation| FixedState::default().hash_one(&annotation.message);
        let is_same = |known: &Annotation| {
            known.severity == annotation.severity && known.message == annotation.message
        };
        let at = |place: &usize| self.all.get(*place);
        let place = self
            .places
            .find(hash(&annotation), |place| at(place).is_some_and(is_same));
        let Some(known) = place.copied().and_then(|place| self.all.get_mut(place)) else {
            self.add_new(annotation, hash);
            return;
        };
        // Of those that are counted the first place stays.
        if annotation.mended.is_none() && annotation.occurrences == 0 {
            known.span = annotation.span;
        }
        known.occurrences += annotation.occurrences;
        known.mended = match (known.mended, annotation.mended) {
            (Some(known), Some(more)) => Some(known.and(more)),
            (known, more) => known.or(more),
        };
    }

    fn add_new(&mut self, mut annotation: Annotation, hash: impl Fn(&Annotation) -> u64) {
        match self.all.len() {
            MAX_ANNOTATIONS.. => return,
            count if count == MAX_ANNOTATIONS - 1 => {
                annotation = Annotation {
                    severity: Severity::Warning,
                    message: format!(
                        "there are more annotations than the {count} first ones, which are shown"
                    ),
                    span: annotation.span,
                    mended: None,
                    occurrences: 0,
                }
            }
            _ => {}
        }
        let (key, place) = (hash(&annotation), self.all.len());
        self.all.push(annotation);
        let rehash = |place: &usize| self.all.get(*place).map_or(0, &hash);
        self.places.insert_unique(key, place, rehash);
    }

    /// Adds a warning about a part of the query.
    pub fn warn(&mut self, span: Span, message: impl Into<String>) {
        self.add(Annotation {
            severity: Severity::Warning,
            message: message.into(),
            span: Some(span),
            mended: None,
            occurrences: 0,
        });
    }

    /// Adds a warning that tells how often it came up.
    pub fn warn_counted(&mut self, span: Span, message: impl Into<String>) {
        self.add(Annotation {
            severity: Severity::Warning,
            message: message.into(),
            span: Some(span),
            mended: None,
            occurrences: 1,
        });
    }

    /// Adds an information about a part of the query.
    pub fn info(&mut self, span: Span, message: impl Into<String>) {
        self.add(Annotation {
            severity: Severity::Info,
            message: message.into(),
            span: Some(span),
            mended: None,
            occurrences: 0,
        });
    }

    /// Adds an information about counts that had to be mended.
    pub fn mended(&mut self, span: Span, message: impl Into<String>, mended: Mended) {
        self.add(Annotation {
            severity: Severity::Info,
            message: message.into(),
            span: Some(span),
            mended: Some(mended),
            occurrences: 0,
        });
    }

    /// Adds all of another set.
    pub fn extend(&mut self, other: Self) {
        for annotation in other.all {
            self.add(annotation);
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Annotation> {
        self.all.iter()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

impl Annotation {
    /// As Prometheus shows it: with its prefix, and its position in `query`.
    #[must_use]
    pub fn render(&self, query: &str) -> String {
        let prefix = match (self.span, self.severity) {
            (None, _) => return self.message.clone(),
            (Some(_), Severity::Warning) => "PromQL warning",
            (Some(_), Severity::Info) => "PromQL info",
        };
        let start = self.span.map_or(0, |span| span.start).min(query.len());
        let before = query.get(..start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1) + 1;
        let mended = self
            .mended
            .map_or_else(String::new, |mended| format!(", {mended}"));
        let often = match self.occurrences {
            0 | 1 => String::new(),
            often => format!(" ({often} occurrences)"),
        };
        format!(
            "{prefix}: {}{mended}{often} ({line}:{column})",
            self.message
        )
    }
}

impl fmt::Display for Annotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
