//! Functions: of ranges, of the times of samples, and of whole vectors.

use super::Evaluator;
use super::join::join;
use crate::ast::{Call, Expr, FunctionId, ValueType, VectorSelector};
use crate::engine::Result;
use crate::engine::call::{self, CallContext};
use crate::engine::column::{Operand, Row, SampleValue};
use crate::engine::given::Hints;
use crate::engine::plan::Node;
use crate::engine::select::Take;
use crate::engine::window::{self, Kernel};

impl Evaluator<'_> {
    pub(super) async fn call(&mut self, node: &Node<'_>, call: &Call) -> Result<Operand> {
        let id = call.function.id;
        if let Some(kernel) = window::kernel(id) {
            return self.ranged(node, call, kernel).await.map(Operand::Vector);
        }
        if id == FunctionId::Info {
            let operand = call::info::eval(self, node, call).await?;
            return Ok(Operand::Vector(self.joined(operand.into_vector())?));
        }
        // Of a plain selector the time of its samples counts, not that of the step.
        if let (Some(take), Some(arg)) = (taken(id), node.first())
            && let Expr::Vector(selector) = arg.expr
        {
            let rows = self.times_of(arg, selector, take).await?;
            return Ok(Operand::Vector(self.joined(rows)?));
        }
        let mut args = Vec::with_capacity(node.children.len());
        for arg in &node.children {
            args.push(match (arg.expr.value_type(), id) {
                // Presence is all that counts: a kernel that counts stands in.
                (ValueType::Matrix, FunctionId::AbsentOverTime) => {
                    let present: Kernel = |_, _| Some(SampleValue::Float(1.0));
                    let range = self.range(arg, Hints::Dropped).await?;
                    let nodes = (arg.id, arg.id);
                    let flow = self.over(call, nodes, range, present, Vec::new())?;
                    Operand::Vector(self.rows(flow).await?)
                }
                _ => self.eval(arg).await?,
            });
        }
        self.computed(node, |this| this.apply(call, args))
    }

    fn apply(&mut self, call: &Call, args: Vec<Operand>) -> Result<Operand> {
        let mut context = CallContext {
            call,
            steps: self.steps,
            query: self.query,
            options: &self.options,
            annotations: &mut self.annotations,
            patterns: &mut self.patterns,
            stop: &self.stop,
        };
        let is_of_labels = matches!(
            call.function.id,
            FunctionId::LabelJoin | FunctionId::LabelReplace
        );
        match call::apply(&mut context, args)? {
            Operand::Vector(rows) if is_of_labels => join(rows).map(Operand::Vector),
            Operand::Vector(rows) => self.joined(rows).map(Operand::Vector),
            other => Ok(other),
        }
    }

    /// The times of the samples of a selector, without its name.
    async fn times_of(
        &mut self,
        node: &Node<'_>,
        selector: &VectorSelector,
        take: Take,
    ) -> Result<Vec<Row>> {
        if take == Take::Start && !self.options.start_timestamps {
            return Ok(Vec::new());
        }
        let mut selector = selector.clone();
        if let (Some(_), Some(offset)) = (selector.at, &selector.offset)
            && self.ms(offset)? < 0
        {
            // In Prometheus, what lies behind the time that `@` fixes is not found here.
            selector.offset = None;
        }
        let mut rows = self.vector(node, &selector, take).await?;
        self.nameless(&mut rows);
        Ok(rows)
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
