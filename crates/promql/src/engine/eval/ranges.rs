//! Range vectors: their series, and functions over them.

use std::sync::Arc;

use futures::StreamExt;
use rutile_model::{Labels, Samples};

use super::Evaluator;
use super::join::{SAME_LABELS, without_name};
use crate::ast::{Call, Expr, Extension, Matrix, Subquery, ValueType};
use crate::engine::column::{Column, Operand, Row};
use crate::engine::flow::{self, Fill, Flow, Parts};
use crate::engine::given::{Computed, Given, Hints};
use crate::engine::memory::Held;
use crate::engine::plan::Node;
use crate::engine::select::{self, Looks, Ranged};
use crate::engine::stage::Stage;
use crate::engine::steps::Steps;
use crate::engine::window::{self, Kernel};
use crate::engine::{Error, Result};
use crate::source::Select;

/// A range vector, not evaluated yet: its series, and how a function looks at them.
pub(super) struct Range {
    parts: Parts,
    looks: Looks,
    range_ms: i64,
    pub(super) extension: Option<Extension>,
    /// If buckets of histograms go: the first time of which samples count.
    summary_since: Option<i64>,
}

impl Evaluator<'_> {
    /// All samples of a range vector, at the one step of an instant query.
    pub(crate) async fn samples(&mut self, node: &Node<'_>) -> Result<Vec<(Labels, Samples)>> {
        let mut range = self.range(node, Hints::Kept).await?;
        let mut all: Vec<(Labels, Samples)> = Vec::new();
        while let Some(part) = range.parts.next().await.transpose()? {
            self.warned(part.warnings);
            for series in part.series {
                self.stop.check()?;
                let (labels, samples) = self.samples_within(&range, &series)?;
                if !samples.is_empty() {
                    all.push((labels, samples));
                }
            }
        }
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        merged(all)
    }

    /// The samples of a series in a range.
    fn samples_within(&mut self, range: &Range, series: &Given) -> Result<(Labels, Samples)> {
        let end = range.looks.time(0);
        let start = end - range.range_ms;
        let mut samples = Samples::default();
        let expected = series.decoded_bytes() as u64;
        self.memory.exchange(0, expected)?;
        series.decode(None, &mut samples)?;
        let decoded = samples.bytes() as u64;
        self.memory.exchange(expected, decoded)?;
        select::drop_stale(&mut samples);
        match range.extension {
            None => samples.cut(start + 1, end),
            Some(extension) => {
                let lookback_ms = self.options.lookback_ms;
                samples = window::extend(&samples, (start, end), lookback_ms, extension)?;
            }
        }
        samples.starts.clear();
        samples.shrink_to_fit();
        let labels = match series.drop_name() && self.options.delayed_name_removal {
            true => without_name(series.labels()),
            false => series.labels().clone(),
        };
        let kept = Held::of_samples(&labels, &samples).bytes;
        self.memory.exchange(decoded, kept)?;
        Ok((labels, samples))
    }

    /// A range vector's series.
    pub(super) async fn range(&mut self, node: &Node<'_>, hints: Hints) -> Result<Range> {
        match node.expr {
            Expr::Matrix(matrix) => self.matrix(node, matrix).await,
            Expr::Subquery(subquery) => self.subquery(node, subquery, hints).await,
            _ => Err(Error::execution("a range vector is expected")),
        }
    }

    async fn matrix(&mut self, node: &Node<'_>, matrix: &Matrix) -> Result<Range> {
        let (looks, select) = self.range_select(node, matrix)?;
        let (min_time, range_ms) = (select.min_time, select.range_ms);
        Ok(Range {
            parts: self.select(node, select).await?,
            looks,
            range_ms,
            extension: matrix.selector.extension,
            summary_since: node.summary.applies().then_some(min_time),
        })
    }

    /// What a range selector asks its source for.
    pub(super) fn range_select(&self, node: &Node<'_>, matrix: &Matrix) -> Result<(Looks, Select)> {
        let selector = &matrix.selector;
        let looks = self.looks(selector.at, selector.offset.as_ref())?;
        let range_ms = self.positive_ms(&matrix.range)?;
        let (first, last) = looks.bounds();
        let lookback_ms = self.options.lookback_ms;
        let (behind_ms, ahead_ms) = match selector.extension {
            None => (node.around.map_or(0, window::looks_behind_ms), 0),
            Some(Extension::Anchored) => (lookback_ms, 0),
            Some(Extension::Smoothed) => (lookback_ms, lookback_ms),
        };
        let select = Select {
            matchers: selector.matchers.clone(),
            min_time: first - range_ms - behind_ms + 1,
            max_time: last + ahead_ms,
            step_ms: self.steps.step_ms(),
            range_ms,
            function: node.around,
        };
        Ok((looks, select))
    }

    async fn subquery(
        &mut self,
        node: &Node<'_>,
        subquery: &Subquery,
        hints: Hints,
    ) -> Result<Range> {
        let (looks, range_ms, inner) = self.subquery_steps(node, subquery)?;
        let Some(inner) = inner else {
            return Ok(Range {
                parts: flow::ready(Vec::new()),
                looks,
                range_ms,
                extension: None,
                summary_since: None,
            });
        };
        self.require_room(inner.len() as u64)?;
        let outer = std::mem::replace(&mut self.steps, inner);
        let evaluated = self.operand(node).await;
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
                column: Arc::new(row.column),
                steps: inner,
                hints,
                drop_name: row.drop_name,
                labels: row.labels,
            })
        });
        Ok(Range {
            parts: flow::ready(series.collect()),
            looks,
            range_ms,
            extension: None,
            summary_since: None,
        })
    }

    /// When a subquery looks, the length of its range in ms, and when what is inside it is evaluated; never if no
    /// multiple of its interval lies in the range.
    pub(super) fn subquery_steps(
        &self,
        node: &Node<'_>,
        subquery: &Subquery,
    ) -> Result<(Looks, i64, Option<Steps>)> {
        let looks = self.looks(subquery.at, subquery.offset.as_ref())?;
        let range_ms = self.positive_ms(&subquery.range)?;
        let interval = match &subquery.step {
            Some(step) => self.positive_ms(step)?,
            None => self.options.subquery_step_ms,
        };
        let (first, last) = looks.bounds();
        // The steps of a subquery are multiples of its interval; the range is open at its start.
        let open = first - range_ms - node.around.map_or(0, window::looks_behind_ms);
        let mut start = interval * (open / interval);
        if start <= open {
            start += interval;
        }
        let inner = (start <= last).then(|| Steps::inner(start, last, interval));
        Ok((looks, range_ms, inner))
    }

    /// A function over a range vector, its rows refused if they have equal labels.
    pub(super) async fn ranged(
        &mut self,
        node: &Node<'_>,
        call: &Call,
        kernel: Kernel,
    ) -> Result<Vec<Row>> {
        let flow = self.ranged_flow(node, call, kernel).await?;
        let rows = self.rows(flow).await?;
        self.distinct(rows)
    }

    /// A function over a range vector.
    pub(super) async fn ranged_flow(
        &mut self,
        node: &Node<'_>,
        call: &Call,
        kernel: Kernel,
    ) -> Result<Flow> {
        let (mut ranged, mut scalars) = (None, Vec::new());
        for arg in &node.children {
            if arg.expr.value_type() == ValueType::Matrix {
                ranged = Some(arg);
            } else {
                scalars.push(self.eval(arg).await?.into_scalar());
            }
        }
        let Some(arg) = ranged else {
            return Err(Error::execution("a range vector is expected"));
        };
        // Last: a source may give one select at a time, and this one is not read before all is known.
        let range = self.range(arg, Hints::Dropped).await?;
        let mut flow = self.over(call, (node.id, arg.id), range, kernel, scalars)?;
        if !window::keeps_name(call.function.id) {
            flow.work.stages.push((node.id, Stage::Nameless));
        }
        Ok(flow)
    }

    pub(super) fn over(
        &self,
        call: &Call,
        nodes: (usize, usize),
        range: Range,
        kernel: Kernel,
        scalars: Vec<Vec<f64>>,
    ) -> Result<Flow> {
        window::check_extension(call, range.extension)?;
        let ranged = Ranged {
            looks: range.looks,
            range_ms: range.range_ms,
            lookback_ms: self.options.lookback_ms,
            extension: range.extension,
            function: call.function,
            span: window::span_of(call),
            kernel,
            scalars,
            start_timestamps: self.options.start_timestamps,
            type_labels: self.options.type_and_unit_labels,
        };
        let fill = Fill::Ranged(Box::new(ranged));
        Ok(self.flow_of(range.parts, fill, nodes, range.summary_since))
    }
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
