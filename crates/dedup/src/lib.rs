//! Deduplication of replicas: several Prometheus servers scraped the same series, and one series is
//! to come out.
//!
//! [`select`] decides and copies nothing: from the times of the replicas, and their floats where
//! counters matter, it makes a list of [`Run`]s, "these samples of that replica". Whatever the
//! samples are follows by [`take`], so that queries and compaction decide alike. [`dedup`] does both
//! for the columns of a query. `docs/deduplication.md` says which [`Function`] is for what.
//!
//! Pure: no I/O, no clock. Times that are not ascending give an order of no meaning, and nothing
//! worse.

mod chain;
mod function;
mod heap;
mod penalty;
mod pseudo;
mod replica;
mod runs;
mod samples;
mod series;

#[cfg(test)]
mod tests;

pub use function::{Function, UnknownFunction, is_counter_function};
pub use heap::Heap;
pub use pseudo::pseudo_replicas;
pub use replica::tolerance;
pub use runs::{Run, take};
pub use samples::dedup;
pub use series::Series;

/// Chooses the samples of the one series that stands for all replicas, in order of time.
///
/// `counter` says that the values are those of a counter: [`Function::Penalty`] then raises values
/// where it switches, [`Function::Replica`] looks for resets that only some replicas saw.
#[must_use]
pub fn select<S: Series + ?Sized>(function: Function, replicas: &[&S], counter: bool) -> Vec<Run> {
    let full: Vec<usize> = (0..replicas.len())
        .filter(|&i| !replicas[i].times().is_empty())
        .collect();
    match (full.as_slice(), function) {
        ([], _) => Vec::new(),
        // Chaining takes part even of a single replica what a histogram knows of its predecessor, if
        // there are others, without samples.
        ([only], _) if replicas.len() == 1 || function != Function::Chain => {
            vec![Run::whole(*only, replicas[*only].times().len())]
        }
        (_, Function::Penalty) => penalty::select(replicas, counter),
        (_, Function::Chain) => chain::select(replicas),
        (_, Function::Replica) => replica::select(replicas, counter),
    }
}
