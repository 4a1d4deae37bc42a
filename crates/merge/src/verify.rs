//! Reading the output back from the bucket, before it is committed, and holding it against what the
//! inputs hold.

use std::ops::RangeInclusive;
use std::sync::Arc;

use rutile_block::Meta;
use rutile_model::ErrorKind;
use rutile_runtime::{CpuPool, Reservation};

use crate::batch::Batch;
use crate::digest::{self, Tally};
use crate::error::{Error, Fault, Reason, Result};
use crate::input::Input;
use crate::postings;
use crate::progress::Progress;
use crate::source::{self, Settings, Source};
use crate::symbols::{self, SymbolMap, SymbolSink};
use crate::{Merger, run};

/// What a block was found to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contents {
    /// Series.
    pub series: u64,
    /// Chunks of all series.
    pub chunks: u64,
    /// Samples of all chunks; of downsampled ones none are counted.
    pub samples: u64,
}

/// See [`Merger::check`].
pub(crate) async fn contents(
    merger: &Merger,
    meta: &Meta,
    progress: &Arc<Progress>,
) -> Result<Contents> {
    let name = format!("check {}", meta.id);
    let group = merger.spawner.child(name.clone());
    let settings = Settings {
        sum_postings: true,
        ..run::settings(merger, &group, 1, progress)
    };
    let reserved = merger.ledger.account(name).reserve(settings.memory()).await;
    let mut memory = reserved.map_err(|e| Error::exhausted(meta.id, e))?;
    let found = read(merger, meta, &settings, &mut memory).await?;
    Ok(Contents {
        series: found.series,
        chunks: found.chunks,
        samples: found.samples,
    })
}

/// See [`Merger::times`].
pub(crate) async fn times(merger: &Merger, meta: &Meta) -> Result<Option<RangeInclusive<i64>>> {
    let name = format!("times {}", meta.id);
    let group = merger.spawner.child(name.clone());
    let settings = run::settings(merger, &group, 1, &Arc::default());
    let reserved = merger.ledger.account(name).reserve(settings.memory()).await;
    let mut memory = reserved.map_err(|e| Error::exhausted(meta.id, e))?;
    // What the metadata say of the times is what is in question.
    let mut doubted = meta.clone();
    (doubted.min_time, doubted.max_time) = (i64::MIN, i64::MAX);
    let (input, map) = open(merger, &doubted, &settings, &mut memory).await?;
    let (decoding, mut decoded) = source::entries(&input, Arc::new(map), &settings);
    let mut times: Option<RangeInclusive<i64>> = None;
    while let Some(entries) = decoded.recv().await {
        for place in entries?.places {
            let (first, last) = times.map_or((i64::MAX, i64::MIN), RangeInclusive::into_inner);
            times = Some(first.min(place.min_time)..=last.max(place.max_time));
        }
    }
    decoding.await.map_err(|e| input.ended(&e))?;
    Ok(times)
}

/// Checks that the uploaded objects of `meta` hold what `expected` says.
pub(crate) async fn verify(
    merger: &Merger,
    meta: &Meta,
    expected: &Tally,
    settings: &Settings,
    memory: &mut Reservation,
) -> Result<()> {
    let checked = check(merger, meta, expected, settings, memory).await;
    checked.map_err(|error| match error.fault() {
        // Whatever is wrong with it, it was we who wrote it.
        Some(fault) => {
            let message = format!("read back: {}: {error}", fault.reason);
            Error::passing(meta.id, ErrorKind::Internal, message).because(error)
        }
        None => error,
    })
}

async fn check(
    merger: &Merger,
    meta: &Meta,
    expected: &Tally,
    settings: &Settings,
    memory: &mut Reservation,
) -> Result<()> {
    let found = read(merger, meta, settings, memory).await?;
    let Some(series) = expected.difference(&found) else {
        return Ok(());
    };
    let message = format!(
        "read back: it differs from its inputs, from series {series} on: {} series, {} chunks and {} \
         samples instead of {}, {} and {}",
        found.series,
        found.chunks,
        found.samples,
        expected.series,
        expected.chunks,
        expected.samples,
    );
    Err(Error::passing(meta.id, ErrorKind::Internal, message))
}

/// Reads all of a block: symbols, series, chunks, postings. Whatever is wrong with it is a fault.
pub(crate) async fn read(
    merger: &Merger,
    meta: &Meta,
    settings: &Settings,
    memory: &mut Reservation,
) -> Result<Tally> {
    let (input, map) = open(merger, meta, settings, memory).await?;
    let progress = &settings.progress;
    let source = Source::start(Arc::clone(&input), map, settings);
    let (found, postings) = futures::try_join!(
        tally(source, &settings.pool),
        postings::read(&input, |bytes| (settings.count)(progress, bytes)),
    )?;
    let (found, sum) = found;
    if postings.sum != sum || postings.all != found.series {
        let fault = Fault {
            block: meta.id,
            reason: Reason::IndexCorrupt,
        };
        let message = "its postings are not those of its series";
        return Err(Error::bad(fault, message));
    }
    Ok(found)
}

/// Opens one block by itself; its symbols keep their references.
async fn open(
    merger: &Merger,
    meta: &Meta,
    settings: &Settings,
    memory: &mut Reservation,
) -> Result<(Arc<Input>, SymbolMap)> {
    let input = Input::open(Arc::clone(&merger.bucket), &settings.spawner, meta, meta.id).await?;
    let input = Arc::new(input);
    let (_, maps) = symbols::unite(
        &[Arc::clone(&input)],
        Ordinals::default(),
        &settings.pool,
        memory,
        settings.count,
        &settings.progress,
    )
    .await?;
    Ok((input, maps.into_iter().next().unwrap_or_default()))
}

/// What a block holds, and the sum of its postings.
async fn tally(mut source: Source, pool: &CpuPool) -> Result<(Tally, u64)> {
    let mut tally = Tally::default();
    let mut sum: u64 = 0;
    while let Some(batch) = source.next().await? {
        sum = sum.wrapping_add(batch.postings);
        tally = pool
            .run(move || {
                add(&mut tally, &batch);
                tally
            })
            .await;
    }
    Ok((tally, sum))
}

fn add(tally: &mut Tally, batch: &Batch) {
    for (at, series) in batch.series.iter().enumerate() {
        let mut state = series.labels_digest;
        for chunk in batch.chunks_of(at) {
            state = digest::chunk(state, chunk);
            tally.count(chunk);
        }
        tally.add_series(state);
    }
}

/// References as they are, in an order that is checked.
#[derive(Debug, Default)]
struct Ordinals {
    last: Vec<u8>,
    count: u32,
}

impl SymbolSink for Ordinals {
    fn add(&mut self, symbol: &[u8]) -> rutile_index::Result<u32> {
        if self.count > 0 && self.last.as_slice() >= symbol {
            return Err(rutile_index::Error::Invalid(
                "symbols are not in order".into(),
            ));
        }
        self.last.clear();
        self.last.extend_from_slice(symbol);
        self.count += 1;
        Ok(self.count - 1)
    }
}
