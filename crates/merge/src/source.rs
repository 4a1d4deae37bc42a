//! The pipeline of one block: from its bytes to checked batches of its series, in order.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream, Stream, StreamExt as _};
use rutile_model::ErrorKind;
use rutile_runtime::{CpuPool, Spawner, Task};
use tokio::sync::mpsc;

use crate::batch::{Batch, Entries};
use crate::entries::Decoder;
use crate::error::{Reason, Result};
use crate::frames;
use crate::input::{Input, windows};
use crate::progress::Progress;
use crate::symbols::SymbolMap;

/// Batches of one block whose chunks are being read or checked.
const IN_FLIGHT: usize = 2;
/// Checked batches that wait to be merged.
const QUEUED: usize = 1;
/// Windows of the index in memory: one read ahead, one being read, one being decoded.
const WINDOWS: u64 = 3;
/// The index is read in windows of this part of a batch's chunks, which is about its share.
const INDEX_SHARE: u64 = 4;

/// How a block is read.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) pool: CpuPool,
    pub(crate) spawner: Spawner,
    pub(crate) progress: Arc<Progress>,
    /// Bytes of the chunks of a batch.
    pub(crate) batch: u64,
    /// What counts the bytes that are read.
    pub(crate) count: fn(&Progress, u64),
    /// Whether batches sum up their postings.
    pub(crate) sum_postings: bool,
}

/// The checked batches of a block. Dropping it ends the reading.
#[derive(Debug)]
pub(crate) struct Source {
    batches: mpsc::Receiver<Result<Batch>>,
    task: Task<()>,
    input: Arc<Input>,
}

impl Settings {
    /// Bytes that one source keeps in memory: windows, and batches with what was decoded of them.
    pub(crate) fn memory(&self) -> u64 {
        let batches = (IN_FLIGHT + QUEUED + 2) as u64;
        batches * self.batch * 5 / 4 + WINDOWS * self.window()
    }

    fn window(&self) -> u64 {
        (self.batch / INDEX_SHARE).max(64 << 10)
    }
}

impl Source {
    pub(crate) fn start(input: Arc<Input>, symbols: SymbolMap, settings: &Settings) -> Self {
        let (sender, batches) = mpsc::channel(QUEUED);
        let name = format!("read {}", input.id);
        let run = run(Arc::clone(&input), symbols, settings.clone(), sender);
        let task = settings.spawner.spawn(name, run).abort_on_drop();
        Self {
            batches,
            task,
            input,
        }
    }

    /// The next batch; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Batch>> {
        if let Some(batch) = self.batches.recv().await {
            return batch.map(Some);
        }
        match (&mut self.task).await {
            Ok(()) => Ok(None),
            Err(error) => Err(self.input.passing(ErrorKind::Canceled, error.to_string())),
        }
    }
}

async fn run(
    input: Arc<Input>,
    symbols: SymbolMap,
    settings: Settings,
    sender: mpsc::Sender<Result<Batch>>,
) {
    let batches = entries(&input, symbols, &settings).map(|entries| {
        let (input, settings) = (Arc::clone(&input), settings.clone());
        let spawner = settings.spawner.clone();
        let reading = Arc::clone(&input);
        let work = async move {
            let Settings {
                pool,
                progress,
                count,
                ..
            } = settings;
            frames::read(&reading, entries?, &pool, |bytes| count(&progress, bytes)).await
        };
        let task = spawner.spawn("read chunks", work).abort_on_drop();
        async move {
            let done = task.await;
            done.unwrap_or_else(|e| Err(input.passing(ErrorKind::Canceled, e.to_string())))
        }
    });
    let mut batches = std::pin::pin!(batches.buffered(IN_FLIGHT));
    while let Some(batch) = batches.next().await {
        let ended = batch.is_err();
        if sender.send(batch).await.is_err() || ended {
            return;
        }
    }
}

/// The series in batches, as they are decoded.
fn entries(
    input: &Arc<Input>,
    symbols: SymbolMap,
    settings: &Settings,
) -> impl Stream<Item = Result<Entries>> + Send + use<> {
    let reason = Reason::IndexCorrupt;
    let (section, key) = (input.toc.series_section(), input.index_key.clone());
    let window = settings.window();
    let windows = windows(Arc::clone(input), key, section, window, reason).boxed();
    let decoder = Decoder::new(
        Arc::clone(input),
        symbols,
        settings.batch,
        settings.sum_postings,
    );
    let decoding = Decoding {
        windows,
        decoder: Some(decoder),
        settings: settings.clone(),
    };
    stream::unfold(decoding, |mut decoding| async move {
        let batches = decoding.next().await?;
        let batches: Vec<Result<Entries>> = match batches {
            Ok(batches) => batches.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        };
        Some((stream::iter(batches), decoding))
    })
    .flatten()
}

struct Decoding {
    windows: BoxStream<'static, Result<Bytes>>,
    /// Gone at the end, or after an error.
    decoder: Option<Decoder>,
    settings: Settings,
}

impl Decoding {
    async fn next(&mut self) -> Option<Result<Vec<Entries>>> {
        let mut decoder = self.decoder.take()?;
        let window = match self.windows.next().await {
            None => {
                return Some(decoder.finish().map(|last| match last.series.is_empty() {
                    true => Vec::new(),
                    false => vec![last],
                }));
            }
            Some(Err(error)) => return Some(Err(error)),
            Some(Ok(window)) => window,
        };
        (self.settings.count)(&self.settings.progress, window.len() as u64);
        let decode = move || {
            let batches = decoder.feed(&window);
            (decoder, batches)
        };
        let (decoder, batches) = self.settings.pool.run(decode).await;
        self.decoder = batches.is_ok().then_some(decoder);
        Some(batches)
    }
}
