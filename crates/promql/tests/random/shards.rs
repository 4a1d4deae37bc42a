//! Which labels the series of a query can be split by, so that the answers of the parts make the whole.
//!
//! As a query frontend shards (Thanos `pkg/querysharding/analyzer.go`), but for what that gets wrong: `vector`,
//! labels that `count_values` and `group_left` write, functions of no vector.

use std::collections::BTreeSet;
use std::sync::Arc;

use rutile_model::Labels;
use rutile_promql::{AggregateOp, Cardinality, Expr, FunctionId as Id, ValueType};

use crate::data::Stored;

/// Labels whose values say in which part a series is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Sharding {
    By(BTreeSet<String>),
    Without(BTreeSet<String>),
}

impl Sharding {
    /// Of those labels, these alone.
    fn keep(self, names: &[String]) -> Self {
        let names: BTreeSet<String> = names.iter().cloned().collect();
        match self {
            Self::By(by) => Self::By(by.intersection(&names).cloned().collect()),
            Self::Without(without) => Self::By(names.difference(&without).cloned().collect()),
        }
    }

    /// Of those labels, not these.
    fn remove(self, names: &[String]) -> Self {
        let names: BTreeSet<String> = names.iter().cloned().collect();
        match self {
            Self::By(by) => Self::By(by.difference(&names).cloned().collect()),
            Self::Without(without) => Self::Without(without.union(&names).cloned().collect()),
        }
    }

    /// The parts of these series.
    pub(crate) fn split(&self, series: &[Arc<Stored>], parts: u64) -> Vec<Vec<Arc<Stored>>> {
        let mut split = vec![Vec::new(); parts as usize];
        for stored in series {
            let is_key = |name: &str| match self {
                Self::By(names) => names.contains(name),
                Self::Without(names) => !names.contains(name),
            };
            let key: Labels = stored
                .labels
                .iter()
                .filter(|(name, _)| is_key(name))
                .collect();
            split[(key.hash() % parts) as usize].push(Arc::clone(stored));
        }
        split
    }
}

/// How a query can be split; none if it cannot.
pub(crate) fn of(expr: &Expr) -> Option<Sharding> {
    // What goes with the name, if there are labels for type and unit.
    let name = ["__name__", "__type__", "__unit__"].map(str::to_owned);
    let mut sharding = Sharding::Without(BTreeSet::from(name));
    let mut possible = expr.value_type() == ValueType::Vector;
    expr.walk(&mut |expr| {
        let before = std::mem::replace(&mut sharding, Sharding::By(BTreeSet::new()));
        let after = visit(expr, before);
        possible &= after.is_some();
        sharding = after.unwrap_or(Sharding::By(BTreeSet::new()));
    });
    let any = !matches!(&sharding, Sharding::By(names) if names.is_empty());
    (possible && any).then_some(sharding)
}

fn visit(expr: &Expr, sharding: Sharding) -> Option<Sharding> {
    Some(match expr {
        Expr::Aggregate(aggregate) => {
            let sharding = if aggregate.without {
                sharding.remove(&aggregate.grouping)
            } else {
                sharding.keep(&aggregate.grouping)
            };
            match (aggregate.op, aggregate.param.as_deref()) {
                (AggregateOp::CountValues, Some(Expr::String(name))) => {
                    sharding.remove(std::slice::from_ref(&name.value))
                }
                _ => sharding,
            }
        }
        Expr::Binary(binary) => {
            let Some(matching) = &binary.matching else {
                return Some(sharding);
            };
            let sharding = match (matching.on, matching.card) {
                (true, _) => sharding.keep(&matching.labels),
                (false, _) => sharding.remove(&matching.labels),
            };
            match matching.card {
                Cardinality::ManyToOne | Cardinality::OneToMany => {
                    sharding.remove(&matching.include)
                }
                Cardinality::OneToOne | Cardinality::ManyToMany => sharding,
            }
        }
        Expr::Call(call) => match call.function.id {
            Id::Absent | Id::AbsentOverTime | Id::Scalar | Id::Vector | Id::Info => return None,
            // Of no vector: a series of its own in each part.
            _ if call.args.is_empty() && call.function.returns == ValueType::Vector => return None,
            Id::HistogramQuantile | Id::HistogramFraction => sharding.remove(&["le".to_owned()]),
            Id::HistogramQuantiles => {
                let Some(Expr::String(name)) = call.args.get(1) else {
                    return None;
                };
                sharding.remove(&["le".to_owned(), name.value.clone()])
            }
            Id::LabelReplace | Id::LabelJoin => {
                let Some(Expr::String(name)) = call.args.get(1) else {
                    return None;
                };
                sharding.remove(std::slice::from_ref(&name.value))
            }
            _ => sharding,
        },
        _ => sharding,
    })
}
