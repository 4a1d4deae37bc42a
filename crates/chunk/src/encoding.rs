//! The encoding byte of a chunk, on disk and on the wire.

use std::fmt;

/// How the bytes of a chunk are encoded: the byte before them in a segment file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Encoding {
    /// Float samples, Gorilla's delta-of-delta and XOR codes.
    Xor = 1,
    /// Native histograms with integer counts.
    Histogram = 2,
    /// Native histograms with float counts.
    FloatHistogram = 3,
    /// Float samples with start timestamps (Prometheus 3.10 and later, off by default).
    Xor2 = 4,
    /// Integer histograms with start timestamps (likewise).
    HistogramSt = 5,
    /// Float histograms with start timestamps (likewise).
    FloatHistogramSt = 6,
    /// Up to five aggregate chunks of a downsampled block, see [`crate::AggrChunk`].
    Aggregate = 0xFF,
}

/// The encodings that a StoreAPI peer understands: the numbers of `Chunk.Encoding` in its protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(i32)]
pub enum WireEncoding {
    /// [`Encoding::Xor`].
    Xor = 0,
    /// [`Encoding::Histogram`].
    Histogram = 1,
    /// [`Encoding::FloatHistogram`].
    FloatHistogram = 2,
}

impl Encoding {
    /// The encoding with this number, if there is one.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Xor,
            2 => Self::Histogram,
            3 => Self::FloatHistogram,
            4 => Self::Xor2,
            5 => Self::HistogramSt,
            6 => Self::FloatHistogramSt,
            0xFF => Self::Aggregate,
            _ => return None,
        })
    }

    /// Its number.
    #[must_use]
    pub const fn as_byte(self) -> u8 {
        self as u8
    }

    /// Its number on the wire; `None` for what has to be transcoded or taken apart before.
    #[must_use]
    pub const fn wire(self) -> Option<WireEncoding> {
        match self {
            Self::Xor => Some(WireEncoding::Xor),
            Self::Histogram => Some(WireEncoding::Histogram),
            Self::FloatHistogram => Some(WireEncoding::FloatHistogram),
            Self::Xor2 | Self::HistogramSt | Self::FloatHistogramSt | Self::Aggregate => None,
        }
    }

    /// Name for messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Xor => "xor chunk",
            Self::Histogram => "histogram chunk",
            Self::FloatHistogram => "float histogram chunk",
            Self::Xor2 => "xor2 chunk",
            Self::HistogramSt => "histogram-st chunk",
            Self::FloatHistogramSt => "float histogram-st chunk",
            Self::Aggregate => "aggregate chunk",
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl WireEncoding {
    /// The encoding with this number in the protocol, if there is one.
    #[must_use]
    pub const fn from_i32(number: i32) -> Option<Self> {
        Some(match number {
            0 => Self::Xor,
            1 => Self::Histogram,
            2 => Self::FloatHistogram,
            _ => return None,
        })
    }

    /// Its number in the protocol.
    #[must_use]
    pub const fn as_i32(self) -> i32 {
        self as i32
    }
}

impl From<WireEncoding> for Encoding {
    fn from(wire: WireEncoding) -> Self {
        match wire {
            WireEncoding::Xor => Self::Xor,
            WireEncoding::Histogram => Self::Histogram,
            WireEncoding::FloatHistogram => Self::FloatHistogram,
        }
    }
}
