//! The series of one block, batch by batch.

use std::sync::Arc;

use rutile_blockio::{Chunks, Error, Request, Result, Selected, SeriesEntries, WantedChunk};
use rutile_runtime::Reservation;

use super::decode::{ChunkPlace, Decoded, Decoder, Series};
use super::label_numbers::{BlockNumbers, LabelNumbers};
use super::rows::Rows;
use super::spec::SeriesSpec;
use super::undecided::Undecided;
use crate::block::Block;

/// What a chunk is taken to weigh whose end is not known, bytes.
const TYPICAL_CHUNK: u64 = 512;
/// Entries that are read at a time even if more are wanted, so that the first batch comes soon.
const FIRST_SERIES: usize = 256;
/// Up to this cost in bytes a read is a cheap one, and then so many series are read at a time.
const CHEAP_READ: u64 = 64 * 1024;
const CHEAP_READ_SERIES: usize = 2048;
/// Chunks that are looked up at a time, where series have very many; but so many series at least.
const CHUNKS_AT_A_TIME: u64 = 64 * 1024;
const FEWEST_SERIES: usize = 64;

/// Some series of a block with their chunks.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) block: Arc<Block>,
    decoded: Arc<Decoded>,
    /// Which of the decoded series belong to the batch.
    first: usize,
    len: usize,
    chunks: Chunks,
    /// Where the chunks of the batch start among the decoded ones, or, if they had to be sorted
    /// for reading, the place of each in `chunks`, series after series.
    order: ChunkOrder,
    _memory: Arc<Reservation>,
}

#[derive(Debug)]
enum ChunkOrder {
    From(u32),
    Sorted { starts: Vec<u32>, places: Vec<u32> },
}

impl Batch {
    /// Number of series.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    fn series(&self, i: usize) -> &Series {
        &self.decoded.series[self.first + i]
    }

    /// The labels of a series, as a row.
    #[inline]
    pub(crate) fn labels(&self, i: usize) -> &[u32] {
        self.decoded.labels(self.series(i))
    }

    /// The chunks of a series: what the index says, and the frame.
    pub(crate) fn chunks(
        &self,
        i: usize,
    ) -> impl Iterator<
        Item = (
            &ChunkPlace,
            rutile_chunk::Result<rutile_chunk::segment::Frame<'_>>,
        ),
    > {
        let range = self.series(i).chunks.clone();
        let first = range.start;
        range.map(move |chunk| {
            let place = match &self.order {
                ChunkOrder::From(from) => chunk - from,
                ChunkOrder::Sorted { starts, places } => {
                    places[(starts[i] + chunk - first) as usize]
                }
            };
            (
                &self.decoded.chunks[chunk as usize],
                self.chunks.frame(place as usize),
            )
        })
    }
}

/// Reads the series of one block, in the order of their labels as they go out.
#[derive(Debug)]
pub(crate) struct Source {
    block: Arc<Block>,
    request: Arc<Request>,
    spec: Arc<SeriesSpec>,
    selected: Selected,
    /// How many of the selected were decoded.
    next: usize,
    decoder: Decoder,
    /// Whether left-out or replaced labels may shuffle all series of the block.
    shuffled: bool,
    waiting: Decoded,
    is_broken: bool,
    /// How many series are read at a time, and how many bytes of their chunks.
    most_series: usize,
    most_bytes: u64,
    /// Decoded series that were not handed out yet: from which one on.
    rest: Option<(Arc<Decoded>, usize, Arc<Reservation>)>,
}

