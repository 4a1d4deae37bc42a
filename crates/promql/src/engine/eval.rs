//! The evaluator: goes through the tree, each expression once for all steps.

use std::sync::Arc;

use foldhash::fast::FixedState;
use futures::FutureExt;
use futures::future::BoxFuture;
use hashbrown::{HashMap, HashSet};
use rutile_model::{Labels, Matcher};
use rutile_runtime::CpuPool;

use super::aggregate::{self, AggregateContext};
use super::annotation::Annotations;
use super::binary::{self, BinaryContext};
use super::call::{self, CallContext};
use super::column::{Column, Operand, Row, SampleValue};
use super::select::{self, Computed, Given, Instant, Looks, Ranged, Take};
use super::steps::Steps;
use super::summary::Summary;
use super::window::{self, Kernel};
use super::{EngineOptions, Error, Result};
use crate::ast::{
    Aggregate, At, Binary, Call, DurationExpr, DurationSpec, Expr, Extension, FunctionId, Matrix,
    Sign, Span, Subquery, Unary, ValueType, VectorSelector,
};
use crate::source::{Samples, Select, Source};

/// Labels that are not part of a result that is no longer the metric.
pub(crate) const METRIC_NAME: &str = "__name__";

/// The longest duration in seconds: what fits into 63 bits of nanoseconds.
const MAX_SECONDS: f64 = (1_u64 << 63) as f64 / 1e9;

const SAME_LABELS: &str = "vector cannot contain metrics with the same labelset";

/// Evaluates the expressions of one query.
pub(crate) struct Evaluator<'s> {
    pub(crate) options: EngineOptions,
    pub(crate) pool: CpuPool,
    source: &'s Arc<dyn Source>,
    /// When the expression at hand is evaluated: those of a subquery inside it.
    pub(crate) steps: Steps,
    /// Those of the whole query.
    pub(crate) query: Steps,
    /// The function or aggregation around the expression at hand, if no operator is between them.
    around: Option<&'static str>,
    /// What the expressions around it want of histograms.
    summary: Summary,
    pub(crate) annotations: Annotations,
    pub(crate) warnings: Vec<String>,
}

/// A range vector, not evaluated yet: its series, and how a function looks at them.
struct Range {
    series: Vec<Given>,
    looks: Looks,
    range_ms: i64,
    extension: Option<Extension>,
    /// If buckets of histograms go: the first time of which samples count.
    summary_since: Option<i64>,
}

/// What becomes of the counter reset hints of a subquery. Of the sample before, in the source, they hold; of
/// the step before, which functions look at, they do not.
#[derive(Debug, Clone, Copy)]
enum Hints {
    Kept,
    Dropped,
}

impl<'s> Evaluator<'s> {
    pub(crate) fn new(
        options: EngineOptions,
        pool: CpuPool,
        source: &'s Arc<dyn Source>,
        steps: Steps,
    ) -> Self {
        Self {
            options,
            pool,
            source,
            steps,
            query: steps,
            around: None,
            summary: Summary::default(),
            annotations: Annotations::default(),
            warnings: Vec::new(),
        }
    }

    /// The value of an expression that is no range vector.
    pub(crate) fn eval<'a>(&'a mut self, expr: &'a Expr) -> BoxFuture<'a, Result<Operand>> {
        async move {
            let around = match expr {
                Expr::Binary(_) => None,
                Expr::Aggregate(aggregate) => Some(aggregate.op.as_str()),
                Expr::Call(call) => Some(call.function.name),
                _ => self.around,
            };
            let outer = (self.around, self.summary);
            (self.around, self.summary) = (around, self.summary.inside(expr));
            let value = self.value(expr).await;
            (self.around, self.summary) = outer;
            value
        }
        .boxed()
    }

