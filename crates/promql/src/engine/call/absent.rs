//! `absent` and `absent_over_time`.

use rutile_model::sample::STALE_NAN;
use rutile_model::{Labels, LabelsBuilder, MatchOp, Matcher};

use crate::ast::Expr;

use super::{CallContext, column};
use crate::engine::column::{Operand, Row};
use crate::engine::eval::METRIC_NAME;

/// One row that has a 1 wherever no row has a value.
pub(super) fn absent(context: &CallContext<'_>, rows: &[Row]) -> Operand {
    let mut floats = vec![1.0; context.steps.len()];
    let mut left = floats.len();
    for row in rows {
        for (step, float) in floats.iter_mut().enumerate() {
            if *float == 1.0 && row.column.is_present(step) {
                *float = STALE_NAN;
                left -= 1;
            }
        }
        if left == 0 {
            return Operand::Vector(Vec::new());
        }
    }
    let labels = match context.call.args.first().map(Expr::unwrap_parens) {
        Some(Expr::Vector(selector)) => labels_of(&selector.matchers),
        Some(Expr::Matrix(matrix)) => labels_of(&matrix.selector.matchers),
        _ => Labels::empty(),
    };
    Operand::Vector(vec![Row::new(labels, column(floats))])
}

/// The labels that a selector fixes: those with one test, which is for equality. For two equal tests
/// the label is left out too, as ever.
fn labels_of(matchers: &[Matcher]) -> Labels {
    let mut labels = LabelsBuilder::default();
    let mut seen: Vec<&str> = Vec::new();
    for matcher in matchers.iter().filter(|m| m.name() != METRIC_NAME) {
        let name = matcher.name();
        if matcher.op() == MatchOp::Equal && !seen.contains(&name) {
            labels.set(name, matcher.value());
            seen.push(name);
        } else {
            labels.remove(name);
        }
    }
    labels.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_those_that_one_equality_fixes() {
        let equal = Matcher::equal;
        let other = |op, name: &str, value: &str| Matcher::new(op, name, value).unwrap();
        for (matchers, want) in [
            (vec![equal("a", "1"), equal(METRIC_NAME, "x")], "{a=\"1\"}"),
            (
                vec![equal("a", "1"), equal("a", "2"), equal("b", "3")],
                "{b=\"3\"}",
            ),
            (vec![equal("a", "1"), equal("a", "1")], "{}"),
            (
                vec![equal("a", "1"), other(MatchOp::Regex, "a", ".+")],
                "{}",
            ),
            (
                vec![other(MatchOp::NotEqual, "a", "1"), equal("a", "2")],
                "{a=\"2\"}",
            ),
            (vec![equal("a", "")], "{}"),
        ] {
            assert_eq!(labels_of(&matchers).to_string(), want, "{matchers:?}");
        }
    }
}
