use rutile_promql::{ParserOptions, parse_expr};

use super::*;

fn tree(query: &str) -> Value {
    of(&parse_expr(query, &ParserOptions::all()).unwrap())
}

#[test]
fn aggregations_and_calls() {
    let expected = json!({
        "type": "aggregation", "op": "sum", "without": false, "grouping": ["job"], "param": null,
        "expr": {
            "type": "call",
            "func": {"name": "rate", "argTypes": ["matrix"], "variadic": 0, "returnType": "vector"},
            "args": [{
                "type": "matrixSelector", "name": "up", "range": 300_000, "rangeExpr": null,
                "offset": -60_000, "offsetExpr": null, "timestamp": null, "startOrEnd": "end",
                "anchored": false, "smoothed": false,
                "matchers": [
                    {"name": "job", "value": "a|b", "type": "=~"},
                    {"name": "__name__", "value": "up", "type": "="},
                ],
            }],
        },
    });
    assert_eq!(
        tree("sum by (job) (rate(up{job=~'a|b'}[5m] offset -1m @ end()))"),
        expected
    );
}

#[test]
fn operators_and_their_matching() {
    let tree = tree("(a) / on (x) group_left (y) -b > bool 1e21");
    assert_eq!(
        (&tree["op"], &tree["bool"], &tree["matching"]),
        (&json!(">"), &json!(true), &json!(null))
    );
    assert_eq!(
        tree["rhs"],
        json!({"type": "numberLiteral", "val": "1000000000000000000000"})
    );
    let matching = json!({
        "card": "many-to-one", "labels": ["x"], "on": true, "include": ["y"],
        "fillValues": {"lhs": null, "rhs": null},
    });
    assert_eq!(tree["lhs"]["matching"], matching);
    assert_eq!(tree["lhs"]["lhs"]["type"], "parenExpr");
    assert_eq!(tree["lhs"]["rhs"]["op"], "-");
}

#[test]
fn subqueries_and_durations() {
    let tree = tree("max_over_time(up[1h:(step() + 5m) * 2] @ 1.5)");
    let subquery = &tree["args"][0];
    assert_eq!(
        (&subquery["range"], &subquery["timestamp"]),
        (&json!(3_600_000), &json!(1500))
    );
    let sum = json!({
        "type": "durationExpr", "op": "+", "wrapped": true,
        "lhs": {"type": "durationExpr", "op": "step", "lhs": null, "rhs": null, "wrapped": false},
        "rhs": {"type": "numberLiteral", "val": "300", "duration": true},
    });
    assert_eq!(subquery["stepExpr"]["lhs"], sum);
    assert_eq!(
        (&subquery["stepExpr"]["op"], &subquery["step"]),
        (&json!("*"), &json!(0))
    );
}
