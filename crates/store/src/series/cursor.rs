//! The head of a block's series in the merge, and the batch that is read ahead of it.

use std::sync::Arc;

use rutile_blockio::{Error, Result};
use rutile_runtime::{Spawner, Task};

use super::source::{Batch, Source};

type Ahead = Task<(Source, Result<Option<Batch>>)>;

/// Walks over the series of one block.
#[derive(Debug)]
pub(crate) struct Cursor {
    batch: Option<Arc<Batch>>,
    at: usize,
    next: Next,
}

/// Where the next batch comes from.
#[derive(Debug)]
enum Next {
    /// It is being read.
    Ahead(Ahead),
    /// It will be read when it is needed: there are so many blocks that reading ahead in all of
    /// them would hold more memory than it saves time.
    Later(Box<Source>),
    /// There is none.
    None,
}

impl Next {
    /// A source that is done is dropped at once: it may be one of thousands.
    fn after(source: Box<Source>) -> Self {
        if source.is_done() {
            Self::None
        } else {
            Self::Later(source)
        }
    }
}

impl Cursor {
    /// A cursor on the first series of `source`; `None` if it has none.
    pub(crate) async fn open(mut source: Source) -> Result<Option<Self>> {
        let Some(batch) = source.next_batch().await? else {
            return Ok(None);
        };
        let next = Next::after(Box::new(source));
        Ok(Some(Self {
            batch: Some(Arc::new(batch)),
            at: 0,
            next,
        }))
    }

    /// Starts reading the next batch.
    pub(crate) fn read_ahead(&mut self, tasks: &Spawner) {
        self.next = match std::mem::replace(&mut self.next, Next::None) {
            Next::Later(mut source) => Next::Ahead(
                tasks
                    .spawn("series-batch", async move {
                        let batch = source.next_batch().await;
                        (*source, batch)
                    })
                    .abort_on_drop(),
            ),
            other => other,
        };
    }

    /// The labels of the current series, as a row; `None` behind the last.
    #[inline]
    pub(crate) fn labels(&self) -> Option<&[u32]> {
        self.batch.as_ref().map(|batch| batch.labels(self.at))
    }

    /// The current series.
    pub(crate) fn current(&self) -> Option<(Arc<Batch>, usize)> {
        self.batch
            .as_ref()
            .map(|batch| (Arc::clone(batch), self.at))
    }

    /// Goes to the next series within the batch; `false` if there is none, then
    /// [`Cursor::next_batch`] is to be called.
    #[inline]
    pub(crate) fn step(&mut self) -> bool {
        self.at += 1;
        self.batch
            .as_ref()
            .is_some_and(|batch| self.at < batch.len())
    }

    /// Goes to the first series of the next batch.
    pub(crate) async fn next_batch(&mut self, tasks: &Spawner, read_ahead: bool) -> Result<()> {
        let id = self.batch.take().map(|batch| batch.block.reader.id());
        self.at = 0;
        let (source, batch) = match std::mem::replace(&mut self.next, Next::None) {
            Next::None => return Ok(()),
            Next::Later(mut source) => {
                let batch = source.next_batch().await?;
                (source, batch)
            }
            Next::Ahead(task) => {
                let (mut source, batch) = task.await.map_err(|error| Error::Internal {
                    block: id.unwrap_or_default(),
                    message: format!("the task that read ahead ended: {error}"),
                })?;
                let batch = match batch {
                    // There was no memory for it beside the batch before, which is gone by now.
                    Err(Error::Memory(_)) if source.may_retry() => source.next_batch().await?,
                    batch => batch?,
                };
                (Box::new(source), batch)
            }
        };
        if batch.is_some() {
            self.batch = batch.map(Arc::new);
            self.next = Next::after(source);
            if read_ahead {
                self.read_ahead(tasks);
            }
        }
        Ok(())
    }
}
