//! Prometheus' layout of an expression in many lines (its `Prettify`).
//!
//! What fits in a line stays in it. What does not is opened up, its parts one level further in.

use std::fmt::{self, Write};

use super::{
    Aggregate, Binary, Call, Expr,
    print::{AggregateHead, OperatorPart, SubquerySuffix},
};

/// The longest text, in bytes and without its indentation, that stays in one line.
const MAX_LINE: usize = 100;

const INDENT: &str = "  ";

impl Expr {
    /// The expression in many lines, as `/api/v1/format_query` answers.
    #[must_use]
    pub fn pretty(&self) -> String {
        let mut out = String::new();
        self.write_pretty(0, &mut out);
        out
    }

    fn write_pretty(&self, level: usize, out: &mut String) {
        match self {
            // Neither indents itself: the reference does not either.
            Self::Subquery(_) if self.fits() => push(out, self),
            Self::Subquery(e) => {
                e.expr.write_pretty(level, out);
                push(out, SubquerySuffix(e));
            }
            Self::Unary(e) => {
                let mut operand = String::new();
                e.expr.write_pretty(level, &mut operand);
                indent(out, level);
                push(out, e.op);
                out.push_str(operand.trim());
            }
            Self::Aggregate(e) if !self.fits() => e.write_pretty(level, out),
            Self::Binary(e) if !self.fits() => e.write_pretty(level, out),
            Self::Call(e) if !self.fits() => e.write_pretty(level, out),
            Self::Paren(e) if !self.fits() => {
                indent(out, level);
                out.push_str("(\n");
                e.expr.write_pretty(level + 1, out);
                close(out, level);
            }
            Self::Number(_)
            | Self::String(_)
            | Self::Vector(_)
            | Self::Matrix(_)
            | Self::Paren(_)
            | Self::Binary(_)
            | Self::Aggregate(_)
            | Self::Call(_) => {
                indent(out, level);
                push(out, self);
            }
        }
    }

    /// Whether it fits in a line. Prints only as much as a line holds.
    fn fits(&self) -> bool {
        let mut line = Line { left: MAX_LINE };
        write!(line, "{self}").is_ok()
    }
}

impl Aggregate {
    fn write_pretty(&self, level: usize, out: &mut String) {
        indent(out, level);
        push(out, AggregateHead(self));
        out.push_str("(\n");
        if let Some(param) = &self.param {
            param.write_pretty(level + 1, out);
            out.push_str(",\n");
        }
        self.expr.write_pretty(level + 1, out);
        close(out, level);
    }
}

impl Binary {
    fn write_pretty(&self, level: usize, out: &mut String) {
        self.lhs.write_pretty(level + 1, out);
        out.push('\n');
        indent(out, level);
        push(out, OperatorPart(self));
        out.push('\n');
        self.rhs.write_pretty(level + 1, out);
    }
}

impl Call {
    fn write_pretty(&self, level: usize, out: &mut String) {
        indent(out, level);
        out.push_str(self.function.name);
        out.push_str("(\n");
        for (i, arg) in self.args.iter().enumerate() {
            out.push_str(if i == 0 { "" } else { ",\n" });
            arg.write_pretty(level + 1, out);
        }
        close(out, level);
    }
}

fn close(out: &mut String, level: usize) {
    out.push('\n');
    indent(out, level);
    out.push(')');
}

fn indent(out: &mut String, level: usize) {
    for _ in 0..level {
        out.push_str(INDENT);
    }
}

fn push(out: &mut String, part: impl fmt::Display) {
    let written = write!(out, "{part}");
    debug_assert!(written.is_ok(), "writing to a string cannot fail");
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
