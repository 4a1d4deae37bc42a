//! What is observed while a query is evaluated: figures of the whole, and of each node of its plan if that is
//! asked for.

use std::time::Duration;

use tokio::time::Instant;

use super::memory::Held;
use super::plan::Node;

/// Figures of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueryStats {
    /// The samples that were looked at, once for each step that looks at them. A histogram counts for each 16 bytes
    /// of its size, as in Prometheus.
    pub samples: u64,
    /// The most samples that results held at a time.
    pub peak_samples: u64,
    /// The most bytes that results held at a time.
    pub peak_bytes: u64,
}

/// What a part of a query came to: a tree, as the plan is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Analysis {
    /// The name of the operator, and what it is told.
    pub name: String,
    /// How long it computed, all cores together; without its children, and without waiting for a source.
    pub time: Duration,
    /// The series that it gave.
    pub series: u64,
    /// The samples that it looked at, of a selector or a function over its range; 0 of what takes results.
    pub samples: u64,
    /// The most samples that it gave at a time: of rows that are taken as they come, those of a batch.
    pub peak_samples: u64,
    /// The most bytes that it gave at a time, likewise.
    pub peak_bytes: u64,
    /// What it took.
    pub children: Vec<Self>,
}

/// What was observed of a node.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spent {
    pub(crate) time: Duration,
    pub(crate) series: u64,
    pub(crate) samples: u64,
    pub(crate) peak: Held,
}

/// What is observed of nodes, by their places in the plan; empty if nothing is.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    nodes: Vec<Spent>,
}

/// A watch that runs only if somebody wants to know.
#[derive(Debug)]
pub(crate) struct Watch(Option<Instant>);

impl Watch {
    pub(crate) fn start(wanted: bool) -> Self {
        Self(wanted.then(Instant::now))
    }

    pub(crate) fn read(&self) -> Duration {
        self.0.map_or(Duration::ZERO, |begun| begun.elapsed())
    }
}

impl Observed {
    /// Observes the nodes of a plan.
    pub(crate) fn of(plan: &Node<'_>) -> Self {
        Self {
            nodes: vec![Spent::default(); plan.count()],
        }
    }

    pub(crate) fn is_wanted(&self) -> bool {
        !self.nodes.is_empty()
    }

    /// Adds what was spent on a node.
    pub(crate) fn add(&mut self, node: usize, spent: Spent) {
        if let Some(known) = self.nodes.get_mut(node) {
            known.time += spent.time;
            known.series += spent.series;
            known.samples += spent.samples;
            known.peak.bytes = known.peak.bytes.max(spent.peak.bytes);
            known.peak.samples = known.peak.samples.max(spent.peak.samples);
        }
    }

    /// The figures of a node and of all below it; none if nothing was observed.
    pub(crate) fn analysis(&self, node: &Node<'_>) -> Option<Analysis> {
        let spent = self.nodes.get(node.id)?;
        let children = node.children.iter();
        Some(Analysis {
            name: node.name(),
            time: spent.time,
            series: spent.series,
            samples: spent.samples,
            peak_samples: spent.peak.samples,
            peak_bytes: spent.peak.bytes,
            children: children.filter_map(|child| self.analysis(child)).collect(),
        })
    }
}

impl Spent {
    /// A result, and the time it took to compute it.
    pub(crate) fn on(time: Duration, series: usize, held: Held) -> Self {
        Self {
            time,
            series: series as u64,
            samples: 0,
            peak: held,
        }
    }
}