impl Source {
    /// The series of `block` that match.
    pub(crate) async fn open(
        block: Arc<Block>,
        matchers: &[rutile_model::Matcher],
        request: Arc<Request>,
        spec: Arc<SeriesSpec>,
        numbers: Arc<LabelNumbers>,
    ) -> Result<Self> {
        let header = block.reader.header().await?;
        let selected = block.reader.select(&header, matchers, &request).await?;
        let id = block.reader.id();
        let undecided = Undecided::new(Arc::clone(&header), &selected.remaining);
        let series = selected.refs.len();
        let numbers = BlockNumbers::new(id, header, numbers, series, &request.account).await?;
        let rows = Rows::new(numbers, &block.meta.thanos.labels, spec.drop_labels.clone())?;
        let covered = spec.min_time <= block.meta.min_time && block.meta.max_time <= spec.max_time;
        Ok(Self {
            shuffled: rows.shuffles(),
            decoder: Decoder::new(id, Arc::clone(&spec), rows, undecided, covered),
            block,
            request,
            selected,
            next: 0,
            waiting: Decoded::default(),
            is_broken: false,
            most_series: spec.batch_series,
            most_bytes: spec.batch_bytes,
            spec,
            rest: None,
        })
    }

    /// Whether all series were handed out.
    pub(crate) fn is_done(&self) -> bool {
        self.rest.is_none() && self.next >= self.selected.refs.len()
    }

    /// Whether the last error left everything as it was, so that [`Source::next_batch`] may be
    /// called again.
    pub(crate) fn may_retry(&self) -> bool {
        !self.is_broken
    }

    /// The next series; `None` at the end.
    pub(crate) async fn next_batch(&mut self) -> Result<Option<Batch>> {
        loop {
            if let Some((decoded, first, memory)) = self.rest.clone() {
                return self.batch(decoded, first, memory).await.map(Some);
            }
            if self.next >= self.selected.refs.len() {
                return Ok(None);
            }
            let (decoded, memory) = self.decode().await?;
            if !decoded.series.is_empty() {
                self.rest = Some((Arc::new(decoded), 0, Arc::new(memory)));
            }
        }
    }

    /// Decodes the next entries; all of them if they are to be sorted. Series that the postings did
    /// not decide count against the limit only now.
    async fn decode(&mut self) -> Result<(Decoded, Reservation)> {
        let mut memory = self.request.account.empty();
        loop {
            let (entries, end) = self.read_entries().await?;
            let refs = &self.selected.refs[self.next..end];
            // From here on an error loses what waits; what follows it could not be trusted.
            self.is_broken = true;
            let mut decoded = std::mem::take(&mut self.waiting);
            let before = decoded.series.len();
            self.decoder.decode(refs, &entries, &mut decoded)?;
            if !self.selected.remaining.is_empty() {
                let found = decoded.series.len() - before;
                self.request.limits.series.take(found as u64)?;
            }
            memory.grow(decoded.bytes().saturating_sub(memory.bytes()))?;
            self.next = end;
            self.is_broken = false;
            let last = end == self.selected.refs.len();
            let numbers = self.decoder.numbers();
            match (last, self.shuffled) {
                (true, true) => decoded.sort(numbers),
                (true, false) => decoded.settle(numbers),
                (false, true) => {
                    self.waiting = decoded;
                    continue;
                }
                (false, false) => self.waiting = decoded.hold_back(numbers),
            }
            return Ok((decoded, memory));
        }
    }

    /// Reads the next entries, fewer at a time from now on if there is no memory for so many; also
    /// returns how far among the selected they reach.
    async fn read_entries(&mut self) -> Result<(SeriesEntries, usize)> {
        loop {
            let most = match self.next {
                0 => self.most_at_a_time().min(FIRST_SERIES),
                _ => self.most_at_a_time(),
            };
            let end = self.selected.refs.len().min(self.next + most);
            let refs = &self.selected.refs[self.next..end];
            let reader = &self.block.reader;
            let read = reader.series(self.decoder.header(), refs, &self.request);
            match read.await {
                Err(Error::Memory(_)) if refs.len() > FEWEST_SERIES => {
                    self.most_series = refs.len() / 2;
                }
                read => return Ok((read?, end)),
            }
        }
    }

