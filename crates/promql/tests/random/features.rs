//! Which parts of the language queries use.

use std::collections::BTreeSet;

use rutile_model::MatchOp;
use rutile_promql::{
    AggregateOp, At, Binary, BinaryOp, Cardinality, DurationSpec, Expr, Extension, FUNCTIONS,
    VectorSelector,
};

/// Names of what a query uses: a function, `op +`, `group_left`.
pub(crate) fn of(expr: &Expr) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    expr.walk(&mut |expr| {
        let mut add = |name: &str| found.insert(name.to_owned());
        match expr {
            Expr::Number(number) => {
                add(if number.is_duration {
                    "a duration as a number"
                } else {
                    "a number"
                });
            }
            Expr::String(text) => {
                add(if text.not_utf8.is_some() {
                    "a string of other bytes"
                } else {
                    "a string"
                });
            }
            Expr::Paren(_) => {
                add("parentheses");
            }
            Expr::Unary(unary) => {
                add(&format!("sign {}", unary.op));
            }
            Expr::Call(call) => {
                add(call.function.name);
            }
            Expr::Aggregate(aggregate) => {
                add(aggregate.op.as_str());
                add(match (aggregate.without, aggregate.grouping.is_empty()) {
                    (true, _) => "without",
                    (false, true) => "no grouping",
                    (false, false) => "by",
                });
            }
            Expr::Vector(selector) => of_selector(selector, &mut found),
            Expr::Matrix(matrix) => {
                of_selector(&matrix.selector, &mut found);
                of_duration("range", Some(&matrix.range), &mut found);
            }
            Expr::Subquery(subquery) => {
                add("subquery");
                of_duration("range", Some(&subquery.range), &mut found);
                of_duration("subquery step", subquery.step.as_ref(), &mut found);
                of_duration("offset", subquery.offset.as_ref(), &mut found);
                of_at(subquery.at, &mut found);
            }
            Expr::Binary(binary) => of_binary(binary, &mut found),
        }
    });
    found
}

fn of_selector(selector: &VectorSelector, found: &mut BTreeSet<String>) {
    for matcher in &selector.matchers {
        found.insert(format!("matcher {}", matcher.op().as_str()));
    }
    if selector.name.is_none() {
        found.insert("a selector without a name".to_owned());
    }
    match selector.extension {
        Some(Extension::Anchored) => found.insert("anchored".to_owned()),
        Some(Extension::Smoothed) => found.insert("smoothed".to_owned()),
        None => false,
    };
    of_duration("offset", selector.offset.as_ref(), found);
    of_at(selector.at, found);
}

fn of_duration(place: &str, duration: Option<&DurationSpec>, found: &mut BTreeSet<String>) {
    match duration {
        Some(DurationSpec::Ms(_)) => found.insert(place.to_owned()),
        Some(DurationSpec::Expr(_)) => found.insert(format!("computed {place}")),
        None => false,
    };
}

fn of_at(at: Option<At>, found: &mut BTreeSet<String>) {
    let name = match at {
        Some(At::Timestamp(_)) => "@",
        Some(At::Start) => "@ start()",
        Some(At::End) => "@ end()",
        None => return,
    };
    found.insert(name.to_owned());
}

fn of_binary(binary: &Binary, found: &mut BTreeSet<String>) {
    found.insert(format!("op {}", binary.op));
    if binary.return_bool {
        found.insert(format!("op {} bool", binary.op));
    }
    let Some(matching) = &binary.matching else {
        return;
    };
    if matching.on {
        found.insert("on".to_owned());
    } else if !matching.labels.is_empty() {
        found.insert("ignoring".to_owned());
    }
    let include = if matching.include.is_empty() {
        ""
    } else {
        " (labels)"
    };
    match matching.card {
        Cardinality::ManyToOne => found.insert(format!("group_left{include}")),
        Cardinality::OneToMany => found.insert(format!("group_right{include}")),
        Cardinality::OneToOne | Cardinality::ManyToMany => false,
    };
    match (matching.fill.lhs, matching.fill.rhs) {
        (Some(_), Some(_)) => found.insert("fill".to_owned()),
        (Some(_), None) => found.insert("fill_left".to_owned()),
        (None, Some(_)) => found.insert("fill_right".to_owned()),
        (None, None) => false,
    };
}

/// All operators.
const OPERATORS: &[BinaryOp] = &[
    BinaryOp::Add,
    BinaryOp::Sub,
    BinaryOp::Mul,
    BinaryOp::Div,
    BinaryOp::Mod,
    BinaryOp::Pow,
    BinaryOp::Atan2,
    BinaryOp::Equal,
    BinaryOp::NotEqual,
    BinaryOp::Less,
    BinaryOp::LessOrEqual,
    BinaryOp::Greater,
    BinaryOp::GreaterOrEqual,
    BinaryOp::TrimUpper,
    BinaryOp::TrimLower,
    BinaryOp::And,
    BinaryOp::Or,
    BinaryOp::Unless,
];

/// What is neither function nor operator.
const OTHERS: &[&str] = &[
    "@",
    "@ end()",
    "@ start()",
    "a duration as a number",
    "a number",
    "a selector without a name",
    "a string",
    "a string of other bytes",
    "anchored",
    "by",
    "computed offset",
    "computed range",
    "computed subquery step",
    "fill",
    "fill_left",
    "fill_right",
    "group_left",
    "group_left (labels)",
    "group_right",
    "group_right (labels)",
    "ignoring",
    "no grouping",
    "offset",
    "on",
    "parentheses",
    "range",
    "sign +",
    "sign -",
    "smoothed",
    "subquery",
    "subquery step",
    "without",
];

/// All there are.
pub(crate) fn all() -> BTreeSet<String> {
    let operators = OPERATORS.iter();
    let comparisons = OPERATORS.iter().filter(|op| op.is_comparison());
    let matchers = [
        MatchOp::Equal,
        MatchOp::NotEqual,
        MatchOp::Regex,
        MatchOp::NotRegex,
    ];
    OTHERS
        .iter()
        .map(|name| (*name).to_owned())
        .chain(FUNCTIONS.iter().map(|function| function.name.to_owned()))
        .chain(AggregateOp::ALL.map(|op| op.as_str().to_owned()))
        .chain(operators.map(|op| format!("op {op}")))
        .chain(comparisons.map(|op| format!("op {op} bool")))
        .chain(matchers.map(|op| format!("matcher {}", op.as_str())))
        .collect()
}
