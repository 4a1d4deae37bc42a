//! What the samples of a histogram chunk have in common, and its code.

use std::borrow::Cow;

use rutile_model::Span;

use crate::bits::{BitReader, BitWriter};
use crate::error::Result;
use crate::varbit;

/// The schema of histograms whose bounds are listed.
pub(crate) const CUSTOM_BOUNDS_SCHEMA: i32 = -53;
/// Schemas with exponential bounds that a chunk may have; readers reduce the highest ones.
const EXPONENTIAL_SCHEMAS: std::ops::RangeInclusive<i32> = -9..=52;

/// Most buckets on one side: twice what the finest schema has for all floats.
const MAX_BUCKETS: usize = 1 << 20;
/// Most custom bounds. Each sample carries them, so a few bits could make a lot of work.
const MAX_BOUNDS: u64 = 1 << 14;
/// Most spans without a bucket, for the same reason. Writers have a use for one.
const MAX_EMPTY_SPANS: usize = 256;
/// Fewest bits of a span that has a bucket.
const MIN_SPAN_BITS: usize = 6;

/// Bounds that are multiples of 0.001 up to this number of thousandths have a short code.
const MAX_THOUSANDTHS: f64 = 33_554_430.0;
/// Zero thresholds 2^-243 … 2^10 have a one-byte code: the exponent of the half plus this.
const THRESHOLD_BIAS: i32 = 243;
const THRESHOLD_IN_FULL: u8 = 255;

/// Schema, zero bucket and buckets. The sides are positive and negative.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Layout<'a> {
    pub(crate) schema: i32,
    pub(crate) zero_threshold: f64,
    pub(crate) spans: [Cow<'a, [Span]>; 2],
    /// Upper bounds of the buckets, for [`CUSTOM_BOUNDS_SCHEMA`].
    pub(crate) bounds: Cow<'a, [f64]>,
}

impl Layout<'_> {
    pub(crate) fn into_owned(self) -> Layout<'static> {
        Layout {
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            spans: self.spans.map(|spans| Cow::Owned(spans.into_owned())),
            bounds: Cow::Owned(self.bounds.into_owned()),
        }
    }

    pub(crate) fn borrow(&self) -> Layout<'_> {
        Layout {
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            spans: self.spans.each_ref().map(|spans| Cow::Borrowed(&**spans)),
            bounds: Cow::Borrowed(&self.bounds),
        }
    }

    pub(crate) fn is_known(&self) -> bool {
        self.schema == CUSTOM_BOUNDS_SCHEMA || EXPONENTIAL_SCHEMAS.contains(&self.schema)
    }

    pub(crate) fn write(&self, writer: &mut BitWriter) {
        write_zero_threshold(writer, self.zero_threshold);
        varbit::write_int(writer, self.schema.into());
        for spans in &self.spans {
            varbit::write_uint(writer, spans.len() as u64);
            for span in spans.iter() {
                varbit::write_uint(writer, span.length.into());
                varbit::write_int(writer, span.offset.into());
            }
        }
        if self.schema == CUSTOM_BOUNDS_SCHEMA {
            varbit::write_uint(writer, self.bounds.len() as u64);
            for &bound in self.bounds.iter() {
                write_bound(writer, bound);
            }
        }
    }

    /// Reads a layout; its sides have at most as many buckets as there are bits left, at
    /// `bucket_bits` each.
    pub(crate) fn read(reader: &mut BitReader<'_>, bucket_bits: usize) -> Result<Layout<'static>> {
        let zero_threshold = read_zero_threshold(reader)?;
        let schema = i32::try_from(varbit::read_int(reader)?);
        let mut layout = Layout {
            zero_threshold,
            ..Layout::default()
        };
        layout.schema = schema.map_err(|_| reader.corrupt("a schema of 32 bits"))?;
        if !layout.is_known() {
            return Err(reader.corrupt("a schema of -9 to 52, or -53"));
        }
        layout.spans = [
            Cow::Owned(read_spans(reader)?),
            Cow::Owned(read_spans(reader)?),
        ];
        if layout.schema == CUSTOM_BOUNDS_SCHEMA {
            layout.bounds = Cow::Owned(read_bounds(reader)?);
        }
        let buckets: usize = layout.spans.iter().map(|spans| bucket_count(spans)).sum();
        if buckets.saturating_mul(bucket_bits) > reader.bits_left() {
            return Err(reader.corrupt("no more buckets than there are bits for"));
        }
        Ok(layout)
    }
}

/// Buckets in all `spans`, which [`read_spans`] and the appender have found to be in bounds.
pub(crate) fn bucket_count(spans: &[Span]) -> usize {
    spans.iter().map(|span| span.length as usize).sum()
}

