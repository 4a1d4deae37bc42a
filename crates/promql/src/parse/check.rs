//! Types: which expression may stand where.
//!
//! The checks come in the order of the reference, as only the first error is shown.

use std::collections::HashSet;

use rutile_model::{labels::METRIC_NAME, quote};

use super::{cursor::is_blank, error::ErrorList};
use crate::ast::{
    Aggregate, AggregateOp, Arity, Binary, Call, Cardinality, Expr, FunctionId, Span, Subquery,
    Unary, ValueType, VectorMatching, VectorSelector,
};

/// Checks a tree, and settles what depends on types: the cardinality of set operations, whether
/// operands are matched at all, which selectors may select everything.
pub(super) fn check(expr: &mut Expr, text: &str, errors: &mut ErrorList<'_>) {
    Checker { text, errors }.expr(expr);
}

struct Checker<'c, 'q> {
    text: &'c str,
    errors: &'c mut ErrorList<'q>,
}

impl Checker<'_, '_> {
    fn expr(&mut self, expr: &mut Expr) -> ValueType {
        match expr {
            Expr::Number(_) => ValueType::Scalar,
            Expr::String(_) => ValueType::String,
            Expr::Vector(e) => {
                self.selector(e);
                ValueType::Vector
            }
            Expr::Matrix(e) => {
                self.selector(&e.selector);
                ValueType::Matrix
            }
            Expr::Subquery(e) => self.subquery(e),
            Expr::Paren(e) => self.expr(&mut e.expr),
            Expr::Unary(e) => self.unary(e),
            Expr::Binary(e) => self.binary(e),
            Expr::Aggregate(e) => {
                self.aggregate(e);
                ValueType::Vector
            }
            Expr::Call(e) => {
                self.call(e);
                e.function.returns
            }
        }
    }

    fn expect(&mut self, expr: &mut Expr, wanted: ValueType, place: &str) {
        let found = self.expr(expr);
        self.compare(expr.span(), wanted, place, found);
    }

    fn compare(&mut self, span: Span, wanted: ValueType, place: &str, found: ValueType) {
        if found != wanted {
            let (wanted, found) = (wanted.documented(), found.documented());
            let message = format!("expected type {wanted} in {place}, got {found}");
            self.errors.push(span, message);
        }
    }

    fn aggregate(&mut self, aggregate: &mut Aggregate) {
        let place = "aggregation expression";
        self.expect(&mut aggregate.expr, ValueType::Vector, place);
        if let Some(param) = &mut aggregate.param {
            let wanted = if aggregate.op == AggregateOp::CountValues {
                ValueType::String
            } else {
                ValueType::Scalar
            };
            self.expect(param, wanted, "aggregation parameter");
        }
    }

    fn unary(&mut self, unary: &mut Unary) -> ValueType {
        let found = self.expr(&mut unary.expr);
        if !is_numeric(found) {
            let found = found.documented();
            let message = format!(
                "unary expression only allowed on expressions of type scalar or instant vector, \
                 got \"{found}\""
            );
            self.errors.push(unary.span, message);
        }
        found
    }

    fn subquery(&mut self, subquery: &mut Subquery) -> ValueType {
        let found = self.expr(&mut subquery.expr);
        if found != ValueType::Vector {
            let found = found.as_str();
            let message =
                format!("subquery is only allowed on instant vector, got {found} instead");
            self.errors.push(subquery.span, message);
        }
        ValueType::Matrix
    }

    fn selector(&mut self, selector: &VectorSelector) {
        if let Some(name) = &selector.name {
            let others = selector
                .matchers
                .split_last()
                .map_or(&[][..], |(_, rest)| rest);
            for matcher in others.iter().filter(|m| m.name() == METRIC_NAME) {
                let (name, value) = (quote(name), quote(matcher.value()));
                let message = format!("metric name must not be set twice: {name} or {value}");
                self.errors.push(selector.span, message);
            }
        } else if !selector.may_match_all && selector.matchers.iter().all(|m| m.matches_empty()) {
            let message = "vector selector must contain at least one non-empty matcher";
            self.errors.push(selector.span, message);
        }
    }