    /// Where a read costs little, few series at a time keep the processor's caches warm; where it
    /// costs much, many at a time keep the number of reads low.
    fn most_at_a_time(&self) -> usize {
        let cheap = self.block.reader.read_gap() <= CHEAP_READ;
        let most = if cheap { CHEAP_READ_SERIES } else { usize::MAX };
        let stats = &self.block.meta.stats;
        let chunks_each = stats.num_chunks.div_ceil(stats.num_series.max(1)).max(1);
        let chunks = usize::try_from(CHUNKS_AT_A_TIME / chunks_each).unwrap_or(usize::MAX);
        self.most_series.min(most).min(chunks.max(FEWEST_SERIES))
    }

    /// Hands out decoded series from `first` on, as many as their chunks' bytes allow; fewer from now
    /// on if there is no memory for so many.
    async fn batch(
        &mut self,
        decoded: Arc<Decoded>,
        first: usize,
        memory: Arc<Reservation>,
    ) -> Result<Batch> {
        let (chunks, order, end) = loop {
            let end = self.end_of_batch(&decoded, first);
            let (order, wanted) = wanted_chunks(&decoded, first, end);
            match self.block.reader.chunks(&wanted, &self.request).await {
                Err(Error::Memory(_)) if end > first + 1 => {
                    self.request.limits.chunks.give_back(wanted.len() as u64);
                    self.most_bytes /= 2;
                }
                chunks => break (chunks?, order, end),
            }
        };
        self.rest =
            (end < decoded.series.len()).then(|| (Arc::clone(&decoded), end, Arc::clone(&memory)));
        Ok(Batch {
            block: Arc::clone(&self.block),
            decoded,
            first,
            len: end - first,
            chunks,
            order,
            _memory: memory,
        })
    }

    fn end_of_batch(&self, decoded: &Decoded, first: usize) -> usize {
        if self.spec.skip_chunks {
            return decoded.series.len();
        }
        let mut bytes = 0;
        for (i, series) in decoded.series.iter().enumerate().skip(first) {
            let range = series.chunks.start as usize..series.chunks.end as usize;
            bytes += decoded.chunks[range].iter().map(weight).sum::<u64>();
            if bytes >= self.most_bytes {
                return i + 1;
            }
        }
        decoded.series.len()
    }
}

fn weight(chunk: &ChunkPlace) -> u64 {
    match chunk.wanted.end.checked_sub(chunk.wanted.offset) {
        Some(len) => u64::from(len),
        None => TYPICAL_CHUNK,
    }
}

/// The chunks of some series in the order of the segment files.
fn wanted_chunks(decoded: &Decoded, first: usize, end: usize) -> (ChunkOrder, Vec<WantedChunk>) {
    let series = &decoded.series[first..end];
    let from = series
        .iter()
        .map(|series| series.chunks.start)
        .min()
        .unwrap_or(0);
    let to = series
        .iter()
        .map(|series| series.chunks.end)
        .max()
        .unwrap_or(0);
    let key = |chunk: u32| {
        let wanted = &decoded.chunks[chunk as usize].wanted;
        (wanted.segment, wanted.offset)
    };
    let in_row = series
        .windows(2)
        .all(|pair| pair[0].chunks.end == pair[1].chunks.start);
    if in_row && (from..to).is_sorted_by_key(key) {
        let wanted = decoded.chunks[from as usize..to as usize]
            .iter()
            .map(|chunk| chunk.wanted);
        return (ChunkOrder::From(from), wanted.collect());
    }
    // Where the chunks of each series start when those of the batch are counted through.
    let mut starts = Vec::with_capacity(series.len());
    let mut chunks: Vec<(u32, u32)> = Vec::new();
    for series in series {
        starts.push(chunks.len() as u32);
        for chunk in series.chunks.clone() {
            chunks.push((chunk, chunks.len() as u32));
        }
    }
    chunks.sort_unstable_by_key(|(chunk, _)| key(*chunk));
    let mut places = vec![0; chunks.len()];
    for (place, (_, ordinal)) in chunks.iter().enumerate() {
        places[*ordinal as usize] = place as u32;
    }
    let wanted = chunks
        .iter()
        .map(|(chunk, _)| decoded.chunks[*chunk as usize].wanted);
    (ChunkOrder::Sorted { starts, places }, wanted.collect())
}
