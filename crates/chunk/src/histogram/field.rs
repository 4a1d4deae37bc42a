//! The codes of the numbers of a sample, each continuing from the one before.

use std::fmt::Debug;

use crate::bits::{BitReader, BitWriter};
use crate::error::Result;
use crate::varbit;
use crate::window::XorField;

/// A number of each sample: what is needed to write or read the next one.
pub(crate) trait Field<V>: Debug + Clone + Default {
    fn value(&self) -> V;
    fn read_first(reader: &mut BitReader<'_>) -> Result<Self>;
    fn read(&mut self, reader: &mut BitReader<'_>) -> Result<()>;
    /// Reads the next number of each field.
    fn read_all(fields: &mut [Self], reader: &mut BitReader<'_>) -> Result<()>;
    fn write_first(writer: &mut BitWriter, value: V) -> Self;
    fn write(&mut self, writer: &mut BitWriter, value: V);
}

/// Zeros that are looked for at a time: the reader has as many bits at hand.
const MOST_ZEROS: u32 = 56;

/// Integers as deltas of deltas.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct DeltaField {
    value: i64,
    delta: i64,
}

impl DeltaField {
    #[inline(always)]
    fn read_next(&mut self, reader: &mut BitReader<'_>) -> Result<()> {
        self.delta = self.delta.wrapping_add(varbit::read_int(reader)?);
        self.value = self.value.wrapping_add(self.delta);
        Ok(())
    }

    /// Most buckets grow as they did before: a zero each. Runs of these are read at a time.
    #[inline(always)]
    fn read_runs(fields: &mut [Self], reader: &mut BitReader<'_>) -> Result<()> {
        let mut rest = fields;
        while !rest.is_empty() {
            let most = u32::try_from(rest.len()).unwrap_or(MOST_ZEROS);
            let zeros = reader.skip_zeros(most.min(MOST_ZEROS));
            let (run, others) = rest.split_at_mut(zeros as usize);
            for field in run {
                field.value = field.value.wrapping_add(field.delta);
            }
            let Some((next, others)) = others.split_first_mut() else {
                break;
            };
            next.read_next(reader)?;
            rest = others;
        }
        Ok(())
    }

    fn write_next(&mut self, writer: &mut BitWriter, value: i64) {
        let delta = value.wrapping_sub(self.value);
        varbit::write_int(writer, delta.wrapping_sub(self.delta));
        *self = Self { value, delta };
    }
}

impl Field<u64> for DeltaField {
    #[inline]
    fn value(&self) -> u64 {
        self.value.cast_unsigned()
    }

    fn read_first(reader: &mut BitReader<'_>) -> Result<Self> {
        Ok(Self {
            value: varbit::read_uint(reader)?.cast_signed(),
            delta: 0,
        })
    }

    #[inline(always)]
    fn read(&mut self, reader: &mut BitReader<'_>) -> Result<()> {
        self.read_next(reader)
    }

    #[inline(always)]
    fn read_all(fields: &mut [Self], reader: &mut BitReader<'_>) -> Result<()> {
        Self::read_runs(fields, reader)
    }

    fn write_first(writer: &mut BitWriter, value: u64) -> Self {
        varbit::write_uint(writer, value);
        Self {
            value: value.cast_signed(),
            delta: 0,
        }
    }

    fn write(&mut self, writer: &mut BitWriter, value: u64) {
        self.write_next(writer, value.cast_signed());
    }
}

impl Field<i64> for DeltaField {
    #[inline]
    fn value(&self) -> i64 {
        self.value
    }

    fn read_first(reader: &mut BitReader<'_>) -> Result<Self> {
        Ok(Self {
            value: varbit::read_int(reader)?,
            delta: 0,
        })
    }

    #[inline(always)]
    fn read(&mut self, reader: &mut BitReader<'_>) -> Result<()> {
        self.read_next(reader)
    }

    #[inline(always)]
    fn read_all(fields: &mut [Self], reader: &mut BitReader<'_>) -> Result<()> {
        Self::read_runs(fields, reader)
    }

    fn write_first(writer: &mut BitWriter, value: i64) -> Self {
        varbit::write_int(writer, value);
        Self { value, delta: 0 }
    }

    fn write(&mut self, writer: &mut BitWriter, value: i64) {
        self.write_next(writer, value);
    }
}

impl Field<f64> for XorField {
    #[inline]
    fn value(&self) -> f64 {
        Self::value(self)
    }

    fn read_first(reader: &mut BitReader<'_>) -> Result<Self> {
        Ok(Self::new(reader.read_f64()?))
    }

    #[inline(always)]
    fn read(&mut self, reader: &mut BitReader<'_>) -> Result<()> {
        Self::read(self, reader)
    }

    #[inline(always)]
    fn read_all(fields: &mut [Self], reader: &mut BitReader<'_>) -> Result<()> {
        fields.iter_mut().try_for_each(|field| field.read(reader))
    }

    fn write_first(writer: &mut BitWriter, value: f64) -> Self {
        writer.write_f64(value);
        Self::new(value)
    }

    fn write(&mut self, writer: &mut BitWriter, value: f64) {
        Self::write(self, writer, value);
    }
}