    fn binary(&mut self, binary: &mut Binary) -> ValueType {
        let lhs = self.expr(&mut binary.lhs);
        let rhs = self.expr(&mut binary.rhs);
        let (op, span) = (binary.op, binary.span);
        let scalars = lhs == ValueType::Scalar && rhs == ValueType::Scalar;
        if binary.return_bool && !op.is_comparison() {
            let message = "bool modifier can only be used on comparison operators";
            self.errors.push(self.operator_span(binary), message);
        }
        if op.is_comparison() && !binary.return_bool && scalars {
            let message = "comparisons between scalars must use BOOL modifier";
            self.errors.push(self.operator_span(binary), message);
        }
        let operator_span = self.operator_span(binary);
        if let Some(matching) = &mut binary.matching {
            if op.is_set() && matching.card == Cardinality::OneToOne {
                matching.card = Cardinality::ManyToMany;
            }
            self.labels_twice(matching, operator_span);
        }
        for (side, found) in [(&binary.lhs, lhs), (&binary.rhs, rhs)] {
            if !is_numeric(found) {
                let message = "binary expression must contain only scalar and instant vector types";
                self.errors.push(side.span(), message);
            }
        }
        if lhs != ValueType::Vector || rhs != ValueType::Vector {
            self.unmatched(binary.matching.take(), span);
        } else if let Some(matching) = &binary.matching
            && op.is_set()
        {
            self.set_operation(matching, op.as_str(), span);
        }
        if op.is_set() && (lhs == ValueType::Scalar || rhs == ValueType::Scalar) {
            let message = format!("set operator \"{op}\" not allowed in binary scalar expression");
            self.errors.push(span, message);
        }
        if scalars {
            ValueType::Scalar
        } else {
            ValueType::Vector
        }
    }

    /// Where the operator and its modifiers are: between the sides, without blanks.
    fn operator_span(&self, binary: &Binary) -> Span {
        let (start, end) = (binary.lhs.span().end, binary.rhs.span().start);
        let between = self.text.get(start..end).unwrap_or_default();
        let leading = between.len() - between.trim_start_matches(is_blank).len();
        let trailing = between.len() - between.trim_end_matches(is_blank).len();
        Span::new(start + leading, end.saturating_sub(trailing))
    }

    fn labels_twice(&mut self, matching: &VectorMatching, span: Span) {
        if !matching.on {
            return;
        }
        let included: HashSet<&String> = matching.include.iter().collect();
        for name in matching
            .labels
            .iter()
            .filter(|name| included.contains(name))
        {
            let name = quote(name);
            let message = format!("label {name} must not occur in ON and GROUP clause at once");
            self.errors.push(span, message);
        }
    }

    /// Modifiers of an operation that matches nothing.
    fn unmatched(&mut self, matching: Option<VectorMatching>, span: Span) {
        let Some(matching) = matching else { return };
        if !matching.labels.is_empty() {
            let message = "vector matching only allowed between instant vectors";
            self.errors.push(span, message);
        }
        if matching.fill.lhs.is_some() || matching.fill.rhs.is_some() {
            let message = "filling in missing series only allowed between instant vectors";
            self.errors.push(span, message);
        }
    }

    fn set_operation(&mut self, matching: &VectorMatching, op: &str, span: Span) {
        if matching.card != Cardinality::ManyToMany {
            let message = format!("no grouping allowed for \"{op}\" operation");
            self.errors.push(span, message);
            let message = "set operations must always be many-to-many";
            self.errors.push(span, message);
        }
        if matching.fill.lhs.is_some() || matching.fill.rhs.is_some() {
            let message = "filling in missing series not allowed for set operators";
            self.errors.push(span, message);
        }
    }

    fn call(&mut self, call: &mut Call) {
        self.count_args(call);
        let function = call.function;
        if function.id == FunctionId::Info {
            self.info_selector(call);
        }
        let place = format!("call to function \"{}\"", function.name);
        let Some((last, _)) = function.args.split_last() else {
            return;
        };
        for (i, arg) in call.args.iter_mut().enumerate() {
            let wanted = match function.args.get(i) {
                Some(wanted) => wanted,
                None if function.arity == Arity::Fixed => break,
                None => last,
            };
            self.expect(arg, *wanted, &place);
        }
    }

    fn count_args(&mut self, call: &Call) {
        let (function, found) = (call.function, call.args.len());
        let (types, name) = (function.args.len(), function.name);
        let least = types.saturating_sub(1);
        let message = match function.arity {
            Arity::Fixed if found != types => {
                format!("expected {types} argument(s) in call to \"{name}\", got {found}")
            }
            Arity::Optional(_) | Arity::Any if found < least => {
                format!("expected at least {least} argument(s) in call to \"{name}\", got {found}")
            }
            Arity::Optional(more) if found > least + more => {
                let most = least + more;
                format!("expected at most {most} argument(s) in call to \"{name}\", got {found}")
            }
            Arity::Fixed | Arity::Optional(_) | Arity::Any => return,
        };
        self.errors.push(call.span, message);
    }

    /// The second argument of `info` selects labels, not series.
    fn info_selector(&mut self, call: &mut Call) {
        let Some(arg) = call.args.get_mut(1) else {
            return;
        };
        let (found, span) = (arg.value_type(), arg.span());
        let place = "call to function \"info\"";
        self.compare(call.span, ValueType::Vector, place, found);
        match arg {
            Expr::Vector(selector) if selector.name.is_some() => {
                let message = "expected label selectors only, got vector selector instead";
                self.errors.push(span, message);
            }
            Expr::Vector(selector) => selector.may_match_all = true,
            _ => self.errors.push(span, "expected label selectors only"),
        }
    }
}

fn is_numeric(found: ValueType) -> bool {
    matches!(found, ValueType::Scalar | ValueType::Vector)
}
