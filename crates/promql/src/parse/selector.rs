//! Selectors of series, and the labels of one series.

use rutile_model::{Error, ErrorKind, Labels, MatchOp, Matcher, labels::METRIC_NAME};

use super::{
    parser::{Parsed, Parser, Tree},
    token::{Kind, Token},
};
use crate::ast::{BinaryOp, Expr, Span, VectorSelector};

const MATCHING: &str = "label matching";
const LABEL_SET: &str = "label set";

impl<'q> Parser<'q> {
    /// A selector whose name has been read.
    pub(super) fn selector(&mut self, name: Option<Token<'q>>) -> Parsed<Tree> {
        let selector = self.vector_selector(name)?;
        Ok(Tree::leaf(Expr::Vector(selector)))
    }

    fn vector_selector(&mut self, name: Option<Token<'q>>) -> Parsed<VectorSelector> {
        let mut matchers = Vec::new();
        let mut span = name.map_or(self.peek().span, |name| name.span);
        if self.kind() == Kind::LeftBrace {
            let braces = self.matchers(&mut matchers)?;
            span = span.to(braces);
        }
        let name = name.map(|name| name.text.to_owned());
        if let Some(name) = &name {
            matchers.push(Matcher::equal(METRIC_NAME, name.as_str()));
        }
        Ok(VectorSelector {
            name,
            matchers,
            at: None,
            offset: None,
            extension: None,
            may_match_all: false,
            span,
        })
    }

    /// A selector and nothing else.
    pub(super) fn whole_selector(&mut self) -> Parsed<VectorSelector> {
        let name = self.metric_name();
        if name.is_none() && self.kind() != Kind::LeftBrace {
            return Err(self.unexpected_here());
        }
        let selector = self.vector_selector(name)?;
        self.expect(Kind::End)?;
        Ok(selector)
    }

    pub(super) fn metric_name(&mut self) -> Option<Token<'q>> {
        self.kind().is_metric_name().then(|| self.bump())
    }

    /// `{a="b", c=~"d"}`
    fn matchers(&mut self, matchers: &mut Vec<Matcher>) -> Parsed<Span> {
        self.expect(Kind::LeftBrace)?;
        loop {
            if let Some(close) = self.eat(Kind::RightBrace) {
                return Ok(close.span);
            }
            matchers.extend(self.matcher()?);
            match self.kind() {
                Kind::Comma => {
                    self.bump();
                }
                Kind::RightBrace => {}
                _ => return Err(self.unexpected(MATCHING, "\",\" or \"}\"")),
            }
        }
    }

    /// `None` if it was wrong.
    fn matcher(&mut self) -> Parsed<Option<Matcher>> {
        let label = self.peek();
        let name = match label.kind {
            Kind::Identifier => {
                self.bump();
                label.text.to_owned()
            }
            Kind::String => {
                self.bump();
                self.unquote(label)
            }
            _ => return Err(self.unexpected(MATCHING, "identifier or \"}\"")),
        };
        let op = match self.kind() {
            Kind::Equal => MatchOp::Equal,
            Kind::Operator(BinaryOp::NotEqual) => MatchOp::NotEqual,
            Kind::EqualRegex => MatchOp::Regex,
            Kind::NotRegex => MatchOp::NotRegex,
            // A text alone is the name of the metric.
            _ if label.kind == Kind::String => {
                return Ok(Some(Matcher::equal(METRIC_NAME, name)));
            }
            _ => return Err(self.unexpected(MATCHING, "label matching operator")),
        };
        self.bump();
        let value = self.peek();
        if value.kind != Kind::String {
            return Err(self.unexpected(MATCHING, "string"));
        }
        self.bump();
        let text = self.unquote(value);
        match self.patterns.matcher(op, &name, &text) {
            Ok(matcher) => Ok(Some(matcher)),
            Err(error) => {
                let span = label.span.to(value.span);
                match error.kind() {
                    ErrorKind::Exhausted => self.errors.push_limit(span, problem(&error)),
                    _ => self.errors.push(span, problem(&error)),
                }
                Ok(None)
            }
        }
    }

    /// The labels of one series and nothing else.
    pub(super) fn whole_metric(&mut self) -> Parsed<Labels> {
        let labels = self.metric()?;
        self.expect(Kind::End)?;
        Ok(labels)
    }

    fn metric(&mut self) -> Parsed<Labels> {
        let mut pairs = Vec::new();
        let name = self.metric_name();
        if self.kind() == Kind::LeftBrace {
            self.label_set(&mut pairs)?;
        } else if name.is_none() && self.kind() != Kind::End {
            return Err(self.unexpected_here());
        }
        Ok(labels_of(name, pairs))
    }

    /// `{a="b", "c"="d"}`. Reads no token beyond the closing brace.
    pub(super) fn label_set(&mut self, pairs: &mut Vec<(String, String)>) -> Parsed<()> {
        self.expect(Kind::LeftBrace)?;
        while self.eat(Kind::RightBrace).is_none() {
            pairs.push(self.label()?);
            match self.kind() {
                Kind::Comma => {
                    self.bump();
                }
                Kind::RightBrace => {}
                _ => return Err(self.unexpected(LABEL_SET, "\",\" or \"}\"")),
            }
        }
        Ok(())
    }

    fn label(&mut self) -> Parsed<(String, String)> {
        let label = self.peek();
        let name = match label.kind {
            Kind::Identifier => {
                self.bump();
                if self.kind() != Kind::Equal {
                    return Err(self.unexpected(LABEL_SET, "\"=\""));
                }
                label.text.to_owned()
            }
            Kind::String => {
                self.bump();
                self.unquote(label)
            }
            _ => return Err(self.unexpected(LABEL_SET, "identifier or \"}\"")),
        };
        if self.eat(Kind::Equal).is_none() {
            return Ok((METRIC_NAME.to_owned(), name));
        }
        let value = self.peek();
        if value.kind != Kind::String {
            return Err(self.unexpected(LABEL_SET, "string"));
        }
        self.bump();
        Ok((name, self.unquote(value)))
    }
}

/// The labels of a series. As in the reference, empty ones are dropped if a name stands before the
/// braces, and only then.
pub(super) fn labels_of(name: Option<Token<'_>>, mut pairs: Vec<(String, String)>) -> Labels {
    if let Some(name) = name {
        pairs.retain(|(_, value)| !value.is_empty());
        pairs.push((METRIC_NAME.to_owned(), name.text.to_owned()));
    }
    pairs.into_iter().collect()
}

/// What is wrong with a regular expression, in Go's words alone.
fn problem(error: &Error) -> String {
    let message = error.to_string();
    let go = message
        .rsplit_once(" (at byte ")
        .map(|(go, _)| go.to_owned());
    go.unwrap_or(message)
}
