//! What the parser refuses, and where.

use std::fmt;

use rutile_model::ErrorKind;

use crate::ast::Span;

/// How many errors are kept; only the first is shown.
const MAX_ERRORS: usize = 16;

/// One thing that is wrong with a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// What, in Prometheus' words.
    pub message: String,
    /// Where.
    pub span: Span,
    /// Where `span` starts, for people.
    pub position: Position,
    kind: ErrorKind,
}

/// A place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// The text was empty.
    Unknown,
    /// Both count from 1, columns in bytes.
    At {
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
}

impl Position {
    fn of(offset: usize, text: &str) -> Self {
        if text.is_empty() {
            return Self::Unknown;
        }
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self::At {
            line: before.matches('\n').count() + 1,
            column: before.len() - line_start + 1,
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("unknown position"),
            Self::At { line, column } => write!(f, "{line}:{column}"),
        }
    }
}

/// `1:5: parse error: unexpected end of input`
impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: parse error: {}", self.position, self.message)
    }
}

impl std::error::Error for ParseError {}

/// Everything that is wrong with a query, at least one thing. Displays the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseErrors(Vec<ParseError>);

impl ParseErrors {
    /// The one that is shown.
    #[must_use]
    pub fn first(&self) -> &ParseError {
        &self.0[0]
    }

    /// All that were kept, in the order in which they were found.
    #[must_use]
    pub fn as_slice(&self) -> &[ParseError] {
        &self.0
    }

    /// [`ErrorKind::Invalid`], or [`ErrorKind::Exhausted`] if one of our limits was hit.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.first().kind
    }

    /// Counts lines as if `lines` of them preceded the text: for texts within a file.
    #[must_use]
    pub fn after_lines(mut self, lines: usize) -> Self {
        for error in &mut self.0 {
            if let Position::At { line, .. } = &mut error.position {
                *line += lines;
            }
        }
        self
    }
}

impl fmt::Display for ParseErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first().fmt(f)
    }
}

impl std::error::Error for ParseErrors {}

/// Collects errors while a text is read.
#[derive(Debug)]
pub(super) struct ErrorList<'q> {
    text: &'q str,
    errors: Vec<ParseError>,
}

impl<'q> ErrorList<'q> {
    pub(super) fn new(text: &'q str) -> Self {
        Self {
            text,
            errors: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    pub(super) fn push(&mut self, span: Span, message: impl Into<String>) {
        self.push_kind(ErrorKind::Invalid, span, message.into());
    }

    /// One of our limits was hit.
    pub(super) fn push_limit(&mut self, span: Span, message: impl Into<String>) {
        self.push_kind(ErrorKind::Exhausted, span, message.into());
    }

    fn push_kind(&mut self, kind: ErrorKind, span: Span, message: String) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(ParseError {
                message,
                span,
                position: Position::of(span.start, self.text),
                kind,
            });
        }
    }

    /// The errors; there must have been one.
    pub(super) fn finish(&mut self) -> ParseErrors {
        debug_assert!(!self.errors.is_empty(), "refused without a reason");
        if self.errors.is_empty() {
            self.push_kind(
                ErrorKind::Internal,
                Span::default(),
                "unexpected error".to_owned(),
            );
        }
        ParseErrors(std::mem::take(&mut self.errors))
    }
}
