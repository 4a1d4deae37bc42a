//! Chunks that overlap become new chunks; all others pass.
//!
//! Source: Prometheus 3.9, `storage/merge.go`, `compactChunkIterator`; Thanos 0.43,
//! `pkg/dedup/chunk_iter.go`, `dedupChunksIterator`. Which chunk is the first of several with the same
//! times is an accident of the heap, so it is theirs. Unlike theirs, chunks of another encoding than
//! the first one take part in the penalty function; they would be lost.

use rutile_chunk::Encoding;
use rutile_dedup::{Function, Heap, select};

use super::column::Column;
use super::{Buffers, Places, damaged};
use crate::batch::Chunk;
use crate::function::{ChunkSink, Piece, Refusal};

/// First and last time of a chunk, ms.
type Times = (i64, i64);

pub(super) fn merge(
    function: Function,
    pieces: &[Piece<'_>],
    buffers: &mut Buffers,
    out: &mut dyn ChunkSink,
) -> Result<(), Refusal> {
    let mut chunks = Chunks::new(pieces);
    let mut cluster = Places::new();
    while chunks.next_cluster(&mut cluster) {
        if let [(piece, at)] = cluster.as_slice() {
            out.pass_some(*piece, *at..*at + 1);
            continue;
        }
        if function != Function::Penalty {
            // The order in which the reference chains them.
            cluster.rotate_left(1);
        }
        let made = merge_cluster(function, pieces, &cluster, buffers, out)?;
        chunks.pass_through(&made);
    }
    Ok(())
}

/// Makes chunks of those of a cluster; gives their times.
fn merge_cluster(
    function: Function,
    pieces: &[Piece<'_>],
    cluster: &Places,
    buffers: &mut Buffers,
    out: &mut dyn ChunkSink,
) -> Result<Vec<Times>, Refusal> {
    let Buffers { columns, encoder } = buffers;
    encoder.clear();
    if columns.len() < cluster.len() {
        columns.resize_with(cluster.len(), Column::default);
    }
    for (column, &(piece, at)) in columns.iter_mut().zip(cluster) {
        column.clear();
        let Some((piece, chunk)) = place(pieces, piece, at) else {
            continue;
        };
        if chunk.encoding == Encoding::Aggregate {
            return Err(overlap(pieces, cluster));
        }
        column.read(piece, chunk)?;
    }
    let replicas: Vec<&Column> = columns.iter().take(cluster.len()).collect();
    for run in select(function, &replicas, false) {
        let Some(column) = replicas.get(run.replica) else {
            continue;
        };
        let appended = encoder.append(&run, column);
        appended.map_err(|error| {
            let piece = cluster.get(run.replica).and_then(|(p, _)| pieces.get(*p));
            damaged(piece.map_or(0, |piece| piece.input), &error)
        })?;
    }
    Ok(encoder.finish(out))
}

/// Aggregates say nothing of single samples, so nothing can be chosen among those of two replicas.
fn overlap(pieces: &[Piece<'_>], cluster: &Places) -> Refusal {
    let input = |at: Option<&(usize, usize)>| {
        let piece = at.and_then(|(piece, _)| pieces.get(*piece));
        piece.map_or(0, |piece| piece.input)
    };
    let (one, other) = (input(cluster.first()), input(cluster.last()));
    Refusal::Overlap {
        first: one.min(other),
        second: one.max(other),
    }
}

fn place<'a, 'b>(
    pieces: &'a [Piece<'b>],
    piece: usize,
    at: usize,
) -> Option<(&'a Piece<'b>, &'b Chunk)> {
    let piece = pieces.get(piece)?;
    Some((piece, piece.chunks.get(at)?))
}

/// The chunks of all pieces by their times.
struct Chunks<'a, 'b> {
    pieces: &'a [Piece<'b>],
    /// The chunk of each piece that is next.
    next: Vec<usize>,
    heap: Heap<Times>,
}

impl<'a, 'b> Chunks<'a, 'b> {
    fn new(pieces: &'a [Piece<'b>]) -> Self {
        let mut chunks = Self {
            pieces,
            next: vec![0; pieces.len()],
            heap: Heap::default(),
        };
        for piece in 0..pieces.len() {
            chunks.stand(piece);
        }
        chunks
    }

    /// The first chunk that is left, and those that overlap it or one another; of equal ones that
    /// follow each other only the first. False at the end.
    fn next_cluster(&mut self, cluster: &mut Places) -> bool {
        cluster.clear();
        let Some(((_, mut end), first)) = self.pop() else {
            return false;
        };
        cluster.push(first);
        let mut last = first;
        while self.heap.first().is_some_and(|(start, _)| start <= end) {
            let Some(((_, max_time), next)) = self.pop() else {
                break;
            };
            if !self.are_equal(last, next) {
                cluster.push(next);
                end = end.max(max_time);
                last = next;
            }
        }
        true
    }

    /// New chunks go through the reference's heap, which may change the order of equal ones in it.
    fn pass_through(&mut self, made: &[Times]) {
        for times in made.iter().skip(1) {
            self.heap.push(*times, usize::MAX);
            self.heap.pop();
        }
    }

    fn pop(&mut self) -> Option<(Times, (usize, usize))> {
        let (times, piece) = self.heap.pop()?;
        let at = self.next.get_mut(piece)?;
        let popped = *at;
        *at += 1;
        self.stand(piece);
        Some((times, (piece, popped)))
    }

    fn stand(&mut self, piece: usize) {
        let at = self.next.get(piece).copied().unwrap_or_default();
        if let Some((_, chunk)) = place(self.pieces, piece, at) {
            self.heap.push((chunk.min_time, chunk.max_time), piece);
        }
    }

    fn are_equal(&self, one: (usize, usize), other: (usize, usize)) -> bool {
        let content = |(piece, at)| {
            let (piece, chunk) = place(self.pieces, piece, at)?;
            let content = chunk.content(piece.bytes);
            Some((chunk.min_time, chunk.max_time, content))
        };
        content(one) == content(other)
    }
}
