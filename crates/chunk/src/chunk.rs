//! A chunk of any encoding: its bytes, and reading them sample by sample.

use rutile_model::{FloatHistogram, Histogram};

use crate::encoding::Encoding;
use crate::error::{Error, Result};
use crate::histogram::{CounterReset, Float, HistogramIter, Int};
use crate::xor::XorIter;
use crate::xor2::Xor2Iter;

/// Mask of the sample count in chunks whose two top bits say something else.
const SHARED_COUNT_MASK: u16 = 0x3FFF;

/// A sample of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// What was sampled.
    pub value: Value,
}

/// The value of a sample. Floats are equal when their bits are, as in histograms.
#[derive(Debug, Clone)]
pub enum Value {
    /// Of a float series.
    Float(f64),
    /// A native histogram with integer counts.
    Histogram(Histogram),
    /// A native histogram with float counts.
    FloatHistogram(FloatHistogram),
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits(),
            (Self::Histogram(a), Self::Histogram(b)) => a == b,
            (Self::FloatHistogram(a), Self::FloatHistogram(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Value {}

/// The bytes of a chunk, borrowed, and how to read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// How `data` is encoded.
    pub encoding: Encoding,
    /// The bytes, without length, encoding byte and checksum.
    pub data: &'a [u8],
}

impl<'a> Chunk<'a> {
    /// How many samples the header claims; in a downsampled chunk how many windows.
    ///
    /// Nothing is allocated by it, and reading may show that there are fewer.
    pub fn num_samples(&self) -> Result<u16> {
        match self.encoding {
            Encoding::HistogramSt | Encoding::FloatHistogramSt => {
                Ok(read_count(self.data, self.encoding.name())? & SHARED_COUNT_MASK)
            }
            Encoding::Aggregate => crate::AggrChunk::parse(self.data)?.num_samples(),
            Encoding::Xor | Encoding::Histogram | Encoding::FloatHistogram | Encoding::Xor2 => {
                read_count(self.data, self.encoding.name())
            }
        }
    }

    /// Whether a counter reset lies before the chunk; `None` for what is no histogram chunk.
    pub fn counter_reset(&self) -> Result<Option<CounterReset>> {
        let header = || read_header(self.data, self.encoding.name());
        Ok(match self.encoding {
            Encoding::Histogram | Encoding::FloatHistogram => {
                let [_, _, flags] = header()?;
                Some(CounterReset::from_bits(flags))
            }
            Encoding::HistogramSt | Encoding::FloatHistogramSt => {
                let [flags, _, _] = header()?;
                Some(CounterReset::from_bits(flags))
            }
            Encoding::Xor | Encoding::Xor2 | Encoding::Aggregate => None,
        })
    }

    /// Reads the samples in order.
    ///
    /// # Errors
    /// A chunk shorter than its header, and a downsampled one: its parts are read one by one, see
    /// [`crate::AggrChunk`].
    pub fn iter(&self) -> Result<ChunkIter<'a>> {
        Ok(match self.encoding {
            Encoding::Xor => ChunkIter::Xor(XorIter::new(self.data)?),
            Encoding::Xor2 => ChunkIter::Xor2(Xor2Iter::new(self.data)?),
            Encoding::Histogram | Encoding::HistogramSt => {
                ChunkIter::Histogram(HistogramIter::new(*self)?)
            }
            Encoding::FloatHistogram | Encoding::FloatHistogramSt => {
                ChunkIter::FloatHistogram(HistogramIter::new(*self)?)
            }
            Encoding::Aggregate => {
                return Err(Error::Corrupt {
                    what: Encoding::Aggregate.name(),
                    offset: 0,
                    expected: "one of its aggregates to be chosen before reading",
                });
            }
        })
    }
}

/// The samples of a chunk in order. After an error there are no more.
#[derive(Debug, Clone)]
pub enum ChunkIter<'a> {
    /// Of encoding 1.
    Xor(XorIter<'a>),
    /// Of encoding 4.
    Xor2(Xor2Iter<'a>),
    /// Of encodings 2 and 5.
    Histogram(HistogramIter<'a, Int>),
    /// Of encodings 3 and 6.
    FloatHistogram(HistogramIter<'a, Float>),
}

impl Iterator for ChunkIter<'_> {
    type Item = Result<Sample>;

    fn next(&mut self) -> Option<Self::Item> {
        fn sample<V>(read: Result<(i64, V)>, value: impl FnOnce(V) -> Value) -> Result<Sample> {
            read.map(|(time_ms, v)| Sample {
                time_ms,
                value: value(v),
            })
        }
        match self {
            Self::Xor(iter) => Some(sample(iter.next()?, Value::Float)),
            Self::Xor2(iter) => Some(sample(iter.next()?, Value::Float)),
            Self::Histogram(iter) => Some(sample(iter.next()?, Value::Histogram)),
            Self::FloatHistogram(iter) => Some(sample(iter.next()?, Value::FloatHistogram)),
        }
    }
}

/// Counts the samples of a chunk up to what its header claims.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Countdown {
    read: u16,
    total: u16,
}

impl Countdown {
    pub(crate) fn new(total: u16) -> Self {
        Self { read: 0, total }
    }

    /// Index of the sample to read now.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<u16> {
        if self.read >= self.total {
            return None;
        }
        self.read += 1;
        Some(self.read - 1)
    }

    pub(crate) fn left(&self) -> usize {
        usize::from(self.total.saturating_sub(self.read))
    }

    /// After an error: nothing that follows can be trusted.
    pub(crate) fn stop(&mut self) {
        self.total = 0;
    }
}

/// The first two bytes: a count, in some encodings below two flags.
pub(crate) fn read_count(data: &[u8], what: &'static str) -> Result<u16> {
    let [high, low] = read_header(data, what)?;
    Ok(u16::from_be_bytes([high, low]))
}

pub(crate) fn read_header<const N: usize>(data: &[u8], what: &'static str) -> Result<[u8; N]> {
    data.first_chunk().copied().ok_or(Error::Corrupt {
        what,
        offset: data.len(),
        expected: "the chunk's header",
    })
}
