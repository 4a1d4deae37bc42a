//! Rows that come one by one: what they are computed of, and collecting them.

use std::sync::Arc;

use foldhash::fast::FixedState;
use futures::StreamExt;
use hashbrown::HashSet;
use rutile_model::Labels;
use rutile_runtime::Reservation;

use super::Evaluator;
use crate::ast::{Expr, Sign, ValueType};
use crate::engine::column::{Operand, Row};
use crate::engine::flow::{Batch, Batches, Fill, Flow, Parts, Work};
use crate::engine::memory::Held;
use crate::engine::plan::Node;
use crate::engine::select::Take;
use crate::engine::stage::Stage;
use crate::engine::window;
use crate::engine::{Error, Result};

/// Label sets, to see whether one comes twice.
#[derive(Debug, Default)]
pub(super) struct Seen {
    all: HashSet<Labels, FixedState>,
    /// Of the labels.
    bytes: usize,
}

impl Seen {
    /// Whether none of them was there yet, nor comes twice.
    pub(super) fn are_new(&mut self, labels: Vec<Labels>) -> bool {
        labels.into_iter().all(|labels| {
            self.bytes += labels.bytes();
            self.all.insert(labels)
        })
    }

    pub(super) fn held(&self) -> Held {
        Held {
            bytes: (self.bytes + self.all.capacity() * size_of::<Labels>()) as u64,
            samples: 0,
        }
    }
}

/// The vector whose rows a node maps; none if its rows come of series.
fn mapped<'n, 'e>(node: &'n Node<'e>) -> Option<&'n Node<'e>> {
    let is_vector = |child: &&Node<'_>| child.expr.value_type() == ValueType::Vector;
    match node.expr {
        Expr::Call(call) if window::kernel(call.function.id).is_some() => None,
        Expr::Unary(_) | Expr::Binary(_) | Expr::Call(_) => node.children.iter().find(is_vector),
        _ => None,
    }
}

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
            stop: self.stop.clone(),
            steps: self.steps,
            query: self.query,
            options: self.options,
            summary_since,
            spares: Arc::default(),
            sums: false,
        };
        Flow { parts, work }
    }

    /// The rows of a node that streams. Rows with equal labels may be among them where names are dropped.
    ///
    /// What maps rows is gone through in a loop: queries can be higher than a stack is deep.
    pub(super) async fn flow(&mut self, node: &Node<'_>) -> Result<Flow> {
        let (mut source, mut stages) = (node, Vec::new());
        while let Some(inner) = mapped(source) {
            if let Some(stage) = self.stage(source).await? {
                stages.push((source.id, stage));
            }
            source = inner;
        }
        let mut flow = match source.expr {
            Expr::Vector(selector) => self.selector(source, selector, Take::Value).await?,
            Expr::Call(call) => match window::kernel(call.function.id) {
                Some(kernel) => self.ranged_flow(source, call, kernel).await?,
                None => return Err(Error::execution("a vector is expected")),
            },
            _ => return Err(Error::execution("a vector is expected")),
        };
        flow.work.stages.extend(stages.into_iter().rev());
        Ok(flow)
    }

    /// What a node does to the rows of its one vector; nothing for a plus sign.
    async fn stage(&mut self, node: &Node<'_>) -> Result<Option<Stage>> {
        let mut others = Vec::with_capacity(node.children.len());
        for child in &node.children {
            others.push(match child.expr.value_type() {
                ValueType::Vector => None,
                _ => Some(self.eval(child).await?),
            });
        }
        Ok(match node.expr {
            Expr::Unary(unary) => (unary.op == Sign::Minus).then_some(Stage::Negate),
            Expr::Call(call) => Some(Stage::call(call, others)),
            Expr::Binary(binary) => {
                let is_left = binary.lhs.value_type() == ValueType::Scalar;
                let scalar = others.into_iter().flatten().next();
                let scalar = scalar.map(Operand::into_scalar).unwrap_or_default();
                Some(Stage::scalar(binary, scalar, is_left))
            }
            _ => None,
        })
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
            let of_seen = seen.held();
            if !seen.are_new(batch.nameless) {
                self.annotations = before;
                self.memory.settle(held)?;
                return Ok(None);
            }
            self.annotations.extend(batch.annotations);
            self.hold(batch.reservation, batch.held)?;
            self.memory.add(seen.held().without(of_seen))?;
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
        self.stop.check()?;
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
