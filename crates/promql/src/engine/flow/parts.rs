//! Series as they come from their source, and as tasks take them.

use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};

use crate::engine::given::Given;
use crate::engine::{Error, Result};
use crate::source::SelectedStream;

/// About the bytes of chunks and columns that one task goes over: they fit into the cache of a core, and take far longer
/// than to wake a thread.
const BATCH_BYTES: usize = 512 * 1024;
/// The most series that are computed by one task.
const BATCH_SERIES: usize = 128;
/// Parts of a source that are taken at a time, if they are there.
const PARTS_AT_A_TIME: usize = 8;

/// Series, as they come.
pub(crate) type Parts = BoxStream<'static, Result<Part>>;

/// Some series, in order, and what their source had to say.
#[derive(Debug, Default)]
pub(crate) struct Part {
    pub(crate) series: Vec<Given>,
    pub(crate) warnings: Vec<String>,
}

/// The parts of an answer of a source.
pub(crate) fn parts(selected: SelectedStream) -> Parts {
    let parts = selected.map_ok(|part| Part {
        series: part.series.into_iter().map(Given::Source).collect(),
        warnings: part.warnings,
    });
    parts.map_err(Error::from).boxed()
}

/// Series that are there already.
pub(crate) fn ready(series: Vec<Given>) -> Parts {
    let part = Part {
        series,
        warnings: Vec::new(),
    };
    stream::once(async { Ok(part) }).boxed()
}

/// The same series as tasks take them: in parts of about [`BATCH_BYTES`], where each has a column of so many.
pub(super) fn batches(parts: Parts, column_bytes: usize) -> Parts {
    let at_hand = parts.ready_chunks(PARTS_AT_A_TIME);
    let batches = at_hand.flat_map(move |parts| stream::iter(batches_of(parts, column_bytes)));
    batches.boxed()
}

/// Those of the parts at hand; behind an error there is nothing.
fn batches_of(parts: Vec<Result<Part>>, column_bytes: usize) -> Vec<Result<Part>> {
    let (mut batches, mut open, mut bytes) = (Vec::new(), Part::default(), 0_usize);
    for part in parts {
        let part = match part {
            Ok(part) => part,
            Err(error) => {
                batches.push(Err(error));
                return batches;
            }
        };
        open.warnings.extend(part.warnings);
        for series in part.series {
            bytes = bytes.saturating_add(series.encoded_bytes());
            bytes = bytes.saturating_add(column_bytes);
            open.series.push(series);
            if bytes >= BATCH_BYTES || open.series.len() == BATCH_SERIES {
                batches.push(Ok(std::mem::take(&mut open)));
                bytes = 0;
            }
        }
    }
    if !open.series.is_empty() || !open.warnings.is_empty() {
        batches.push(Ok(open));
    }
    batches
}
