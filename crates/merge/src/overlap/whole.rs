//! One replica for as long as it has no gap: chunks that are chosen whole pass as they are.

use rutile_dedup::{Function, Run, select};

use super::column::Column;
use super::encoder::Encoder;
use super::{Buffers, damaged};
use crate::function::{ChunkSink, Piece, Refusal};

pub(super) fn merge(
    pieces: &[Piece<'_>],
    buffers: &mut Buffers,
    out: &mut dyn ChunkSink,
) -> Result<(), Refusal> {
    let Buffers { columns, encoder } = buffers;
    encoder.clear();
    if columns.len() < pieces.len() {
        columns.resize_with(pieces.len(), Column::default);
    }
    // Where the samples of each chunk end in its column.
    let mut ends: Vec<Vec<usize>> = Vec::with_capacity(pieces.len());
    for (column, piece) in columns.iter_mut().zip(pieces) {
        column.clear();
        let mut of_piece = Vec::with_capacity(piece.chunks.len());
        for chunk in piece.chunks {
            column.read(piece, chunk)?;
            of_piece.push(column.times.len());
        }
        ends.push(of_piece);
    }
    let replicas: Vec<&Column> = columns.iter().take(pieces.len()).collect();
    for run in select(Function::Replica, &replicas, false) {
        let replica = (replicas.get(run.replica)).zip(ends.get(run.replica));
        let (Some((column, ends)), Some(piece)) = (replica, pieces.get(run.replica)) else {
            continue;
        };
        let emitted = emit(&run, column, ends, encoder, out);
        emitted.map_err(|error| damaged(piece.input, &error))?;
    }
    encoder.finish(out);
    Ok(())
}

/// Hands the chosen samples of a replica on.
fn emit(
    run: &Run,
    column: &Column,
    ends: &[usize],
    encoder: &mut Encoder,
    out: &mut dyn ChunkSink,
) -> rutile_chunk::Result<()> {
    let first = ends.partition_point(|&end| end <= run.start);
    let mut start = run.start;
    for (chunk, &end) in ends.iter().enumerate().skip(first) {
        if start >= run.end {
            break;
        }
        let begins = chunk.checked_sub(1).and_then(|before| ends.get(before));
        if start == begins.copied().unwrap_or_default() && end <= run.end {
            encoder.finish(out);
            out.pass_some(run.replica, chunk..chunk + 1);
        } else {
            let part = Run {
                start,
                end: end.min(run.end),
                forgets: run.forgets && start == run.start,
                ..*run
            };
            encoder.append(&part, column)?;
        }
        start = end;
    }
    Ok(())
}
