//! The pipeline of one block: from its bytes to checked batches of its series, in order.

use std::sync::Arc;

use futures::stream::{self, StreamExt as _};
use rutile_runtime::{CpuPool, Spawner, Task};
use tokio::sync::mpsc;

use crate::batch::{Batch, Entries};
use crate::combine::ROUNDS;
use crate::downsample::Downsample;
use crate::entries::Decoder;
use crate::error::{Reason, Result};
use crate::frames;
use crate::input::{Input, windows};
use crate::progress::Progress;
use crate::symbols::SymbolMap;

/// Batches of one block whose chunks are being read or checked at a time.
pub(crate) const IN_FLIGHT: usize = 2;
/// Parts of the series section that wait to be read.
const QUEUED: usize = 1;
/// Windows of the index in memory: one read ahead, one being read, one being decoded.
const WINDOWS: u64 = 3;
/// The index is read in windows of this part of a batch's chunks, which is about its share.
const INDEX_SHARE: u64 = 4;

/// How a block is read.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) pool: CpuPool,
    /// For what is short, in order, and waited for by all others.
    pub(crate) lane: CpuPool,
    pub(crate) spawner: Spawner,
    pub(crate) progress: Arc<Progress>,
    /// Bytes of the chunks of a batch.
    pub(crate) batch: u64,
    /// Batches that are read, checked or downsampled at a time.
    pub(crate) in_flight: usize,
    /// What counts the bytes that are read.
    pub(crate) count: fn(&Progress, u64),
    /// Whether batches sum up their postings.
    pub(crate) sum_postings: bool,
    /// What is made of each batch, if it is not to stay as it is.
    pub(crate) downsample: Option<Arc<Downsample>>,
}

/// The checked batches of a block. Dropping it ends the reading.
#[derive(Debug)]
pub(crate) struct Source {
    batches: mpsc::Receiver<Result<Batch>>,
    decoding: Task<()>,
    reading: Task<()>,
    input: Arc<Input>,
}

impl Settings {
    /// Bytes that one source keeps in memory: windows, and batches with what was decoded of them, those included that are merged.
    pub(crate) fn memory(&self) -> u64 {
        let batches = (self.in_flight + self.queued() + ROUNDS + 2) as u64;
        batches * self.batch * 5 / 4 + WINDOWS * self.window()
    }

    /// Checked batches that wait to be merged.
    fn queued(&self) -> usize {
        self.in_flight.div_ceil(2)
    }

    fn window(&self) -> u64 {
        (self.batch / INDEX_SHARE).max(64 << 10)
    }
}

impl Source {
    pub(crate) fn start(input: Arc<Input>, symbols: SymbolMap, settings: &Settings) -> Self {
        let (decoding, decoded) = entries(&input, Arc::new(symbols), settings);
        Self::of_entries(input, decoding, decoded, settings)
    }

    /// Of series that the task `decoding` hands on, in whatever order the output wants them.
    pub(crate) fn of_entries(
        input: Arc<Input>,
        decoding: Task<()>,
        decoded: mpsc::Receiver<Result<Entries>>,
        settings: &Settings,
    ) -> Self {
        let (sender, batches) = mpsc::channel(settings.queued());
        let name = format!("read {}", input.id);
        let read = read(Arc::clone(&input), decoded, settings.clone(), sender);
        let reading = settings.spawner.spawn(name, read).abort_on_drop();
        Self {
            batches,
            decoding,
            reading,
            input,
        }
    }

    /// The next batch; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Batch>> {
        if let Some(batch) = self.batches.recv().await {
            return batch.map(Some);
        }
        for task in [&mut self.decoding, &mut self.reading] {
            task.await.map_err(|e| self.input.ended(&e))?;
        }
        Ok(None)
    }
}

/// The series of a block as its index has them, and the task that decodes them: one of its own, since
/// work that waits for the pool must always be polled, or it would keep a place there that everybody
/// else waits for.
pub(crate) fn entries(
    input: &Arc<Input>,
    symbols: Arc<SymbolMap>,
    settings: &Settings,
) -> (Task<()>, mpsc::Receiver<Result<Entries>>) {
    let (sender, decoded) = queue();
    let name = format!("decode {}", input.id);
    let decode = decode(Arc::clone(input), symbols, settings.clone(), sender);
    let decoding = settings.spawner.spawn(name, decode).abort_on_drop();
    (decoding, decoded)
}

/// Where decoded series wait for their chunks to be read.
pub(crate) fn queue() -> (
    mpsc::Sender<Result<Entries>>,
    mpsc::Receiver<Result<Entries>>,
) {
    mpsc::channel(QUEUED)
}

/// Reads and checks the chunks of what was decoded.
async fn read(
    input: Arc<Input>,
    decoded: mpsc::Receiver<Result<Entries>>,
    settings: Settings,
    sender: mpsc::Sender<Result<Batch>>,
) {
    let entries = stream::unfold(decoded, |mut decoded| async move {
        decoded.recv().await.map(|entries| (entries, decoded))
    });
    let batches = entries.map(|entries| {
        let (input, settings) = (Arc::clone(&input), settings.clone());
        let spawner = settings.spawner.clone();
        let reading = Arc::clone(&input);
        let work = async move { frames::read(&reading, entries?, &settings).await };
        let task = spawner.spawn("read chunks", work).abort_on_drop();
        async move { task.await.unwrap_or_else(|e| Err(input.ended(&e))) }
    });
    let mut batches = std::pin::pin!(batches.buffered(settings.in_flight));
    while let Some(batch) = batches.next().await {
        let ended = batch.is_err();
        if sender.send(batch).await.is_err() || ended {
            return;
        }
    }
}

/// Decodes the series section, batch by batch.
async fn decode(
    input: Arc<Input>,
    symbols: Arc<SymbolMap>,
    settings: Settings,
    sender: mpsc::Sender<Result<Entries>>,
) {
    let Settings {
        lane,
        progress,
        batch,
        count,
        sum_postings,
        ..
    } = &settings;
    let reason = Reason::IndexCorrupt;
    let (section, key) = (input.toc.series_section(), input.index_key.clone());
    let decoded = section.clone();
    let windows = windows(Arc::clone(&input), key, section, settings.window(), reason);
    let mut windows = std::pin::pin!(windows);
    let mut decoder = Decoder::new(Arc::clone(&input), symbols, *batch, *sum_postings, decoded);
    let send = async |entries: Result<Entries>| {
        let failed = entries.is_err();
        sender.send(entries).await.is_ok() && !failed
    };
    while let Some(window) = windows.next().await {
        let window = match window {
            Ok(window) => window,
            Err(error) => {
                send(Err(error)).await;
                return;
            }
        };
        count(progress, window.len() as u64);
        let work = move || {
            let batches = decoder.feed(&window);
            (decoder, batches)
        };
        let (back, batches) = lane.run(work).await;
        decoder = back;
        let batches: Vec<Result<Entries>> = match batches {
            Ok(batches) => batches.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        };
        for entries in batches {
            if !send(entries).await {
                return;
            }
        }
    }
    let last = decoder.finish();
    if !matches!(&last, Ok(last) if last.series.is_empty()) {
        send(last).await;
    }
}
