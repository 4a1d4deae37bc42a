//! Writes rows of numbers as the labels that leave.

use std::sync::Arc;

use rutile_storeapi::SeriesWriter;

use super::label_numbers::{LabelNumbers, common_start};

/// Writes the labels of series, each in one piece: what it has in common with the one before is still there.
#[derive(Debug)]
pub(crate) struct LabelWriter {
    numbers: Arc<LabelNumbers>,
    /// The last row, encoded, and where each of its labels ends.
    row: Vec<u32>,
    encoded: Vec<u8>,
    ends: Vec<u32>,
}

impl LabelWriter {
    pub(crate) fn new(numbers: Arc<LabelNumbers>) -> Self {
        Self {
            numbers,
            row: Vec::new(),
            encoded: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// Writes the labels of a series.
    pub(crate) fn write(&mut self, row: &[u32], series: &mut SeriesWriter<'_>) {
        let alike = common_start(&self.row, row);
        self.row.truncate(alike);
        self.ends.truncate(alike);
        let end = self.ends.last().copied().unwrap_or_default();
        self.encoded.truncate(end as usize);
        for number in &row[alike..] {
            self.row.push(*number);
            self.encoded
                .extend_from_slice(self.numbers.encoded(*number));
            self.ends.push(self.encoded.len() as u32);
        }
        series.encoded_labels(&self.encoded);
    }
}
