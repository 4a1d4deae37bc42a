//! Rows that come one by one: what they are computed of, and collecting them.

use foldhash::fast::FixedState;
use futures::StreamExt;
use futures::future::BoxFuture;
use hashbrown::HashSet;
use rutile_model::Labels;
use rutile_runtime::Reservation;

use super::Evaluator;
use crate::ast::{Call, Expr, Sign, ValueType};
use crate::engine::column::{Operand, Row};
use crate::engine::flow::{Batch, Batches, Fill, Flow, Parts, Stage, Work};
use crate::engine::memory::Held;
use crate::engine::plan::Node;
use crate::engine::select::Take;
use crate::engine::window;
use crate::engine::{Error, Result};

/// Label sets, to see whether one comes twice.
pub(super) type Seen = HashSet<Labels, FixedState>;

impl Evaluator<'_> {
    /// A flow without stages, for a node and the node of its selector.
    pub(super) fn flow_of(
        &self,
        parts: Parts,
        fill: Fill,
        nodes: (usize, usize),
        summary_since: Option<i64>,
    ) -> Flow {
        let work = Work {
            fill,
            stages: Vec::new(),
            nodes,
            observed: self.observed.is_wanted(),
            account: self.memory.account().cloned(),
            steps: self.steps,
            query: self.query,
            options: self.options,
            summary_since,
        };
        Flow { parts, work }
    }

    /// The rows of a node that streams. Rows with equal labels may be among them where names are dropped.
    pub(super) fn flow<'a>(&'a mut self, node: &'a Node<'_>) -> BoxFuture<'a, Result<Flow>> {
        Box::pin(async move {
            match node.expr {
                Expr::Vector(selector) => self.selector(node, selector, Take::Value).await,
                Expr::Call(call) => match window::kernel(call.function.id) {
                    Some(kernel) => self.ranged_flow(node, call, kernel).await,
                    None => self.mapped(node, call).await,
                },
                Expr::Unary(unary) => {
                    let (mut flow, _) = self.inner_flow(node).await?;
                    if unary.op == Sign::Minus {
                        flow.work.stages.push((node.id, Stage::Negate));
                    }
                    Ok(flow)
                }
                Expr::Binary(binary) => {
                    let is_left = binary.lhs.value_type() == ValueType::Scalar;
                    let (mut flow, others) = self.inner_flow(node).await?;
                    let scalar = others.into_iter().flatten().next();
                    let scalar = scalar.map(Operand::into_scalar).unwrap_or_default();
                    let stage = Stage::Scalar(Box::new(binary.clone()), scalar, is_left);
                    flow.work.stages.push((node.id, stage));
                    Ok(flow)
                }
                _ => Err(Error::execution("these rows do not come one by one")),
            }
        })
    }

    async fn mapped(&mut self, node: &Node<'_>, call: &Call) -> Result<Flow> {
        let (mut flow, others) = self.inner_flow(node).await?;
        let stage = Stage::Call(Box::new(call.clone()), others);
        flow.work.stages.push((node.id, stage));
        Ok(flow)
    }

    /// The rows of the one child that is a vector, and the values of the others in their places.
    async fn inner_flow(&mut self, node: &Node<'_>) -> Result<(Flow, Vec<Option<Operand>>)> {
        let (mut vector, mut others) = (None, Vec::with_capacity(node.children.len()));
        for child in &node.children {
            if child.expr.value_type() == ValueType::Vector {
                vector = Some(child);
                others.push(None);
            } else {
                others.push(Some(self.eval(child).await?));
            }
        }
        match vector {
            Some(vector) => Ok((self.flow(vector).await?, others)),
            None => Err(Error::execution("a vector is expected")),
        }
    }

    /// All rows of a node that streams; none if some have equal labels, so that whoever asks has to look at
    /// whole vectors.
    pub(super) async fn collected(&mut self, node: &Node<'_>) -> Result<Option<Vec<Row>>> {
        let (before, held) = (self.annotations.clone(), self.memory.now());
        let flow = self.flow(node).await?;
        let mut seen = Seen::default();
        let mut rows = Vec::new();
        let mut batches = flow.start(&self.pool);
        while let Some(batch) = self.next(&mut batches).await? {
            if !batch.nameless.into_iter().all(|labels| seen.insert(labels)) {
                self.annotations = before;
                self.memory.settle(held)?;
                return Ok(None);
            }
            self.annotations.extend(batch.annotations);
            self.hold(batch.reservation, batch.held)?;
            rows.extend(batch.rows);
        }
        Ok(Some(rows))
    }

    /// All rows of a flow, whatever their labels are.
    pub(super) async fn rows(&mut self, flow: Flow) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        let mut batches = flow.start(&self.pool);
        while let Some(batch) = self.next(&mut batches).await? {
            self.annotations.extend(batch.annotations);
            self.hold(batch.reservation, batch.held)?;
            rows.extend(batch.rows);
        }
        Ok(rows)
    }

    /// The next batch, its warnings taken.
    pub(super) async fn next(&mut self, batches: &mut Batches) -> Result<Option<Batch>> {
        let mut batch = batches.next().await.transpose()?;
        if let Some(batch) = &mut batch {
            self.warned(std::mem::take(&mut batch.warnings));
            self.samples_read += batch.samples;
            for (node, spent) in batch.spent.drain(..) {
                self.observed.add(node, spent);
            }
        }
        Ok(batch)
    }

    /// Accounts for the rows of a batch from now on.
    fn hold(&mut self, reservation: Option<Reservation>, held: Held) -> Result<()> {
        drop(reservation);
        self.memory.add(held)
    }
}
