//! The one stage where the blocks meet: equal series found (`find`), their chunks chosen (`choose`) and laid out.

use std::sync::Arc;

use futures::future::join_all;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use rutile_block::BlockId;
use rutile_index::ChunkMeta;
use rutile_model::ErrorKind;
use rutile_runtime::CpuPool;
use smallvec::SmallVec;
use tokio::sync::mpsc;

use crate::batch::{Chunk, Label};
use crate::choose::{FEW, Round, Share};
use crate::digest::{self, Tally};
use crate::error::{Error, Reason, Result};
use crate::find::Finder;
use crate::function::{MergeFunction, Refusal};
use crate::input::Input;
use crate::layout::{Layout, Part};
use crate::progress::Progress;
use crate::source::Source;

/// Rounds whose chunks are being chosen at a time.
pub(crate) const ROUNDS: usize = 2;

/// Series of the output, as the index wants them.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) labels: Vec<Label>,
    pub(crate) chunks: Vec<ChunkMeta>,
    /// Where the labels and the chunks of each series end.
    pub(crate) ends: Vec<(usize, usize)>,
}

/// What goes into the index.
#[derive(Debug)]
pub(crate) enum IndexWork {
    Rows(Rows),
    /// There are no more; without it the merge has failed.
    End,
}

/// What the merge stage needs besides its sources.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) output: BlockId,
    /// By the start of their ranges.
    pub(crate) inputs: Vec<Arc<Input>>,
    pub(crate) function: Arc<dyn MergeFunction>,
    pub(crate) segment_size: u64,
    /// Where chunks are made anew.
    pub(crate) pool: CpuPool,
    /// Where they are put in order, which all others wait for.
    pub(crate) lane: CpuPool,
    pub(crate) progress: Arc<Progress>,
    pub(crate) parts: mpsc::Sender<Part>,
    pub(crate) index: mpsc::Sender<IndexWork>,
}

/// A round, and what was chosen for it if that is all of it.
#[derive(Debug)]
struct Found {
    round: Arc<Round>,
    share: Option<Result<Share, Refusal>>,
}

/// A round, and what the merge function chose for its series, share by share.
#[derive(Debug)]
struct Chosen {
    round: Arc<Round>,
    shares: Vec<Result<Share, Refusal>>,
}

impl Stage {
    /// Merges all that the sources have; gives what the output must hold. While the chunks of a round are laid out, those of
    /// later ones are chosen.
    pub(crate) async fn run(self, sources: Vec<Source>) -> Result<Tally> {
        let mut output = Output {
            id: self.output,
            inputs: self.inputs.clone(),
            layout: Layout::new(self.segment_size),
            tally: Tally::default(),
        };
        let finder = Finder::new(self.output, sources.len());
        let rounds = stream::try_unfold((finder, sources, false), |(finder, sources, done)| {
            self.find(finder, sources, done)
        });
        let chosen = rounds.map_ok(|found| self.choose(found));
        let mut chosen = chosen.try_buffered(ROUNDS).boxed();
        let mut next = chosen.try_next().await?;
        while let Some(present) = next {
            let (laid_out, following) =
                futures::join!(self.lay_out(output, present), chosen.try_next());
            output = laid_out?;
            next = following?;
        }
        self.send_parts(output.layout.finish()).await?;
        self.send_index(IndexWork::End).await?;
        Ok(output.tally)
    }

    /// The next round. Where chunks pass they are chosen at once, for that is less work than to hand it over.
    async fn find(
        &self,
        mut finder: Finder,
        mut sources: Vec<Source>,
        done: bool,
    ) -> Result<Option<(Found, (Finder, Vec<Source>, bool))>> {
        if done {
            return Ok(None);
        }
        for (i, source) in sources.iter_mut().enumerate() {
            if finder.is_hungry(i) {
                finder.feed(i, source.next().await?);
            }
        }
        let function = Arc::clone(&self.function);
        let find = move || {
            let round = finder.find()?;
            let passes = !function.takes_overlaps();
            let share = passes.then(|| round.choose(&*function, 0..round.len()));
            let round = Arc::new(round);
            Ok((finder, Found { round, share }))
        };
        let (finder, found) = self.lane.run(find).await?;
        let done = found.round.done;
        Ok(Some((found, (finder, sources, done))))
    }

