//! What a query holds: bytes, which the ledger bounds, and samples, which `--query.max-samples` bounds.
//!
//! Results are held from the moment they are there until the result that they go into is. What is under way in
//! tasks reserves its bytes itself, on the same account.

use rutile_model::sample::is_stale_nan;
use rutile_model::{FloatHistogram, Labels, Patterns, Samples};
use rutile_runtime::{Account, Exhausted, Reservation};

use super::column::{Column, Operand, Row};
use super::{Error, Result};

/// What a query asks for before it begins, bytes: with it, it waits for others; later, it does not.
const ENTRY_BYTES: u64 = 256 * 1024;

/// An amount of results.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) bytes: u64,
    /// As Prometheus counts them: a histogram counts for each 16 bytes of its size.
    pub(crate) samples: u64,
}

/// What one query holds, and may hold.
#[derive(Debug)]
pub(crate) struct Memory {
    reservation: Option<Reservation>,
    account: Option<Account>,
    max_samples: u64,
    now: Held,
    peak: Held,
}

impl Memory {
    /// Waits until there is room for a query.
    ///
    /// # Errors
    /// `TooMany` if there is none.
    pub(crate) async fn enter(account: Option<Account>, max_samples: u64) -> Result<Self> {
        let reservation = match &account {
            Some(account) => Some(account.reserve(ENTRY_BYTES).await?),
            None => None,
        };
        Ok(Self {
            reservation,
            account,
            ..Self::unaccounted(max_samples)
        })
    }

    /// Bounded by the number of samples alone.
    pub(crate) fn unaccounted(max_samples: u64) -> Self {
        Self {
            reservation: None,
            account: None,
            max_samples,
            now: Held::default(),
            peak: Held::default(),
        }
    }

    /// Hands over to the answer what it holds; nothing else is held any more.
    pub(crate) fn hand_over(&mut self, bytes: u64) -> Option<Reservation> {
        let mut reservation = self.reservation.take()?;
        reservation.shrink(bytes);
        Some(reservation)
    }

    pub(crate) fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    pub(crate) fn now(&self) -> Held {
        self.now
    }

    pub(crate) fn peak(&self) -> Held {
        self.peak
    }

    /// Holds so much more.
    ///
    /// # Errors
    /// `TooMany` past a bound.
    pub(crate) fn add(&mut self, more: Held) -> Result<()> {
        self.settle(self.now.and(more))
    }

    /// Holds bytes in place of others; samples stay as many.
    ///
    /// # Errors
    /// `TooMany` past a bound.
    pub(crate) fn exchange(&mut self, old: u64, new: u64) -> Result<()> {
        let bytes = |bytes| Held { bytes, samples: 0 };
        self.settle(self.now.without(bytes(old)).and(bytes(new)))
    }

    /// Holds so much, and no more.
    ///
    /// # Errors
    /// `TooMany` past a bound.
    pub(crate) fn settle(&mut self, held: Held) -> Result<()> {
        if held.samples > self.max_samples {
            return Err(too_many(self.max_samples));
        }
        if let Some(reservation) = &mut self.reservation {
            let wanted = held.bytes.max(ENTRY_BYTES);
            match wanted.checked_sub(reservation.bytes()) {
                Some(more) => reservation.grow(more)?,
                None => reservation.shrink(wanted),
            }
        }
        self.now = held;
        self.peak.bytes = self.peak.bytes.max(held.bytes);
        self.peak.samples = self.peak.samples.max(held.samples);
        Ok(())
    }
}

impl Held {
    /// Both together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            samples: self.samples.saturating_add(other.samples),
        }
    }

    /// What compiled regular expressions hold.
    pub(crate) fn of_patterns(patterns: &Patterns) -> Self {
        Self {
            bytes: patterns.bytes() as u64,
            samples: 0,
        }
    }

    /// How much more it is than `less`, which it is not less than.
    pub(crate) fn without(self, less: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_sub(less.bytes),
            samples: self.samples.saturating_sub(less.samples),
        }
    }

    /// What an operand holds.
    pub(crate) fn of(operand: &Operand) -> Self {
        match operand {
            Operand::Scalar(values) => Self {
                bytes: size_of_val(values.as_slice()) as u64,
                samples: values.len() as u64,
            },
            Operand::Vector(rows) => Self::of_rows(rows),
            Operand::String(_) => Self::default(),
        }
    }

    /// What the samples of a series hold, as bytes: they are the result, and count when they are read.
    pub(crate) fn of_samples(labels: &Labels, samples: &Samples) -> Self {
        Self {
            bytes: (labels.bytes() + size_of::<Labels>() + size_of::<Samples>() + samples.bytes())
                as u64,
            samples: 0,
        }
    }

    /// What rows hold.
    pub(crate) fn of_rows(rows: &[Row]) -> Self {
        let rows = rows.iter().map(|row| {
            let mut held = Self::of_column(&row.column);
            held.bytes += row.labels.bytes() as u64;
            held.bytes += row.alike.as_ref().map_or(0, |alike| alike.bytes()) as u64;
            held
        });
        rows.fold(Self::default(), Self::and)
    }

    fn of_column(column: &Column) -> Self {
        let floats = &column.floats;
        let present = floats.iter().filter(|value| !is_stale_nan(**value)).count();
        let mut held = Self {
            bytes: (size_of::<Row>() + size_of_val(floats.as_slice())) as u64,
            samples: present as u64,
        };
        if !column.histograms.is_empty() {
            held.bytes += size_of_val(column.histograms.as_slice()) as u64;
            for histogram in column.histograms.iter().flatten() {
                held.bytes += histogram.size() as u64;
                held.samples += weight(histogram);
            }
        }
        held
    }
}

/// How many samples a histogram counts for.
pub(crate) fn weight(histogram: &FloatHistogram) -> u64 {
    weight_of_size(histogram.size())
}

/// How many samples a histogram of this size counts for.
pub(crate) fn weight_of_size(size: usize) -> u64 {
    size as u64 / 16
}

/// A query would hold more samples than it may.
pub(crate) fn too_many(max_samples: u64) -> Error {
    Error::TooMany(format!(
        "query processing would load too many samples into memory in query execution: more than \
         {max_samples}; ask for fewer series or a longer step, or raise --query.max-samples"
    ))
}

impl From<Exhausted> for Error {
    fn from(exhausted: Exhausted) -> Self {
        Self::TooMany(exhausted.to_string())
    }
}
