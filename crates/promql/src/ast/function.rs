//! The functions of the language: names, types of arguments and results.

use super::ValueType::{self, Matrix, Scalar, String, Vector};

/// A function, without its meaning.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// Which one.
    pub id: FunctionId,
    /// Its name in queries.
    pub name: &'static str,
    /// The types of its arguments; the last one also that of any further ones.
    pub args: &'static [ValueType],
    /// How many arguments there may be.
    pub arity: Arity,
    /// The type of its result.
    pub returns: ValueType,
    /// Who has it.
    pub origin: Origin,
}

/// How many arguments a function takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arity {
    /// One for each type.
    Fixed,
    /// All but the last type, and then up to so many more.
    Optional(usize),
    /// All but the last type, and then any number.
    Any,
}

/// Who has a function, and whether it must be switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Prometheus.
    Stable,
    /// Prometheus, if experimental functions are switched on.
    Experimental,
    /// Thanos, if its extended functions are switched on.
    Thanos,
}

impl Function {
    /// The function of this name (case matters), whether or not it is switched on.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static Self> {
        let at = FUNCTIONS.binary_search_by(|f| f.name.cmp(name)).ok()?;
        FUNCTIONS.get(at)
    }
}

/// Names a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FunctionId {
    /// `abs`
    Abs,
    /// `absent`
    Absent,
    /// `absent_over_time`
    AbsentOverTime,
    /// `acos`
    Acos,
    /// `acosh`
    Acosh,
    /// `asin`
    Asin,
    /// `asinh`
    Asinh,
    /// `atan`
    Atan,
    /// `atanh`
    Atanh,
    /// `avg_over_time`
    AvgOverTime,
    /// `ceil`
    Ceil,
    /// `changes`
    Changes,
    /// `clamp`
    Clamp,
    /// `clamp_max`
    ClampMax,
    /// `clamp_min`
    ClampMin,
    /// `cos`
    Cos,
    /// `cosh`
    Cosh,
    /// `count_over_time`
    CountOverTime,
    /// `day_of_month`
    DayOfMonth,
    /// `day_of_week`
    DayOfWeek,
    /// `day_of_year`
    DayOfYear,
    /// `days_in_month`
    DaysInMonth,
    /// `deg`
    Deg,
    /// `delta`
    Delta,
    /// `deriv`
    Deriv,
    /// `double_exponential_smoothing`
    DoubleExponentialSmoothing,
    /// `end`
    End,
    /// `exp`
    Exp,
    /// `first_over_time`
    FirstOverTime,
    /// `floor`
    Floor,
    /// `histogram_avg`
    HistogramAvg,
    /// `histogram_count`
    HistogramCount,
    /// `histogram_fraction`
    HistogramFraction,
    /// `histogram_quantile`
    HistogramQuantile,
    /// `histogram_quantiles`
    HistogramQuantiles,
    /// `histogram_stddev`
    HistogramStddev,
    /// `histogram_stdvar`
    HistogramStdvar,
    /// `histogram_sum`
    HistogramSum,
    /// `hour`
    Hour,
    /// `idelta`
    Idelta,
    /// `increase`
    Increase,
    /// `info`
    Info,
    /// `irate`
    Irate,
    /// `label_join`
    LabelJoin,
    /// `label_replace`
    LabelReplace,
    /// `last_over_time`
    LastOverTime,
    /// `ln`
    Ln,
    /// `log10`
    Log10,
    /// `log2`
    Log2,
    /// `mad_over_time`
    MadOverTime,
    /// `max_of`
    MaxOf,
    /// `max_over_time`
    MaxOverTime,
    /// `min_of`
    MinOf,
    /// `min_over_time`
    MinOverTime,
    /// `minute`
    Minute,
    /// `month`
    Month,
    /// `pi`
    Pi,
    /// `predict_linear`
    PredictLinear,
    /// `present_over_time`
    PresentOverTime,
    /// `quantile_over_time`
    QuantileOverTime,
    /// `rad`
    Rad,
    /// `range`
    Range,
    /// `rate`
    Rate,
    /// `resets`
    Resets,
    /// `round`
    Round,
    /// `scalar`
    Scalar,
    /// `sgn`
    Sgn,
    /// `sin`
    Sin,
    /// `sinh`
    Sinh,
    /// `sort`
    Sort,
    /// `sort_by_label`
    SortByLabel,
    /// `sort_by_label_desc`
    SortByLabelDesc,
    /// `sort_desc`
    SortDesc,
    /// `sqrt`
    Sqrt,
    /// `start`
    Start,
    /// `start_timestamp`
    StartTimestamp,
    /// `stddev_over_time`
    StddevOverTime,
    /// `stdvar_over_time`
    StdvarOverTime,
    /// `step`
    Step,
    /// `sum_over_time`
    SumOverTime,
    /// `tan`
    Tan,
    /// `tanh`
    Tanh,
    /// `time`
    Time,
    /// `timestamp`
    Timestamp,
    /// `ts_of_first_over_time`
    TsOfFirstOverTime,
    /// `ts_of_last_over_time`
    TsOfLastOverTime,
    /// `ts_of_max_over_time`
    TsOfMaxOverTime,
    /// `ts_of_min_over_time`
    TsOfMinOverTime,
    /// `vector`
    Vector,
    /// `xdelta`
    Xdelta,
    /// `xincrease`
    Xincrease,
    /// `xrate`
    Xrate,
    /// `year`
    Year,
}

