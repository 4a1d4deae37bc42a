//! The columns of `bucket inspect`: names, texts and order are the reference's.

use std::cmp::Ordering;

use rutile_block::{Meta, resolution};
use rutile_model::GoDuration;

use crate::output::golang::{thousands, time};
use crate::output::table::Column;

const HOUR_MS: i64 = 3_600_000;
/// A raw block must be this long to be downsampled.
const FIRST_DOWNSAMPLING_MS: i64 = 40 * HOUR_MS;
/// A block of 5 m resolution must be this long to be downsampled again.
const SECOND_DOWNSAMPLING_MS: i64 = 10 * 24 * HOUR_MS;

/// The columns, and which of them give way on a narrow screen.
pub(super) const COLUMNS: [Column; 13] = [
    Column::left("ULID", 0),
    Column::left("FROM", 0),
    Column::left("UNTIL", 5),
    Column::right("RANGE", 1),
    Column::right("UNTIL-DOWN", 10),
    Column::right("#SERIES", 4),
    Column::right("#SAMPLES", 7),
    Column::right("#CHUNKS", 8),
    Column::right("COMP-LEVEL", 6),
    Column::left("COMP-FAILED", 11),
    Column::left("LABELS", 2),
    Column::right("RESOLUTION", 3),
    Column::left("SOURCE", 9),
];

/// What `--sort-by` takes.
pub(super) const NAMES: [&str; COLUMNS.len()] = {
    let mut names = [""; COLUMNS.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = COLUMNS[index].title;
        index += 1;
    }
    names
};

/// A block and its texts, one for each column.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) meta: &'a Meta,
    pub(super) cells: [String; COLUMNS.len()],
}

impl<'a> Row<'a> {
    pub(super) fn new(meta: &'a Meta) -> Self {
        let labels: Vec<String> = meta
            .thanos
            .labels
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let length = |ms| GoDuration::from_ms(ms).to_string();
        let cells = [
            meta.id.to_string(),
            time(meta.min_time),
            time(meta.max_time),
            length(range(meta)),
            until_down(meta).map_or_else(|| "-".to_owned(), length),
            thousands(meta.stats.num_series),
            thousands(meta.stats.num_samples),
            thousands(meta.stats.num_chunks),
            meta.compaction.level.to_string(),
            meta.compaction.failed.to_string(),
            labels.join(","),
            length(meta.thanos.downsample.resolution),
            meta.thanos.source.as_str().to_owned(),
        ];
        Self { meta, cells }
    }
}

fn range(meta: &Meta) -> i64 {
    meta.max_time.saturating_sub(meta.min_time)
}

/// How much longer a block must be before it is downsampled; none when it never is.
fn until_down(meta: &Meta) -> Option<i64> {
    let needed = match meta.thanos.downsample.resolution {
        resolution::RAW => FIRST_DOWNSAMPLING_MS,
        resolution::FIVE_MINUTES => SECOND_DOWNSAMPLING_MS,
        _ => return None,
    };
    Some(needed.saturating_sub(range(meta)))
}

/// Sorts by the columns in turn, and by ULID where all are equal.
pub(super) fn sort(rows: &mut [Row<'_>], by: &[String]) {
    rows.sort_by(|a, b| {
        by.iter()
            .map(|column| compare(a.meta, b.meta, column))
            .find(|order| order.is_ne())
            .unwrap_or_else(|| a.meta.id.cmp(&b.meta.id))
    });
}

fn compare(a: &Meta, b: &Meta, column: &str) -> Ordering {
    match column {
        "FROM" => a.min_time.cmp(&b.min_time),
        "UNTIL" => a.max_time.cmp(&b.max_time),
        "RANGE" => range(a).cmp(&range(b)),
        "UNTIL-DOWN" => until_down(a).cmp(&until_down(b)),
        "#SERIES" => a.stats.num_series.cmp(&b.stats.num_series),
        "#SAMPLES" => a.stats.num_samples.cmp(&b.stats.num_samples),
        "#CHUNKS" => a.stats.num_chunks.cmp(&b.stats.num_chunks),
        "COMP-LEVEL" => a.compaction.level.cmp(&b.compaction.level),
        "COMP-FAILED" => a.compaction.failed.cmp(&b.compaction.failed),
        "LABELS" => a.thanos.labels.cmp(&b.thanos.labels),
        "RESOLUTION" => a
            .thanos
            .downsample
            .resolution
            .cmp(&b.thanos.downsample.resolution),
        "SOURCE" => a.thanos.source.as_str().cmp(b.thanos.source.as_str()),
        _ => a.id.cmp(&b.id),
    }
}

#[cfg(test)]
mod tests {
    use rutile_block::BlockId;

    use super::*;

    fn meta(seed: u64, min_time: i64, max_time: i64) -> Meta {
        let mut meta = Meta::new(BlockId::from_parts(seed, [0; 10]));
        meta.min_time = min_time;
        meta.max_time = max_time;
        meta
    }

    #[test]
    fn cells_are_written_as_the_reference_does() {
        let mut block = meta(0, 1_767_225_600_000, 1_767_232_800_000);
        block.stats.num_samples = 1_234_567;
        let row = Row::new(&block);
        assert_eq!(
            row.cells.join("|"),
            "00000000000000000000000000|2026-01-01T00:00:00Z|2026-01-01T02:00:00Z|2h0m0s|38h0m0s|\
             0|1,234,567|0|1|false||0s|"
        );
        block.thanos.downsample.resolution = resolution::ONE_HOUR;
        assert_eq!(Row::new(&block).cells[4], "-");
    }

    #[test]
    fn rows_are_sorted_by_value_and_then_by_id() {
        let blocks = [
            meta(1, 9, 10),
            meta(2, 10, 11),
            meta(3, 9, 10),
            meta(4, 9, 100),
        ];
        let order = |by: &[&str]| {
            let by: Vec<String> = by.iter().map(|&name| name.to_owned()).collect();
            let mut rows: Vec<Row<'_>> = blocks.iter().map(Row::new).collect();
            sort(&mut rows, &by);
            rows.iter()
                .map(|row| row.meta.id.time_ms())
                .collect::<Vec<_>>()
        };
        assert_eq!(order(&["FROM", "UNTIL"]), [1, 3, 4, 2]);
        assert_eq!(order(&["RANGE"]), [1, 2, 3, 4]);
        assert_eq!(order(&["UNTIL"]), [1, 3, 2, 4]);
    }
}
