//! The tree of a query as JSON, as Prometheus's `parse_query` answers it.

use rutile_model::Matcher;
use rutile_promql::{
    Arity, At, Binary, Call, Cardinality, DurationExpr, DurationSpec, Expr, Extension,
    NumberLiteral, Pick, Subquery, VectorMatching, VectorSelector,
};
use serde_json::{Value, json};

use crate::json::push_fixed;

/// The tree. The height of an expression is bounded by the parser, so that this is safe.
#[must_use]
pub fn of(expr: &Expr) -> Value {
    match expr {
        Expr::Number(e) => json!({"type": "numberLiteral", "val": number(e.value)}),
        Expr::String(e) => json!({"type": "stringLiteral", "val": e.value}),
        Expr::Vector(e) => selector("vectorSelector", e),
        Expr::Matrix(e) => {
            let mut tree = selector("matrixSelector", &e.selector);
            tree["range"] = milliseconds(Some(&e.range));
            tree["rangeExpr"] = json!(duration_expr(Some(&e.range)));
            tree
        }
        Expr::Subquery(e) => subquery(e),
        Expr::Paren(e) => json!({"type": "parenExpr", "expr": of(&e.expr)}),
        Expr::Unary(e) => json!({"type": "unaryExpr", "op": e.op.as_str(), "expr": of(&e.expr)}),
        Expr::Binary(e) => binary(e),
        Expr::Aggregate(e) => json!({
            "type": "aggregation",
            "op": e.op.as_str(),
            "expr": of(&e.expr),
            "param": e.param.as_deref().map(of),
            "grouping": e.grouping,
            "without": e.without,
        }),
        Expr::Call(e) => call(e),
    }
}

fn number(value: f64) -> String {
    let mut quoted = Vec::new();
    push_fixed(&mut quoted, value);
    String::from_utf8_lossy(&quoted)
        .trim_matches('"')
        .to_owned()
}

fn selector(kind: &str, e: &VectorSelector) -> Value {
    json!({
        "type": kind,
        "name": e.name.as_deref().unwrap_or_default(),
        "offset": milliseconds(e.offset.as_ref()),
        "offsetExpr": duration_expr(e.offset.as_ref()),
        "matchers": e.matchers.iter().map(matcher).collect::<Vec<_>>(),
        "timestamp": timestamp(e.at),
        "startOrEnd": start_or_end(e.at),
        "anchored": e.extension == Some(Extension::Anchored),
        "smoothed": e.extension == Some(Extension::Smoothed),
    })
}

fn subquery(e: &Subquery) -> Value {
    json!({
        "type": "subquery",
        "expr": of(&e.expr),
        "range": milliseconds(Some(&e.range)),
        "rangeExpr": duration_expr(Some(&e.range)),
        "offset": milliseconds(e.offset.as_ref()),
        "offsetExpr": duration_expr(e.offset.as_ref()),
        "step": milliseconds(e.step.as_ref()),
        "stepExpr": duration_expr(e.step.as_ref()),
        "timestamp": timestamp(e.at),
        "startOrEnd": start_or_end(e.at),
    })
}

fn binary(e: &Binary) -> Value {
    json!({
        "type": "binaryExpr",
        "op": e.op.as_str(),
        "lhs": of(&e.lhs),
        "rhs": of(&e.rhs),
        "matching": e.matching.as_ref().map(matching),
        "bool": e.return_bool,
    })
}

fn matching(matching: &VectorMatching) -> Value {
    let card = match matching.card {
        Cardinality::OneToOne => "one-to-one",
        Cardinality::ManyToOne => "many-to-one",
        Cardinality::OneToMany => "one-to-many",
        Cardinality::ManyToMany => "many-to-many",
    };
    json!({
        "card": card,
        "labels": matching.labels,
        "on": matching.on,
        "include": matching.include,
        "fillValues": {"lhs": matching.fill.lhs, "rhs": matching.fill.rhs},
    })
}

fn call(e: &Call) -> Value {
    let function = e.function;
    let variadic = match function.arity {
        Arity::Fixed => 0,
        Arity::Optional(more) => i64::try_from(more).unwrap_or(i64::MAX),
        Arity::Any => -1,
    };
    json!({
        "type": "call",
        "func": {
            "name": function.name,
            "argTypes": function.args.iter().map(|kind| kind.as_str()).collect::<Vec<_>>(),
            "variadic": variadic,
            "returnType": function.returns.as_str(),
        },
        "args": e.args.iter().map(of).collect::<Vec<_>>(),
    })
}

fn matcher(matcher: &Matcher) -> Value {
    json!({"name": matcher.name(), "value": matcher.value(), "type": matcher.op().as_str()})
}

fn timestamp(at: Option<At>) -> Option<i64> {
    match at {
        Some(At::Timestamp(ms)) => Some(ms),
        Some(At::Start | At::End) | None => None,
    }
}

fn start_or_end(at: Option<At>) -> Option<&'static str> {
    match at {
        Some(At::Start) => Some("start"),
        Some(At::End) => Some("end"),
        Some(At::Timestamp(_)) | None => None,
    }
}

/// Zero where the length is absent or not known yet.
fn milliseconds(spec: Option<&DurationSpec>) -> Value {
    spec.and_then(DurationSpec::as_ms).unwrap_or(0).into()
}

fn duration_expr(spec: Option<&DurationSpec>) -> Option<Value> {
    match spec {
        Some(DurationSpec::Expr(expr)) => Some(duration(expr, false)),
        Some(DurationSpec::Ms(_)) | None => None,
    }
}

fn duration(expr: &DurationExpr, wrapped: bool) -> Value {
    let operation = |op: &str, lhs: Option<&DurationExpr>, rhs: Option<&DurationExpr>| {
        let side = |side: Option<&DurationExpr>| side.map(|expr| duration(expr, false));
        json!({"type": "durationExpr", "op": op, "lhs": side(lhs), "rhs": side(rhs), "wrapped": wrapped})
    };
    match expr {
        DurationExpr::Literal(literal) => literal_duration(literal),
        DurationExpr::Step(_) => operation("step", None, None),
        DurationExpr::Range(_) => operation("range", None, None),
        DurationExpr::Negate { operand, .. } => operation("-", None, Some(operand)),
        DurationExpr::Paren { inner, .. } => duration(inner, true),
        DurationExpr::Binary { op, lhs, rhs, .. } => operation(op.as_str(), Some(lhs), Some(rhs)),
        DurationExpr::Pick { pick, lhs, rhs, .. } => {
            let name = match pick {
                Pick::Min => "min_of",
                Pick::Max => "max_of",
            };
            operation(name, Some(lhs), Some(rhs))
        }
    }
}

fn literal_duration(literal: &NumberLiteral) -> Value {
    json!({"type": "numberLiteral", "val": number(literal.value), "duration": literal.is_duration})
}

#[cfg(test)]
mod tests;
