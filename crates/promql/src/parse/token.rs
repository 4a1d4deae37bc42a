//! Tokens of a query, and how messages call them.

use rutile_model::quote;

use super::go_text::quote_start;
use crate::ast::{AggregateOp, BinaryOp, Span};

/// A piece of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'q> {
    pub(super) kind: Kind,
    pub(super) span: Span,
    pub(super) text: &'q str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The end of the text.
    End,
    /// The text cannot be read any further; the reason has been reported.
    Error,
    Identifier,
    /// With a colon.
    MetricIdentifier,
    Number,
    Duration,
    String,
    LeftParen,
    RightParen,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    Comma,
    Colon,
    /// `=`
    Equal,
    /// `=~`
    EqualRegex,
    /// `!~`
    NotRegex,
    At,
    Operator(BinaryOp),
    Aggregator(AggregateOp),
    Keyword(Keyword),
    Preprocessor(Preprocessor),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keyword {
    Offset,
    Smoothed,
    Anchored,
    By,
    Without,
    On,
    Ignoring,
    GroupLeft,
    GroupRight,
    Fill,
    FillLeft,
    FillRight,
    Bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Preprocessor {
    Start,
    End,
    Step,
    Range,
    MaxOf,
    MinOf,
}

impl Kind {
    /// The kind of a word. Case does not matter.
    pub(super) fn of_word(word: &str) -> Self {
        let lower = word.to_ascii_lowercase();
        if let Some(op) = AggregateOp::ALL.into_iter().find(|op| op.as_str() == lower) {
            return Self::Aggregator(op);
        }
        match lower.as_str() {
            "and" => Self::Operator(BinaryOp::And),
            "or" => Self::Operator(BinaryOp::Or),
            "unless" => Self::Operator(BinaryOp::Unless),
            "atan2" => Self::Operator(BinaryOp::Atan2),
            "offset" => Self::Keyword(Keyword::Offset),
            "smoothed" => Self::Keyword(Keyword::Smoothed),
            "anchored" => Self::Keyword(Keyword::Anchored),
            "by" => Self::Keyword(Keyword::By),
            "without" => Self::Keyword(Keyword::Without),
            "on" => Self::Keyword(Keyword::On),
            "ignoring" => Self::Keyword(Keyword::Ignoring),
            "group_left" => Self::Keyword(Keyword::GroupLeft),
            "group_right" => Self::Keyword(Keyword::GroupRight),
            "fill" => Self::Keyword(Keyword::Fill),
            "fill_left" => Self::Keyword(Keyword::FillLeft),
            "fill_right" => Self::Keyword(Keyword::FillRight),
            "bool" => Self::Keyword(Keyword::Bool),
            "start" => Self::Preprocessor(Preprocessor::Start),
            "end" => Self::Preprocessor(Preprocessor::End),
            "inf" | "nan" => Self::Number,
            _ => Self::of_duration_word(&lower).unwrap_or(if word.contains(':') {
                Self::MetricIdentifier
            } else {
                Self::Identifier
            }),
        }
    }

    /// The words that may stand in brackets, in lower case.
    pub(super) fn of_duration_word(lower: &str) -> Option<Self> {
        Some(Self::Preprocessor(match lower {
            "step" => Preprocessor::Step,
            "range" => Preprocessor::Range,
            "max_of" => Preprocessor::MaxOf,
            "min_of" => Preprocessor::MinOf,
            _ => return None,
        }))
    }

    /// Whether it can be the name of a metric, outside of braces.
    pub(super) fn is_metric_name(self) -> bool {
        match self {
            Self::Identifier
            | Self::MetricIdentifier
            | Self::Aggregator(_)
            | Self::Preprocessor(_) => true,
            Self::Operator(op) => op.is_set(),
            Self::Keyword(keyword) => matches!(
                keyword,
                Keyword::Offset
                    | Keyword::Smoothed
                    | Keyword::Anchored
                    | Keyword::By
                    | Keyword::Without
                    | Keyword::Fill
                    | Keyword::FillLeft
                    | Keyword::FillRight
            ),
            _ => false,
        }
    }

    /// Whether it can be the name of a label in `by (…)` and its like.
    pub(super) fn is_label_name(self) -> bool {
        match self {
            Self::Identifier
            | Self::MetricIdentifier
            | Self::Aggregator(_)
            | Self::Preprocessor(_) => true,
            Self::Keyword(keyword) => keyword != Keyword::Without,
            Self::Operator(op) => op.is_set() || op == BinaryOp::Atan2,
            _ => false,
        }
    }

    /// Whether an expression can start with it.
    pub(super) fn starts_expr(self) -> bool {
        self.is_metric_name()
            || matches!(
                self,
                Self::Number
                    | Self::Duration
                    | Self::String
                    | Self::LeftParen
                    | Self::LeftBrace
                    | Self::Operator(BinaryOp::Add | BinaryOp::Sub)
            )
    }
}

impl Token<'_> {
    /// What a message calls it: `identifier "foo"`, `<op:+>`, `end of input`.
    pub(super) fn describe(&self) -> String {
        let shown = |limit: bool| {
            if limit && self.text.len() > 10 {
                quote_start(self.text)
            } else {
                quote(self.text)
            }
        };
        match self.kind {
            Kind::End => "end of input".to_owned(),
            Kind::Error => "error".to_owned(),
            Kind::Identifier => format!("identifier {}", shown(false)),
            Kind::MetricIdentifier => format!("metric identifier {}", shown(false)),
            Kind::Number => format!("number {}", shown(true)),
            Kind::Duration => format!("duration {}", shown(true)),
            Kind::String => format!("string {}", shown(true)),
            Kind::Operator(_) | Kind::EqualRegex | Kind::NotRegex | Kind::At => {
                format!("<op:{}>", self.text)
            }
            Kind::Aggregator(_) => format!("<aggr:{}>", self.text),
            Kind::Keyword(_) => format!("<{}>", self.text),
            Kind::LeftParen
            | Kind::RightParen
            | Kind::LeftBrace
            | Kind::RightBrace
            | Kind::LeftBracket
            | Kind::RightBracket
            | Kind::Comma
            | Kind::Colon
            | Kind::Equal
            | Kind::Preprocessor(_) => shown(true),
        }
    }
}
