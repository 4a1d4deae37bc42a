//! Reading ahead: each store in a task of its own, as far as its buffer holds.

use std::sync::Arc;

use futures::{StreamExt, stream};
use rutile_model::ErrorKind;
use rutile_runtime::{Spawner, Task};
use rutile_storeapi::{Batch, BatchStream, Error, Item, Result, Series};
use tokio::sync::{Semaphore, mpsc};

use crate::{Retrieval, chain};

/// Bytes that are read ahead for one request, all its stores together.
const REQUEST_BYTES: usize = 64 * 1024 * 1024;
/// What each store may have of it at least.
const STORE_BYTES: usize = 1024 * 1024;
/// What the buffer is counted in, so that the permits of a semaphore suffice.
const UNIT_BYTES: usize = 1024;
/// Frames that are read ahead of a store if their bytes allow it.
const EAGER_FRAMES: usize = 256;

/// How much is read ahead of one store.
#[derive(Debug, Clone, Copy)]
pub(super) struct Buffer {
    frames: usize,
    units: usize,
}

impl Buffer {
    /// A part of `request_bytes`, or of what a request has if it names none.
    pub(super) fn new(retrieval: Retrieval, stores: usize, request_bytes: Option<usize>) -> Self {
        let frames = match retrieval {
            Retrieval::Eager => EAGER_FRAMES,
            Retrieval::Lazy { max_frames } => max_frames.max(1),
        };
        let stores = stores.max(1);
        let bytes = match request_bytes {
            Some(bytes) => (bytes / stores).max(UNIT_BYTES),
            None => (REQUEST_BYTES / stores).max(STORE_BYTES),
        };
        Self {
            frames,
            units: bytes / UNIT_BYTES,
        }
    }
}

/// Reads `answer` in a task. The task ends with the stream that is returned.
pub(super) fn read_ahead(
    answer: BatchStream,
    store: &Arc<str>,
    partial: bool,
    buffer: Buffer,
    tasks: &Spawner,
) -> BatchStream {
    let (sender, received) = mpsc::channel(buffer.frames);
    let read = read(answer, sender, buffer);
    let following = Following {
        received,
        task: Some(tasks.spawn("series-reader", read).abort_on_drop()),
        store: Arc::clone(store),
        partial,
    };
    let next =
        async |mut following: Following| following.next().await.map(|batch| (batch, following));
    stream::unfold(following, next).boxed()
}

async fn read(mut answer: BatchStream, sender: mpsc::Sender<Result<Batch>>, buffer: Buffer) {
    let room = Arc::new(Semaphore::new(buffer.units));
    while let Some(mut batch) = answer.next().await {
        if let Ok(batch) = &mut batch {
            let bytes: usize = batch.series.iter().map(Series::bytes).sum();
            // A batch that is larger than the buffer waits until that is empty.
            let units = (bytes / UNIT_BYTES).min(buffer.units);
            let units = u32::try_from(units).unwrap_or(u32::MAX);
            let Ok(permit) = Arc::clone(&room).acquire_many_owned(units).await else {
                return;
            };
            batch.held = Some(Box::new((permit, batch.held.take())));
        }
        if sender.send(batch).await.is_err() {
            return;
        }
    }
}

/// What a task reads.
struct Following {
    received: mpsc::Receiver<Result<Batch>>,
    task: Option<Task<()>>,
    store: Arc<str>,
    partial: bool,
}

impl Following {
    async fn next(&mut self) -> Option<Result<Batch>> {
        if let Some(batch) = self.received.recv().await {
            return Some(batch);
        }
        // Nothing more comes: the task has read all, or it was lost on the way.
        let lost = self.task.take()?.await.err()?;
        let error = Error::new(ErrorKind::Internal, "the reading task was lost").with_source(lost);
        let error = chain::of_store(&self.store, "receive series", &error);
        Some(if self.partial {
            Ok(Batch {
                passing: vec![Item::Warning(error.to_string())],
                ..Batch::default()
            })
        } else {
            Err(error)
        })
    }
}
