//! The evaluator: goes through the plan, each node once for all steps.
//!
//! Rows that come one by one ([`Node::streams`]) are computed as a [`Flow`], and folded into an aggregation or
//! collected as they come; everything else has the whole vectors of its operands.

mod announce;
mod fold;
mod function;
mod join;
mod ranges;
mod rows;
mod times;

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use rutile_model::{Matcher, Patterns};
use rutile_runtime::CpuPool;

use super::aggregate::{self, AggregateContext};
use super::annotation::Annotations;
use super::binary::{self, BinaryContext};
use super::column::{Operand, Row};
use super::flow::{self, Flow, Parts};
use super::memory::{Held, Memory};
use super::observe::{Observed, Spent, Watch};
use super::plan::Node;
use super::select::{Instant, Looks, Take};
use super::shared::Shared;
use super::stage;
use super::steps::Steps;
use super::stop::Stop;
use super::{EngineOptions, Error, Result};
use crate::ast::{Aggregate, Binary, Expr, Extension, Sign, Unary, VectorSelector};
use crate::source::{Select, Source};
use join::join;

pub(crate) use join::without_name;

/// Labels that are not part of a result that is no longer the metric.
pub(crate) const METRIC_NAME: &str = "__name__";

/// Evaluates the plan of one query.
pub(crate) struct Evaluator<'s> {
    pub(crate) options: EngineOptions,
    pub(crate) pool: CpuPool,
    source: &'s Arc<dyn Source>,
    /// When the node at hand is evaluated: those of a subquery inside it.
    pub(crate) steps: Steps,
    /// Those of the whole query.
    pub(crate) query: Steps,
    pub(crate) annotations: Annotations,
    pub(crate) warnings: Vec<String>,
    pub(crate) memory: Memory,
    /// The samples that were looked at.
    pub(crate) samples_read: u64,
    pub(crate) observed: Observed,
    /// The regular expressions of the query.
    pub(crate) patterns: Patterns,
    pub(crate) stop: Stop,
    shared: Shared,
    /// Whether whole vectors are looked at below, for rows that come one by one turned out to have equal labels.
    whole: bool,
}

impl<'s> Evaluator<'s> {
    pub(crate) fn new(
        options: EngineOptions,
        pool: CpuPool,
        source: &'s Arc<dyn Source>,
        steps: Steps,
        memory: Memory,
    ) -> Self {
        Self {
            options,
            pool,
            source,
            steps,
            query: steps,
            annotations: Annotations::default(),
            warnings: Vec::new(),
            memory,
            samples_read: 0,
            observed: Observed::default(),
            patterns: Patterns::default(),
            stop: Stop::default(),
            shared: Shared::default(),
            whole: false,
        }
    }

