//! Native histograms: encodings 2, 3, 5 and 6.
//!
//! A chunk has one layout (schema, zero threshold, spans of buckets, custom bounds) for all of its
//! samples; each sample then is a row of numbers. Integer and float histograms share everything
//! but the code of these numbers, which is what a [`Form`] says.
//!
//! * [`HistogramIter`] reads all four encodings.
//! * [`HistogramAppender`] writes encodings 2 and 3 by the rules of Prometheus: the bytes are the
//!   same, and so are the places where a chunk ends.
//!
//! Source: Prometheus `tsdb/chunkenc/{histogram,float_histogram,histogram_meta}.go` and their `_st`
//! variants; see docs/formats/chunks.md.

mod append;
mod field;
mod form;
mod iter;
mod layout;
mod reduce;
mod spans;

pub use append::{Appended, HistogramAppender};
pub use form::{Float, Int};

pub(crate) use form::Form;
pub use iter::HistogramIter;

pub(crate) use iter::RawReader;

/// Length of the header of all histogram chunks.
pub(crate) const HEADER_LEN: usize = 3;

/// What a histogram chunk says about the time between its predecessor and itself.
///
/// A reader must not rely on `Reset` and `NotReset`: the predecessor may be gone. They are for
/// bytes to come out as the reference's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CounterReset {
    /// Nothing is known.
    #[default]
    Unknown,
    /// There was no reset.
    NotReset,
    /// There was a reset.
    Reset,
    /// The chunk holds gauge histograms, which do not reset.
    Gauge,
}

impl CounterReset {
    /// From the two top bits of a header byte.
    #[must_use]
    pub const fn from_bits(byte: u8) -> Self {
        match byte >> 6 {
            0b00 => Self::Unknown,
            0b01 => Self::NotReset,
            0b10 => Self::Reset,
            _ => Self::Gauge,
        }
    }

    /// As the two top bits of a header byte.
    #[must_use]
    pub const fn to_bits(self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::NotReset => 0b0100_0000,
            Self::Reset => 0b1000_0000,
            Self::Gauge => 0b1100_0000,
        }
    }
}
