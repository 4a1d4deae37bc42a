//! A query that is parsed: once, for all who look at it.

use rutile_model::{Matcher, Patterns};

use crate::parse::{ParseErrors, ParserOptions, parse_expr_with};
use crate::{Expr, ast};

/// A query: its text, and what that means. Its regular expressions are compiled.
///
/// Reading one may take a tenth of a second if somebody means it: not on a thread that others wait for.
#[derive(Debug)]
pub struct Query {
    text: String,
    expr: Expr,
    patterns: Patterns,
}

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    /// As of [`crate::parse_expr`].
    pub fn parse(text: &str, options: &ParserOptions) -> Result<Self, ParseErrors> {
        let mut patterns = Patterns::default();
        Ok(Self {
            expr: parse_expr_with(text, options, &mut patterns)?,
            text: text.to_owned(),
            patterns,
        })
    }

    /// The same, but that all its selectors have this matcher, too. The text is the one with the matchers: it is what
    /// annotations point at.
    ///
    /// # Errors
    /// When it is too long then.
    pub fn restricted(
        mut self,
        matcher: &Matcher,
        options: &ParserOptions,
    ) -> Result<Self, ParseErrors> {
        restrict(&mut self.expr, matcher);
        self.text = self.expr.to_string();
        self.expr = parse_expr_with(&self.text, options, &mut self.patterns)?;
        Ok(self)
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it means.
    #[must_use]
    pub fn expr(&self) -> &Expr {
        &self.expr
    }

    pub(super) fn into_parts(self) -> (Expr, Patterns) {
        (self.expr, self.patterns)
    }
}

fn restrict(expr: &mut Expr, matcher: &Matcher) {
    let selector = match expr {
        Expr::Vector(selector) => Some(selector),
        Expr::Matrix(ast::Matrix { selector, .. }) => Some(selector),
        _ => None,
    };
    if let Some(selector) = selector {
        selector.matchers.insert(0, matcher.clone());
    }
    for child in expr.children_mut() {
        restrict(child, matcher);
    }
}
