//! Sets of cells: what blocks hold, at which resolution.
//!
//! A cell stands for the samples of one block of an uploader. What is made of it at five minutes and at an hour are
//! cells of their own: each may be there, be given up or be erased without the others.

use rutile_block::resolution;

/// A set of cells, by their numbers.
pub(crate) type Cells = u128;

/// Room for the cells of one resolution; those of the resolutions follow each other as in [`resolution::ALL`].
pub(crate) const ROOM: usize = 40;
const SAMPLES: Cells = (1 << ROOM) - 1;

/// The numbers of the cells in a set.
pub(crate) fn cells_in(cells: Cells) -> impl Iterator<Item = usize> {
    (0..Cells::BITS as usize).filter(move |at| cells >> at & 1 == 1)
}

/// The cells of raw samples that a set was made of.
pub(crate) fn samples_in(cells: Cells) -> impl Iterator<Item = usize> {
    cells_in(readable(cells, resolution::ONE_HOUR))
}

/// What is made of cells of raw samples at a resolution, ms.
pub(crate) fn raised(cells: Cells, resolution: i64) -> Cells {
    cells << (ROOM * layer(resolution))
}

/// The cell of raw samples that a cell was made of, and its resolution, ms.
pub(crate) fn resolution_of(at: usize) -> (usize, i64) {
    let resolution = resolution::ALL.get(at / ROOM).copied();
    (at % ROOM, resolution.unwrap_or(resolution::RAW))
}

/// The cells of one resolution, ms, by the raw samples that they were made of.
pub(crate) fn at_resolution(cells: Cells, resolution: i64) -> Cells {
    cells >> (ROOM * layer(resolution)) & SAMPLES
}

/// The cells, by the raw samples that they were made of, which a query sees that wants no resolution coarser than this
/// one, ms.
pub(crate) fn readable(cells: Cells, max_resolution: i64) -> Cells {
    let fine = resolution::ALL
        .into_iter()
        .take_while(|r| *r <= max_resolution);
    fine.fold(0, |all, resolution| all | at_resolution(cells, resolution))
}

/// Cells that could be made again of finer ones that are there.
pub(crate) fn remakeable(there: Cells) -> Cells {
    let five_minutes = at_resolution(there, resolution::RAW);
    let hours = readable(there, resolution::FIVE_MINUTES);
    raised(five_minutes, resolution::FIVE_MINUTES) | raised(hours, resolution::ONE_HOUR)
}

/// What could be made of cells, and is not there.
pub(crate) fn never_made(cells: Cells, there: Cells) -> Cells {
    let mut made = 0;
    let mut finer = at_resolution(cells, resolution::RAW);
    for resolution in [resolution::FIVE_MINUTES, resolution::ONE_HOUR] {
        finer = (finer | at_resolution(cells, resolution)) & !at_resolution(there, resolution);
        made |= raised(finer, resolution);
    }
    made
}

fn layer(resolution: i64) -> usize {
    let at = resolution::ALL
        .iter()
        .position(|known| *known == resolution);
    at.unwrap_or(0)
}
