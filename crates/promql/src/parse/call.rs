//! Calls of functions.

use super::{
    parser::{Parsed, Parser, Tree},
    token::{Kind, Token},
};
use crate::ast::{Call, Expr, Function, Origin};

impl Parser<'_> {
    /// What follows the name of a function.
    pub(super) fn call(&mut self, name: Token<'_>) -> Parsed<Tree> {
        let args = self.call_body()?;
        let span = self.span_since(name.span);
        let Some(function) = self.function(name) else {
            return Ok(Tree::placeholder(span));
        };
        let highest = args.iter().map(|arg| arg.height).max().unwrap_or(0);
        Ok(Tree {
            height: self.height_above(highest, span)?,
            expr: Expr::Call(Call {
                function,
                args: args.into_iter().map(|arg| arg.expr).collect(),
                span,
            }),
        })
    }

    /// The function of this name, reported if there is none or if it is not switched on.
    fn function(&mut self, name: Token<'_>) -> Option<&'static Function> {
        let thanos = self.options.thanos_functions;
        let known = |f: &&'static Function| f.origin != Origin::Thanos || thanos;
        let Some(function) = Function::by_name(name.text).filter(known) else {
            let message = format!("unknown function with name \"{}\"", name.text);
            self.errors.push(name.span, message);
            return None;
        };
        let off = !self.options.experimental_functions;
        if off && function.origin == Origin::Experimental {
            let message = format!("function \"{}\" is not enabled", name.text);
            self.errors.push(name.span, message);
        }
        Some(function)
    }

    /// The arguments in parentheses.
    pub(super) fn call_body(&mut self) -> Parsed<Vec<Tree>> {
        self.expect(Kind::LeftParen)?;
        let mut args = Vec::new();
        if self.eat(Kind::RightParen).is_some() {
            return Ok(args);
        }
        args.push(self.expr()?);
        loop {
            match self.kind() {
                Kind::RightParen => {
                    self.bump();
                    return Ok(args);
                }
                Kind::Comma => {
                    let comma = self.bump();
                    if self.kind().starts_expr() {
                        args.push(self.expr()?);
                    } else {
                        let message = "trailing commas not allowed in function call args";
                        self.errors.push(comma.span, message);
                    }
                }
                _ => return Err(self.unexpected_here()),
            }
        }
    }
}