    /// Asks the merge function for the series of a round, on all threads.
    async fn choose(&self, found: Found) -> Result<Chosen> {
        let Found { round, share } = found;
        let shares = match share {
            Some(share) => vec![share],
            None => {
                let shares = round.split(self.pool.threads());
                let shares = shares.into_iter().map(|series| {
                    let (round, function) = (Arc::clone(&round), Arc::clone(&self.function));
                    self.pool.run(move || round.choose(&*function, series))
                });
                join_all(shares).await
            }
        };
        Ok(Chosen { round, shares })
    }

    /// Lays out a round, and hands on what is complete.
    async fn lay_out(&self, mut output: Output, chosen: Chosen) -> Result<Output> {
        let series = chosen.round.places.len() as u64;
        let lay_out = move || {
            let rows = output.lay_out(&chosen);
            (output, rows)
        };
        let (mut output, rows) = self.lane.run(lay_out).await;
        let rows = rows?;
        self.progress.merged(series, rows.chunks.len() as u64);
        self.send_parts(output.layout.take()).await?;
        if !rows.ends.is_empty() {
            self.send_index(IndexWork::Rows(rows)).await?;
        }
        Ok(output)
    }

    async fn send_parts(&self, parts: Vec<Part>) -> Result<()> {
        for part in parts {
            let sent = self.parts.send(part).await;
            sent.map_err(|_| self.stopped())?;
        }
        Ok(())
    }

    async fn send_index(&self, work: IndexWork) -> Result<()> {
        let sent = self.index.send(work).await;
        sent.map_err(|_| self.stopped())
    }

    /// A later stage has failed, and its error says why.
    fn stopped(&self) -> Error {
        Error::passing(self.output, ErrorKind::Canceled, "a later stage has ended")
    }
}

/// The chosen chunks, laid out one behind the other.
#[derive(Debug)]
struct Output {
    id: BlockId,
    inputs: Vec<Arc<Input>>,
    layout: Layout,
    tally: Tally,
}

impl Output {
    /// Gives the chunks of a round their places in the segments.
    ///
    /// # Errors
    /// What the merge function refused.
    fn lay_out(&mut self, chosen: &Chosen) -> Result<Rows> {
        let mut rows = Rows::default();
        let mut at = 0;
        for share in &chosen.shares {
            let share = share.as_ref().map_err(|refusal| self.refused(refusal))?;
            for i in 0..share.len() {
                self.series(&chosen.round, at, share, i, &mut rows)?;
                at += 1;
            }
        }
        Ok(rows)
    }

    /// Lays out the series `at` of a round, which is series `i` of those of a share.
    fn series(
        &mut self,
        round: &Round,
        at: usize,
        share: &Share,
        i: usize,
        rows: &mut Rows,
    ) -> Result<()> {
        let pieces = round.pieces(at);
        let slices: SmallVec<[(&[Chunk], &[u8]); FEW]> = share.slices(i, &pieces).collect();
        let mut state = round.series.get(at).map_or(0, |(_, digest)| *digest);
        let (tally, chunks) = (&mut self.tally, &mut rows.chunks);
        let before = chunks.len();
        let laid_out = self.layout.series(&slices, |chunk, place| {
            state = digest::chunk(state, chunk);
            tally.count(chunk);
            chunks.push(ChunkMeta {
                min_time: chunk.min_time,
                max_time: chunk.max_time,
                chunk_ref: place.as_u64(),
            });
        });
        if laid_out.is_none() {
            let message = "a chunk would start beyond the 4 GiB that a segment can address";
            return Err(Error::passing(self.id, ErrorKind::Exhausted, message));
        }
        if rows.chunks.len() > before {
            tally.add_series(state);
            rows.labels.extend_from_slice(round.labels(at));
            rows.ends.push((rows.labels.len(), rows.chunks.len()));
        }
        Ok(())
    }

    fn refused(&self, refusal: &Refusal) -> Error {
        let (input, reason, message) = match refusal {
            Refusal::Overlap { first, second } => {
                let first = self.inputs.get(*first).map(|first| first.id);
                let first = first.unwrap_or(self.id);
                let message =
                    format!("a series has a chunk that overlaps with one of block {first}");
                (*second, Reason::OverlappingChunks, message)
            }
            Refusal::Damaged { input, what } => (*input, Reason::ChunkChecksum, what.clone()),
        };
        match self.inputs.get(input) {
            Some(input) => input.fault(reason, message),
            None => {
                let message = "the merge function names an input that is not there";
                Error::passing(self.id, ErrorKind::Internal, message)
            }
        }
    }
}
