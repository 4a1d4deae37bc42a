//! What is worth knowing about a result that is no error.

use std::fmt;

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
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Annotation {
    /// How much it matters.
    pub severity: Severity,
    /// What it says, without prefix and position: `metric might not be a counter, ...: "name"`.
    pub message: String,
    /// Which part of the query it is about; none if it is about a source.
    pub span: Option<Span>,
}

/// Annotations, each once, in the order in which they came up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Annotations {
    all: Vec<Annotation>,
}

impl Annotations {
    /// Adds one, unless it is there.
    pub fn add(&mut self, annotation: Annotation) {
        if !self.all.contains(&annotation) {
            self.all.push(annotation);
        }
    }

    /// Adds a warning about a part of the query.
    pub fn warn(&mut self, span: Span, message: impl Into<String>) {
        self.add(Annotation {
            severity: Severity::Warning,
            message: message.into(),
            span: Some(span),
        });
    }

    /// Adds an information about a part of the query.
    pub fn info(&mut self, span: Span, message: impl Into<String>) {
        self.add(Annotation {
            severity: Severity::Info,
            message: message.into(),
            span: Some(span),
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
        format!("{prefix}: {} ({line}:{column})", self.message)
    }
}

impl fmt::Display for Annotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
