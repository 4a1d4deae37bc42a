//! Go's parse errors, in Go's words, with the place added.

use std::fmt;

/// What Go's `regexp/syntax` can find wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::regex) enum Code {
    InvalidCharRange,
    InvalidEscape,
    InvalidNamedCapture,
    InvalidPerlOp,
    InvalidRepeatOp,
    InvalidRepeatSize,
    MissingBracket,
    MissingParen,
    MissingRepeatArgument,
    NestingDepth,
    TooLarge,
    TrailingBackslash,
    UnexpectedParen,
}

impl Code {
    fn as_str(self) -> &'static str {
        match self {
            Self::InvalidCharRange => "invalid character class range",
            Self::InvalidEscape => "invalid escape sequence",
            Self::InvalidNamedCapture => "invalid named capture",
            Self::InvalidPerlOp => "invalid or unsupported Perl syntax",
            Self::InvalidRepeatOp => "invalid nested repetition operator",
            Self::InvalidRepeatSize => "invalid repeat count",
            Self::MissingBracket => "missing closing ]",
            Self::MissingParen => "missing closing )",
            Self::MissingRepeatArgument => "missing argument to repetition operator",
            Self::NestingDepth => "expression nests too deeply",
            Self::TooLarge => "expression too large",
            Self::TrailingBackslash => "trailing backslash at end of expression",
            Self::UnexpectedParen => "unexpected )",
        }
    }
}

/// Why a pattern is refused, while it is being parsed.
#[derive(Debug)]
pub(in crate::regex) struct Refusal<'p> {
    code: Code,
    /// A part of the pattern: its address gives the offset.
    fragment: &'p str,
}

impl<'p> Refusal<'p> {
    pub(in crate::regex) fn new(code: Code, fragment: &'p str) -> Self {
        Self { code, fragment }
    }

    /// A refusal of what lies between the beginnings of `from` and `to`, both ends of the pattern.
    pub(super) fn between(code: Code, from: &'p str, to: &str) -> Self {
        let length = from.len().saturating_sub(to.len());
        Self {
            code,
            fragment: from.get(..length).unwrap_or(from),
        }
    }

    pub(in crate::regex) fn into_error(self, pattern: &str) -> SyntaxError {
        let offset = self
            .fragment
            .as_ptr()
            .addr()
            .saturating_sub(pattern.as_ptr().addr());
        SyntaxError {
            code: self.code,
            fragment: self.fragment.to_owned(),
            offset,
        }
    }
}

/// Why a pattern is refused: Go's text, then the byte at which the quoted part begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    code: Code,
    fragment: String,
    offset: usize,
}

impl SyntaxError {
    pub(crate) fn is_too_large(&self) -> bool {
        self.code == Code::TooLarge
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "error parsing regexp: {}: `{}`",
            self.code.as_str(),
            self.fragment
        )?;
        match self.offset {
            0 => Ok(()),
            offset => write!(f, " (at byte {offset})"),
        }
    }
}
