//! Where the blocks meet: series that several of them have are found to be equal.

use std::cmp::Ordering;
use std::sync::Arc;

use rutile_block::BlockId;
use rutile_model::ErrorKind;
use smallvec::SmallVec;

use crate::batch::{Batch, Label};
use crate::choose::{FEW, Round};
use crate::error::{Error, Result};

/// Series of a round, at most.
const MAX_SERIES: usize = 8192;

/// Goes through the batches of all inputs side by side.
#[derive(Debug)]
pub(crate) struct Finder {
    output: BlockId,
    /// The present batch of each input, and the series in it that is next.
    batches: Vec<Option<Arc<Batch>>>,
    at: Vec<usize>,
    ended: Vec<bool>,
}

impl Finder {
    /// Of so many inputs.
    pub(crate) fn new(output: BlockId, inputs: usize) -> Self {
        Self {
            output,
            batches: std::iter::repeat_with(|| None).take(inputs).collect(),
            at: vec![0; inputs],
            ended: vec![false; inputs],
        }
    }

    /// Whether nothing can be found before an input has its next batch.
    pub(crate) fn is_hungry(&self, input: usize) -> bool {
        self.ended.get(input) == Some(&false) && matches!(self.batches.get(input), Some(None))
    }

    /// Gives an input its next batch; none at its end.
    pub(crate) fn feed(&mut self, input: usize, batch: Option<Batch>) {
        if let Some(ended) = self.ended.get_mut(input) {
            *ended = batch.is_none();
        }
        if let Some(at) = self.at.get_mut(input) {
            *at = 0;
        }
        if let Some(slot) = self.batches.get_mut(input) {
            let batch = batch.filter(|batch| !batch.series.is_empty());
            *slot = batch.map(Arc::new);
        }
    }

    /// Finds equal series until a batch is used up, or there is enough to do.
    pub(crate) fn find(&mut self) -> Result<Round> {
        let mut round = Round {
            batches: self.batches.clone(),
            ..Round::default()
        };
        let mut equal: SmallVec<[usize; FEW]> = SmallVec::new();
        while round.len() < MAX_SERIES {
            if (0..self.batches.len()).any(|i| self.is_hungry(i)) {
                break;
            }
            let Some(labels_digest) = self.least(&mut equal)? else {
                round.done = true;
                break;
            };
            let place = |&input: &usize| Some((input, *self.at.get(input)?));
            round.places.extend(equal.iter().filter_map(place));
            round.series.push((round.places.len(), labels_digest));
            self.advance(&equal);
        }
        Ok(round)
    }

    /// Finds the inputs whose next series is the least; gives the digest of its labels.
    fn least(&self, equal: &mut SmallVec<[usize; FEW]>) -> Result<Option<u64>> {
        equal.clear();
        let mut least: Option<(&[Label], u64)> = None;
        for (i, (batch, &at)) in self.batches.iter().zip(&self.at).enumerate() {
            let Some(batch) = batch else {
                continue;
            };
            let labels = batch.labels_of(at);
            let digest = batch
                .series
                .get(at)
                .map_or(0, |series| series.labels_digest);
            match least.map_or(Ordering::Less, |(least, _)| labels.cmp(least)) {
                Ordering::Less => {
                    equal.clear();
                    equal.push(i);
                    least = Some((labels, digest));
                }
                Ordering::Equal => {
                    if least.is_some_and(|(_, least)| least != digest) {
                        let message = "equal symbol references stand for different labels";
                        return Err(Error::passing(self.output, ErrorKind::Internal, message));
                    }
                    equal.push(i);
                }
                Ordering::Greater => {}
            }
        }
        Ok(least.map(|(_, digest)| digest))
    }

    fn advance(&mut self, equal: &[usize]) {
        for &input in equal {
            if let (Some(batch), Some(at)) = (self.batches.get_mut(input), self.at.get_mut(input)) {
                *at += 1;
                if batch
                    .as_ref()
                    .is_some_and(|batch| *at >= batch.series.len())
                {
                    *batch = None;
                }
            }
        }
    }
}
