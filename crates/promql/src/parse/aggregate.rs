//! Aggregations, and lists of label names.

use super::{
    parser::{Parsed, Parser, Tree},
    token::{Keyword, Kind, Token},
};
use crate::ast::{Aggregate, AggregateOp, Expr, Span};

const GROUPING: &str = "grouping opts";

/// `by (…)` or `without (…)`, or neither.
#[derive(Default)]
struct Grouping {
    names: Vec<String>,
    without: bool,
}

impl Parser<'_> {
    /// What follows the name of an aggregation.
    pub(super) fn aggregate(&mut self, name: Token<'_>, op: AggregateOp) -> Parsed<Tree> {
        let before = self.grouping()?;
        let args = self.call_body()?;
        let grouping = match before {
            Some(grouping) => grouping,
            None => self.grouping()?.unwrap_or_default(),
        };
        let span = self.span_since(name.span);
        self.new_aggregate(op, args, grouping, span)
    }

    fn new_aggregate(
        &mut self,
        op: AggregateOp,
        args: Vec<Tree>,
        grouping: Grouping,
        span: Span,
    ) -> Parsed<Tree> {
        let found = args.len();
        let wanted = if op.takes_param() { 2 } else { 1 };
        let mut args = args.into_iter();
        let param = if found == 2 && op.takes_param() {
            args.next()
        } else {
            None
        };
        let expr = args.next();
        if found == 0 {
            self.errors
                .push(span, "no arguments for aggregate expression provided");
        } else if op.is_experimental() && !self.options.experimental_functions {
            let message = format!(
                "{op}() is experimental and must be enabled with \
                 --enable-feature=promql-experimental-functions"
            );
            self.errors.push(span, message);
        } else if found != wanted {
            let message = format!(
                "wrong number of arguments for aggregate expression provided, \
                 expected {wanted}, got {found}"
            );
            self.errors.push(span, message);
        }
        let expr = expr.unwrap_or_else(|| Tree::placeholder(span));
        let highest = param.as_ref().map_or(0, |p| p.height).max(expr.height);
        Ok(Tree {
            height: self.height_above(highest, span)?,
            expr: Expr::Aggregate(Aggregate {
                op,
                expr: Box::new(expr.expr),
                param: param.map(|p| Box::new(p.expr)),
                grouping: grouping.names,
                without: grouping.without,
                span,
            }),
        })
    }

    fn grouping(&mut self) -> Parsed<Option<Grouping>> {
        let without = self.eat_keyword(Keyword::Without);
        if !without && !self.eat_keyword(Keyword::By) {
            return Ok(None);
        }
        let names = self.grouping_labels()?;
        Ok(Some(Grouping { names, without }))
    }

    /// `(a, "b", c)`
    pub(super) fn grouping_labels(&mut self) -> Parsed<Vec<String>> {
        if self.eat(Kind::LeftParen).is_none() {
            return Err(self.unexpected(GROUPING, "\"(\""));
        }
        let mut names = Vec::new();
        while self.eat(Kind::RightParen).is_none() {
            names.push(self.grouping_label()?);
            match self.kind() {
                Kind::Comma => {
                    self.bump();
                }
                Kind::RightParen => {}
                _ => return Err(self.unexpected(GROUPING, "\",\" or \")\"")),
            }
        }
        Ok(names)
    }

    fn grouping_label(&mut self) -> Parsed<String> {
        let token = self.peek();
        match token.kind {
            Kind::String => {
                let name = self.string_literal();
                if name.value.is_empty() || name.not_utf8.is_some() {
                    let message = format!("invalid label name for grouping: {name}");
                    self.errors.push(token.span, message);
                }
                Ok(name.value)
            }
            kind if kind.is_label_name() => {
                self.bump();
                Ok(token.text.to_owned())
            }
            _ => Err(self.unexpected(GROUPING, "label")),
        }
    }
}
