//! One store's answer: called for, decoded, checked, and its failure put into words.

use std::mem;

use futures::{StreamExt, stream};
use rutile_model::{ErrorKind, Labels};
use rutile_proto::thanos::{SeriesRequest, ShardInfo};
use rutile_storeapi::{
    Batch, BatchStream, Error, Frames, Item, RequestContext, Result, Series, SeriesStream,
    shard_matches,
};
use rutile_telemetry::IntCounter;

use crate::{Store, chain, fanout::Plan, patience::Patience};

/// What the store was asked for, for messages.
const WHAT: &str = "receive series";

/// Reads one store. Ends after the first failure, which is a warning under partial response.
pub(super) struct Reader {
    store: Store,
    partial: bool,
    patience: Patience,
    progress: Progress,
    /// Whether the series come in order, and are to be checked for it.
    sorted: bool,
    /// What the store cannot filter by itself.
    shard: Option<ShardInfo>,
    /// The labels of the last series.
    last: Labels,
    empty_answers: Option<IntCounter>,
}

enum Progress {
    /// Not called yet.
    Due(RequestContext, Box<SeriesRequest>),
    Answering(SeriesStream),
    Ended,
}

impl Reader {
    pub(super) fn new(
        store: Store,
        ctx: RequestContext,
        request: SeriesRequest,
        plan: &Plan,
    ) -> Self {
        Self {
            store,
            partial: plan.partial,
            patience: plan.patience,
            progress: Progress::Due(ctx, Box::new(request)),
            sorted: true,
            shard: None,
            last: Labels::empty(),
            empty_answers: None,
        }
    }

    /// Counts an answer without any frame.
    pub(super) fn counting_empty(mut self, counter: IntCounter) -> Self {
        self.empty_answers = Some(counter);
        self
    }

    /// Drops the series of other shards.
    pub(super) fn of_shard(mut self, shard: Option<ShardInfo>) -> Self {
        self.shard = shard;
        self
    }

    /// Takes series in any order.
    pub(super) fn unsorted(mut self) -> Self {
        self.sorted = false;
        self
    }

    pub(super) fn into_stream(self) -> BatchStream {
        let next = async |mut reader: Self| reader.next().await.map(|batch| (batch, reader));
        stream::unfold(self, next).boxed()
    }

    /// The next series, warnings and hints.
    pub(super) async fn next(&mut self) -> Option<Result<Batch>> {
        let frames = match self.receive().await {
            Ok(Some(frames)) => frames,
            Ok(None) => return None,
            Err(error) => return Some(self.fail(&error, Batch::default())),
        };
        self.empty_answers = None;
        match Batch::decode(&frames) {
            Ok(batch) => Some(self.accept(batch)),
            Err(error) => Some(self.fail(&error, Batch::default())),
        }
    }

    /// Ends the answer: with a warning, or with an error if that is not enough. `batch` is what came
    /// before it.
    pub(super) fn fail(&mut self, error: &Error, mut batch: Batch) -> Result<Batch> {
        self.progress = Progress::Ended;
        let error = chain::of_store(&self.store.name, WHAT, error);
        if !self.partial {
            return Err(error);
        }
        tracing::warn!(%error, "a store failed: the answer is partial");
        batch.passing.push(Item::Warning(error.to_string()));
        Ok(batch)
    }

    async fn receive(&mut self) -> Result<Option<Frames>> {
        let patience = self.patience;
        if let Progress::Due(ctx, request) = &mut self.progress {
            let call = self.store.api.series(ctx.clone(), mem::take(request));
            let answer = patience.wait(call).await?;
            self.progress = Progress::Answering(answer);
        }
        let Progress::Answering(answer) = &mut self.progress else {
            return Ok(None);
        };
        let frames = patience
            .wait(async { answer.next().await.transpose() })
            .await?;
        if frames.is_none() {
            self.progress = Progress::Ended;
            if let Some(counter) = self.empty_answers.take() {
                counter.inc();
            }
        }
        Ok(frames)
    }

    fn accept(&mut self, mut batch: Batch) -> Result<Batch> {
        if !self.partial
            && let Some(Item::Warning(warning)) = batch.passing.iter().find(|item| is_warning(item))
        {
            self.progress = Progress::Ended;
            return Err(chain::warned(&self.store.name, warning));
        }
        if self.sorted
            && let Some(at) = self.first_out_of_order(&batch.series)
        {
            // What comes before it is right, but nothing after it can be.
            batch.series.truncate(at);
            let batch = self.of_this_shard(batch);
            let message = "its series are not sorted by their labels: the rest of them is left out";
            return self.fail(&Error::new(ErrorKind::Corrupt, message), batch);
        }
        Ok(self.of_this_shard(batch))
    }

    /// Where a series is smaller than the one before it. Remembers the last one.
    fn first_out_of_order(&mut self, series: &[Series]) -> Option<usize> {
        let mut last = &self.last;
        for (at, series) in series.iter().enumerate() {
            if *last > series.labels {
                return Some(at);
            }
            last = &series.labels;
        }
        if let Some(series) = series.last() {
            self.last.clone_from(&series.labels);
        }
        None
    }

    fn of_this_shard(&self, mut batch: Batch) -> Batch {
        if let Some(shard) = &self.shard {
            batch
                .series
                .retain(|series| is_of_shard(shard, &series.labels));
        }
        batch
    }
}

/// Whether the series belongs to the shard.
pub(super) fn is_of_shard(shard: &ShardInfo, labels: &Labels) -> bool {
    let pairs = labels
        .iter()
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    shard_matches(shard, pairs)
}

fn is_warning(item: &Item) -> bool {
    matches!(item, Item::Warning(_))
}
