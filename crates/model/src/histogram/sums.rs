//! Sums of rows of histograms, at each step: what [`FloatHistogram::kahan_add`] makes of them, bit for bit.
//!
//! A bucket that some of them do not have is empty there, and an empty bucket changes neither a sum nor what it lost to
//! rounding.

use super::kahan::{Compensation, inc};
use super::layout::{Indexes, SpanBuilder};
use super::rows::{HistogramLayout, HistogramMatrix, SCALARS};
use crate::sample::{CounterResetHint, FloatHistogram};

/// The sums of histograms of one schema and one zero threshold.
#[derive(Debug)]
pub struct HistogramSums {
    /// Of all that were added.
    layout: HistogramLayout,
    sums: Vec<f64>,
    /// What each sum lost to rounding; empty as long as there is one histogram at each step.
    carries: Vec<f64>,
    /// How many were added at each step: none, one, or more.
    counts: Vec<Count>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Count {
    None,
    One,
    More,
}

/// A sum, and what it lost to rounding; that is of no use if there was only one histogram.
pub type HistogramSum = (FloatHistogram, Compensation);

impl HistogramSums {
    /// The sums of one histogram each.
    #[must_use]
    pub fn of(matrix: &HistogramMatrix) -> Self {
        let count = |is_present: &bool| match is_present {
            true => Count::One,
            false => Count::None,
        };
        Self {
            layout: matrix.layout.clone(),
            sums: matrix.values.clone(),
            carries: Vec::new(),
            counts: matrix.present.iter().map(count).collect(),
        }
    }

    /// Adds the histogram of each step. False, and nothing is added, if they have another schema or zero threshold.
    pub fn add(&mut self, matrix: &HistogramMatrix) -> bool {
        let (own, other) = (&self.layout, &matrix.layout);
        if own.schema != other.schema || own.zero_threshold != other.zero_threshold {
            return false;
        }
        let are_aligned = own.spans == other.spans;
        if !are_aligned {
            let Some(both) = union(own, other) else {
                return false;
            };
            self.widen(both);
        }
        self.carries.resize(self.sums.len(), 0.0);
        if are_aligned {
            self.add_aligned(matrix);
        } else {
            self.add_at(matrix, &places(other, &self.layout));
        }
        true
    }

    fn add_aligned(&mut self, matrix: &HistogramMatrix) {
        self.add_rows(matrix, |row, sums, carries, is_first| {
            if is_first {
                sums.copy_from_slice(row);
                return;
            }
            for ((sum, carry), value) in sums.iter_mut().zip(carries).zip(row) {
                inc(*value, sum, carry);
            }
        });
    }

    /// Adds each number at a place of its own.
    fn add_at(&mut self, matrix: &HistogramMatrix, places: &[usize]) {
        self.add_rows(matrix, |row, sums, carries, is_first| {
            for (value, place) in row.iter().zip(places) {
                match (sums.get_mut(*place), carries.get_mut(*place)) {
                    (Some(sum), _) if is_first => *sum = *value,
                    (Some(sum), Some(carry)) => inc(*value, sum, carry),
                    _ => {}
                }
            }
        });
    }

    /// Adds the row of each step that has one: `add` is told the row, the sums, what they lost, and whether it is the first.
    #[inline(always)]
    fn add_rows(
        &mut self,
        matrix: &HistogramMatrix,
        mut add: impl FnMut(&[f64], &mut [f64], &mut [f64], bool),
    ) {
        let width = self.layout.width();
        let sums = self.sums.chunks_exact_mut(width);
        let sums = sums.zip(self.carries.chunks_exact_mut(width));
        for (((sums, carries), count), row) in sums.zip(&mut self.counts).zip(matrix.rows()) {
            if let Some(row) = row {
                let is_first = *count == Count::None;
                *count = if is_first { Count::One } else { Count::More };
                add(row, sums, carries, is_first);
            }
        }
    }

