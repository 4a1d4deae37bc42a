//! Which expressions Prometheus evaluates at one step only. Values are the same; what it tells about them is not.

use crate::ast::{Expr, FunctionId};

/// Whether Prometheus takes an expression to have one value at all steps (`preprocessExprHelper`). It does not look at
/// the parameter of an aggregation.
pub(super) fn is_fixed(expr: &Expr) -> bool {
    match expr {
        Expr::Number(_) | Expr::String(_) => true,
        Expr::Vector(selector) => selector.at.is_some(),
        Expr::Matrix(matrix) => matrix.selector.at.is_some(),
        Expr::Subquery(subquery) => subquery.at.is_some(),
        Expr::Paren(paren) => is_fixed(&paren.expr),
        Expr::Unary(unary) => is_fixed(&unary.expr),
        Expr::Aggregate(aggregate) => is_fixed(&aggregate.expr),
        Expr::Binary(binary) => is_fixed(&binary.lhs) && is_fixed(&binary.rhs),
        Expr::Call(call) => {
            let args = &call.args;
            let of_selector = args
                .iter()
                .all(|arg| matches!(arg.unwrap_parens(), Expr::Vector(_)));
            is_timeless(call.function.id, of_selector) && args.iter().all(is_fixed)
        }
    }
}

/// Whether the result of a function depends on its arguments alone.
fn is_timeless(id: FunctionId, of_selector: bool) -> bool {
    use FunctionId::{
        DayOfMonth, DayOfWeek, DayOfYear, DaysInMonth, End, Hour, Minute, Month, PredictLinear,
        Range, Start, Step, Time, Timestamp, Year,
    };
    match id {
        DayOfMonth | DayOfWeek | DayOfYear | DaysInMonth | End | Hour | Minute | Month
        | PredictLinear | Range | Start | Step | Time | Year => false,
        Timestamp => of_selector,
        _ => true,
    }
}
