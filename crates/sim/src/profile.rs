//! How badly a bucket behaves: probabilities of faults, in named profiles.

use std::fmt;
use std::str::FromStr;

/// Something that goes wrong with one request, or with the process that makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Fault {
    /// The request fails before its effect: throttled, denied, or no answer.
    FailBefore,
    /// It takes effect and reports a failure.
    FailAfter,
    /// It reports a failure, and takes effect a while later.
    Late,
    /// It takes up to half a minute.
    Slow,
    /// A proxy sends a write twice, the second time a while later.
    Duplicate,
    /// A read of one object is answered from an earlier state, absence included.
    StaleRead,
    /// A listing is answered from an earlier state.
    StaleList,
    /// Every line of a listing is from another moment.
    TornList,
    /// An object is cut short, down to nothing, and nobody notices on the way.
    Truncated,
    /// Of an object that is written only a part is stored, or nothing, and the request succeeds.
    TornWrite,
    /// A listing breaks off in the middle.
    BrokenList,
    /// The process ends, before or after the request was sent.
    Crash,
    /// The process stands still for longer than any delay.
    Freeze,
    /// The process's clock jumps.
    ClockJump,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::FailBefore,
        Self::FailAfter,
        Self::Late,
        Self::Slow,
        Self::Duplicate,
        Self::StaleRead,
        Self::StaleList,
        Self::TornList,
        Self::Truncated,
        Self::TornWrite,
        Self::BrokenList,
        Self::Crash,
        Self::Freeze,
        Self::ClockJump,
    ];
}

/// A kind of bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Consistent; requests fail now and then and processes crash.
    Strong,
    /// Consistent; answers get lost, writes arrive late and twice.
    S3Like,
    /// Reads and listings lag besides.
    Eventual,
    /// All of it, more often, with damaged answers and wrong clocks.
    Hostile,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Strong, Self::S3Like, Self::Eventual, Self::Hostile];

    /// Whether answers are of the moment, and writes take effect when they say so.
    #[must_use]
    pub fn is_orderly(self) -> bool {
        let disorder = [
            Fault::Late,
            Fault::StaleRead,
            Fault::StaleList,
            Fault::TornList,
        ];
        disorder.into_iter().all(|fault| self.rate(fault) == 0)
    }

    /// How many requests in 10,000 a fault hits.
    #[must_use]
    pub fn rate(self, fault: Fault) -> u64 {
        let column = match self {
            Self::Strong => 0,
            Self::S3Like => 1,
            Self::Eventual => 2,
            Self::Hostile => 3,
        };
        let rates: [u64; 4] = match fault {
            Fault::FailBefore => [50, 100, 100, 200],
            Fault::FailAfter => [0, 100, 100, 150],
            Fault::Late => [0, 50, 50, 100],
            Fault::Slow => [50, 100, 100, 150],
            Fault::Duplicate => [0, 50, 50, 100],
            Fault::StaleRead => [0, 0, 150, 150],
            Fault::StaleList => [0, 0, 500, 500],
            Fault::TornList => [0, 0, 1_000, 1_000],
            Fault::Truncated => [0, 0, 0, 20],
            Fault::TornWrite => [0, 0, 0, 50],
            Fault::BrokenList => [0, 50, 50, 100],
            Fault::Crash => [30, 30, 30, 50],
            Fault::Freeze => [3, 3, 3, 5],
            Fault::ClockJump => [0, 0, 5, 10],
        };
        rates.get(column).copied().unwrap_or(0)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Strong => "strong",
            Self::S3Like => "s3-like",
            Self::Eventual => "eventual",
            Self::Hostile => "hostile",
        })
    }
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::ALL
            .into_iter()
            .find(|profile| profile.to_string() == text);
        named.ok_or_else(|| {
            format!("profile {text:?} is none of strong, s3-like, eventual, hostile")
        })
    }
}