fn read_spans(reader: &mut BitReader<'_>) -> Result<Vec<Span>> {
    let count = varbit::read_uint(reader)?;
    let possible = reader.bits_left() / MIN_SPAN_BITS + MAX_EMPTY_SPANS;
    if count > possible as u64 {
        return Err(reader.corrupt("no more spans than there are bits for"));
    }
    let mut spans = Vec::new();
    let (mut buckets, mut empty) = (0_usize, 0);
    for _ in 0..count {
        let length = u32::try_from(varbit::read_uint(reader)?);
        let length = length.map_err(|_| reader.corrupt("a span length of 32 bits"))?;
        let offset = i32::try_from(varbit::read_int(reader)?);
        let offset = offset.map_err(|_| reader.corrupt("a span offset of 32 bits"))?;
        buckets = buckets.saturating_add(length as usize);
        empty += usize::from(length == 0);
        if buckets > MAX_BUCKETS || empty > MAX_EMPTY_SPANS {
            return Err(reader.corrupt("at most 1048576 buckets and 256 empty spans"));
        }
        spans.push(Span { offset, length });
    }
    Ok(spans)
}

fn read_bounds(reader: &mut BitReader<'_>) -> Result<Vec<f64>> {
    let count = varbit::read_uint(reader)?;
    if count > MAX_BOUNDS {
        return Err(reader.corrupt("at most 16384 custom bounds"));
    }
    (0..count).map(|_| read_bound(reader)).collect()
}

fn read_bound(reader: &mut BitReader<'_>) -> Result<f64> {
    let thousandths = varbit::read_uint(reader)?;
    match thousandths.checked_sub(1) {
        None => reader.read_f64(),
        #[expect(
            clippy::cast_precision_loss,
            reason = "as the reference; written ones are exact"
        )]
        Some(thousandths) => Ok(thousandths as f64 / 1000.0),
    }
}

fn write_bound(writer: &mut BitWriter, bound: f64) {
    let thousandths = bound * 1000.0;
    let rounded = thousandths.round();
    if (0.0..=MAX_THOUSANDTHS).contains(&thousandths) && rounded / 1000.0 == bound {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a whole number in the range just checked"
        )]
        varbit::write_uint(writer, rounded as u64 + 1);
    } else {
        writer.write_bit(false);
        writer.write_f64(bound);
    }
}

fn read_zero_threshold(reader: &mut BitReader<'_>) -> Result<f64> {
    let [.., code] = reader.read_bits(8)?.to_be_bytes();
    match code {
        0 => Ok(0.0),
        THRESHOLD_IN_FULL => reader.read_f64(),
        _ => Ok(power_of_two(i32::from(code) - THRESHOLD_BIAS - 1)),
    }
}

fn write_zero_threshold(writer: &mut BitWriter, threshold: f64) {
    if threshold == 0.0 {
        writer.write_bits(0, 8);
        return;
    }
    for code in 1..THRESHOLD_IN_FULL {
        if power_of_two(i32::from(code) - THRESHOLD_BIAS - 1).to_bits() == threshold.to_bits() {
            writer.write_bits(code.into(), 8);
            return;
        }
    }
    writer.write_bits(THRESHOLD_IN_FULL.into(), 8);
    writer.write_f64(threshold);
}

/// 2^`exponent`, exactly; `exponent` in the range of normal floats.
fn power_of_two(exponent: i32) -> f64 {
    let biased = u64::from((exponent + 1023).unsigned_abs());
    f64::from_bits(biased << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_thresholds_and_bounds_come_back_in_the_documented_number_of_bits() {
        let thresholds = [
            (0.0, 8),
            (2.0_f64.powi(-128), 8),
            (2.0_f64.powi(-243), 8),
            (1024.0, 8),
            (2048.0, 72),
            (0.001, 72),
            (-1.0, 72),
        ];
        for (threshold, bits) in thresholds {
            let mut writer = BitWriter::new(&[]);
            write_zero_threshold(&mut writer, threshold);
            assert_eq!(writer.bytes().len() * 8, bits, "{threshold}");
            let mut reader = BitReader::new(writer.bytes(), 0, "test");
            assert_eq!(read_zero_threshold(&mut reader), Ok(threshold));
        }
        assert_eq!(power_of_two(-128), 2.0_f64.powi(-128));
        let mut writer = BitWriter::new(&[]);
        let bounds = [
            0.0,
            0.005,
            0.1,
            33_554.43,
            33_554.431,
            -1.0,
            f64::INFINITY,
            1e-9,
        ];
        for bound in bounds {
            write_bound(&mut writer, bound);
        }
        let mut reader = BitReader::new(writer.bytes(), 0, "test");
        for bound in bounds {
            assert_eq!(read_bound(&mut reader), Ok(bound));
        }
    }

    #[test]
    fn thresholds_write_the_reference_byte_for_the_default() {
        let mut writer = BitWriter::new(&[]);
        write_zero_threshold(&mut writer, 2.0_f64.powi(-128));
        assert_eq!(writer.bytes(), [116]);
    }
}