    /// The value of a node that is no range vector.
    pub(crate) fn eval<'a>(&'a mut self, node: &'a Node<'_>) -> BoxFuture<'a, Result<Operand>> {
        async move {
            self.stop.check()?;
            let before = self.memory.now();
            let value = if node.fixed && self.steps.len() > 1 {
                self.once(node).await?
            } else {
                self.at_all_steps(node).await?
            };
            // What it was computed of is gone.
            self.memory.settle(before.and(Held::of(&value)))?;
            Ok(value)
        }
        .boxed()
    }

    /// The value of a node that is the same at all steps.
    async fn once(&mut self, node: &Node<'_>) -> Result<Operand> {
        let Steps {
            start, interval, ..
        } = self.steps;
        let outer = std::mem::replace(&mut self.steps, Steps::inner(start, start, interval));
        let value = self.at_all_steps(node).await;
        self.steps = outer;
        Ok(value?.spread(outer.len()))
    }

    async fn at_all_steps(&mut self, node: &Node<'_>) -> Result<Operand> {
        if !self.is_flow(node) {
            return self.value(node).await;
        }
        if let Some(rows) = self.collected(node).boxed().await? {
            return Ok(Operand::Vector(rows));
        }
        self.whole = true;
        let value = self.value(node).await;
        self.whole = false;
        value
    }

    /// Whether the rows of a node are taken as they come.
    fn is_flow(&self, node: &Node<'_>) -> bool {
        node.streams && !self.whole
    }

    /// Computes the value of a node of those of its children, and observes that.
    fn computed(
        &mut self,
        node: &Node<'_>,
        compute: impl FnOnce(&mut Self) -> Result<Operand>,
    ) -> Result<Operand> {
        let watch = Watch::start(self.observed.is_wanted());
        let value = compute(self)?;
        self.stop.check()?;
        if self.observed.is_wanted() {
            let spent = Spent::on(watch.read(), value.rows(), Held::of(&value));
            self.observed.add(node.id, spent);
        }
        Ok(value)
    }

    /// The value of the one child, or of the first one.
    async fn operand(&mut self, node: &Node<'_>) -> Result<Operand> {
        match node.first() {
            Some(child) => self.eval(child).await,
            None => Err(Error::execution("an argument is missing")),
        }
    }

    /// Boxed where it is large: a level of a deep query takes less of the stack then.
    async fn value(&mut self, node: &Node<'_>) -> Result<Operand> {
        match node.expr {
            Expr::Number(number) => Ok(Operand::Scalar(vec![number.value; self.steps.len()])),
            Expr::String(string) => Ok(Operand::String(string.value.clone())),
            Expr::Paren(_) => self.operand(node).await,
            Expr::Vector(selector) => self
                .vector(node, selector, Take::Value)
                .boxed()
                .await
                .map(Operand::Vector),
            Expr::Unary(unary) => self.unary(node, unary).await,
            Expr::Binary(_) => self.binary(node).boxed().await,
            Expr::Aggregate(aggregate) => self.aggregate(node, aggregate).boxed().await,
            Expr::Call(call) => self.call(node, call).boxed().await,
            Expr::Matrix(_) | Expr::Subquery(_) => {
                Err(Error::execution("a range vector has no value at a step"))
            }
        }
    }

    async fn vector(
        &mut self,
        node: &Node<'_>,
        selector: &VectorSelector,
        take: Take,
    ) -> Result<Vec<Row>> {
        let flow = self.selector(node, selector, take).await?;
        self.rows(flow).await
    }

    /// The rows of an instant selector.
    async fn selector(
        &mut self,
        node: &Node<'_>,
        selector: &VectorSelector,
        take: Take,
    ) -> Result<Flow> {
        let (looks, select) = self.instant_select(node, selector)?;
        let min_time = select.min_time;
        let parts = self.select(node, select).await?;
        let instant = Instant {
            looks,
            lookback_ms: self.options.lookback_ms,
            extension: selector.extension,
            take,
            span: selector.span,
        };
        let since = node.summary.applies().then_some(min_time);
        let nodes = (node.id, node.id);
        Ok(self.flow_of(parts, flow::Fill::Instant(instant), nodes, since))
    }

    /// What an instant selector asks its source for.
    fn instant_select(
        &self,
        node: &Node<'_>,
        selector: &VectorSelector,
    ) -> Result<(Looks, Select)> {
        let looks = self.looks(selector.at, selector.offset.as_ref())?;
        let (first, last) = looks.bounds();
        let lookback_ms = self.options.lookback_ms;
        let ahead_ms = match selector.extension {
            Some(Extension::Smoothed) => lookback_ms,
            _ => 0,
        };
        let select = Select {
            matchers: selector.matchers.clone(),
            min_time: first - lookback_ms + 1,
            max_time: last + ahead_ms,
            step_ms: self.steps.step_ms(),
            range_ms: 0,
            function: node.around,
        };
        Ok((looks, select))
    }

    async fn select(&mut self, node: &Node<'_>, select: Select) -> Result<Parts> {
        if let Some(parts) = self.shared.find(&select) {
            return Ok(parts);
        }
        let parts = flow::parts(self.source.select(&select).await?);
        Ok(match node.shared {
            true => self.shared.keep(select, parts),
            false => parts,
        })
    }

    fn warned(&mut self, warnings: Vec<String>) {
        for warning in warnings {
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
    }

    /// The series of `info` and, as values, the times of their samples in ms; histograms are refused.
    pub(crate) async fn select_rows(
        &mut self,
        node: &Node<'_>,
        matchers: Vec<Matcher>,
        like: &VectorSelector,
    ) -> Result<Vec<Row>> {
        let selector = VectorSelector {
            matchers,
            ..like.clone()
        };
        self.vector(node, &selector, Take::FloatTime).await
    }

    async fn unary(&mut self, node: &Node<'_>, unary: &Unary) -> Result<Operand> {
        let operand = self.operand(node).await?;
        if unary.op == Sign::Plus {
            return Ok(operand);
        }
        self.computed(node, |this| match operand {
            Operand::Scalar(values) => Ok(Operand::Scalar(values.iter().map(|v| -v).collect())),
            Operand::Vector(mut rows) => {
                stage::negate(&mut rows);
                this.nameless(&mut rows);
                let delayed = this.options.delayed_name_removal;
                let rows = if delayed { rows } else { join(rows)? };
                Ok(Operand::Vector(rows))
            }
            Operand::String(_) => Err(Error::execution("a text has no sign")),
        })
    }

    /// An operator, and those whose results it takes on the left: a loop, for chains of operators can be longer
    /// than a stack is deep.
    async fn binary(&mut self, node: &Node<'_>) -> Result<Operand> {
        let before = self.memory.now();
        let (mut first, mut chain) = (node, Vec::new());
        while let (Expr::Binary(binary), [lhs, rhs]) = (first.expr, &first.children[..]) {
            chain.push((first, binary, rhs));
            first = lhs;
            let is_computed_once = first.fixed && self.steps.len() > 1;
            if self.is_flow(first) || is_computed_once {
                break;
            }
        }
        let mut value = self.eval(first).await?;
        for (node, binary, rhs) in chain.into_iter().rev() {
            let rhs = self.eval(rhs).await?;
            value = self.computed(node, |this| this.combined(binary, value, rhs))?;
            self.memory.settle(before.and(Held::of(&value)))?;
        }
        Ok(value)
    }

    fn combined(&mut self, binary: &Binary, lhs: Operand, rhs: Operand) -> Result<Operand> {
        let mut context = BinaryContext {
            binary,
            steps: self.steps.len(),
            options: &self.options,
            annotations: &mut self.annotations,
            stop: &self.stop,
        };
        match binary::apply(&mut context, lhs, rhs)? {
            Operand::Vector(rows) => self.joined(rows).map(Operand::Vector),
            other => Ok(other),
        }
    }

    async fn aggregate(&mut self, node: &Node<'_>, aggregate: &Aggregate) -> Result<Operand> {
        aggregate::check(aggregate)?;
        let (Some(inner), param) = (node.first(), node.children.get(1)) else {
            return Err(Error::execution("an aggregation needs a vector"));
        };
        let param = match param {
            Some(param) => Some(self.eval(param).await?),
            None => None,
        };
        if self.is_flow(inner)
            && let Some(rows) = self.folded(node, inner, aggregate).boxed().await?
        {
            return Ok(Operand::Vector(rows));
        }
        let rows = self.eval(inner).await?.into_vector();
        self.computed(node, |this| {
            let mut context = AggregateContext {
                aggregate,
                steps: this.steps.len(),
                options: &this.options,
                annotations: &mut this.annotations,
                memory: &mut this.memory,
                stop: &this.stop,
            };
            aggregate::apply(&mut context, param, rows).map(Operand::Vector)
        })
    }
}
