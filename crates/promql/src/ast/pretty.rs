//! Prometheus' layout of an expression in many lines (its `Prettify`).
//!
//! What fits in a line stays in it. What does not is opened up, its parts one level further in.

use std::{
    collections::HashSet,
    fmt::{self, Write},
};

use super::{
    Aggregate, Binary, Call, Expr,
    print::{AggregateHead, OperatorPart, SubquerySuffix},
};

/// The longest text, in bytes and without its indentation, that stays in one line.
const MAX_LINE: usize = 100;

const INDENT: &str = "  ";

/// What is deeper is indented no further, so that the text stays in proportion to the query.
const MAX_INDENT: usize = 100;

impl Expr {
    /// The expression in many lines, as `/api/v1/format_query` answers.
    #[must_use]
    pub fn pretty(&self) -> String {
        let mut layout = Layout::default();
        layout.measure(self);
        layout.write(self, 0);
        layout.out
    }
}

#[derive(Default)]
struct Layout {
    /// Addresses of the expressions that do not fit in a line.
    wide: HashSet<*const Expr>,
    out: String,
}

impl Layout {
    /// Whether an expression fits in a line. It does not if a part of it does not; so each part is
    /// printed at most once, and only as much of it as a line holds.
    fn measure(&mut self, expr: &Expr) -> bool {
        let mut fits = true;
        for child in expr.children() {
            fits &= self.measure(child);
        }
        fits = fits && write!(Line { left: MAX_LINE }, "{expr}").is_ok();
        if !fits {
            self.wide.insert(expr);
        }
        fits
    }

    fn write(&mut self, expr: &Expr, level: usize) {
        let wide = self.wide.contains(&std::ptr::from_ref(expr));
        match expr {
            // Neither indents itself: the reference does not either.
            Expr::Subquery(_) if !wide => self.push(expr),
            Expr::Subquery(e) => {
                self.write(&e.expr, level);
                self.push(SubquerySuffix(e));
            }
            Expr::Unary(e) => {
                let start = self.out.len();
                self.write(&e.expr, level);
                let operand = self.out.split_off(start);
                self.indent(level);
                self.push(e.op);
                self.out.push_str(operand.trim());
            }
            Expr::Aggregate(e) if wide => self.aggregate(e, level),
            Expr::Binary(e) if wide => self.binary(e, level),
            Expr::Call(e) if wide => self.call(e, level),
            Expr::Paren(e) if wide => {
                self.indent(level);
                self.out.push_str("(\n");
                self.write(&e.expr, level + 1);
                self.close(level);
            }
            Expr::Number(_)
            | Expr::String(_)
            | Expr::Vector(_)
            | Expr::Matrix(_)
            | Expr::Paren(_)
            | Expr::Binary(_)
            | Expr::Aggregate(_)
            | Expr::Call(_) => {
                self.indent(level);
                self.push(expr);
            }
        }
    }

    fn aggregate(&mut self, aggregate: &Aggregate, level: usize) {
        self.indent(level);
        self.push(AggregateHead(aggregate));
        self.out.push_str("(\n");
        if let Some(param) = &aggregate.param {
            self.write(param, level + 1);
            self.out.push_str(",\n");
        }
        self.write(&aggregate.expr, level + 1);
        self.close(level);
    }

    fn binary(&mut self, binary: &Binary, level: usize) {
        if binary.raises_infinity() {
            self.indent(level + 1);
            self.out.push_str("Inf");
        } else {
            self.write(&binary.lhs, level + 1);
        }
        self.out.push('\n');
        self.indent(level);
        self.push(OperatorPart(binary));
        self.out.push('\n');
        self.write(&binary.rhs, level + 1);
    }

    fn call(&mut self, call: &Call, level: usize) {
        self.indent(level);
        self.out.push_str(call.function.name);
        self.out.push_str("(\n");
        for (i, arg) in call.args.iter().enumerate() {
            self.out.push_str(if i == 0 { "" } else { ",\n" });
            self.write(arg, level + 1);
        }
        self.close(level);
    }

    fn close(&mut self, level: usize) {
        self.out.push('\n');
        self.indent(level);
        self.out.push(')');
    }

    fn indent(&mut self, level: usize) {
        for _ in 0..level.min(MAX_INDENT) {
            self.out.push_str(INDENT);
        }
    }

    fn push(&mut self, part: impl fmt::Display) {
        let written = write!(self.out, "{part}");
        debug_assert!(written.is_ok(), "writing to a string cannot fail");
    }
}

/// Refuses what does not fit any more.
struct Line {
    left: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.left = self.left.checked_sub(text.len()).ok_or(fmt::Error)?;
        Ok(())
    }
}
