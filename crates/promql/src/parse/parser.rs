//! What all parts of the grammar share: the next token, the errors, the limits.

use super::{
    MAX_HEIGHT, MAX_NESTING, MAX_QUERY_LEN, ParserOptions,
    cursor::Cursor,
    error::ErrorList,
    lexer::Lexer,
    literal::zero,
    token::{Kind, Token},
};
use crate::ast::{Expr, Span};
use rutile_model::Patterns;

/// The text is refused; the reason is in the list of errors.
#[derive(Debug)]
pub(super) struct Refused;

pub(super) type Parsed<T> = Result<T, Refused>;

/// An expression and the height of its tree.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) expr: Expr,
    pub(super) height: u32,
}

impl Tree {
    pub(super) fn leaf(expr: Expr) -> Self {
        Self { expr, height: 1 }
    }

    /// Stands for an expression that was wrong and has been reported.
    pub(super) fn placeholder(span: Span) -> Self {
        Self::leaf(Expr::Number(zero(span)))
    }
}

/// What is being read, as messages about an unexpected token call it. The innermost one counts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Context {
    Aggregation,
    Offset,
    At,
    Brackets,
    SubqueryStep,
}

impl Context {
    /// What is read, and what is expected in it.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Aggregation => ("aggregation", ""),
            Self::Offset => ("offset", "number, duration, step(), or range()"),
            Self::At => ("@", "timestamp"),
            Self::Brackets => (
                "subquery or range selector",
                "number, duration, step(), or range()",
            ),
            Self::SubqueryStep => (
                "subquery selector",
                "number, duration, step(), range(), or \"]\"",
            ),
        }
    }
}

#[derive(Debug)]
pub(super) struct Parser<'q> {
    lexer: Lexer<'q>,
    pub(super) options: ParserOptions,
    pub(super) errors: ErrorList<'q>,
    pub(super) patterns: &'q mut Patterns,
    /// The next token, if it has been read. Reading it may add an error, so it is not read early.
    next: Option<Token<'q>>,
    /// Where the last taken token ends.
    taken: usize,
    contexts: Vec<Context>,
    nesting: u32,
}

impl<'q> Parser<'q> {
    pub(super) fn new(text: &'q str, options: &ParserOptions, patterns: &'q mut Patterns) -> Self {
        let mut parser = Self {
            lexer: Lexer::new(text),
            options: *options,
            errors: ErrorList::new(text),
            patterns,
            next: None,
            taken: 0,
            contexts: Vec::new(),
            nesting: 0,
        };
        if text.len() > MAX_QUERY_LEN {
            let span = Span::new(0, text.len());
            let message = format!("query is too long: more than {MAX_QUERY_LEN} bytes");
            parser.errors.push_limit(span, message);
            parser.next = Some(Token {
                kind: Kind::Error,
                span,
                text: "",
            });
        }
        parser
    }

    /// The next token, which stays.
    pub(super) fn peek(&mut self) -> Token<'q> {
        if let Some(token) = self.next {
            return token;
        }
        let token = self.lexer.token().unwrap_or_else(|error| {
            let span = error.span;
            self.errors.push(span, error.message);
            Token {
                kind: Kind::Error,
                span,
                text: "",
            }
        });
        self.next = Some(token);
        token
    }

    /// The kind of the next token.
    pub(super) fn kind(&mut self) -> Kind {
        self.peek().kind
    }

    /// Takes the next token. The end, and an error, stay.
    pub(super) fn bump(&mut self) -> Token<'q> {
        let token = self.peek();
        if !matches!(token.kind, Kind::End | Kind::Error) {
            self.next = None;
            self.taken = token.span.end;
        }
        token
    }

    /// From the start of `first` to the end of the last taken token.
    pub(super) fn span_since(&self, first: Span) -> Span {
        Span::new(first.start, self.taken)
    }

    /// Takes the next token if it is of this kind.
    pub(super) fn eat(&mut self, kind: Kind) -> Option<Token<'q>> {
        (self.kind() == kind).then(|| self.bump())
    }

    /// Takes the next token, which must be of this kind.
    pub(super) fn expect(&mut self, kind: Kind) -> Parsed<Token<'q>> {
        self.eat(kind).ok_or_else(|| self.unexpected_here())
    }

    /// Refuses the next token: what is being read and what was expected are those of the context.
    pub(super) fn unexpected_here(&mut self) -> Refused {
        let (reading, expected) = self.contexts.last().map_or(("", ""), |c| c.words());
        self.unexpected(reading, expected)
    }

    /// Refuses the next token.
    pub(super) fn unexpected(&mut self, reading: &str, expected: &str) -> Refused {
        let token = self.peek();
        // An error of the lexer has been reported.
        if token.kind != Kind::Error {
            let mut message = format!("unexpected {}", token.describe());
            if !reading.is_empty() {
                message.push_str(" in ");
                message.push_str(reading);
            }
            if !expected.is_empty() {
                message.push_str(", expected ");
                message.push_str(expected);
            }
            self.errors.push(token.span, message);
        }
        Refused
    }

    /// Parses something within a context.
    pub(super) fn within<T>(
        &mut self,
        context: Context,
        parse: impl FnOnce(&mut Self) -> Parsed<T>,
    ) -> Parsed<T> {
        self.contexts.push(context);
        let parsed = parse(self);
        self.contexts.pop();
        parsed
    }

    /// Parses something that may contain itself.
    pub(super) fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.nesting == MAX_NESTING {
            let span = self.peek().span;
            let message =
                format!("expression is nested too deeply: more than {MAX_NESTING} levels");
            self.errors.push_limit(span, message);
            return Err(Refused);
        }
        self.nesting += 1;
        let parsed = parse(self);
        self.nesting -= 1;
        parsed
    }

    /// The height of an expression whose highest part has this height.
    pub(super) fn height_above(&mut self, part: u32, span: Span) -> Parsed<u32> {
        if part >= MAX_HEIGHT {
            let message = format!("expression is too long: more than {MAX_HEIGHT} operations");
            self.errors.push_limit(span, message);
            return Err(Refused);
        }
        Ok(part + 1)
    }

    /// What follows the last taken token, to be read in another way.
    pub(super) fn rest(&self) -> Cursor<'q> {
        let mut rest = self.lexer.cursor;
        if let Some(token) = self.next {
            rest.at = token.span.start;
        }
        rest
    }
}