impl FunctionId {
    /// Its entry in the table.
    #[must_use]
    pub fn function(self) -> &'static Function {
        // The table has one entry for each, in the same order: see the test.
        &FUNCTIONS[self as usize]
    }
}

use Arity::{Any, Fixed, Optional};
use FunctionId as Id;
use Origin::{Experimental, Stable, Thanos};

const fn function(
    id: FunctionId,
    name: &'static str,
    args: &'static [ValueType],
    arity: Arity,
    returns: ValueType,
    origin: Origin,
) -> Function {
    Function {
        id,
        name,
        args,
        arity,
        returns,
        origin,
    }
}

/// All functions, sorted by name.
#[rustfmt::skip]
pub static FUNCTIONS: [Function; 93] = [
    function(Id::Abs, "abs", &[Vector], Fixed, Vector, Stable),
    function(Id::Absent, "absent", &[Vector], Fixed, Vector, Stable),
    function(Id::AbsentOverTime, "absent_over_time", &[Matrix], Fixed, Vector, Stable),
    function(Id::Acos, "acos", &[Vector], Fixed, Vector, Stable),
    function(Id::Acosh, "acosh", &[Vector], Fixed, Vector, Stable),
    function(Id::Asin, "asin", &[Vector], Fixed, Vector, Stable),
    function(Id::Asinh, "asinh", &[Vector], Fixed, Vector, Stable),
    function(Id::Atan, "atan", &[Vector], Fixed, Vector, Stable),
    function(Id::Atanh, "atanh", &[Vector], Fixed, Vector, Stable),
    function(Id::AvgOverTime, "avg_over_time", &[Matrix], Fixed, Vector, Stable),
    function(Id::Ceil, "ceil", &[Vector], Fixed, Vector, Stable),
    function(Id::Changes, "changes", &[Matrix], Fixed, Vector, Stable),
    function(Id::Clamp, "clamp", &[Vector, Scalar, Scalar], Fixed, Vector, Stable),
    function(Id::ClampMax, "clamp_max", &[Vector, Scalar], Fixed, Vector, Stable),
    function(Id::ClampMin, "clamp_min", &[Vector, Scalar], Fixed, Vector, Stable),
    function(Id::Cos, "cos", &[Vector], Fixed, Vector, Stable),
    function(Id::Cosh, "cosh", &[Vector], Fixed, Vector, Stable),
    function(Id::CountOverTime, "count_over_time", &[Matrix], Fixed, Vector, Stable),
    function(Id::DayOfMonth, "day_of_month", &[Vector], Optional(1), Vector, Stable),
    function(Id::DayOfWeek, "day_of_week", &[Vector], Optional(1), Vector, Stable),
    function(Id::DayOfYear, "day_of_year", &[Vector], Optional(1), Vector, Stable),
    function(Id::DaysInMonth, "days_in_month", &[Vector], Optional(1), Vector, Stable),
    function(Id::Deg, "deg", &[Vector], Fixed, Vector, Stable),
    function(Id::Delta, "delta", &[Matrix], Fixed, Vector, Stable),
    function(Id::Deriv, "deriv", &[Matrix], Fixed, Vector, Stable),
    function(Id::DoubleExponentialSmoothing, "double_exponential_smoothing", &[Matrix, Scalar, Scalar], Fixed, Vector, Experimental),
    function(Id::End, "end", &[], Fixed, Scalar, Experimental),
    function(Id::Exp, "exp", &[Vector], Fixed, Vector, Stable),
    function(Id::FirstOverTime, "first_over_time", &[Matrix], Fixed, Vector, Stable),
    function(Id::Floor, "floor", &[Vector], Fixed, Vector, Stable),
    function(Id::HistogramAvg, "histogram_avg", &[Vector], Fixed, Vector, Stable),
    function(Id::HistogramCount, "histogram_count", &[Vector], Fixed, Vector, Stable),
    function(Id::HistogramFraction, "histogram_fraction", &[Scalar, Scalar, Vector], Fixed, Vector, Stable),
    function(Id::HistogramQuantile, "histogram_quantile", &[Scalar, Vector], Fixed, Vector, Stable),
    function(Id::HistogramQuantiles, "histogram_quantiles", &[Vector, String, Scalar, Scalar], Optional(9), Vector, Experimental),
    function(Id::HistogramStddev, "histogram_stddev", &[Vector], Fixed, Vector, Stable),
    function(Id::HistogramStdvar, "histogram_stdvar", &[Vector], Fixed, Vector, Stable),
    function(Id::HistogramSum, "histogram_sum", &[Vector], Fixed, Vector, Stable),
    function(Id::Hour, "hour", &[Vector], Optional(1), Vector, Stable),
    function(Id::Idelta, "idelta", &[Matrix], Fixed, Vector, Stable),
    function(Id::Increase, "increase", &[Matrix], Fixed, Vector, Stable),
    function(Id::Info, "info", &[Vector, Vector], Optional(1), Vector, Experimental),
    function(Id::Irate, "irate", &[Matrix], Fixed, Vector, Stable),
    function(Id::LabelJoin, "label_join", &[Vector, String, String, String], Any, Vector, Stable),
    function(Id::LabelReplace, "label_replace", &[Vector, String, String, String, String], Fixed, Vector, Stable),
    function(Id::LastOverTime, "last_over_time", &[Matrix], Fixed, Vector, Stable),
    function(Id::Ln, "ln", &[Vector], Fixed, Vector, Stable),
    function(Id::Log10, "log10", &[Vector], Fixed, Vector, Stable),
    function(Id::Log2, "log2", &[Vector], Fixed, Vector, Stable),
    function(Id::MadOverTime, "mad_over_time", &[Matrix], Fixed, Vector, Experimental),
    function(Id::MaxOf, "max_of", &[Scalar, Scalar], Fixed, Scalar, Experimental),
    function(Id::MaxOverTime, "max_over_time", &[Matrix], Fixed, Vector, Stable),
    function(Id::MinOf, "min_of", &[Scalar, Scalar], Fixed, Scalar, Experimental),
    function(Id::MinOverTime, "min_over_time", &[Matrix], Fixed, Vector, Stable),
    function(Id::Minute, "minute", &[Vector], Optional(1), Vector, Stable),
    function(Id::Month, "month", &[Vector], Optional(1), Vector, Stable),
    function(Id::Pi, "pi", &[], Fixed, Scalar, Stable),
    function(Id::PredictLinear, "predict_linear", &[Matrix, Scalar], Fixed, Vector, Stable),
    function(Id::PresentOverTime, "present_over_time", &[Matrix], Fixed, Vector, Stable),
    function(Id::QuantileOverTime, "quantile_over_time", &[Scalar, Matrix], Fixed, Vector, Stable),
    function(Id::Rad, "rad", &[Vector], Fixed, Vector, Stable),
    function(Id::Range, "range", &[], Fixed, Scalar, Experimental),
    function(Id::Rate, "rate", &[Matrix], Fixed, Vector, Stable),
    function(Id::Resets, "resets", &[Matrix], Fixed, Vector, Stable),
    function(Id::Round, "round", &[Vector, Scalar], Optional(1), Vector, Stable),
    function(Id::Scalar, "scalar", &[Vector], Fixed, Scalar, Stable),
    function(Id::Sgn, "sgn", &[Vector], Fixed, Vector, Stable),
    function(Id::Sin, "sin", &[Vector], Fixed, Vector, Stable),
    function(Id::Sinh, "sinh", &[Vector], Fixed, Vector, Stable),
    function(Id::Sort, "sort", &[Vector], Fixed, Vector, Stable),
    function(Id::SortByLabel, "sort_by_label", &[Vector, String], Any, Vector, Experimental),
    function(Id::SortByLabelDesc, "sort_by_label_desc", &[Vector, String], Any, Vector, Experimental),
    function(Id::SortDesc, "sort_desc", &[Vector], Fixed, Vector, Stable),
    function(Id::Sqrt, "sqrt", &[Vector], Fixed, Vector, Stable),
    function(Id::Start, "start", &[], Fixed, Scalar, Experimental),
    function(Id::StartTimestamp, "start_timestamp", &[Vector], Fixed, Vector, Experimental),
    function(Id::StddevOverTime, "stddev_over_time", &[Matrix], Fixed, Vector, Stable),
    function(Id::StdvarOverTime, "stdvar_over_time", &[Matrix], Fixed, Vector, Stable),
    function(Id::Step, "step", &[], Fixed, Scalar, Experimental),
    function(Id::SumOverTime, "sum_over_time", &[Matrix], Fixed, Vector, Stable),
    function(Id::Tan, "tan", &[Vector], Fixed, Vector, Stable),
    function(Id::Tanh, "tanh", &[Vector], Fixed, Vector, Stable),
    function(Id::Time, "time", &[], Fixed, Scalar, Stable),
    function(Id::Timestamp, "timestamp", &[Vector], Fixed, Vector, Stable),
    function(Id::TsOfFirstOverTime, "ts_of_first_over_time", &[Matrix], Fixed, Vector, Experimental),
    function(Id::TsOfLastOverTime, "ts_of_last_over_time", &[Matrix], Fixed, Vector, Experimental),
    function(Id::TsOfMaxOverTime, "ts_of_max_over_time", &[Matrix], Fixed, Vector, Experimental),
    function(Id::TsOfMinOverTime, "ts_of_min_over_time", &[Matrix], Fixed, Vector, Experimental),
    function(Id::Vector, "vector", &[Scalar], Fixed, Vector, Stable),
    function(Id::Xdelta, "xdelta", &[Matrix], Fixed, Vector, Thanos),
    function(Id::Xincrease, "xincrease", &[Matrix], Fixed, Vector, Thanos),
    function(Id::Xrate, "xrate", &[Matrix], Fixed, Vector, Thanos),
    function(Id::Year, "year", &[Vector], Optional(1), Vector, Stable),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_complete() {
        assert!(FUNCTIONS.is_sorted_by(|a, b| a.name < b.name && a.id < b.id));
        for function in &FUNCTIONS {
            assert_eq!(function.id.function(), function);
            assert_eq!(Function::by_name(function.name), Some(function));
        }
        assert_eq!(
            FUNCTIONS.last().map(|f| f.id as usize + 1),
            Some(FUNCTIONS.len())
        );
        assert_eq!(Function::by_name("Rate"), None);
    }
}