    async fn value(&mut self, expr: &Expr) -> Result<Operand> {
        match expr {
            Expr::Number(number) => Ok(Operand::Scalar(vec![number.value; self.steps.len()])),
            Expr::String(string) => Ok(Operand::String(string.value.clone())),
            Expr::Paren(paren) => self.eval(&paren.expr).await,
            Expr::Vector(selector) => {
                let rows = self.vector(selector, Take::Value).await?;
                Ok(Operand::Vector(rows))
            }
            Expr::Unary(unary) => self.unary(unary).await,
            Expr::Binary(binary) => self.binary(binary).await,
            Expr::Aggregate(aggregate) => self.aggregate(aggregate).await,
            Expr::Call(call) => self.call(call).await,
            Expr::Matrix(_) | Expr::Subquery(_) => {
                Err(Error::execution("a range vector has no value at a step"))
            }
        }
    }

    /// All samples of a range vector, at the one step of an instant query.
    pub(crate) async fn samples(&mut self, expr: &Expr) -> Result<Vec<(Labels, Samples)>> {
        let range = self.range(expr, Hints::Kept).await?;
        let end = range.looks.time(0);
        let start = end - range.range_ms;
        let mut all: Vec<(Labels, Samples)> = Vec::new();
        for series in range.series {
            let mut samples = Samples::default();
            series.decode(&mut samples)?;
            select::drop_stale(&mut samples);
            let samples = match range.extension {
                None => select::between(&samples, start, end),
                Some(extension) => {
                    let lookback_ms = self.options.lookback_ms;
                    window::extend(&samples, (start, end), lookback_ms, extension)?
                }
            };
            if samples.is_empty() {
                continue;
            }
            let labels = match series.drop_name() && self.options.delayed_name_removal {
                true => without_name(series.labels(), &self.options),
                false => series.labels().clone(),
            };
            all.push((labels, samples));
        }
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        merged(all)
    }

    /// How far an extended selector looks beyond its bounds.
    fn beyond(&self, extension: Option<Extension>) -> (i64, i64) {
        let lookback_ms = self.options.lookback_ms;
        match extension {
            None => (self.around.map_or(0, window::looks_behind_ms), 0),
            Some(Extension::Anchored) => (lookback_ms, 0),
            Some(Extension::Smoothed) => (lookback_ms, lookback_ms),
        }
    }

    async fn vector(&mut self, selector: &VectorSelector, take: Take) -> Result<Vec<Row>> {
        let looks = self.looks(selector.at, selector.offset.as_ref())?;
        let (first, last) = looks.bounds();
        let lookback_ms = self.options.lookback_ms;
        let min_time = first - lookback_ms + 1;
        let ahead_ms = match selector.extension {
            Some(Extension::Smoothed) => lookback_ms,
            _ => 0,
        };
        let series = self
            .select(Select {
                matchers: selector.matchers.clone(),
                min_time,
                max_time: last + ahead_ms,
                step_ms: self.steps.step_ms(),
                range_ms: 0,
                function: self.around,
            })
            .await?;
        let instant = Instant {
            looks,
            lookback_ms,
            extension: selector.extension,
            take,
            span: selector.span,
        };
        let steps = self.steps.len();
        let fill = select::instant;
        let since = self.summary.applies().then_some(min_time);
        let filled = select::rows(&self.pool, series, Arc::new(instant), fill, steps, since);
        let (rows, annotations) = filled.await?;
        self.annotations.extend(annotations);
        self.bounded(rows)
    }