    /// Makes room for the buckets of a layout that has its own, and perhaps more.
    fn widen(&mut self, layout: HistogramLayout) {
        if layout.spans == self.layout.spans {
            return;
        }
        let places = places(&self.layout, &layout);
        let (from, to) = (self.layout.width(), layout.width());
        let widened = |numbers: &[f64]| {
            let mut wide = vec![0.0; numbers.len() / from * to];
            for (wide, narrow) in wide.chunks_exact_mut(to).zip(numbers.chunks_exact(from)) {
                for (value, place) in narrow.iter().zip(&places) {
                    if let Some(number) = wide.get_mut(*place) {
                        *number = *value;
                    }
                }
            }
            wide
        };
        (self.sums, self.carries) = (widened(&self.sums), widened(&self.carries));
        self.layout = layout;
    }

    /// The sum of each step, with empty buckets among those of the others.
    pub fn into_sums(self) -> impl Iterator<Item = Option<HistogramSum>> {
        let width = self.layout.width();
        (0..self.counts.len()).map(move |step| {
            let count = self.counts.get(step).copied().unwrap_or(Count::None);
            let row = step * width..(step + 1) * width;
            let sum = histogram_of(&self.layout, self.sums.get(row.clone())?)?;
            match count {
                Count::None => None,
                Count::One => Some((sum, Compensation::default())),
                Count::More => {
                    let carries = self.carries.get(row)?;
                    Some((sum, compensation_of(&self.layout, carries)?))
                }
            }
        })
    }

    /// The memory that it holds, bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let numbers = self.sums.len() + self.carries.len();
        size_of::<Self>() + numbers * size_of::<f64>() + self.counts.len()
    }
}

/// A row as a histogram that tells how much was observed in some time.
fn histogram_of(layout: &HistogramLayout, row: &[f64]) -> Option<FloatHistogram> {
    let [count, zero_count, sum] = *row.first_chunk::<SCALARS>()?;
    let [positive, negative] = layout.sides(row);
    let [positive_spans, negative_spans] = layout.spans.clone();
    Some(FloatHistogram {
        counter_reset_hint: CounterResetHint::Gauge,
        schema: layout.schema,
        zero_threshold: layout.zero_threshold,
        zero_count,
        count,
        sum,
        positive_spans,
        negative_spans,
        positive_buckets: positive.to_vec(),
        negative_buckets: negative.to_vec(),
        custom_values: Vec::new(),
    })
}

fn compensation_of(layout: &HistogramLayout, row: &[f64]) -> Option<Compensation> {
    let [count, zero_count, sum] = *row.first_chunk::<SCALARS>()?;
    let [positive, negative] = layout.sides(row);
    Some(Compensation {
        used: true,
        zero_count,
        count,
        sum,
        positive: positive.to_vec(),
        negative: negative.to_vec(),
    })
}

/// The layout of the buckets of both.
fn union(a: &HistogramLayout, b: &HistogramLayout) -> Option<HistogramLayout> {
    let [positive, negative] = [0, 1].map(|side| {
        let mut indexes: Vec<i64> = [a, b]
            .iter()
            .flat_map(|layout| Indexes::new(&layout.spans[side]).map(|(index, _)| index))
            .collect();
        indexes.sort_unstable();
        indexes.dedup();
        let mut spans = SpanBuilder::default();
        indexes.iter().for_each(|index| spans.push(*index));
        (spans.finish(), indexes.len())
    });
    let spans = [&positive.0[..], &negative.0[..]];
    HistogramLayout::new(a.schema, a.zero_threshold, spans, [positive.1, negative.1])
}

/// Where the numbers of a row stand in a row of another layout, which has all its buckets.
fn places(of: &HistogramLayout, within: &HistogramLayout) -> Vec<usize> {
    let mut places: Vec<usize> = (0..SCALARS).collect();
    let mut behind = SCALARS;
    for (of, within) in of.spans.iter().zip(&within.spans) {
        let mut all = Indexes::new(within).enumerate();
        for (wanted, _) in Indexes::new(of) {
            let found = all.find(|(_, (index, _))| *index == wanted);
            places.extend(found.map(|(place, _)| behind + place));
        }
        behind += Indexes::new(within).count();
    }
    places
}

impl HistogramMatrix {
    /// The histogram of each step, without its empty buckets.
    pub fn histograms(&self) -> impl Iterator<Item = Option<FloatHistogram>> {
        self.rows().map(|row| {
            let mut histogram = histogram_of(&self.layout, row?)?;
            histogram.compact(0);
            Some(histogram)
        })
    }
}
