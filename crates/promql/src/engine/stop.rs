//! Whether an evaluation is still wanted: asked again and again by whatever computes for long.
//!
//! Dropping a future ends it where it waits; this ends it where it computes. Loops that find that nobody wants their
//! result break off, and whoever called them asks once more ([`Stop::check`]) before the result is used.

use rutile_runtime::CancellationToken;

use super::{Error, Result};

/// Samples, or values, that are looked at before it is asked again: well below a millisecond.
const UNITS_AT_A_TIME: u64 = 1 << 16;

/// Whether an evaluation is still wanted. By default it is, always.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(Option<CancellationToken>);

/// Work that is counted, so that it is not asked at each piece of it.
#[derive(Debug)]
pub(crate) struct Pace {
    stop: Stop,
    units: u64,
}

impl Stop {
    /// Nobody wants it any more when `token` is cancelled.
    pub(crate) fn by(token: CancellationToken) -> Self {
        Self(Some(token))
    }

    /// Whether nobody wants it any more.
    pub(crate) fn is_asked(&self) -> bool {
        self.0.as_ref().is_some_and(CancellationToken::is_cancelled)
    }

    /// # Errors
    /// `Canceled` if nobody wants it any more.
    pub(crate) fn check(&self) -> Result<()> {
        match self.is_asked() {
            true => Err(Error::Canceled),
            false => Ok(()),
        }
    }

    /// Begins to count.
    pub(crate) fn pace(&self) -> Pace {
        Pace {
            stop: self.clone(),
            units: 0,
        }
    }
}

impl Pace {
    /// Counts work that is done next, in samples or values. True: it need not be done, for nobody wants it any more.
    #[inline]
    pub(crate) fn ends_before(&mut self, units: usize) -> bool {
        self.units += units as u64 + 1;
        if self.units < UNITS_AT_A_TIME {
            return false;
        }
        self.units = 0;
        self.stop.is_asked()
    }
}