    async fn select(&mut self, select: Select) -> Result<Vec<Given>> {
        let selected = self.source.select(&select).await?;
        for warning in selected.warnings {
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
        Ok(selected.series.into_iter().map(Given::Source).collect())
    }

    /// The series of `info` and, as values, the times of their samples in ms; histograms are refused.
    pub(crate) async fn select_rows(
        &mut self,
        matchers: Vec<Matcher>,
        like: &VectorSelector,
    ) -> Result<Vec<Row>> {
        let selector = VectorSelector {
            matchers,
            ..like.clone()
        };
        self.vector(&selector, Take::FloatTime).await
    }

    /// A range vector's series.
    async fn range(&mut self, expr: &Expr, hints: Hints) -> Result<Range> {
        match expr.unwrap_parens() {
            Expr::Matrix(matrix) => self.matrix(matrix).await,
            inner @ Expr::Subquery(subquery) => {
                let outer = self.summary;
                self.summary = outer.inside(inner);
                let range = self.subquery(subquery, hints).await;
                self.summary = outer;
                range
            }
            _ => Err(Error::execution("a range vector is expected")),
        }
    }

    async fn matrix(&mut self, matrix: &Matrix) -> Result<Range> {
        let selector = &matrix.selector;
        let looks = self.looks(selector.at, selector.offset.as_ref())?;
        let range_ms = self.positive_ms(&matrix.range)?;
        let (first, last) = looks.bounds();
        let (behind_ms, ahead_ms) = self.beyond(selector.extension);
        let min_time = first - range_ms - behind_ms + 1;
        let series = self
            .select(Select {
                matchers: selector.matchers.clone(),
                min_time,
                max_time: last + ahead_ms,
                step_ms: self.steps.step_ms(),
                range_ms,
                function: self.around,
            })
            .await?;
        Ok(Range {
            series,
            looks,
            range_ms,
            extension: selector.extension,
            summary_since: self.summary.applies().then_some(min_time),
        })
    }

    async fn subquery(&mut self, subquery: &Subquery, hints: Hints) -> Result<Range> {
        let looks = self.looks(subquery.at, subquery.offset.as_ref())?;
        let range_ms = self.positive_ms(&subquery.range)?;
        let interval = match &subquery.step {
            Some(step) => self.positive_ms(step)?,
            None => self.options.subquery_step_ms,
        };
        let (first, last) = looks.bounds();
        // The steps of a subquery are multiples of its interval; the range is open at its start.
        let open = first - range_ms;
        let mut start = interval * (open / interval);
        if start <= open {
            start += interval;
        }
        if last < start {
            return Ok(Range {
                series: Vec::new(),
                looks,
                range_ms,
                extension: None,
                summary_since: None,
            });
        }
        let inner = Steps::inner(start, last, interval);
        self.require_room(inner.len() as u64)?;
        let outer = std::mem::replace(&mut self.steps, inner);
        let evaluated = self.eval(&subquery.expr).await;
        self.steps = outer;
        let rows = match evaluated? {
            Operand::Scalar(values) => vec![Row::new(
                Labels::empty(),
                Column {
                    floats: values,
                    histograms: Vec::new(),
                },
            )],
            other => other.into_vector(),
        };
        let series = rows.into_iter().map(|row| {
            Given::Computed(Computed {
                samples: Arc::new(samples_of(&row.column, &inner, hints)),
                drop_name: row.drop_name,
                labels: row.labels,
            })
        });
        Ok(Range {
            series: series.collect(),
            looks,
            range_ms,
            extension: None,
            summary_since: None,
        })
    }

    fn looks(&self, at: Option<At>, offset: Option<&DurationSpec>) -> Result<Looks> {
        let offset_ms = match offset {
            Some(offset) => self.ms(offset)?,
            None => 0,
        };
        Ok(Looks {
            steps: self.steps,
            at: at.map(|at| match at {
                At::Timestamp(ms) => ms,
                At::Start => self.query.start,
                At::End => self.query.end,
            }),
            offset_ms,
        })
    }

    /// A duration in ms.
    pub(crate) fn ms(&self, duration: &DurationSpec) -> Result<i64> {
        match duration {
            DurationSpec::Ms(ms) => Ok(*ms),
            DurationSpec::Expr(expr) => self.computed_ms(expr, false),
        }
    }

    fn positive_ms(&self, duration: &DurationSpec) -> Result<i64> {
        match duration {
            DurationSpec::Ms(ms) => Ok(*ms),
            DurationSpec::Expr(expr) => self.computed_ms(expr, true),
        }
    }

    fn computed_ms(&self, expr: &DurationExpr, positive: bool) -> Result<i64> {
        let refuse = |message: &str, span: Span| {
            Error::execution(format!("{}:{}: {message}", span.start, span.end))
        };
        let range_ms = self.query.end - self.query.start;
        let seconds = expr
            .seconds(self.query.step_ms(), range_ms)
            .map_err(|(message, span)| refuse(message, span))?;
        if !seconds.is_finite() {
            return Err(refuse("duration is NaN or infinite", expr.span()));
        }
        if positive && seconds <= 0.0 {
            return Err(refuse("duration must be greater than 0", expr.span()));
        }
        if seconds.abs() > MAX_SECONDS {
            return Err(refuse("duration is out of range", expr.span()));
        }
        Ok((seconds * 1000.0) as i64)
    }

    async fn unary(&mut self, unary: &Unary) -> Result<Operand> {
        let operand = self.eval(&unary.expr).await?;
        if unary.op == Sign::Plus {
            return Ok(operand);
        }
        match operand {
            Operand::Scalar(values) => Ok(Operand::Scalar(values.iter().map(|v| -v).collect())),
            Operand::Vector(mut rows) => {
                for row in &mut rows {
                    for step in 0..row.column.len() {
                        let negated = row.column.get(step).map(|value| match value {
                            SampleValue::Float(value) => SampleValue::Float(-value),
                            SampleValue::Histogram(histogram) => {
                                let mut histogram = (*histogram).clone();
                                histogram.negate();
                                SampleValue::Histogram(Arc::new(histogram))
                            }
                        });
                        row.column.set(step, negated);
                    }
                }
                self.nameless(&mut rows);
                let delayed = self.options.delayed_name_removal;
                let rows = if delayed { rows } else { join(rows)? };
                Ok(Operand::Vector(self.bounded(rows)?))
            }
            Operand::String(_) => Err(Error::execution("a text has no sign")),
        }
    }

    async fn binary(&mut self, binary: &Binary) -> Result<Operand> {
        let lhs = self.eval(&binary.lhs).await?;
        let rhs = self.eval(&binary.rhs).await?;
        let mut context = BinaryContext {
            binary,
            steps: self.steps.len(),
            options: &self.options,
            annotations: &mut self.annotations,
        };
        match binary::apply(&mut context, lhs, rhs)? {
            Operand::Vector(rows) => Ok(Operand::Vector(self.joined(rows)?)),
            other => Ok(other),
        }
    }

    async fn aggregate(&mut self, aggregate: &Aggregate) -> Result<Operand> {
        let param = match &aggregate.param {
            Some(param) => Some(self.eval(param).await?),
            None => None,
        };
        let rows = self.eval(&aggregate.expr).await?.into_vector();
        let mut context = AggregateContext {
            aggregate,
            steps: self.steps.len(),
            options: &self.options,
            annotations: &mut self.annotations,
        };
        let rows = aggregate::apply(&mut context, param, rows)?;
        self.bounded(rows).map(Operand::Vector)
    }

    async fn call(&mut self, call: &Call) -> Result<Operand> {
        let id = call.function.id;
        if let Some(kernel) = window::kernel(id) {
            return self.ranged(call, kernel).await.map(Operand::Vector);
        }
        if id == FunctionId::Info {
            let operand = call::info::eval(self, call).await?;
            return Ok(Operand::Vector(self.joined(operand.into_vector())?));
        }
        // Of a plain selector the time of its samples counts, not that of the step.
        if let (Some(take), Some(arg)) = (taken(id), call.args.first())
            && let Expr::Vector(selector) = arg.unwrap_parens()
        {
            if take == Take::Start && !self.options.start_timestamps {
                return Ok(Operand::Vector(Vec::new()));
            }
            let mut selector = selector.clone();
            if let (Some(_), Some(offset)) = (selector.at, &selector.offset)
                && self.ms(offset)? < 0
            {
                // In Prometheus, what lies behind the time that `@` fixes is not found here.
                selector.offset = None;
            }
            let mut rows = self.vector(&selector, take).await?;
            self.nameless(&mut rows);
            return Ok(Operand::Vector(self.joined(rows)?));
        }
        let mut args = Vec::with_capacity(call.args.len());
        for arg in &call.args {
            args.push(match (arg.value_type(), id) {
                // Presence is all that counts: a kernel that counts stands in.
                (ValueType::Matrix, FunctionId::AbsentOverTime) => {
                    let range = self.range(arg, Hints::Dropped).await?;
                    let present: Kernel = |_, _| Some(SampleValue::Float(1.0));
                    Operand::Vector(self.over(call, range, present, Vec::new()).await?)
                }
                _ => self.eval(arg).await?,
            });
        }
        let mut context = CallContext {
            call,
            steps: self.steps,
            query: self.query,
            options: &self.options,
            annotations: &mut self.annotations,
        };
        match call::apply(&mut context, args)? {
            Operand::Vector(rows)
                if matches!(id, FunctionId::LabelJoin | FunctionId::LabelReplace) =>
            {
                Ok(Operand::Vector(self.bounded(join(rows)?)?))
            }
            Operand::Vector(rows) => Ok(Operand::Vector(self.joined(rows)?)),
            other => Ok(other),
        }
    }

    /// A function over a range vector.
    async fn ranged(&mut self, call: &Call, kernel: Kernel) -> Result<Vec<Row>> {
        let (mut range, mut scalars) = (None, Vec::new());
        for arg in &call.args {
            if arg.value_type() == ValueType::Matrix {
                range = Some(self.range(arg, Hints::Dropped).await?);
            } else {
                scalars.push(self.eval(arg).await?.into_scalar());
            }
        }
        let Some(range) = range else {
            return Err(Error::execution("a range vector is expected"));
        };
        let mut rows = self.over(call, range, kernel, scalars).await?;
        if !window::keeps_name(call.function.id) {
            self.nameless(&mut rows);
        }
        self.distinct(rows)
    }

    async fn over(
        &mut self,
        call: &Call,
        range: Range,
        kernel: Kernel,
        scalars: Vec<Vec<f64>>,
    ) -> Result<Vec<Row>> {
        window::check_extension(call, range.extension)?;
        let ranged = Ranged {
            looks: range.looks,
            range_ms: range.range_ms,
            lookback_ms: self.options.lookback_ms,
            extension: range.extension,
            call: call.clone(),
            kernel,
            scalars,
            start_timestamps: self.options.start_timestamps,
            type_labels: self.options.type_and_unit_labels,
        };
        let (steps, since) = (self.steps.len(), range.summary_since);
        let series = range.series;
        let fill = select::ranged;
        let filled = select::rows(&self.pool, series, Arc::new(ranged), fill, steps, since);
        let (rows, annotations) = filled.await?;
        self.annotations.extend(annotations);
        self.bounded(rows)
    }

    /// Takes the metric name off, now or at the end.
    pub(crate) fn nameless(&self, rows: &mut [Row]) {
        for row in rows {
            if self.options.delayed_name_removal {
                row.drop_name = true;
            } else {
                row.labels = without_name(&row.labels, &self.options);
            }
        }
    }

    /// What the end of an evaluation with delayed name removal makes of its rows.
    pub(crate) fn without_dropped_names(&self, mut rows: Vec<Row>) -> Result<Vec<Row>> {
        if !self.options.delayed_name_removal {
            return Ok(rows);
        }
        for row in &mut rows {
            if std::mem::take(&mut row.drop_name) {
                row.labels = without_name(&row.labels, &self.options);
            }
        }
        join(rows)
    }

    /// Makes one row of those with equal labels. At one step, with delayed name removal, they may stay
    /// apart until the end: more of them may lose their value before.
    ///
    /// # Errors
    /// When two of them have a value at the same step.
    fn joined(&self, rows: Vec<Row>) -> Result<Vec<Row>> {
        if self.options.delayed_name_removal && self.steps.len() == 1 {
            return self.bounded(rows);
        }
        self.bounded(join(rows)?)
    }

    /// Refuses rows with equal labels, unless name removal is delayed.
    fn distinct(&self, rows: Vec<Row>) -> Result<Vec<Row>> {
        let distinct = |rows: &[Row]| {
            let mut seen = HashSet::with_capacity_and_hasher(rows.len(), FixedState::default());
            rows.iter().all(|row| seen.insert(row.labels.clone()))
        };
        if self.options.delayed_name_removal || distinct(&rows) {
            return self.bounded(rows);
        }
        Err(Error::execution(SAME_LABELS))
    }

    fn bounded(&self, rows: Vec<Row>) -> Result<Vec<Row>> {
        self.require_room((rows.len() as u64).saturating_mul(self.steps.len() as u64))?;
        Ok(rows)
    }

    fn require_room(&self, samples: u64) -> Result<()> {
        if samples <= self.options.max_samples {
            return Ok(());
        }
        let message = "query processing would load too many samples into memory in query execution";
        Err(Error::TooMany(message.to_owned()))
    }
}

/// What a function takes of the samples of a selector.
fn taken(id: FunctionId) -> Option<Take> {
    match id {
        FunctionId::Timestamp => Some(Take::Time),
        FunctionId::StartTimestamp => Some(Take::Start),
        _ => None,
    }
}

/// The labels without the metric's name, type and unit.
pub(crate) fn without_name(labels: &Labels, _: &EngineOptions) -> Labels {
    labels.without(&[METRIC_NAME, "__type__", "__unit__"])
}

/// Joins neighbours with equal labels.
fn merged(all: Vec<(Labels, Samples)>) -> Result<Vec<(Labels, Samples)>> {
    let mut merged: Vec<(Labels, Samples)> = Vec::with_capacity(all.len());
    for (labels, samples) in all {
        match merged.last_mut() {
            Some((before, so_far)) if *before == labels => {
                *so_far = so_far
                    .merged(&samples)
                    .ok_or_else(|| Error::execution(SAME_LABELS))?;
            }
            _ => merged.push((labels, samples)),
        }
    }
    Ok(merged)
}

/// The samples of a row of a subquery.
fn samples_of(column: &Column, steps: &Steps, hints: Hints) -> Samples {
    let mut samples = Samples::default();
    for (step, time) in steps.times().enumerate() {
        match column.get(step) {
            Some(SampleValue::Float(value)) => samples.push_float(time, value),
            Some(SampleValue::Histogram(histogram)) => {
                let histogram = match hints {
                    Hints::Kept => histogram,
                    Hints::Dropped => select::without_reset_hint(histogram),
                };
                samples.push_histogram(time, histogram);
            }
            None => {}
        }
    }
    samples
}

fn join(rows: Vec<Row>) -> Result<Vec<Row>> {
    let mut places = HashMap::with_capacity_and_hasher(rows.len(), FixedState::default());
    let mut joined: Vec<Row> = Vec::with_capacity(rows.len());
    for row in rows {
        let place = places.entry(row.labels.clone()).or_insert(joined.len());
        let Some(first) = joined.get_mut(*place) else {
            joined.push(row);
            continue;
        };
        for step in 0..row.column.len() {
            let Some(value) = row.column.get(step) else {
                continue;
            };
            if first.column.is_present(step) {
                return Err(Error::execution(SAME_LABELS));
            }
            first.column.set(step, Some(value));
        }
    }
    Ok(joined)
}
